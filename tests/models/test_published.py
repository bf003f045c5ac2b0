"""Sizes are the published ones: tests/golden/zoo/zoo.csv holds what was counted at the originals."""

import csv

import pytest

import mcore
from mcore import registry
from tests.models.golden import FOLDER

# Names of torchvision's that are ours otherwise.
OURS = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "efficientnet_v2_s": "efficientnetv2_s",
    "mnasnet1_0": "mnasnet_100",
    "regnet_y_400mf": "regnety_004",
    "regnet_y_1_6gf": "regnety_016",
    "swin_t": "swin_tiny_patch4_window7_224",
    "vit_b_16": "vit_base_patch16_224",
}
# Their maps have channels last there.
CHANNELS_LAST = {"swin_tiny_patch4_window7_224"}
# The same name for another network: see docs/gallery, "Same name, different network".
OTHERS = {("torchvision", "inception_v3"): "counted there with its auxiliary classifier"}


def published(*libraries):
    """Rows of the table whose network we have as a backbone."""
    names = registry.available("backbone")
    for row in csv.DictReader((FOLDER / "zoo.csv").open()):
        ours = OURS.get(row["name"], row["name"])
        if row["library"] in libraries and ours in names and (row["library"], row["name"]) not in OTHERS:
            yield pytest.param(ours, row, id=f"{row['library']}-{row['name']}")


def build(name, **arguments):
    """The network without its numbers, which none of these tests needs."""
    with mcore.device("meta"):
        return registry.create(name, kind="backbone", **arguments)


@pytest.mark.parametrize(("name", "row"), list(published("timm", "torchvision")))
def test_a_classifier_has_the_published_number_of_parameters(name, row):
    net = build(name, num_classes=1000)

    assert sum(parameter.numel() for parameter in net.parameters()) == int(row["params"])


@pytest.mark.parametrize(("name", "row"), list(published("timm")))
def test_levels_have_the_published_channels_and_strides(name, row):
    axis = -1 if name in CHANNELS_LAST else 1
    expected = [
        (int(shape.split("x")[axis]), int(stride))
        for shape, stride in zip(row["features"].split(), row["reductions"].split(), strict=True)
    ]

    levels = [(level.channels, level.stride) for level in build(name).levels]
    # Of networks with one resolution, timm lists the last levels.
    assert (levels[-len(expected) :] if len(set(expected)) == 1 else levels) == expected
