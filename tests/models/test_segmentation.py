"""Segmentation: any size, which maps are used, what training returns, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
import models
from mcore.config import ConfigError
from models import heads, networks
from models.backbones import resnet18
from models.basicblocks import ASPP, PPM
from models.heads.ocr import ObjectContext, means

FED = [4, 4, 8, 8, 8]
SMALL = {"type": "resnet18", "widths": [8, 8, 8, 8]}
STEPS = {"channels": [8, 8, 8, 8, 4]}
HEADS = {
    "UNetDecoder": STEPS,
    "UNetPlusPlusDecoder": STEPS,
    "LinkNetDecoder": {},
    "MAnetDecoder": STEPS,
    "FPNDecoder": {"channels": 8, "segmentation_channels": 64},
    "DeepLabV3": {"channels": 8, "rates": [1]},
    "DeepLabV3Plus": {"channels": 8, "rates": [1]},
    "PSP": {"channels": 8},
    "UPer": {"channels": 8},
    "SegFormer": {"channels": 8},
    "PAN": {"channels": 8},
    "OCR": {"channels": 8, "key_channels": 4},
}


def head(name, **more):
    return getattr(heads, name)(2, **HEADS[name], **more)


@pytest.mark.parametrize("name", HEADS)
@given(h=st.integers(1, 70), w=st.integers(1, 70))
@settings(max_examples=8, deadline=None)
def test_a_head_gives_scores_at_the_size_of_the_image_whatever_it_is(name, h, w):
    strides = (2, 4, 8, 16, 32)
    net = head(name, in_channels=FED, in_strides=strides) if name in STRIDED else head(name, in_channels=FED)
    maps = [mcore.zeros(1, c, -(-h // s), -(-w // s)) for c, s in zip(FED, strides, strict=True)]

    scores = net.eval()(maps, size=(h, w))

    assert tuple(scores.shape) == (1, 2, h, w)


STRIDED = set(HEADS) - {"DeepLabV3", "PSP", "OCR"}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_takes_maps_whose_sizes_were_rounded_down(name):
    net = head(name, in_channels=[4, 8, 8]).eval()

    scores = net([mcore.zeros(1, 4, 16, 15), mcore.zeros(1, 8, 8, 7), mcore.zeros(1, 8, 4, 3)], size=(67, 63))

    assert tuple(scores.shape) == (1, 2, 67, 63)


@pytest.mark.parametrize(
    ("name", "levels"),
    [("DeepLabV3", [4]), ("DeepLabV3Plus", [1, 4]), ("PSP", [4]), ("FPNDecoder", [1, 2, 3, 4]), ("UPer", [1, 2, 3, 4])],
)
def test_only_the_maps_that_a_head_uses_are_taken_from_the_backbone(name, levels):
    net = models.assemble({**SMALL, "out_indices": [0, 1, 2, 3, 4]}, head=head(name))

    assert list(net.backbone.out_indices) == levels


@pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine trains")
@pytest.mark.parametrize("name", ["DeepLabV3", "DeepLabV3Plus", "PSP", "UPer", "PAN"])
def test_a_batch_of_one_can_be_trained_where_the_mean_of_the_image_has_a_norm(name):
    net = models.assemble(SMALL, head=head(name)).train()

    scores = net(mcore.randn(1, 3, 512, 512) if name == "PAN" else mcore.randn(1, 3, 128, 128))

    assert bool(mcore.isfinite(scores).all())


def test_the_norm_of_a_repeated_mean_gives_what_that_of_the_mean_gives():
    branch = ASPP(8, 4).convs[-1].eval()
    x = mcore.randn(2, 8, 5, 6)
    pool, *layers = branch

    mean = pool(x)
    for layer in layers:
        mean = layer(mean)

    np.testing.assert_allclose(branch(x).detach().numpy(), mean.expand(2, 4, 5, 6).detach().numpy(), rtol=1e-5)


def test_pyramid_pooling_stands_beside_the_map_itself():
    x = mcore.randn(1, 8, 6, 6)

    joined = PPM(8, bins=(1, 2)).eval()(x)

    assert tuple(joined.shape) == (1, 16, 6, 6)
    np.testing.assert_array_equal(joined[:, :8].detach().numpy(), x.numpy())


@pytest.mark.parametrize("name", ["UNetDecoder", "UNetPlusPlusDecoder", "LinkNetDecoder", "MAnetDecoder"])
def test_inner_levels_are_scored_in_training_alone(name):
    net = heads.DeepSupervision({"type": name, "num_classes": 2, **HEADS[name]}, in_channels=[4, 8, 8], levels=1)
    maps = [mcore.randn(2, 4, 32, 32), mcore.randn(2, 8, 16, 16), mcore.randn(2, 8, 8, 8)]

    trained, evaluated = net.train()(maps, size=(64, 64)), net.eval()(maps, size=(64, 64))

    assert [tuple(x.shape) for x in trained] == [(2, 2, 64, 64)] * 2
    assert tuple(evaluated.shape) == (2, 2, 64, 64)


def test_inner_scores_can_stay_at_their_size_the_last_level_first():
    net = heads.DeepSupervision(
        heads.UNetDecoder(2, channels=[8, 8, 8]), in_channels=[4, 8, 8], in_strides=[2, 4, 8], resized=False
    )
    maps = [mcore.randn(2, 4, 32, 32), mcore.randn(2, 8, 16, 16), mcore.randn(2, 8, 8, 8)]

    scores = net.train()(maps, size=(64, 64))

    assert [x.shape[2] for x in scores] == [64, 32, 16]


def test_the_scores_of_regions_come_in_training_where_they_are_asked_for():
    net = networks.HRNetOCR(3, SMALL, channels=8, key_channels=4, auxiliary=True)
    x = mcore.randn(2, 3, 64, 64)

    trained, evaluated = net.train()(x), net.eval()(x)

    assert {name: tuple(value.shape) for name, value in trained.items()} == {
        "out": (2, 3, 64, 64),
        "aux": (2, 3, 64, 64),
    }
    assert tuple(evaluated.shape) == (2, 3, 64, 64)


def test_pixels_that_find_all_regions_alike_get_the_same():
    context = ObjectContext(8, 4).eval()
    regions = mcore.randn(1, 8, 1).expand(1, 8, 3)

    mixed = context(mcore.randn(1, 8, 4, 5), regions).detach().numpy()

    np.testing.assert_allclose(mixed, np.broadcast_to(mixed[..., :1, :1], mixed.shape), rtol=1e-4, atol=1e-6)


def test_a_region_is_the_mean_of_the_pixels_that_score_for_it():
    x = mcore.from_numpy(np.array([[[1.0, 2.0, 5.0]]], np.float32))
    scores = mcore.from_numpy(np.array([[[50.0, 50.0, 0.0], [0.0, 0.0, 50.0]]], np.float32))

    np.testing.assert_allclose(means(x, scores).numpy(), [[[1.5, 5.0]]], rtol=1e-5)


@pytest.mark.parametrize(("stride", "pixels"), [(8, 8), (16, 4), (None, 2)])
def test_deeplab_asks_its_backbone_for_the_output_stride(stride, pixels):
    net = networks.DeepLabV3Plus(2, SMALL, output_stride=stride, rates=[1]).eval()

    maps = net.backbone(mcore.zeros(1, 3, 64, 64))

    assert maps[-1].shape[2] == pixels


def test_even_dilation_dilates_the_first_block_of_a_stage_like_its_others():
    net = resnet18(output_stride=8, even_dilation=True)

    dilations = [[block.conv1.dilation[0] for block in stage] for (stage,) in net.by_stage()[1:]]

    assert dilations == [[1, 1], [1, 1], [2, 2], [4, 4]]


@pytest.mark.parametrize("network", ["UNetPlusPlus", "LinkNet"])
def test_decoders_that_join_all_maps_get_the_backbones_from_stride_2_on(network):
    net = getattr(networks, network)(2, SMALL)

    assert [stride for _, stride in net.backbone.features] == [2, 4, 8, 16, 32]


def test_a_backbone_that_is_an_object_stays_as_it_is():
    net = networks.LinkNet(2, resnet18(in_channels=1, out_indices=[1, 2]))

    assert [stride for _, stride in net.backbone.features] == [4, 8]
    assert tuple(net.eval()(mcore.zeros(1, 1, 33, 40)).shape) == (1, 2, 33, 40)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ASPP(8, rates=[]), r"ASPP: rates=\[\] aren't dilations"),
        (lambda: PPM(8, bins=[0, 1]), r"PPM: bins=\[0, 1\] aren't numbers of cells"),
        (
            lambda: heads.UNetDecoder(2, interpolation="cubic", in_channels=[8, 8]),
            "UNetDecoder: interpolation='cubic' is",
        ),
        (lambda: heads.PAN(2, interpolation="cubic", in_channels=[8, 8]), "PAN: interpolation='cubic' is not one of"),
        (
            lambda: heads.FPNDecoder(2, merge="cat", in_channels=[8, 8]),
            "FPNDecoder: merge='cat' is not one of 'sum', 'concat'",
        ),
        (lambda: heads.DeepLabV3Plus(2, in_channels=[8]), r"DeepLabV3Plus: of maps at strides \[4\] it needs two"),
        (lambda: heads.OCR(1, in_channels=[8]), "OCR: num_classes=1 is one region"),
        (lambda: heads.UNetPlusPlusDecoder(2, [8], in_channels=FED), "UNetPlusPlusDecoder: 1 channels are given"),
        (lambda: heads.UNetDecoder(2, in_channels=[8], in_strides=[1]), "UNetDecoder: one map at stride 1"),
        (lambda: heads.UNetDecoder(2, attention="SESE", in_channels=FED), "UNetDecoder: attention='SESE'"),
        (
            lambda: heads.DeepSupervision({"type": "PSP", "num_classes": 2}, in_channels=[8, 8]),
            "DeepSupervision: PSP has no inner levels",
        ),
        (
            lambda: heads.DeepSupervision(heads.UNetDecoder(2), levels=7, in_channels=FED),
            "DeepSupervision: levels=7 isn't 1 to 4",
        ),
        (lambda: networks.PSPNet(2, "mit_b0"), "PSPNet: mit_b0 can't keep output_stride=8"),
        (lambda: networks.LinkNet(2, "resnet18", dims=4), "dims=4 is not one of 1, 2, 3"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises((ValueError, ConfigError), match=message):
        make()


@pytest.mark.parametrize("name", HEADS)
def test_another_number_of_maps_is_refused(name):
    net = head(name, in_channels=[4, 8, 8])

    with pytest.raises(ValueError, match=f"{name}: 1 maps came, but it was built for in_channels of 3"):
        net([mcore.zeros(1, 8, 4, 4)])
