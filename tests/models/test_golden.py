"""Networks give what the originals gave, with the originals' weights; families have tests of their own besides."""

import numpy as np
import pytest

import models
from models.backbones import resnet18
from models.heads import Segmentation, UNetDecoder
from models.necks import FPN
from tests.models import golden

dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)


@dtypes
@pytest.mark.parametrize(
    ("name", "ours", "arguments"),
    [
        ("timm_resnet18", "resnet18", {}),
        ("timm_resnet18_1ch_odd", "resnet18", {"in_channels": 1}),
        ("timm_resnet50", "resnet50", {}),
    ],
)
def test_resnet_gives_the_logits_and_the_maps_of_the_original(name, ours, arguments, dtype):
    golden.assert_classifier_reproduced(
        name, lambda **more: models.create(ours, kind="backbone", **arguments, **more), dtype
    )


@dtypes
def test_fpn_gives_the_maps_of_torchvisions(dtype):
    golden.assert_reproduced("torchvision_FPN", FPN(32, in_channels=[16, 32, 64, 128], extra="pool"), dtype)


@dtypes
def test_segmentation_gives_the_scores_of_torchvisions_fcn_head(dtype):
    golden.assert_reproduced(
        "torchvision_FCNHead", Segmentation(5, in_channels=64), dtype, rename="torchvision_fcn_head"
    )


@dtypes
def test_a_unet_decoder_on_resnet_gives_the_scores_of_segmentation_models(dtype):
    net = models.assemble(resnet18(out_indices=range(5)), head=UNetDecoder(3))

    golden.assert_reproduced("smp_Unet_resnet18", net, dtype, rename="segmentation_models")


def test_the_rule_of_inputs_gives_the_stored_checksums():
    stored = golden.read("timm_resnet18")

    (x,) = golden.inputs(stored)

    np.testing.assert_allclose(x.ravel()[:8], stored["inputs"][0]["first8"], rtol=1e-6)
