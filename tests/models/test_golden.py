"""Networks give what the originals gave, with the originals' weights."""

import numpy as np
import pytest

import mcore
import models
from models.backbones import resnet18, resnet50
from models.heads import Segmentation, UNetDecoder
from models.necks import FPN
from tests.models import golden

DTYPES = [
    "float32",
    pytest.param("float64", marks=pytest.mark.skipif(mcore.backend() != "torch", reason="slow")),
]


def load(net, state, dtype, rename=None):
    """`net` with the original's weights, in eval mode."""
    from models.utils.weights import renamed

    state = {key: mcore.from_numpy(value) for key, value in renamed(state, rename=rename).items()}
    net.load_state_dict(state)
    return net.to(getattr(mcore, dtype)).eval()


def run(net, arrays, dtype):
    tensors = [mcore.from_numpy(array.astype(dtype)) for array in arrays]
    with mcore.no_grad():
        out = net(tensors if len(tensors) > 1 else tensors[0])
    return [x.numpy() for x in out] if isinstance(out, tuple) else out.numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("timm_resnet18", resnet18),
        ("timm_resnet18_1ch_odd", lambda **more: resnet18(in_channels=1, **more)),
        ("timm_resnet50", resnet50),
    ],
)
def test_resnet_gives_the_logits_and_the_maps_of_the_original(name, make, dtype):
    stored = golden.read(name)
    state = golden.weights(stored)
    *maps, logits = stored["outputs"].values()
    classifier = make(num_classes=logits["shape"][1])
    backbone = make(out_indices=range(5))

    got = run(load(classifier, state, dtype), golden.inputs(stored), dtype)
    features = run(
        load(backbone, {k: v for k, v in state.items() if not k.startswith("fc.")}, dtype),
        golden.inputs(stored),
        dtype,
    )

    golden.assert_equal(got, logits, dtype)
    for feature, expected in zip(features, maps, strict=True):
        golden.assert_equal(feature, expected, dtype)


@pytest.mark.parametrize("name", ["timm_resnet18", "timm_resnet50"])
def test_the_classifier_has_the_keys_of_the_original_in_its_order(name):
    stored = golden.read(name)

    net = models.create(name.removeprefix("timm_"), num_classes=1000)

    assert [[key, list(map(int, value.shape))] for key, value in net.state_dict().items()] == stored["keys"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_fpn_gives_the_maps_of_torchvisions(dtype):
    stored = golden.read("torchvision_FPN")
    net = load(FPN(32, in_channels=[16, 32, 64, 128], extra="pool"), golden.weights(stored), dtype)

    maps = run(net, golden.inputs(stored), dtype)

    for got, expected in zip(maps, stored["outputs"].values(), strict=True):
        golden.assert_equal(got, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_segmentation_gives_the_scores_of_torchvisions_fcn_head(dtype):
    stored = golden.read("torchvision_FCNHead")
    head = Segmentation(5, in_channels=64)

    got = run(load(head, golden.weights(stored), dtype, "torchvision_fcn_head"), golden.inputs(stored), dtype)

    golden.assert_equal(got, stored["outputs"]["out"], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_unet_decoder_on_resnet_gives_the_scores_of_segmentation_models(dtype):
    stored = golden.read("smp_Unet_resnet18")
    net = models.assemble(resnet18(out_indices=range(5)), head=UNetDecoder(3))

    got = run(load(net, golden.weights(stored), dtype, "segmentation_models_unet"), golden.inputs(stored), dtype)

    golden.assert_equal(got, stored["outputs"]["out"], dtype)


def test_the_rule_of_inputs_gives_the_stored_checksums():
    stored = golden.read("timm_resnet18")

    (x,) = golden.inputs(stored)

    np.testing.assert_allclose(x.ravel()[:8], stored["inputs"][0]["first8"], rtol=1e-6)
