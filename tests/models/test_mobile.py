"""MobileNet, MnasNet, EfficientNet, GhostNet: the originals' results, torchvision's weights, levels, refusals."""

import math
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
from mcore import registry
from models.backbones import efficientnet_b0, ghostnet_050, mobilenetv2_035, mobilenetv2_100, mobilenetv3_small_100
from models.basicblocks import (
    DepthwiseSeparable,
    FusedMBConv,
    GhostBottleneck,
    GhostModule,
    InvertedResidual,
    ResidualConv,
)
from models.utils.initialise import normal_fan_out
from models.utils.renames import torchvision
from models.utils.summary import parameters
from models.utils.weights import renamed
from tests.models import golden
from tests.models.entry import row
from tests.models.running import filled

dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)
trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")

# Names of torchvision's networks that are ours otherwise.
OURS = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "efficientnet_v2_s": "efficientnetv2_s",
    "mnasnet1_0": "mnasnet_100",
}


def make(name, **arguments):
    return registry.create(name, kind="backbone", **arguments)


@dtypes
@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_b0"])
def test_a_network_gives_the_logits_and_the_maps_of_timms(name, dtype):
    golden.assert_classifier_reproduced(f"timm_{name}", partial(make, name), dtype)


@dtypes
@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v3_small"])
def test_torchvisions_weights_give_torchvisions_scores(name, dtype):
    table = f"torchvision_{name}"
    net = make(OURS.get(name, name), num_classes=10, norm_eps=torchvision.NORM_EPS.get(table, 1e-5))
    stored = golden.read(table)
    state = renamed(golden.weights(stored), rename=torchvision.TABLES[table])
    # Its linear layer before the classifier is a 1x1 convolution here.
    state = {key: value.reshape(net.state_dict()[key].shape) for key, value in state.items()}

    (scores,) = stored["outputs"].values()

    golden.assert_equal(golden.run(golden.load(net, state, dtype), golden.inputs(stored), dtype), scores, dtype)


@pytest.mark.parametrize("table", torchvision.TABLES)
def test_torchvisions_names_map_to_all_of_ours_once(table):
    name = table.removeprefix("torchvision_")
    with mcore.device("meta"):
        net = make(OURS.get(name, name), num_classes=10)

    layers = {f"{key.rpartition('.')[0]}." for key in net.state_dict()}

    assert sorted(torchvision.TABLES[table].values()) == sorted(layers)


def test_torchvisions_efficientnet_has_the_names_that_the_table_renames():
    stored = golden.read("torchvision_efficientnet_b0")

    layers = {f"{key.rpartition('.')[0]}." for key, _ in stored["keys"]}

    assert set(torchvision.TABLES["torchvision_efficientnet_b0"]) == layers


def test_norm_eps_reaches_every_norm():
    net = mobilenetv3_small_100(num_classes=2, norm_eps=1e-3)

    norms = [module.eps for module in net.modules() if type(module).__name__ == "BatchNorm2d"]

    assert norms == [1e-3] * 34


@pytest.mark.parametrize(
    ("name", "count"),
    [("ghostnet_050", 2_587_292), ("ghostnet_130", 7_358_820), ("efficientnet_b7", 66_347_960)],
)
def test_a_classifier_has_the_published_number_of_parameters(name, count):
    with mcore.device("meta"):
        assert parameters(make(name, num_classes=1000)) == count


def test_the_head_level_has_the_channels_that_segmentation_models_takes():
    net = mobilenetv2_100(out_indices=range(5), head_level=True)

    assert net.features == [(16, 2), (24, 4), (32, 8), (96, 16), (1280, 32)]


def test_the_head_level_gives_what_the_classifier_averages():
    classifier = mobilenetv2_035(num_classes=3).eval()
    backbone = mobilenetv2_035(out_indices=[4], head_level=True).eval()
    backbone.load_state_dict({key: classifier.state_dict()[key] for key in backbone.state_dict()})
    x = mcore.randn(1, 3, 33, 40)

    (found,) = backbone(x)

    head = classifier._layer("classifier")
    np.testing.assert_allclose(
        head(found.flatten(2).mean(2)).detach().numpy(), classifier(x).detach().numpy(), rtol=1e-5, atol=1e-6
    )


def test_the_stem_level_has_the_channels_that_segmentation_models_takes():
    net = efficientnet_b0(out_indices=range(5), stem_level=True)

    assert net.features == [(32, 2), (24, 4), (40, 8), (112, 16), (320, 32)]


def test_last_taps_of_ghostnet_are_behind_all_bottlenecks_of_a_stride():
    net = ghostnet_050(taps="last")

    assert net.features == [(12, 4), (20, 8), (56, 16), (80, 32)]
    assert len(net.blocks) == 9


@cache
def filled_backbone(name, output_stride):
    return filled(row("backbone", name, (), (), output_stride=output_stride))


# SE averages over all pixels, of which a dilated network has others, so these are networks without.
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["mobilenetv2_035", "mnasnet_100", "efficientnet_lite0"])
@given(h=st.integers(1, 80), w=st.integers(1, 80))
@settings(max_examples=5, deadline=None)
def test_a_dilated_network_holds_the_strided_one_on_its_grid(name, output_stride, h, w):
    strided, dilated, step = filled_backbone(name, 32), filled_backbone(name, output_stride), 32 // output_stride
    x = mcore.rand(1, 3, h, w)

    expected, found = strided(x)[-1].detach().numpy(), dilated(x)[-1].detach().numpy()[:, :, ::step, ::step]

    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_dilated_ghost_bottleneck_holds_the_strided_one_on_its_grid():
    strided = GhostBottleneck(4, 8, 6, kernel_size=5, stride=2).eval()
    dilated = GhostBottleneck(4, 8, 6, kernel_size=5, dilation=2, first_dilation=1, depthwise=True).eval()
    dilated.load_state_dict(strided.state_dict())
    x = mcore.rand(1, 4, 13, 10)

    expected, found = strided(x).detach().numpy(), dilated(x).detach().numpy()[:, :, ::2, ::2]

    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("even", "dilations"), [(False, [1, 1, 2, 2, 4]), (True, [1, 2, 2, 4, 4])])
def test_even_dilation_dilates_the_first_block_of_a_stage_like_its_others(even, dilations):
    net = mobilenetv2_035(output_stride=8, even_dilation=even)

    assert [stage[0].conv_dw.dilation[0] for stage in net.blocks][2:] == dilations


@pytest.mark.parametrize(("output_stride", "strides"), [(16, [4, 8, 16, 16]), (8, [4, 8, 8, 8])])
def test_dilation_keeps_the_resolution_from_the_output_stride_on(output_stride, strides):
    net = ghostnet_050(output_stride=output_stride).eval()

    maps = net(mcore.zeros(1, 3, 64, 64))

    assert [stride for _, stride in net.features] == [64 // x.shape[2] for x in maps] == strides


@given(
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    kernel_size=st.sampled_from((1, 3, 5)),
    stride=st.sampled_from((1, 2)),
    dilation=st.sampled_from((1, 2)),
    block=st.sampled_from((DepthwiseSeparable, InvertedResidual, FusedMBConv, ResidualConv)),
)
@settings(max_examples=25)
def test_a_block_divides_the_size_by_its_stride_rounding_up(h, w, kernel_size, stride, dilation, block):
    net = block(2, 2, kernel_size, stride=stride, dilation=dilation).eval()

    y = net(mcore.zeros(1, 2, h, w))

    assert tuple(y.shape) == (1, 2, math.ceil(h / stride), math.ceil(w / stride))


@pytest.mark.parametrize("block", [DepthwiseSeparable, InvertedResidual, FusedMBConv, ResidualConv])
def test_a_block_adds_what_came_only_where_shapes_fit_and_it_is_wanted(block):
    assert [
        block(8, 8).shortcut,
        block(8, 8, shortcut=False).shortcut,
        block(8, 16).shortcut,
        block(8, 8, stride=2).shortcut,
    ] == [True, False, False, False]


def test_squeeze_and_excitation_leaves_a_quarter_of_what_enters_an_efficientnet_block():
    net = efficientnet_b0(out_indices=[1])

    assert net.blocks[1][0].se.conv_reduce.out_channels == 4
    assert net.blocks[1][1].se.conv_reduce.out_channels == 6


def test_drop_path_rises_from_the_first_block_to_the_last():
    net = efficientnet_b0(drop_path_rate=0.15)

    rates = [block.drop_path.rate for stage in net.blocks for block in stage]

    np.testing.assert_allclose(rates, np.linspace(0, 0.15, 16))


def test_stages_after_the_last_level_are_not_built():
    net = mobilenetv3_small_100(out_indices=[2])

    assert len(net.blocks) == 2
    assert not hasattr(net, "conv_head")


@trains
def test_frozen_stages_end_where_a_level_is_reached():
    net = mobilenetv2_035(frozen_stages=3).train()

    trained = {".".join(name.split(".")[:2]) for name, p in net.named_parameters() if p.requires_grad}

    assert trained == {"blocks.5", "blocks.6"}


@trains
def test_initial_weights_keep_the_variance_in_depthwise_convolutions():
    block = InvertedResidual(64, 64, 3, expansion=8)

    normal_fan_out(block)

    assert block.conv_dw.weight.std().item() == pytest.approx(math.sqrt(2 / 9), rel=0.05)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (mobilenetv2_035, {"dims": 4}, "mobilenetv2_035: dims=4 is not 1, 2 or 3"),
        (mobilenetv2_035, {"output_stride": 4}, "mobilenetv2_035: output_stride=4 is not one of 8, 16, 32"),
        (mobilenetv2_035, {"out_indices": [5]}, r"mobilenetv2_035: out_indices=\[5\] aren't some of 0"),
        (mobilenetv2_035, {"norm_eps": 0.0}, "mobilenetv2_035: norm_eps=0.0 is not above 0"),
        (mobilenetv2_035, {"drop_path_rate": 1.0}, "mobilenetv2_035: drop_path_rate=1.0 is not in 0 <= rate < 1"),
        (mobilenetv2_035, {"frozen_stages": 5}, "mobilenetv2_035: frozen_stages=5 is not -1"),
        (mobilenetv3_small_100, {"head_level": True}, "mobilenetv3_small_100: head_level=True, but its head"),
        (ghostnet_050, {"taps": "first"}, "ghostnet_050: taps='first' is none of timm, last"),
    ],
)
def test_a_backbones_argument_that_does_not_fit_is_refused_by_name(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        (DepthwiseSeparable, {"kernel_size": 4}, "DepthwiseSeparable: kernel_size=4 is even"),
        (InvertedResidual, {"norm": None}, "InvertedResidual: norm=None"),
        (FusedMBConv, {"activation": "rely"}, "FusedMBConv: activation='rely' is none of"),
        (ResidualConv, {"dims": 0}, "ResidualConv: dims=0 is not 1, 2 or 3"),
        (GhostModule, {"ratio": 1}, "GhostModule: ratio=1 leaves nothing"),
        (partial(GhostBottleneck, inner=8), {"stride": 2, "depthwise": False}, "GhostBottleneck: stride=2 needs"),
    ],
)
def test_a_blocks_argument_that_does_not_fit_is_refused_by_name(build, arguments, message):
    with pytest.raises(ValueError, match=message):
        build(in_channels=8, out_channels=8, **arguments)
