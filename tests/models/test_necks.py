"""Necks: published sizes, arithmetic written again, maps left out, refusals."""

import numpy as np
import pytest

import mcore
import models
from mcore import registry
from models.attention import SE
from models.backbones import resnet18
from models.functional.sizes import resize
from models.heads import Segmentation
from models.necks import (
    ASPP,
    FPN,
    NASFPN,
    PAN,
    PPM,
    SPP,
    SPPF,
    Attend,
    BiFPN,
    ChannelMapper,
    Concat,
    HRNetFusion,
    Identity,
    UPerNetFusion,
)
from tests.models import golden
from tests.models.golden import _input, fill
from tests.models.rows.necks import SMALL

trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")
RESNET = [256, 512, 1024, 2048]
# Two convolutions in a row, in single precision.
CLOSE = {"rtol": 0, "atol": 1e-5}


def parameters(make, *args, **arguments):
    with mcore.device("meta"):
        return sum(p.numel() for p in make(*args, **arguments).parameters())


def filled(net):
    """`net` in eval mode, every entry of its state by a rule of its key."""
    state = {key: fill(key, tuple(map(int, value.shape)), 1.0) for key, value in net.state_dict().items()}
    net.load_state_dict({key: mcore.from_numpy(value) for key, value in state.items()})
    return net.eval()


def maps(*channels, size=(9, 13), n=1):
    """Maps whose sizes halve, rounded up."""
    found = []
    for number, count in enumerate(channels):
        found.append(mcore.from_numpy(_input(f"neck.{number}", (n, count, *size))))
        size = tuple(-(-pixels // 2) for pixels in size)
    return found


def arrays(tensors):
    return [x.detach().numpy() for x in tensors]


@pytest.mark.parametrize(
    ("make", "arguments", "count"),
    [
        (FPN, {"in_channels": RESNET}, 3_344_384),
        # Of torchvision: two 3x3 convolutions of 256 channels, or one of 2048.
        (FPN, {"in_channels": RESNET, "extra": "conv"}, 3_344_384 + 2 * 590_080),
        (FPN, {"in_channels": RESNET, "extra": "conv_on_input"}, 3_344_384 + 590_080 + 2048 * 256 * 9 + 256),
        (PAN, {"in_channels": RESNET}, 6_884_864),
        (ASPP, {"in_channels": RESNET, "channels": 256}, 15_535_104),
        (SPP, {"in_channels": [512, 1024], "channels": 1024}, 2_624_512),
    ],
    ids=["FPN", "FPN-conv", "FPN-conv_on_input", "PAN", "ASPP", "SPP"],
)
def test_a_neck_has_the_published_number_of_parameters(make, arguments, count):
    assert parameters(make, **arguments) == count


@pytest.mark.parametrize("dtype", golden.DTYPES)
def test_aspp_gives_the_map_of_torchvisions(dtype):
    neck = ASPP(32, in_channels=[64])
    names = {"convs.": "block.convs.", "project.": "block.project."}

    golden.assert_reproduced("torchvision_ASPP", neck, dtype, rename=names)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_neck_that_returns_one_map_keeps_its_values_and_names(name):
    whole = filled(registry.create(name, kind="neck", in_channels=[8, 16, 32], **SMALL[name]))
    fed = maps(8, 16, 32)
    expected = whole(fed)

    for index, x in enumerate(expected):
        part = filled(registry.create(name, kind="neck", in_channels=[8, 16, 32], out_indices=[index], **SMALL[name]))
        (got,) = part(fed)
        assert part.features == [whole.features[index]]
        assert set(part.state_dict()) <= set(whole.state_dict())
        np.testing.assert_allclose(got.detach().numpy(), x.detach().numpy(), **CLOSE)


@trains
@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_parameter_of_a_neck_that_returns_one_map_gets_a_gradient(name):
    count = len(registry.create(name, kind="neck", in_channels=[8, 16, 32], **SMALL[name]).features)

    for index in range(count):
        part = registry.create(name, kind="neck", in_channels=[8, 16, 32], out_indices=[index], **SMALL[name]).train()
        (x,) = part(maps(8, 16, 32, n=2))
        if list(part.parameters()):
            (x * mcore.rand_like(x)).sum().backward()
        assert [key for key, p in part.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_levels_that_no_map_needs_are_not_built():
    neck = FPN(8, in_channels=[8, 16, 32], out_indices=[1, 2])

    assert {key.rpartition(".")[0] for key in neck.state_dict()} == {
        "inner_blocks.1.0",
        "inner_blocks.2.0",
        "layer_blocks.1.0",
        "layer_blocks.2.0",
    }


def test_fpn_makes_coarser_levels_by_convolutions_with_relu_between():
    neck, fed = filled(FPN(8, in_channels=[8, 16], extra="conv")), maps(8, 16)

    *_, p5, p6, p7 = neck(fed)

    again = neck.extra_blocks.p6(p5)
    np.testing.assert_allclose(p6.detach().numpy(), again.detach().numpy(), **CLOSE)
    np.testing.assert_allclose(p7.detach().numpy(), neck.extra_blocks.p7(again.relu()).detach().numpy(), **CLOSE)


def test_fpn_makes_coarser_levels_of_the_coarsest_map_fed():
    neck, fed = filled(FPN(8, in_channels=[8, 16], extra="conv_on_input")), maps(8, 16)

    np.testing.assert_allclose(*arrays([neck(fed)[2], neck.extra_blocks.p6(fed[1])]), **CLOSE)


def test_fpn_has_a_norm_and_an_activation_behind_every_convolution():
    neck = FPN(8, in_channels=[8], norm="batch", activation="relu")

    assert [type(layer).__name__ for layer in neck.layer_blocks["0"]] == ["Conv2d", "BatchNorm2d", "ReLU"]


def test_pan_goes_down_and_up_again():
    neck, fed = filled(PAN(8, in_channels=[8, 16, 32])), maps(8, 16, 32)

    lateral = [neck.lateral_convs[str(i)](x) for i, x in enumerate(fed)]
    for i in (1, 0):
        lateral[i] = lateral[i] + resize(lateral[i + 1], lateral[i].shape[2:], mode="nearest")
    inner = [neck.fpn_convs[str(i)](x) for i, x in enumerate(lateral)]
    for i in (1, 2):
        inner[i] = inner[i] + neck.downsample_convs[str(i - 1)](inner[i - 1])
    expected = [inner[0], neck.pafpn_convs["0"](inner[1]), neck.pafpn_convs["1"](inner[2])]

    for got, wanted in zip(arrays(neck(fed)), arrays(expected), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_pan_has_the_names_of_mmdetection():
    assert list(PAN(8, in_channels=[8, 16]).state_dict()) == [
        f"{name}.conv.{leaf}"
        for name in (
            "lateral_convs.0",
            "lateral_convs.1",
            "fpn_convs.0",
            "fpn_convs.1",
            "downsample_convs.0",
            "pafpn_convs.0",
        )
        for leaf in ("weight", "bias")
    ]


def test_bifpn_joins_maps_by_weights_above_zero_that_sum_to_one():
    neck = BiFPN(8, repeats=1, in_channels=[8, 8]).eval()
    # Level 0 is the own map and the coarser one raised: the node that runs first.
    combine = neck.cell[0].fnode["0"].combine
    combine.load_state_dict({"edge_weights": mcore.tensor([3.0, -1.0])})
    alone, _ = maps(8, 8)
    np.testing.assert_allclose(
        combine(maps(8, 8)).detach().numpy(), alone.numpy() * np.float32(3 / (3 + 1e-4)), rtol=1e-6
    )

    combine.load_state_dict({"edge_weights": mcore.tensor([3.0, 2.0])})
    fine, coarse = arrays(maps(8, 8, size=(8, 12)))
    expected = (3 * fine + 2 * coarse.repeat(2, axis=2).repeat(2, axis=3)) / (5 + 1e-4)
    np.testing.assert_allclose(combine(maps(8, 8, size=(8, 12))).detach().numpy(), expected, rtol=0, atol=1e-6)


def test_bifpn_runs_its_nodes_as_figure_2d_draws_them():
    neck, fed = filled(BiFPN(8, repeats=1, in_channels=[8, 8, 8])), maps(8, 8, 8)
    (cell,) = neck.cell

    def node(number, *sources):
        return cell.fnode[str(number)](sources)

    p3, p4, p5 = fed
    middle = node(0, p4, p5)
    out3 = node(1, p3, middle)
    out4 = node(2, p4, middle, out3)
    expected = [out3, out4, node(3, p5, out4)]

    for got, wanted in zip(arrays(neck(fed)), arrays(expected), strict=True):
        np.testing.assert_allclose(got, wanted, **CLOSE)


def test_bifpn_has_the_names_of_efficientdet():
    neck = BiFPN(8, repeats=1, in_channels=[8, 16], extra=1)
    leaves = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

    state = list(neck.state_dict())

    resample = ["conv.conv.weight", *(f"conv.bn.{leaf}" for leaf in leaves)]
    assert state[:6] == [f"resample.2.{key}" for key in resample]
    node = [f"after_combine.conv.{key}" for key in ("conv_dw.weight", "conv_pw.weight", *(f"bn.{x}" for x in leaves))]
    combine = ["combine.edge_weights", *(f"combine.resample.1.{key}" for key in resample)]
    assert state[6:20] == [f"cell.0.fnode.0.{key}" for key in (*combine, *node)]


def test_bifpn_norms_have_the_eps_of_efficientdet():
    neck = BiFPN(8, repeats=1, in_channels=[8, 16])

    assert {module.eps for module in neck.modules() if type(module).__name__ == "BatchNorm2d"} == {1e-3}


def test_nas_fpn_merges_in_the_order_of_the_paper():
    neck = filled(NASFPN(8, repeats=1, in_channels=[8, 8, 8, 8, 8]))
    fed = maps(8, 8, 8, 8, 8, size=(32, 16))
    (stage,) = neck.fpn_stages
    p3, p4, p5, p6, p7 = (neck.lateral_convs[str(i)](x) for i, x in enumerate(fed))

    def up(x, other):
        return resize(x, other.shape[2:], mode="nearest")

    def down(x, by):
        blocks = x.unflatten(3, (-1, by)).unflatten(2, (-1, by))
        return blocks.amax((3, 5))

    def weighed(x, by):
        return by + x * by.mean((2, 3), keepdim=True).sigmoid()

    def conv(name, x):
        return stage[name].out_conv(x.relu())

    first = conv("gp_64_4", weighed(up(p6, p4), p4))
    second = conv("sum_44_4", first + p4)
    p3 = conv("sum_43_3", up(second, p3) + p3)
    p4 = conv("sum_34_4", down(p3, 2) + second)
    p5 = conv("sum_55_5", p5 + weighed(down(p4, 2), down(p3, 4)))
    p7 = conv("sum_77_7", p7 + weighed(down(p5, 4), down(second, 8)))
    p6 = conv("gp_75_6", weighed(up(p7, p6), down(p5, 2)))

    for got, wanted in zip(arrays(neck(fed)), arrays((p3, p4, p5, p6, p7)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_nas_fpn_has_the_names_of_mmdetection():
    neck = NASFPN(8, repeats=1, in_channels=[8, 16, 32])

    names = {key.rpartition(".")[0] for key in neck.state_dict()}

    convs = ("gp_64_4", "sum_44_4", "sum_43_3", "sum_34_4", "sum_55_5", "sum_77_7", "gp_75_6")
    blocks = [f"lateral_convs.{i}" for i in range(3)] + [f"extra_downsamples.{i}.0" for i in range(2)]
    blocks += [f"fpn_stages.0.{name}.out_conv" for name in convs]
    assert names == {f"{block}.{layer}" for block in blocks for layer in ("conv", "bn")}


@pytest.mark.parametrize(
    ("neck", "block"),
    [
        (SPP(8, in_channels=[8, 16]), "SPP"),
        (SPPF(8, in_channels=[8, 16]), "SPPF"),
        (ASPP(8, in_channels=[8, 16]), "ASPP"),
        (PPM(8, in_channels=[8, 16]), "PPM"),
    ],
    ids=["SPP", "SPPF", "ASPP", "PPM"],
)
def test_a_block_changes_the_coarsest_map_and_finer_ones_pass(neck, block):
    fine, coarse = maps(8, 16)

    passed, changed = filled(neck)([fine, coarse])

    assert type(neck.block).__name__ == block
    np.testing.assert_array_equal(*arrays([passed, fine]))
    np.testing.assert_allclose(*arrays([changed, neck.block(coarse)]), **CLOSE)


def test_hrnet_fusion_puts_all_maps_side_by_side_at_the_finest_ones_size():
    fine, coarse = maps(2, 3, size=(4, 6))

    (joined,) = HRNetFusion(in_channels=[2, 3])([fine, coarse])

    raised = resize(coarse, (4, 6))
    np.testing.assert_allclose(joined.numpy(), np.concatenate([fine.numpy(), raised.numpy()], axis=1), **CLOSE)


def test_hrnet_fusion_makes_a_pyramid_of_means():
    neck, fed = filled(HRNetFusion(8, levels=2, in_channels=[2, 3])), maps(2, 3, size=(4, 6))
    (joined,) = HRNetFusion(in_channels=[2, 3])(fed)

    got = neck(fed)[1]

    x = neck.reduction_conv(joined)
    means = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))
    np.testing.assert_allclose(*arrays([got, neck.fpn_convs[1](means)]), **CLOSE)


def test_upernet_fusion_joins_a_pyramid_of_pooled_surroundings():
    neck, fed = filled(UPerNetFusion(8, bins=[1, 2], in_channels=[8, 16])), maps(8, 16)

    coarse = neck.psp(fed[1])
    fine = neck.lateral_convs[0](fed[0])
    fine = neck.fpn_convs[0](fine + resize(coarse, fine.shape[2:]))
    joined = mcore.cat([fine, resize(coarse, fine.shape[2:])], dim=1)

    np.testing.assert_allclose(*arrays([neck(fed)[0], neck.fpn_bottleneck(joined)]), **CLOSE)


def test_two_backbones_are_joined_stride_by_stride():
    net = models.from_config(
        {
            "model": {
                "parts": {
                    "image": {"type": "resnet18", "in_channels": 3},
                    "depth": {"type": "resnet18", "in_channels": 3},
                    "joined": {"type": "Concat", "per_stride": True, "from": ["image", "depth"]},
                    "pyramid": {"type": "FPN", "channels": 8, "from": "joined"},
                }
            }
        }
    )

    assert net.joined.features == [(128, 4), (256, 8), (512, 16), (1024, 32)]
    assert [tuple(x.shape[1:]) for x in net.eval()(mcore.zeros(1, 3, 33, 64))] == [
        (8, 9, 16),
        (8, 5, 8),
        (8, 3, 4),
        (8, 2, 2),
    ]


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_neck_is_told_its_channels_by_the_backbone(name):
    neck = {"type": name, **SMALL[name]}

    net = models.assemble(resnet18(1), neck, Segmentation(2)).eval()

    assert tuple(net(mcore.zeros(1, 1, 65, 48)).shape) == (1, 2, 65, 48)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_neck_after_a_dilated_backbone_works(name):
    net = models.assemble(resnet18(1, output_stride=8), {"type": name, **SMALL[name]}, Segmentation(2)).eval()

    assert tuple(net(mcore.zeros(1, 1, 33, 47)).shape) == (1, 2, 33, 47)


def test_attend_takes_what_makes_a_block():
    neck = Attend(lambda channels: SE(channels, 4), in_channels=[8, 16])

    assert [type(block).__name__ for block in neck.blocks.values()] == ["SE", "SE"]


def test_attend_builds_what_its_configuration_says():
    net = models.assemble(resnet18(), Attend("SE", options={"reduction": 8}))

    again = models.from_config(net.config())

    assert again.neck.blocks["0"].fc1.out_channels == 64 // 8


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (FPN, {"extra": "max"}, "FPN: extra='max' is not one of 'pool', 'conv', 'conv_on_input', None"),
        (FPN, {"dims": 4}, "FPN: dims=4 is not 1, 2 or 3"),
        (FPN, {"out_indices": [2]}, r"FPN: out_indices=\[2\] aren't some of 0 \(stride 4\), 1 \(stride 8\), ascending"),
        (FPN, {"out_indices": [1, 0]}, r"FPN: out_indices=\[1, 0\] aren't some of"),
        (PAN, {"out_indices": []}, r"PAN: out_indices=\[\] aren't some of"),
        (PAN, {"in_channels": []}, "PAN: in_channels=.. and in_strides=.. don't give channels and stride of one map"),
        (PAN, {"in_strides": [4]}, r"PAN: in_channels=\[8, 16\] and in_strides=\[4\] don't give"),
        (PAN, {"in_strides": [8, 4]}, r"PAN: in_strides=\[8, 4\] don't ascend"),
        (BiFPN, {"repeats": 0}, "BiFPN: repeats=0 is not 1 or more"),
        (BiFPN, {"in_channels": [8]}, "BiFPN: levels fed and extra are 1 and 0; it joins 2 or more"),
        (NASFPN, {"repeats": 0}, "NASFPN: repeats=0 is not 1 or more"),
        (NASFPN, {"in_channels": [8] * 6}, "NASFPN: 6 maps are fed, but its cell joins 5"),
        (ChannelMapper, {"kernel_size": 2}, "ChannelMapper: kernel_size=2 is not odd"),
        (ChannelMapper, {"extra": -1}, "ChannelMapper: extra=-1 is not 0 or more"),
        (HRNetFusion, {"levels": 2}, "HRNetFusion: levels=2 with channels=None"),
        (Attend, {"attention": "CBMA"}, "Attend: .*'CBMA'"),
        (Attend, {"attention": "BasicBlock"}, "Attend: .*'BasicBlock'"),
        (Attend, {"attention": "CBAM", "options": {"reducton": 4}}, "Attend: CBAM .*'reducton'.*'reduction'"),
        (Attend, {"attention": "CBAM", "options": {"dims": 3}}, "Attend: options set 'dims'"),
        (Attend, {"attention": SE, "options": {"reduction": 4}}, "Attend: options=.'reduction': 4. go with a name"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"in_channels": [8, 16], **arguments})


@pytest.mark.parametrize("make", [FPN, PAN, Identity, Concat, SPP])
def test_another_number_of_maps_is_refused_by_name(make):
    neck = make(in_channels=[8, 16])

    with pytest.raises(ValueError, match=f"{make.__name__}: 3 maps came, but it was built for in_channels of 2"):
        neck(maps(8, 16, 32))
