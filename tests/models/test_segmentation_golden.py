"""Heads on backbones give what segmentation-models' networks gave, with their weights, loaded by the table of names."""

import csv

import pytest

import mcore
import models
from models import backbones, heads
from models.basicblocks import ASPP
from models.utils.weights import load_weights
from tests.models import golden

dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)

# segmentation-models' encoders give every level, and dilate whole stages.
EVERY = {"out_indices": [0, 1, 2, 3, 4]}


def dilated(stride):
    return {"output_stride": stride, "even_dilation": True}


NETWORKS = {
    "smp_Unet_resnet18": ("resnet18", EVERY, heads.UNetDecoder),
    "smp_UnetPlusPlus_resnet18": ("resnet18", EVERY, heads.UNetPlusPlusDecoder),
    "smp_Linknet_resnet34": ("resnet34", EVERY, heads.LinkNetDecoder),
    "smp_MAnet_resnet34": ("resnet34", EVERY, heads.MAnetDecoder),
    "smp_FPN_resnet18": ("resnet18", {}, heads.FPNDecoder),
    "smp_FPN_mobilenet_v2": ("mobilenetv2_100", {"head_level": True}, heads.FPNDecoder),
    "smp_DeepLabV3_resnet34": ("resnet34", dilated(8), heads.DeepLabV3),
    "smp_DeepLabV3Plus_resnet18": ("resnet18", dilated(16), heads.DeepLabV3Plus),
    "smp_PAN_resnet34": ("resnet34", dilated(16), heads.PAN),
    "smp_PSPNet_resnet18": ("resnet18", {"out_indices": [2]}, heads.PSP),
    "smp_Segformer_resnet34": ("resnet34", EVERY, heads.SegFormer),
    "smp_UPerNet_resnet34": ("resnet34", {}, heads.UPer),
}
TABLES = {"smp_FPN_mobilenet_v2": "segmentation_models_mobilenet_v2"}
# What is in the file and never used: stages of an encoder that give no map; attention without a map to join.
UNUSED = {"smp_PSPNet_resnet18": ("encoder.layer3.", "encoder.layer4.")}


def loaded(net, stored, rename):
    """`net` with the original's weights, and the report."""
    state = {key: mcore.from_numpy(value) for key, value in golden.weights(stored).items()}
    report = load_weights(net, {"state": state, "rename": rename})
    return net.eval(), report


def assembled(name, classes):
    backbone, options, head = NETWORKS[name]
    return models.assemble(getattr(backbones, backbone)(**options), head=head(classes))


@dtypes
@pytest.mark.parametrize("name", NETWORKS)
def test_a_head_on_a_backbone_gives_the_scores_of_segmentation_models(name, dtype):
    stored = golden.read(name)
    net, report = loaded(assembled(name, 3), stored, TABLES.get(name, "segmentation_models"))

    got = golden.run(net.to(getattr(mcore, dtype)), golden.inputs(stored), dtype)

    golden.assert_equal(got, stored["outputs"]["out"], dtype)
    assert report.missing == []
    assert [key for key in report.unexpected if not key.startswith(UNUSED.get(name, "-"))] == []


@dtypes
def test_a_unet_with_attention_and_a_classifier_beside_gives_both_results_of_segmentation_models(dtype):
    stored = golden.read("smp_Unet_resnet18_1ch_scse")
    two = {
        "mask": heads.UNetDecoder(3, attention="SCSE"),
        "label": heads.Classification(4, merge="coarsest"),
    }
    net = models.assemble(backbones.resnet18(in_channels=1, **EVERY), heads=two)
    net, report = loaded(net, stored, "segmentation_models_mask_and_label")
    (x,) = golden.inputs(stored)

    with mcore.no_grad():
        out = net.to(getattr(mcore, dtype))(mcore.from_numpy(x.astype(dtype)))

    golden.assert_equal(out["mask"].numpy(), stored["outputs"]["out.0"], dtype)
    golden.assert_equal(out["label"].numpy(), stored["outputs"]["out.1"], dtype)
    assert report.missing == []
    assert all(key.startswith("decoder.blocks.4.attention1.") for key in report.unexpected)


@dtypes
def test_aspp_gives_the_map_of_torchvisions(dtype):
    golden.assert_reproduced("torchvision_ASPP", ASPP(64, 32), dtype)


# segmentation-models' name of a network: ours, by the golden file of its kind.
KINDS = {name.split("_")[1]: name for name in NETWORKS if name not in TABLES}
# Its encoders, and ours with what its maps ask for.
ENCODERS = {
    "resnet18": ("resnet18", {}),
    "resnet34": ("resnet34", {}),
    "resnet50": ("resnet50", {}),
    "mobilenet_v2": ("mobilenetv2_100", {"head_level": True}),
    "se_resnet50": ("legacy_seresnet50", {}),
}


def counted():
    """Rows of the published table whose network can be put together here, but PSPNet: see below."""
    for row in csv.DictReader((golden.FOLDER / "zoo.csv").open()):
        kind, _, encoder = row["name"].partition("-")
        if row["library"] == "smp" and kind in KINDS and kind != "PSPNet" and encoder in ENCODERS:
            yield pytest.param(kind, encoder, int(row["params"]), id=row["name"])


@pytest.mark.parametrize(("kind", "encoder", "count"), list(counted()))
def test_a_head_on_a_backbone_has_the_published_number_of_parameters(kind, encoder, count):
    _, options, head = NETWORKS[KINDS[kind]]
    backbone, more = ENCODERS[encoder]
    # By name: of an object, whose weights stay, numbers would be copied.
    with mcore.device("meta"):
        net = models.assemble({"type": backbone, **options, **more}, head=head(1))

    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_pspnet_has_the_published_number_of_parameters_but_for_stages_that_give_it_no_map():
    with mcore.device("meta"):
        net = assembled("smp_PSPNet_resnet18", 1)
        unused = [backbones.resnet18().layer3, backbones.resnet18().layer4]

    count = sum(p.numel() for part in (net, *unused) for p in part.parameters())

    assert count == 11_329_825
