"""Other libraries' networks that have a layout of their own: their weights, by tables of names, give their results."""

import csv

import pytest

import mcore
import models
from mcore import registry, specs
from models import heads
from models.utils.renames import segmentation_models
from models.utils.renames.segmentation_models import ENCODERS
from models.utils.weights import load_weights
from tests.models import golden

FOLDER = golden.FOLDER.parent / "zoo_extra"

dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)

# segmentation-models' decoders: our heads, what they ask of a backbone, and of one that isn't timm's besides.
EVERY = {"out_indices": [0, 1, 2, 3, 4]}
DECODERS = {
    "Unet": (heads.UNetDecoder, EVERY),
    "UnetPlusPlus": (heads.UNetPlusPlusDecoder, EVERY),
    "MAnet": (heads.MAnetDecoder, EVERY),
    "Linknet": (heads.LinkNetDecoder, EVERY),
    "FPN": (heads.FPNDecoder, {}),
    "PSPNet": (heads.PSP, {"out_indices": [2]}),
    "PAN": (heads.PAN, {"output_stride": 16, "even_dilation": True}),
    "DeepLabV3": (heads.DeepLabV3, {"output_stride": 8, "even_dilation": True}),
    "DeepLabV3Plus": (heads.DeepLabV3Plus, {"output_stride": 16, "even_dilation": True}),
    "UPerNet": (heads.UPer, {}),
    "Segformer": (heads.SegFormer, EVERY),
}
NETWORKS = [
    "Unet_densenet121",
    "UnetPlusPlus_vgg11_bn",
    "MAnet_xception",
    "Linknet_efficientnet-b0",
    "DeepLabV3Plus_efficientnet-b0",
    "DeepLabV3_timm-efficientnet-b0",
    "FPN_mit_b0",
    "PAN_se_resnet50",
    "PSPNet_timm-res2net50_26w_4s",
    "UPerNet_timm-resnest14d",
    "Segformer_timm-regnetx_002",
    "Unet_timm-mobilenetv3_small_100",
]
# What a file holds and its network never uses: the head of an encoder, later stages, a middle that isn't called.
UNUSED = {
    "Linknet_efficientnet-b0": ("encoder._conv_head.", "encoder._bn1."),
    "DeepLabV3Plus_efficientnet-b0": ("encoder._conv_head.", "encoder._bn1."),
    "DeepLabV3_timm-efficientnet-b0": ("encoder.conv_head.", "encoder.bn2."),
    "UnetPlusPlus_vgg11_bn": ("decoder.center.",),
}
CLASSIFIERS = {
    "monai_resnet18_3d": (
        "resnet18",
        {"dims": 3, "in_channels": 1, "num_classes": 2, "stem_stride": 1, "shortcut_bias": True},
        None,
    ),
    "monai_DenseNet121_3d": ("densenet121", {"dims": 3, "in_channels": 1, "num_classes": 2}, "monai_densenet"),
    "monai_SEResNet50_2d": ("legacy_seresnet50", {"num_classes": 5}, "monai_senet"),
    "monai_EfficientNetBN_b0": (
        "efficientnet_b0",
        {"num_classes": 5, "padding": 224, "norm_eps": 1e-3},
        "monai_efficientnet_b0",
    ),
}


def backbone_of(encoder):
    """The backbone that an encoder of segmentation-models is; "timm-" ones that no row names are timm's."""
    return ENCODERS.get(encoder) or {"type": encoder.removeprefix("timm-")}


def assembled(name, classes):
    decoder, _, encoder = name.partition("_")
    head, options = DECODERS[decoder]
    return models.assemble({**backbone_of(encoder), **options}, head=head(classes))


def loaded(net, stored, rename=None):
    """`net` with the original's weights, and the report; without `rename`, the table is found."""
    state = {key: mcore.from_numpy(value) for key, value in golden.weights(stored).items()}
    return net.eval(), load_weights(net, {"state": state, "rename": rename})


@dtypes
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_the_scores_of_segmentation_models_with_its_weights(name, dtype):
    stored = golden.read(f"smp_{name}", FOLDER)
    net, report = loaded(assembled(name, 3), stored)

    got = golden.run(net.to(getattr(mcore, dtype)), golden.inputs(stored), dtype)

    golden.assert_equal(got, stored["outputs"]["out"], dtype)
    assert report.missing == []
    if not name.startswith("PSPNet"):  # whose encoder's last stages give no map
        assert [key for key in report.unexpected if not key.startswith(UNUSED.get(name, "-"))] == []


@dtypes
@pytest.mark.parametrize("encoder", ["efficientnet-b1", "densenet121"])
def test_a_backbone_gives_the_maps_of_segmentation_models_encoder(encoder, dtype):
    stored = golden.read(f"smp_encoder_{encoder}", FOLDER)
    net, report = loaded(specs.build(backbone_of(encoder) | EVERY, kind="backbone"), stored)

    got = golden.run(net.to(getattr(mcore, dtype)), golden.inputs(stored), dtype)

    assert report.missing == []
    # The first of its maps is the image.
    for array, expected in zip(got, list(stored["outputs"].values())[1:], strict=True):
        golden.assert_equal(array, expected, dtype)


@dtypes
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_gives_the_scores_of_monais_with_its_weights(name, dtype):
    variant, options, table = CLASSIFIERS[name]
    stored = golden.read(name, FOLDER)
    net, report = loaded(registry.create(variant, kind="backbone", **options), stored, table)

    got = golden.run(net.to(getattr(mcore, dtype)), golden.inputs(stored), dtype)

    golden.assert_equal(got, stored["outputs"]["out"], dtype)
    assert report.missing == report.unexpected == []


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if CLASSIFIERS[name][2]])
def test_the_table_of_a_monai_classifier_is_found_from_its_names(name):
    variant, options, table = CLASSIFIERS[name]
    net = registry.create(variant, kind="backbone", **options)

    _, report = loaded(net, golden.read(name, FOLDER))

    assert report.layout == table


def counted():
    """Rows of the published table of encoders that are ours."""
    for row in csv.DictReader((golden.FOLDER / "zoo.csv").open()):
        encoder = row["name"].removeprefix("encoder:")
        if row["library"] == "smp.encoders" and encoder in ENCODERS:
            yield pytest.param(encoder, int(row["params"]), id=encoder)


# What an encoder keeps behind its last map.
BEHIND = {"efficientnet-b0": 1280 * 320 + 2 * 1280, "timm-efficientnet-b0": 1280 * 320 + 2 * 1280}


@pytest.mark.parametrize(("encoder", "count"), list(counted()))
def test_a_backbone_has_the_parameters_of_segmentation_models_encoder(encoder, count):
    with mcore.device("meta"):
        net = specs.build(ENCODERS[encoder], kind="backbone")

    assert sum(parameter.numel() for parameter in net.parameters()) == count - BEHIND.get(encoder, 0)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_that_is_listed_can_be_built(encoder):
    with mcore.device("meta"):
        net = specs.build(ENCODERS[encoder], kind="backbone")

    assert [stride for _, stride in net.features] == [4, 8, 16, 32]


def test_every_efficientnet_of_segmentation_models_has_a_table():
    tables = {name for name in segmentation_models.TABLES if "efficientnet" in name}

    assert tables == {f"segmentation_models_efficientnet_b{size}" for size in range(8)}
