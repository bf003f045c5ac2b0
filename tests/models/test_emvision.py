"""EMVision's networks: every norm and activation, sizes, refusals, configurations, and how they combine."""

import functools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
import models
from mcore import functional as F
from mcore.config import ConfigError
from models import networks
from models.backbones import rsunet
from models.basicblocks import BilinearUp
from models.functional.volumes import crop3d, crop3d_center, pad3d_center
from models.heads import SymmetricDecoder
from models.networks.symmetric import SymmetricUNet
from models.sizing import SizeError, valid_sizes
from models.utils.patches import input_patch_sizes, output_patch_sizes
from models.utils.triples import crop_margin, pad_size, triple
from models.utils.weights import load_weights
from tests.models.golden import fill
from tests.models.golden_files import assert_near, run

torch_alone = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")
on_meta = pytest.mark.skipif(mcore.backend() != "torch", reason="the platform has no device for shapes alone")

# Activations with arguments, and what each is.
ACTS = {
    "ReLU": ({}, lambda x, slope: F.relu(x)),
    "LeakyReLU": ({"negative_slope": 0.3}, lambda x, slope: F.leaky_relu(x, 0.3)),
    "PReLU": ({"init": 0.1}, F.prelu),
    "ELU": ({"alpha": 0.5}, lambda x, slope: F.elu(x, 0.5)),
}
# Every network with a choice of activations: what it is made with, its norm, its factor, and how it comes up.
GROUP = {"width": [4, 6, 8], "group": 2}
PLAIN = {"width": [3, 4, 5]}
VARIANTS = {
    "rsunet_act": ({**PLAIN, "zfactor": [1, 2]}, "batch", [(1, 2, 2), (2, 2, 2)], "bilinear"),
    "rsunet_act_gn": ({**GROUP, "eps": 1e-3}, "group", [(1, 2, 2)] * 2, "bilinear"),
    "rsunet_act_in": (PLAIN, "instance", [(1, 2, 2)] * 2, "bilinear"),
    "rsunet_act_nn": (PLAIN, "batch", [(1, 2, 2)] * 2, "nearest"),
    "rsunet_act_nn_gn": (GROUP, "group", [(1, 2, 2)] * 2, "nearest"),
    "dynamic_rsunet": ({**PLAIN, "unroll": 2}, "bank", [(1, 2, 2)] * 2, "bilinear"),
}


def filled(net):
    """The network with every entry of its state by a rule of its key, but for fixed weights."""
    fixed = {f"{name}.weight" for name, module in net.named_modules() if isinstance(module, BilinearUp)}
    state = net.state_dict()
    new = {k: mcore.from_numpy(fill(k, tuple(map(int, v.shape)), 1.0)) for k, v in state.items() if k not in fixed}
    net.load_state_dict({**state, **new})
    return net.eval()


class Reference:
    """The forward pass as the family's description has it, from a state alone."""

    def __init__(self, state, norm, act, up, factors, *, eps=1e-5, group=2):
        self.state, self.norm, self.up, self.factors = state, norm, up, factors
        self.act, self.eps, self.group = act, eps, group

    def normed(self, x, at):
        at = f"{at}.norm" if self.norm != "bank" else f"{at}.norm.1"
        weight, bias = (self.state.get(f"{at}.{name}") for name in ("weight", "bias"))
        if self.norm == "group":
            return F.group_norm(x, x.shape[1] // self.group, weight, bias, self.eps)
        if self.norm == "instance":
            return F.instance_norm(x, weight=weight, bias=bias)
        return F.batch_norm(x, self.state[f"{at}.running_mean"], self.state[f"{at}.running_var"], weight, bias)

    def norm_act(self, x, at):
        x = x if self.norm is None else self.normed(x, at)
        return self.act(x, self.state.get(f"{at}.act.weight"))

    def conv(self, x, at):
        x = self.norm_act(x, f"{at}.norm_act")
        return F.conv3d(x, self.state[f"{at}.conv.weight"], self.state.get(f"{at}.conv.bias"), padding=1)

    def block(self, x, at):
        x = self.conv(x, f"{at}.pre")
        x = x + self.conv(self.conv(x, f"{at}.res.conv1"), f"{at}.res.conv2")
        return self.conv(x, f"{at}.post")

    def raised(self, x, at, factor):
        if self.up == "nearest":
            for axis, times in enumerate(factor):
                x = x.repeat_interleave(times, dim=axis + 2)
            return x
        padding = [-(-(step - 1) // 2) for step in factor]
        return F.conv_transpose3d(x, self.state[f"{at}.up.0.weight"], stride=factor, padding=padding, groups=x.shape[1])

    def __call__(self, x):
        x, skips = self.block(x, "iconv"), []
        for level, factor in enumerate(self.factors):
            skips.append(x)
            x = self.block(F.max_pool3d(x, factor, factor), f"dconvs.{level}.conv")
        for step, factor in enumerate(reversed(self.factors)):
            at = f"uconvs.{step}"
            x = F.conv3d(self.raised(x, at, factor), self.state[f"{at}.up.1.weight"], self.state.get(f"{at}.up.1.bias"))
            x = self.block(x + skips.pop(), f"{at}.conv")
        return self.norm_act(x, "final")


VOLUME = np.random.RandomState(0).standard_normal((2, 4, 2, 8, 12)).astype(np.float32)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_its_description_with_every_activation(name, act):
    arguments, norm, factors, up = VARIANTS[name]
    net = filled(getattr(networks, name)(**arguments, act=act, **ACTS[act][0]))
    x = VOLUME[:, : arguments["width"][0]]

    got = run(net, x, **({"unroll": 2} if norm == "bank" else {}))

    reference = Reference(net.state_dict(), norm, ACTS[act][1], up, factors, eps=arguments.get("eps", 1e-5))
    with mcore.no_grad():
        assert_near(got, reference(mcore.from_numpy(x)).numpy())


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_goes_without_norms_and_leaves_the_image_alone(name, act):
    arguments, _, factors, up = VARIANTS[name]
    net = filled(getattr(networks, name)(**arguments, act=act, **ACTS[act][0], norm=None))
    x = mcore.from_numpy(VOLUME[:, : arguments["width"][0]].copy())

    with mcore.no_grad():
        got = net(x)

    np.testing.assert_array_equal(x.numpy(), VOLUME[:, : arguments["width"][0]])
    with mcore.no_grad():
        assert_near(got.numpy(), Reference(net.state_dict(), None, ACTS[act][1], up, factors)(x).numpy())


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("norm", ["instance", "batch", None])
def test_vrunet_takes_every_activation_and_norm(norm, act):
    net = filled(networks.vrunet([2, 3], act=act, norm=norm, **ACTS[act][0]))
    x = mcore.from_numpy(np.random.RandomState(1).standard_normal((1, 2, 13, 18, 20)).astype(np.float32))

    reference = Reference(net.state_dict(), norm, ACTS[act][1], "", [])
    # Pads what the description pads, and takes off what it doesn't.
    with mcore.no_grad():
        got, around = net(x), [slice(None)] * 2
        inner = [*around, *[slice(1, -1)] * 3]

        def block(x, at):
            x = reference.conv(x, f"{at}.pre")[tuple(inner)]
            x = x + reference.conv(reference.conv(x, f"{at}.res.conv1"), f"{at}.res.conv2")
            return reference.conv(x, f"{at}.post")[tuple(inner)]

        skip = block(x, "iconv")
        low = block(F.max_pool3d(skip, (1, 2, 2)), "dconvs.0.conv")
        up = F.interpolate(low, scale_factor=(1.0, 2.0, 2.0), mode="trilinear")
        up = F.conv3d(up, net.state_dict()["uconvs.0.up.1.weight"], net.state_dict().get("uconvs.0.up.1.bias"))
        expected = reference.norm_act(block(up + crop3d_center(skip, up), "uconvs.0.conv"), "final")

    assert tuple(got.shape) == (1, 2, 1, 2, 4)
    assert_near(got.numpy(), expected.numpy())


@pytest.mark.parametrize(
    ("name", "arguments", "published"),
    [
        ("RSUNet", {"width": [16, 32, 64, 128]}, 2_653_760),
        ("rsunet_gn", {}, 42_639_168),
        ("rsunet_act_gn", {"width": [16, 32, 64, 128], "affine": False}, 2_651_136),
        ("rsunet_act_in", {"width": [3, 4, 5, 6], "act": "PReLU"}, 14_614),
        ("rsunet_2d3d", {"depth2d": 6}, 14_336_832),
        ("rsunet_v3", {"width": [16, 32, 64, 128]}, 2_653_728),
        ("dynamic_rsunet", {"width": [16, 32, 64, 128], "unroll": 3, "act": "PReLU"}, 2_659_037),
        ("RUNet", {"width": [16, 32, 64, 128], "norm": None}, 2_652_656),
        ("DTU2", {}, 258_266_844),
        ("DTU2", {"width": [8, 16, 24], "kszs": [[1, 3, 3], [1, 3, 3], 3], "factors": [[1, 2, 2], 2]}, 38_872),
    ],
)
def test_a_network_has_the_published_number_of_parameters(name, arguments, published):
    with mcore.device("meta"):
        net = getattr(networks, name)(**arguments)

    assert sum(parameter.numel() for parameter in net.parameters()) == published


@pytest.mark.parametrize(("act", "slope"), [("ReLU", 0.0), ("ELU", 0.0), ("LeakyReLU", 0.3), ("PReLU", 0.1)])
def test_weights_keep_the_variance_of_maps_at_first(act, slope):
    mcore.manual_seed(0)
    net = networks.rsunet_act([16, 32], act=act, **ACTS[act][0])

    weight = net.dconvs[0].conv.post.conv.weight.detach().numpy()

    expected = math.sqrt(2 / (1 + slope**2) / (32 * 27))
    assert abs(weight.std() / expected - 1) < 0.02
    assert abs(weight.mean()) < 0.02 * expected


# Small networks, with factors along z, in all their paddings.
SIZED = {
    "RSUNet": lambda: networks.RSUNet([1, 1, 1]),
    "isoRSUNet": lambda: networks.isoRSUNet([1, 1, 1]),
    "rsunet_act": lambda: networks.rsunet_act([1, 1, 1], [3, 2]),
    "rsunet_act_in": lambda: networks.rsunet_act_in([1, 1]),
    "rsunet_act_in, padded": lambda: networks.rsunet_act_in([1, 1, 1], fit="pad"),
    "rsunet_gn, alone": lambda: networks.rsunet_gn([1, 1], group=1),
    "vrunet": lambda: networks.vrunet([1, 1]),
    "vrunet, thirds": lambda: networks.vrunet([1, 1], scale_factor=[1, 3, 3], in_channels=1, end_kernel=3),
    "vrunet, nearest": lambda: networks.vrunet([1, 1], mode="nearest", scale_factor=[1, 2, 3], norm="batch"),
    "RUNet": lambda: networks.RUNet([1, 1], scale_factor=[1, 2, 3]),
    "RUNet, same": lambda: networks.RUNet([1, 1, 1], mode="same", scale_factor=[1, 2, 2]),
    "RUNet, padded": lambda: networks.RUNet([1, 1, 1], mode="same", fit="pad", norm="batch"),
    "DTU2": lambda: networks.DTU2([1, 1, 1], kszs=[[1, 3, 3], 3, [1, 3, 5]], factors=[[1, 2, 2], [2, 3, 2]]),
}


@functools.cache
def sized(name):
    with mcore.device("meta"):
        return SIZED[name]().eval()


@on_meta
@pytest.mark.parametrize("name", SIZED)
@given(data=st.data())
@settings(max_examples=25)
def test_a_network_gives_the_size_that_it_tells_and_refuses_all_others(name, data):
    net = sized(name)
    with mcore.device("meta"):
        # Near a size that fits, where there is most to be wrong.
        near = [data.draw(st.sampled_from([*sizes])) for sizes in valid_sizes(net, around=30, count=4)]
        size = [max(1, pixels + data.draw(st.integers(-2, 2))) for pixels in near]
        told = [net.output_size(pixels, axis) for axis, pixels in enumerate(size)]
        x = mcore.zeros(1, 1, *size)

        if None in told or net.refusal(size):
            with pytest.raises(SizeError, match=f"{type(net).__name__}: .* sizes that fit are"):
                net(x)
        else:
            assert list(net(x).shape[2:]) == told


@on_meta
@pytest.mark.parametrize("name", SIZED)
@given(around=st.integers(1, 60), count=st.integers(1, 3))
@settings(max_examples=5)
def test_all_sizes_offered_go_through_together(name, around, count):
    net = sized(name)
    with mcore.device("meta"):
        offered = valid_sizes(net, around=around, count=count)

        smallest, largest = ([pick(sizes) for sizes in offered] for pick in (min, max))

        for size in (smallest, largest):
            expected = [sizes[pixels] for sizes, pixels in zip(offered, size, strict=True)]
            assert list(net(mcore.zeros(1, 1, *size)).shape[2:]) == expected


class Unchecked(SymmetricUNet):
    """A network that takes every size."""

    def check_size(self, size, advice=""):
        pass


@on_meta
@pytest.mark.parametrize("pixels", [3, 4, 5, 6, 8])
def test_sizes_that_are_refused_would_not_go_through(pixels):
    with mcore.device("meta"):
        net, x = Unchecked([1, 1, 1]).eval(), mcore.zeros(1, 1, 1, pixels, 8)

        if net.output_size(pixels, 1) is None:
            with pytest.raises(RuntimeError, match=r"broadcast|too small"):
                net(x)
        else:
            assert net(x).shape == x.shape


@pytest.mark.parametrize(
    ("make", "size", "result"),
    [
        (lambda: networks.vrunet([1, 1, 1, 1]), (48, 148, 148), (20, 60, 60)),
        (lambda: networks.vrunet([1, 1], scale_factor=2), (28, 24, 24), (12, 8, 8)),
        (lambda: networks.RUNet([1, 1], scale_factor=[1, 2, 2]), (26, 36, 34), (2, 4, 2)),
        (networks.DTU2, (22, 212, 212), (2, 4, 4)),
        (lambda: networks.DTU2([1, 1], kszs=[3, 3], factors=[2]), (20, 20, 20), (8, 8, 8)),
    ],
)
def test_published_sizes(make, size, result):
    with mcore.device("meta"):
        net = make()

    assert tuple(net.output_size(pixels, axis) for axis, pixels in enumerate(size)) == result


def test_a_single_voxel_at_a_norm_of_each_image_is_refused_and_never_offered():
    net = networks.rsunet_act_in([3, 4])

    with pytest.raises(SizeError, match=r"rsunet_act_in: 1x2x2 pixels leave a single pixel .* fit are, axis by axis"):
        net(mcore.zeros(1, 3, 1, 2, 2))
    assert valid_sizes(net, around=(1, 2, 2), count=1) == [{1: 1}, {2: 2}, {4: 4}]


@pytest.mark.parametrize("groups", [2, 4])
def test_a_single_voxel_goes_through_groups_of_several_channels_alone(groups):
    net, x = networks.RSUNet([4, 8], norm={"name": "group", "num_groups": groups}).eval(), mcore.zeros(1, 4, 1, 2, 2)

    if groups == 4:
        with pytest.raises(SizeError, match="RSUNet: 1x2x2 pixels leave a single pixel to a norm"):
            net(x)
    else:
        assert net(x).shape == x.shape


def test_a_single_voxel_of_the_result_is_no_norms():
    net = networks.vrunet([1, 1], scale_factor=1, out_channels=1, end_kernel=3)

    assert tuple(net(mcore.zeros(1, 1, 15, 15, 15)).shape) == (1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "sizes", "results"),
    [
        ({"scale_factor": [1, 2, 2]}, [(41, 84, 84), (42, 88, 88)], [(1, 4, 4), (2, 8, 8)]),
        ({"scale_factor": 3}, [(140,) * 3, (149,) * 3], [(4,) * 3, (13,) * 3]),
        ({"mode": "same"}, [(8,) * 3, (12,) * 3], [(8,) * 3, (12,) * 3]),
        ({"mode": "same", "norm": "batch"}, [(4,) * 3, (8,) * 3], [(4,) * 3, (8,) * 3]),
    ],
)
def test_patches_of_runet_go_through_where_the_originals_did_not(arguments, sizes, results):
    net = networks.RUNet([1, 1, 1], **arguments)

    assert net.input_patch_sizes(2) == input_patch_sizes(net, 2) == sizes
    assert net.output_patch_sizes(2) == output_patch_sizes(net, 2) == results
    assert [tuple(a - 2 * b for a, b in zip(size, net.crop_margin, strict=True)) for size in sizes] == results


def test_the_margin_of_runet_counts_convolutions_at_the_ends():
    net = networks.RUNet([1, 1], in_channels=1, out_channels=1, end_kernel=3)

    assert net.crop_margin == (18, 18, 18)
    assert net.patch_size_pairs(1) == [((38, 38, 38), (2, 2, 2))]


@pytest.mark.parametrize("norm", ["instance", mcore.InstanceNorm3d, "InstanceNorm3d", mcore.BatchNorm3d])
def test_runet_takes_a_norm_by_name_and_by_class(norm):
    net = networks.RUNet([2, 3], norm=norm)

    name = "batch" if norm is mcore.BatchNorm3d else "instance"
    assert net.config()["model"] == {"type": "RUNet", "width": [2, 3], "norm": name}
    assert list(models.from_config(net.config()).state_dict()) == list(net.state_dict())


def test_a_residual_without_norms_may_be_the_identity():
    x = mcore.randn(1, 2, 3, 8, 8)
    plain = filled(networks.RUNet([2, 2], [1, 2, 2], "same", None, residual="identity"))
    rectified = filled(networks.RUNet([2, 2], [1, 2, 2], "same", None))

    reference = Reference(plain.state_dict(), None, ACTS["ReLU"][1], "", [])
    with mcore.no_grad():
        expected = reference.block(x, "iconv")
        assert_near(plain.iconv(x).numpy(), expected.numpy())
        assert np.abs(rectified.iconv(x).numpy() - expected.numpy()).max() > 1e-3


def test_files_whose_norms_had_no_weights_load_with_ones_and_zeros_and_say_so():
    net = filled(networks.rsunet_act_in([2, 3]))
    old = {key: value for key, value in net.state_dict().items() if ".norm." not in key}

    again = networks.rsunet_act_in([2, 3], weights={"state": old})

    assert {key for key in net.state_dict() if ".norm." in key} == set(again.weights_report.assumed)
    assert again.weights_report.missing == []
    bare = networks.rsunet_act_in([2, 3], norm={"name": "instance", "affine": False}, weights={"state": old})
    x = mcore.randn(1, 2, 2, 4, 4)
    with mcore.no_grad():
        assert_near(again.eval()(x).numpy(), bare.eval()(x).numpy())


def test_a_file_that_lacks_the_weights_of_some_norms_is_told_as_lacking_them():
    net = networks.rsunet_act_in([2, 3])
    some = {key: value for key, value in net.state_dict().items() if not key.startswith("final")}

    with pytest.warns(UserWarning, match="2 of 40 entries are not in the state given"):
        report = load_weights(net, {"state": some})

    assert (report.assumed, len(report.missing)) == ([], 2)


@given(factor=st.tuples(st.integers(1, 4), st.integers(1, 4)))
@settings(max_examples=12)
def test_bilinear_up_sums_slices_and_darkens_borders_as_the_original_does(factor):
    z, yx = factor
    up = BilinearUp(1, 1, (z, yx, yx))

    got = run(up, np.ones((1, 1, 3, 3, 3), np.float32))

    assert got.shape == (1, 1, 3 * z, 3 * yx, 3 * yx)
    along = {1: [1, 1, 1], 2: [1, 2, 2, 2, 2, 1], 3: [1, 1, 2, 2, 1, 2, 2, 1, 1], 4: [1, 1, *[2] * 8, 1, 1]}[z]
    border = {1: [], 2: [0.75], 3: [2 / 3], 4: [0.625, 0.875]}[yx]
    across = np.array([*border, *[1.0] * (3 * yx - 2 * len(border)), *border[::-1]])
    expected = np.array(along)[:, None, None] * across[:, None] * across
    np.testing.assert_allclose(got[0, 0], expected, atol=1e-6)


def test_bilinear_up_interpolates_along_all_axes_where_it_is_asked_to():
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1, 1) * np.ones((1, 1, 4, 3, 3), np.float32)

    got = run(BilinearUp(1, 1, (2, 2, 2), trilinear=True), x)

    expected = np.array([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(got[0, 0], expected[:, None, None] * np.ones((8, 6, 6)), atol=1e-6)


TRILINEAR = [
    *("RSUNet", "isoRSUNet", "rsunet_gn", "rsunet_act", "rsunet_act_gn", "rsunet_act_in", "rsunet_2d3d"),
    *("rsunet_2d3d_gn", "dynamic_rsunet", "rsunet_v3", "emvision_rsunet", "emvision_rsunet_gn", "emvision_iso_rsunet"),
]


@pytest.mark.parametrize("trilinear", [False, True])
@pytest.mark.parametrize("name", TRILINEAR)
def test_every_network_that_may_interpolate_along_all_axes_does_so_where_it_is_asked_to(name, trilinear):
    net = getattr(networks, name)([16, 16, 16], trilinear=trilinear)

    assert [layer.trilinear for layer in net.modules() if isinstance(layer, BilinearUp)] == [trilinear] * 2


def test_bilinear_is_another_word_for_trilinear_in_vrunet():
    one, other = (networks.vrunet([2, 3], mode=mode).eval() for mode in ("trilinear", "bilinear"))
    other.load_state_dict(one.state_dict())
    x = mcore.randn(1, 2, 13, 18, 18)

    with mcore.no_grad():
        np.testing.assert_array_equal(one(x).numpy(), other(x).numpy())


def test_ends_bring_an_image_in_and_named_results_out():
    net = networks.RSUNet([2, 3], in_channels=1, out_channels={"affinities": 3, "mask": 1}, fit="pad").eval()

    got = net(mcore.zeros(2, 1, 3, 7, 5))

    assert {name: tuple(y.shape) for name, y in got.items()} == {"affinities": (2, 3, 3, 7, 5), "mask": (2, 1, 3, 7, 5)}
    assert models.from_config(net.config()).config() == net.config()


def test_weights_of_a_bare_network_serve_one_with_ends():
    bare = networks.RSUNet([2, 3])

    with pytest.warns(UserWarning, match="keep their random values: embed.weight, out.weight, out.bias"):
        net = networks.RSUNet([2, 3], in_channels=1, out_channels=2, weights={"state": bare.state_dict()})

    np.testing.assert_array_equal(
        net.iconv.pre.conv.weight.detach().numpy(), bare.iconv.pre.conv.weight.detach().numpy()
    )


def test_padding_changes_nothing_where_the_size_fits():
    net = filled(networks.isoRSUNet([2, 3], fit="pad"))
    other = networks.isoRSUNet([2, 3]).eval()
    other.load_state_dict(net.state_dict())
    x = mcore.randn(1, 2, 4, 6, 8)

    with mcore.no_grad():
        np.testing.assert_array_equal(net(x).numpy(), other(x).numpy())


def test_a_backbone_with_its_decoder_is_the_network():
    net = filled(networks.RSUNet([2, 3, 4], in_channels=1, out_channels=2))
    parts = models.assemble(
        rsunet(channels=[2, 3, 4], out_indices=[-1, 0, 1]), head=SymmetricDecoder(2, factors=[(1, 2, 2)] * 2)
    ).eval()
    own = {**parts.state_dict()}
    for key, value in net.state_dict().items():
        place = "backbone" if key.startswith(("embed", "iconv", "dconvs")) else "head"
        assert own[f"{place}.{key}"].shape == value.shape
        own[f"{place}.{key}"] = value
    parts.load_state_dict(own)
    x = mcore.randn(1, 1, 3, 8, 12)

    with mcore.no_grad():
        assert_near(parts(x).numpy(), net(x).numpy())


@pytest.mark.parametrize("factors", [[(1, 2, 2)], [(2, 2, 2)]])
def test_a_decoder_by_factors_refuses_maps_that_do_not_meet(factors):
    head = SymmetricDecoder(2, factors=factors, in_channels=[2, 3], dims=3)

    with pytest.raises(SizeError, match=r"SymmetricDecoder: a map raised to .x4x6 pixels meets a finer one of 3x5x6"):
        head([mcore.zeros(1, 2, 3, 5, 6), mcore.zeros(1, 3, 3, 2, 3)])


def test_a_decoder_without_norms_keeps_this_in_its_configuration():
    net = models.assemble(rsunet(channels=[2, 3], norm=None), head=SymmetricDecoder(2, norm=None))

    assert list(models.from_config(net.config()).state_dict()) == list(net.state_dict())


def test_the_backbone_takes_the_originals_files(tmp_path):
    net = filled(networks.RSUNet([2, 3, 4]))
    theirs = {
        re.sub(r"^(uconvs\.\d\.up)", r"\1.up", re.sub(r"^(dconvs\.\d)\.conv", r"\1.1", key)).replace(
            "norm_act", "norm_relu"
        ): value
        for key, value in net.state_dict().items()
    }

    with pytest.warns(UserWarning, match="embed.weight"):
        backbone = rsunet(channels=[2, 3, 4], weights={"state": theirs})

    np.testing.assert_array_equal(
        backbone.dconvs[1].conv.post.conv.weight.detach().numpy(), net.dconvs[1].conv.post.conv.weight.detach().numpy()
    )


def test_the_third_version_tells_its_channels_as_the_original_does():
    bare, whole = networks.rsunet_v3([2, 3]), networks.rsunet_v3([2, 3], in_channels=1, out_channels=4)

    assert (bare.in_channels, bare.out_channels) == (2, 2)
    assert (whole.in_channels, whole.out_channels) == (1, 4)


SEED = """
mcore: 1
model:
  architecture: emvision_rsunet_gn
  filters: [4, 8, 8, 8, 8]
  group: 4
  zfactor: [1, 2, 2]
"""


def test_a_configuration_reads_as_pytorch_connectomics_writes_it(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(SEED)

    net = models.from_config(path).eval()

    assert net.factors == [(1, 2, 2)] * 4
    assert tuple(net(mcore.zeros(1, 1, 1, 16, 32)).shape) == (1, 1, 1, 16, 32)
    assert models.from_config(net.config()).config() == net.config()


def test_three_factors_for_three_steps_are_those_along_z():
    with mcore.device("meta"):
        net = networks.emvision_rsunet([2, 2, 2, 2], zfactor=[1, 2, 2])

    assert net.factors == [(1, 2, 2), (2, 2, 2), (2, 2, 2)]


def test_a_type_and_an_architecture_are_refused(tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text(SEED + "  type: RSUNet\n")

    with pytest.raises(ConfigError, match=r"net\.yaml:4:.*a model has a type or an architecture"):
        models.from_config(path)


def test_steps_of_a_recurrence_have_norms_of_their_own():
    net = networks.dynamic_rsunet([2, 3], unroll=2).train()
    before = {key: value.numpy().copy() for key, value in net.state_dict().items()}

    net(mcore.randn(1, 2, 2, 4, 4), unroll=2)

    moved = {key for key, value in net.state_dict().items() if not np.array_equal(value.numpy(), before[key])}
    assert moved == {key for key in before if re.search(r"norm\.1\.(running|num)", key)}


@torch_alone
@pytest.mark.parametrize("name", ["emvision_rsunet", "emvision_rsunet_gn", "emvision_iso_rsunet"])
def test_a_network_learns(name):
    import torch

    mcore.manual_seed(0)
    net = models.create(name, filters=[4, 8], **({"group": 4} if name.endswith("gn") else {}))
    optimizer, x = torch.optim.AdamW(net.parameters(), lr=1e-2), mcore.randn(2, 1, 4, 16, 16)
    losses = []

    for _ in range(8):
        loss = F.binary_cross_entropy_with_logits(net(x), (x > 0.5).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < 0.9 * losses[0]


@torch_alone
@pytest.mark.parametrize(
    "make", [lambda: networks.DTU2([2, 3], [3, 3], [2]), lambda: networks.RUNet([2, 3], norm=None)]
)
def test_an_image_that_wants_gradients_gets_them(make):
    size = 20 if "DTU2" in str(make()) else 34
    x = mcore.randn(1, 2, size, size, size, requires_grad=True)

    make()(x).sum().backward()

    assert x.grad.abs().sum() > 0


V = {"width": [4, 8]}
REFUSED = [
    ("RSUNet", {"width": [4]}, r"RSUNet: width=\[4\] is no list of two or more levels"),
    ("RSUNet", {"width": [4, 0]}, r"RSUNet: width=\[4, 0\] are not all whole numbers of channels, 1 or more"),
    ("RSUNet", {"width": {4: 1, 8: 1}}, r"RSUNet: width={.*} is no list of two or more levels"),
    ("RSUNet", {**V, "norm": mcore.BatchNorm2d}, "RSUNet: norm=.*BatchNorm2d.* is for fewer axes than a volume has"),
    ("RSUNet", {**V, "norm": 3}, "RSUNet: norm=3 has no name"),
    ("RSUNet", {**V, "norm": "bacth"}, "RSUNet: norm='bacth' is none of .* the nearest is 'batch'"),
    ("RSUNet", {**V, "norm": mcore.GroupNorm}, "RSUNet: norm=GroupNorm needs a number of groups"),
    ("RSUNet", {**V, "fit": "crop"}, "RSUNet: fit='crop' is not one of 'pad', 'refuse'"),
    ("RSUNet", {**V, "in_channels": 0}, "RSUNet: in_channels=0 is not 1 or more channels"),
    ("RSUNet", {**V, "out_channels": {}}, "RSUNet: out_channels={} has no names"),
    ("RSUNet", {**V, "out_channels": {"keys": 1}}, "RSUNet: out_channels: 'keys' is no name for a result"),
    ("RSUNet", {**V, "out_channels": {"a": 0}}, r"RSUNet: out_channels\['a'\]=0 is not 1 or more channels"),
    ("RSUNet", {**V, "in_channels": 1, "end_kernel": [1, 4, 4]}, r"RSUNet: end_kernel=\[1, 4, 4\] has an even number"),
    ("rsunet_gn", {"width": [8, 32]}, "rsunet_gn: group=16 channels to a group don't divide a level of 8 channels"),
    ("rsunet_gn", {"width": [56, 56]}, "rsunet_gn: group=16 .* 56 channels evenly; the nearest that does is 14"),
    ("rsunet_gn", {"width": [56, 56], "group": 0}, "rsunet_gn: group=0 channels to a group"),
    ("rsunet_gn", {**V, "group": 4, "norm": "batch"}, "rsunet_gn: norm='batch' is not one of 'group', None"),
    ("rsunet_act_gn", {**V, "group": 4, "eps": -1.0}, "rsunet_act_gn: eps=-1.0 is no number from 0 on"),
    ("rsunet_act", {**V, "act": ["ReLU"]}, r"rsunet_act: act=\['ReLU'\] is none of ReLU"),
    ("rsunet_act", {**V, "act": "ELU", "alpha": "1"}, "rsunet_act: alpha='1' is no number"),
    (
        "rsunet_act",
        {"width": [4, 4], "act": "PReLU", "num_parameters": 4.0},
        "rsunet_act: num_parameters=4.0 is no whole number",
    ),
    ("rsunet_act", {**V, "act": "GELU"}, "rsunet_act: act='GELU' is none of ReLU, .*; the nearest is 'ELU'"),
    ("rsunet_act", {**V, "zfactor": [1, 2]}, r"rsunet_act: zfactor=\[1, 2\] is not one whole number for each of the 1"),
    ("rsunet_act", {**V, "zfactor": [0]}, r"rsunet_act: zfactor=\[0\] is not one whole number"),
    ("rsunet_act", {**V, "act": "PReLU", "num_parameters": 4}, "rsunet_act: num_parameters=4 slopes don't fit"),
    ("rsunet_2d3d", {**V, "depth2d": 3}, r"rsunet_2d3d: depth2d=3 levels are more than the 2 of width"),
    ("rsunet_2d3d", {**V, "depth2d": 1.0}, "rsunet_2d3d: depth2d=1.0 is no whole number of levels"),
    ("rsunet_2d3d", {**V, "kernel2d": [1, 2, 2]}, r"rsunet_2d3d: kernel2d=\[1, 2, 2\] has an even number"),
    ("dynamic_rsunet", {**V, "unroll": 0}, "dynamic_rsunet: unroll=0 is not 1 or more steps"),
    ("vrunet", {**V, "mode": "area"}, "vrunet: mode='area' is not one of 'trilinear', 'bilinear', 'nearest'"),
    ("vrunet", {**V, "mode": "nearest", "scale_factor": 2}, "vrunet: scale_factor=.* has a factor along z"),
    ("vrunet", {**V, "scale_factor": [1, 2]}, r"vrunet: scale_factor=\[1, 2\] is no positive number, nor three"),
    ("RUNet", {**V, "mode": "full"}, "RUNet: mode='full' is not one of 'valid', 'same'"),
    ("RUNet", {**V, "fit": "pad"}, "RUNet: fit='pad' keeps the size, which convolutions without padding don't"),
    ("RUNet", {**V, "residual": "none"}, "RUNet: residual='none' is not one of 'rectified', 'identity'"),
    ("DTU2", V, "DTU2: width, kszs and factors are of 2 levels, 4 levels and 3 steps"),
    ("DTU2", {**V, "kszs": [2, 3], "factors": [2]}, r"DTU2: kszs=.* has an even number"),
    ("DTU2", {**V, "kszs": 3}, r"DTU2: kszs=3 is no list, as in \[\[1, 3, 3\], 3\]"),
    ("DTU2", {**V, "kszs": [3, 3], "factors": 2}, "DTU2: factors=2 is no list"),
    ("DTU2", {**V, "kszs": [3, 3], "factors": [2.0]}, "DTU2: factors=2.0 is no positive number, nor three"),
    ("DTU2", {**V, "kszs": [3, 3], "factors": [0]}, "DTU2: factors=0 is no positive number, nor three"),
    ("emvision_rsunet", {"filters": [4, 8], "zfactor": [1, 2]}, r"emvision_rsunet: zfactor=\[1, 2\] is not one whole"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), REFUSED)
def test_an_argument_that_does_not_fit_is_refused_by_name(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(networks, name)(**arguments)


@pytest.mark.parametrize(
    ("act", "arguments", "message"),
    [
        (
            "ReLU",
            {"negative_slope": 0.1},
            "rsunet_act has no argument 'negative_slope', nor has act='ReLU', .* inplace",
        ),
        ("PReLU", {"inplace": True}, "rsunet_act has no argument 'inplace', nor has act='PReLU', which takes num_"),
    ],
)
def test_an_argument_that_the_activation_does_not_have_is_refused(act, arguments, message):
    with pytest.raises(TypeError, match=message):
        networks.rsunet_act([4, 8], act=act, **arguments)


def test_a_step_of_a_recurrence_is_exported_by_choosing_it(tmp_path):
    net = networks.dynamic_rsunet([2, 3], unroll=2, step=2).eval()
    net.iconv.pre.norm_act.norm[1].running_mean[:] = 0.5
    x = mcore.randn(1, 2, 2, 4, 4)

    net.toplatform(tmp_path / "second", inputs=[x])
    again = networks.dynamic_rsunet.fromplatform(tmp_path / "second").eval()

    assert (again(x) == net(x, unroll=2)).all()
    assert not (again(x) == net(x, unroll=1)).all()


@pytest.mark.parametrize("unroll", [0, 3, True, 1.0])
def test_a_step_that_is_not_there_is_refused(unroll):
    with pytest.raises(ValueError, match=f"dynamic_rsunet: unroll={unroll} is none of its steps, 1 to 2"):
        networks.dynamic_rsunet([2, 3], unroll=2)(mcore.zeros(1, 2, 1, 4, 4), unroll=unroll)


@pytest.mark.parametrize("axes", [4, 6])
@pytest.mark.parametrize(
    "make", [lambda: networks.RSUNet([1, 1], norm=None), lambda: networks.DTU2([1, 1], [1, 1], [1])]
)
def test_an_image_of_other_axes_than_a_volume_is_refused(make, axes):
    with pytest.raises(SizeError, match=f"an image of {axes} axes came; it takes .* with 3 axes behind them"):
        make()(mcore.zeros(1, 1, *[2] * (axes - 2)))


@pytest.mark.parametrize("count", [-1, 1.5])
def test_no_number_of_patches_is_refused(count):
    with pytest.raises(ValueError, match=f"patch_size_pairs: count={count} is not 0 or more"):
        networks.RUNet([1, 1]).patch_size_pairs(count)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"out_channels": 3}, "BilinearUp: in_channels=2 and out_channels=3 differ"),
        (
            {"factor": (1, 2, 3)},
            r"BilinearUp: factor=\(1, 2, 3\) is not \(z, y, x\) of whole numbers with y and x alike",
        ),
        ({"factor": 2}, "BilinearUp: factor=2 is not"),
    ],
)
def test_an_upsampling_that_does_not_exist_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BilinearUp(**{"in_channels": 2, "out_channels": 2, **arguments})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rsunet(channels=[4, 8], strides=[3]), "rsunet: strides: 3 isn't 2, nor 3 of 1 or 2"),
        (
            lambda: rsunet(channels=[4, 8], strides=[2, 2]),
            r"rsunet: strides=\[2, 2\] are 2 for 2 levels; give one less",
        ),
        (lambda: rsunet(channels=[4, 8], kernel_size=2), "rsunet: kernel_size=2 is not odd"),
        (lambda: rsunet(channels=[4, 8], kernel_size=0), "rsunet: kernel_size=0 is not odd"),
        (lambda: rsunet(channels=[0, 8]), r"rsunet: channels=\[0, 8\] is no list of whole numbers from 1 on"),
        (
            lambda: SymmetricDecoder(2, factors=[2], in_channels=[4, 8]),
            r"SymmetricDecoder: factors=\[2\] are for 3 dimensions, not 2",
        ),
        (
            lambda: SymmetricDecoder(2, factors=[2], in_channels=[4, 8, 8], dims=3),
            r"SymmetricDecoder: factors=\[2\] are 1 for 3 maps; give one for each step up, 2",
        ),
        (
            lambda: SymmetricDecoder(2, kernel_size=0, in_channels=[4, 8]),
            "SymmetricDecoder: kernel_size=0 is not odd",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@given(size=st.tuples(*[st.integers(1, 5)] * 3), margin=st.tuples(*[st.integers(0, 2)] * 3))
@settings(max_examples=10)
def test_padding_and_cropping_about_the_centre_undo_each_other(size, margin):
    x = np.random.RandomState(0).standard_normal((1, 2, *size)).astype(np.float32)
    large = mcore.zeros(1, 2, *(pixels + 2 * more for pixels, more in zip(size, margin, strict=True)))

    padded = pad3d_center(mcore.from_numpy(x), large)

    assert padded.shape == large.shape
    np.testing.assert_allclose(padded.numpy().sum(), x.sum(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(crop3d(padded, margin).numpy(), x)
    np.testing.assert_array_equal(crop3d_center(padded, mcore.from_numpy(x)).numpy(), x)


def test_padding_repeats_a_volume_to_the_batch_and_channels_of_the_other():
    got = pad3d_center(mcore.ones(1, 1, 1, 1, 1), mcore.zeros(2, 3, 3, 1, 1))

    assert got.numpy().tolist() == np.broadcast_to([[[0]], [[1]], [[0]]], (2, 3, 3, 1, 1)).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crop3d(mcore.zeros(1, 4, 4, 4), (-1, 0, 0)), r"crop3d: margin=\(-1, 0, 0\) is not three numbers"),
        (lambda: crop3d(mcore.zeros(1, 4, 4, 4), (0, 0)), r"crop3d: margin=\(0, 0\) is not three numbers"),
        (lambda: crop3d(mcore.zeros(1, 4, 4, 4), (2, 0, 0)), r"crop3d: margin=\(2, 0, 0\) on both ends leaves nothing"),
        (lambda: crop3d(mcore.zeros(4, 4), (0, 0, 0)), "crop3d: a volume has three axes or more, not 2"),
        (lambda: pad3d_center(mcore.zeros(4, 4, 4), mcore.zeros(2, 4, 4)), "pad3d_center: 2x4x4 voxels don't exceed"),
        (lambda: pad_size(0, "same"), "pad_size: kernel_size=0 is no positive number"),
        (lambda: crop_margin(4, "valid"), "pad_size: kernel_size=4 has an even number"),
        (lambda: triple((1, 2), of="DTU2", name="kszs"), r"DTU2: kszs=\(1, 2\) is no positive number, nor three"),
    ],
)
def test_a_utility_refuses_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
