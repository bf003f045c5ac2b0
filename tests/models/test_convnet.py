"""The connectomics convnet: what the originals gave, residuals, channels, sizes, refusals."""

import functools
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
import models
from mcore import AvgPool2d, BatchNorm2d, Conv1d, Conv2d, Conv3d, ConvTranspose2d, ReLU, Upsample
from mcore.checkpoint import load_by_position
from models.networks import ConvBlock, ConvnetUNet, UpConv
from models.networks.convnet_program import each_conv
from models.networks.convnet_v0 import UNet as First
from models.networks.convnet_v1 import ConvBlock as OldBlock
from models.networks.convnet_v1 import UNet as Second
from models.sizing import SizeError, valid_sizes
from tests.models.golden_files import FOLDER, assert_near, read, run, said, state

FAMILY = "dacapo_convnet"
FILES = sorted(path.stem for path in (FOLDER / FAMILY).glob("zetta_*.npz") if path.stem != "zetta_primitives")
LEVELS = [[1, 4], [4, 6, 4], [4, 2]]
trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")


def original(name):
    """What a file holds, and its network with the original's weights."""
    file = read(FAMILY, name)
    net = mcore.build(said(file)["spec"], namespace="convnet", default_version="0.0.0")
    load_by_position(net, list(state(file).values()))
    return file, net.eval()


def drawn(net):
    """A network whose biases aren't zero, in eval mode."""
    mcore.manual_seed(1)
    for parameter in net.parameters():
        parameter.data = parameter.data + 0.1 * mcore.rand_like(parameter.data)
    return net.eval()


def ramp(*shape):
    """An array of these sizes, whose values differ."""
    return np.sin(np.arange(np.prod(shape), dtype=np.float32)).reshape(shape)


@pytest.mark.parametrize("name", FILES)
def test_the_originals_outputs_come_from_the_originals_weights(name):
    file, net = original(name)

    got = run(net, file["input"])

    expected = [file[key] for key in file if key.startswith("output")]
    for one, other in zip(got if isinstance(got, list) else [got], expected, strict=True):
        assert_near(one, other)


@pytest.mark.parametrize("name", FILES)
def test_names_in_the_state_are_the_originals(name):
    file, net = original(name)

    assert list(net.state_dict()) == list(state(file))


@pytest.mark.parametrize("name", FILES)
def test_a_network_of_a_spec_is_built_again_from_its_configuration(name):
    _, net = original(name)
    if not hasattr(net, "config"):
        pytest.skip("torch's Sequential keeps no configuration")

    again = models.from_config(json.loads(json.dumps(net.config())))

    assert again.config() == net.config()
    assert type(again) is type(net)


def test_a_network_of_factories_comes_back_from_its_artifact(tmp_path):
    file, net = original("zetta_unet_concat_pre_2d")
    sizes = [(1, 2, 12, 16), (2, 2, 8, 20), (3, 2, 16, 12)]

    artifact = net.toplatform(tmp_path / "net", sizes=sizes, strict=True)

    assert set(artifact.report.axes["x"]) == {0, 2, 3}
    assert_near(run(ConvnetUNet.fromplatform(tmp_path / "net").eval(), file["input"]), file["output"])


@pytest.mark.parametrize("given", [Upsample, functools.partial(UpConv, kernel_size=3), ConvTranspose2d])
def test_a_factory_of_ours_has_a_name_in_the_configuration(given):
    up = functools.partial(given, kernel_size=2, stride=2) if given is ConvTranspose2d else given
    up = functools.partial(up, scale_factor=2) if given is Upsample else up
    net = ConvnetUNet(LEVELS, upsample=up, normalization=BatchNorm2d)

    again = models.from_config(net.config())

    assert list(again.state_dict()) == list(net.state_dict())


def test_a_factory_without_a_name_is_told_where_it_stands():
    net = ConvBlock([1, 2], activation=lambda: ReLU())

    with pytest.raises(ValueError, match=r"ConvBlock: activation=.* can't be written in a configuration"):
        net.config()


# --- Blocks ---------------------------------------------------------------------------------------


def as_the_original(block, x, mode, *, old=False):
    """What the original's way, which writes into what it keeps, gives for a block without norms; torch alone."""
    import torch

    with torch.no_grad():
        x, waiting = torch.from_numpy(x.copy()), {}
        convs = [layer for layer in block.layers if isinstance(layer, Conv2d)]
        ends = dict(block.edges)

        def keep(source, value):
            end = ends.get(source)
            if end in waiting:
                waiting[end] += value
            elif end is not None:
                waiting[end] = value

        if not old:
            keep(0, x)
        for number, conv in enumerate(convs, start=1):
            if old:
                keep(number - 1, x)
                if number in waiting:
                    x += waiting[number]
            x = conv(torch.nn.functional.leaky_relu(x) if mode == "pre" else x)
            if not old and number in waiting:
                x += waiting[number]
            if mode == "post" and number < len(convs):
                x = torch.nn.functional.leaky_relu(x)
            if not old:
                keep(number, x)
        return x.numpy()


skips_of_four = st.dictionaries(st.integers(0, 3), st.integers(1, 4)).map(
    lambda skips: {str(start): end for start, end in skips.items() if start < end}
)


@trains
@settings(max_examples=40, deadline=None)
@given(skips=skips_of_four, mode=st.sampled_from(("pre", "post")))
def test_residuals_of_any_skips_are_the_originals(skips, mode):
    block = drawn(ConvBlock([2] * 5, skips=skips, activation_mode=mode))
    x = ramp(1, 2, 5, 6)

    assert_near(run(block, x), as_the_original(block, x, mode))


@trains
@settings(max_examples=40, deadline=None)
@given(skips=skips_of_four)
def test_residuals_of_any_skips_are_the_old_originals(skips):
    block = drawn(OldBlock([2] * 5, skips=skips))
    x = ramp(1, 2, 5, 6)

    assert_near(run(block, x), as_the_original(block, x, "post", old=True))


@pytest.mark.parametrize("mode", ["pre", "post"])
def test_the_image_is_left_as_it_was(mode):
    inplace = functools.partial(ReLU, inplace=True)
    block = ConvBlock([2, 2, 2], skips={"0": 2, "1": 2}, activation=inplace, activation_mode=mode)
    x = mcore.from_numpy(-np.ones((1, 2, 4, 4), np.float32))

    block(x)

    np.testing.assert_array_equal(x.numpy(), -1)


@pytest.mark.parametrize("made", [ConvBlock, OldBlock])
@trains
def test_residuals_that_end_alike_learn(made):
    block = made([2, 2, 2, 2], skips={"0": 3, "1": 3, "2": 3})
    x = mcore.from_numpy(ramp(1, 2, 4, 4)).requires_grad_(True)

    block(x).sum().backward()

    assert all(float(p.grad.abs().sum()) > 0 for p in [x, *block.parameters()])


def test_a_residual_of_more_channels_gives_its_middle():
    block = drawn(ConvBlock([5, 3, 2], skips={"0": 2}))
    plain = ConvBlock([5, 3, 2])
    plain.load_state_dict(block.state_dict())
    x = ramp(2, 5, 4, 6)

    assert_near(run(block, x), run(plain, x) + x[:, 1:3])


def test_an_image_without_a_batch_goes_through():
    block = drawn(ConvBlock([5, 3, 2], skips={"0": 2}, paddings="valid"))
    x = ramp(1, 5, 7, 8)

    assert_near(run(block, x[0]), run(block, x)[0])


def test_biases_of_blocks_start_at_zero():
    block = ConvBlock([1, 2, 2], normalization=BatchNorm2d)

    assert all(float(layer.bias.detach().abs().sum()) == 0 for layer in block.layers if isinstance(layer, Conv2d))


def test_convolutions_may_have_no_bias():
    block = ConvBlock([1, 2], conv=functools.partial(Conv2d, bias=False))

    assert list(block.state_dict()) == ["layers.0.weight"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, [3, 3]),
        ([3, 3], [(3, 3), (3, 3)]),
        ([[3, 3], [1, 1]], [(3, 3), (1, 1)]),
        ("same", ["same", "same"]),
        (["same", "valid"], ["same", "valid"]),
        (["same", [1, 1]], ["same", (1, 1)]),
        ([[1, 1], "same"], [(1, 1), "same"]),
    ],
)
def test_a_setting_is_for_all_convolutions_or_listed(value, expected):
    assert each_conv("ConvBlock", "paddings", value, 2) == expected


@pytest.mark.parametrize("skips", [{"2": 1}, {"1": 1}, {"0": 3}, {"2": 3}])
@pytest.mark.parametrize("make", [ConvBlock, OldBlock])
def test_a_skip_that_leads_nowhere_is_left_out_and_told_of(make, skips):
    plain = drawn(make([2, 2, 2]))

    with pytest.warns(UserWarning, match=r"the skip from \d to \d leads nowhere and is left out, as in the original"):
        block = make([2, 2, 2], skips={"0": 2, **skips} if skips != {"0": 3} else skips)

    assert block.edges == ([(0, 2)] if skips != {"0": 3} else [])
    assert list(block.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_channels": [3]}, r"num_channels=\[3\] is no convolution"),
        ({"kernel_sizes": [[3, 3]] * 3}, r"kernel_sizes=.* has 3 entries for 2 convolutions"),
        ({"kernel_sizes": [3]}, r"kernel_sizes has \[3\] for a convolution of 2 axes"),
        ({"kernel_sizes": [3, 3, 3]}, "of 2 axes; give 2 numbers, or one for all"),
        ({"skips": {"first": 1}}, "has one from 'first'"),
        ({"skips": {"-1": 1}}, "has one from '-1'"),
        ({"skips": {"0": 1}}, "the skip from 0 to 1 has 1 channels where 4 are needed"),
        ({"activation_mode": "both"}, "activation_mode='both' is not one of 'pre', 'post'"),
        ({"num_channels": 3}, "num_channels=3 is no list of whole numbers from 1 on"),
        ({"num_channels": [1, 0]}, r"num_channels=\[1, 0\] is no list of whole numbers from 1 on"),
        ({"num_channels": [1, 2.5]}, r"num_channels=\[1, 2.5\] is no list of whole numbers"),
        ({"kernel_sizes": 0}, r"kernel_sizes=\[0\] is no list of whole numbers from 1 on"),
        ({"kernel_sizes": 2.5}, r"kernel_sizes=\[2.5\] is no list of whole numbers"),
        ({"kernel_sizes": "3"}, r"kernel_sizes=\['3'\] is no list of whole numbers"),
        ({"strides": 0}, r"strides=\[0\] is no list of whole numbers from 1 on"),
        ({"paddings": None}, r"paddings=\[None\] is no list of whole numbers from 0 on"),
        ({"paddings": -1}, r"paddings=\[-1\] is no list of whole numbers from 0 on"),
        ({"skips": [["0", 2]]}, "skips=.* is no mapping; write"),
        ({"skips": {"²": 2}}, "has one from '²' to 2; it must lead from 0"),
        ({"strides": 2}, "padding='same' is not supported for strided convolutions"),
    ],
)
def test_a_block_that_cannot_work_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvBlock(**{"num_channels": [1, 4, 4], **arguments})


def test_a_layer_in_a_factorys_place_is_refused():
    with pytest.raises(TypeError, match="ConvBlock: activation is a ReLU that is built, but one is made for each"):
        ConvBlock([1, 2], activation=ReLU())


def test_a_block_needs_an_activation():
    with pytest.raises(TypeError, match="ConvBlock: activation is None, but one is made for each place"):
        ConvBlock([1, 2], activation=None)


def test_one_channel_is_added_to_all_in_the_old_block():
    block = drawn(OldBlock([1, 4, 2], skips={"0": 2}))
    first, act, second = block.layers
    x = ramp(1, 1, 4, 5)

    with mcore.no_grad():
        t = mcore.from_numpy(x)
        expected = second(act(first(t)) + t).numpy()

    assert_near(run(block, x), expected)


# --- U-Nets ---------------------------------------------------------------------------------------


def test_the_first_u_net_adds_lowered_maps_before_they_are_raised():
    net = drawn(First([[1, 4], [6, 6], [6, 6], [5, 6], [4, 2]], downsample=_halving, upsample=_doubling))
    b0, d0, a0, b1, d1, a1, b2, u0, a2, b3, u1, a3, b4 = net.layers
    x = ramp(1, 1, 8, 12)

    with mcore.no_grad():
        first = a0(d0(b0(mcore.from_numpy(x))))
        second = a1(d1(b1(first)))
        y = b3(a2(u0(b2(second) + second)))
        expected = b4(a3(u1(y + first))).numpy()

    assert_near(run(net, x), expected)


def _halving(in_channels, out_channels):
    return Conv2d(in_channels, out_channels, 2, stride=2)


def _doubling(in_channels, out_channels):
    return ConvTranspose2d(in_channels, out_channels, 2, stride=2)


def test_the_second_u_net_joins_behind_the_activation():
    net = drawn(Second(LEVELS, unet_skip_mode="concat"))
    b0, down, a0, b1, up, a1, b2 = net.layers
    x = ramp(1, 1, 8, 12)

    with mcore.no_grad():
        skip = b0(mcore.from_numpy(x))
        expected = b2(mcore.cat((skip, a1(up(b1(a0(down(skip)))))), dim=1)).numpy()

    assert_near(run(net, x), expected)


def test_a_skip_of_more_channels_joins_with_its_middle():
    net = drawn(ConvnetUNet([[1, 6], [6, 4], [4, 2]]))
    b0, down, b1, up, act, b2 = net.layers
    x = ramp(1, 1, 8, 12)

    with mcore.no_grad():
        skip = b0(mcore.from_numpy(x))
        expected = b2(act(up(b1(down(skip))) + skip[:, 1:5])).numpy()

    assert_near(run(net, x), expected)


@pytest.mark.parametrize(("conv", "size"), [(Conv1d, (12,)), (Conv2d, (8, 4)), (Conv3d, (4, 8, 6))])
def test_what_lowers_maps_has_the_axes_of_the_convolutions(conv, size):
    net = ConvnetUNet(LEVELS, conv=conv)

    assert tuple(net(mcore.zeros(1, 1, *size)).shape) == (1, 2, *size)


def test_the_documentations_example_is_built_and_runs():
    spec = {"@type": "UNet", "layers_enc": [4, 6, 8], "layers_dec": [8, 6, 4], "skip_mode": "concat"}
    net = mcore.build(spec, namespace="convnet", default_version="0.0.2")

    assert (net.mode, net.blocks) == ("concat", [(1, 4, 4), (4, 6, 6), (6, 8, 6), (6, 6, 4), (4, 4, 4)])
    assert tuple(net(mcore.zeros(1, 1, 8, 12)).shape) == (1, 4, 8, 12)


def test_lists_for_both_ways_are_the_originals_list_cut_in_two():
    assert ConvnetUNet(layers_enc=LEVELS[:2], layers_dec=LEVELS[2:]).blocks == ConvnetUNet(LEVELS).blocks


def test_plain_channels_take_the_images():
    assert ConvnetUNet(layers_enc=[4, 6], layers_dec=[6, 5], in_channels=3).blocks == [(3, 4, 4), (4, 6, 4), (4, 5, 5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "UNet needs list_num_channels, or layers_enc and layers_dec"),
        ({"layers_enc": [4]}, "UNet needs list_num_channels, or layers_enc and layers_dec"),
        ({"list_num_channels": LEVELS, "layers_enc": [4]}, "list_num_channels says it all"),
        ({"layers_enc": [4, [4]], "layers_dec": [4, 4]}, "plain channels, or lists of them, not both"),
        ({"list_num_channels": LEVELS, "unet_skip_mode": "concat", "skip_mode": "sum"}, "are one; give one"),
    ],
)
def test_channels_are_given_in_one_way(arguments, message):
    with pytest.raises(TypeError, match=message):
        ConvnetUNet(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"list_num_channels": [1, 2, 3]}, r"list_num_channels=\[1, 2, 3\] is no list of lists; give the channels"),
        ({"list_num_channels": 3}, "list_num_channels=3 is no list of lists"),
        ({"list_num_channels": LEVELS[:2]}, "has 2 blocks; it needs an odd number"),
        (
            {"list_num_channels": [[1, 4], [5, 4], [4, 2]]},
            "block 0 gives 4 channels, which AvgPool2d keeps, but block 1",
        ),
        (
            {"list_num_channels": [[1, 4], [4, 6], [4, 2]]},
            "block 1 gives 6 channels, which Upsample keeps, but block 2",
        ),
        (
            {"list_num_channels": [[1, 4], [4, 6], [6, 2]]},
            "block 0 gives 4 channels to block 2, which starts with 6; it must give as many",
        ),
        ({"downsample": functools.partial(mcore.AvgPool3d, 2)}, "AvgPool3d of 3 axes, but convolutions have 2"),
        ({"unet_skip_mode": "add"}, "unet_skip_mode='add' is not one of 'sum', 'concat'"),
        ({"skips": {"0": "3"}}, r"skips=\{'0': '3'\} has one from '0' to '3'"),
        ({"fit": "pad", "paddings": "valid"}, 'fit="pad" keeps the size, which these paddings'),
        ({"layers_enc": [4, 6], "layers_dec": [5, 4], "list_num_channels": None}, "the coarsest, .* is the same"),
    ],
)
def test_a_u_net_that_cannot_work_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvnetUNet(**{"list_num_channels": LEVELS, **arguments})


def test_a_skip_holds_in_the_blocks_that_are_long_enough():
    net = ConvnetUNet([[4, 4, 4], [4, 4], [4, 4, 4]], skips={"1": 2})

    blocks = [layer for layer in net.layers if isinstance(layer, ConvBlock)]
    assert [block.edges for block in blocks] == [[(1, 2)], [], [(1, 2)]]


def test_what_goes_wrong_inside_a_factory_is_told():
    def broken(in_channels, out_channels):
        raise TypeError("no such file")

    with pytest.raises(TypeError, match=r"^no such file$"):
        ConvnetUNet(LEVELS, upsample=broken)


# --- Sizes ----------------------------------------------------------------------------------------

SHAPED = {
    "same": ConvnetUNet([[1, 2], [2, 2], [2, 2], [2, 2], [2, 2]]),
    "refuse": ConvnetUNet([[1, 2], [2, 2], [2, 2], [2, 2], [2, 2]], fit="refuse"),
    "pad": ConvnetUNet([[1, 2], [2, 2], [2, 2], [2, 2], [2, 2]], fit="pad"),
    "valid": ConvnetUNet([[1, 2, 2], [2, 2, 2], [2, 2]], paddings="valid", unet_skip_mode="concat"),
    "ceil": ConvnetUNet(LEVELS, downsample=functools.partial(AvgPool2d, 2, ceil_mode=True)),
    "strided": ConvBlock([1, 2, 2], 3, strides=[[2, 1], [1, 2]], paddings=[[1, 0], [0, 1]]),
    "mirrored": ConvBlock([1, 1, 2], [5, 3], paddings=2, padding_modes="reflect", skips={"0": 1}),
    "kept": ConvBlock([1, 1, 1], 3, paddings=2, skips={"0": 2}),
    "first": First(LEVELS),
    "second": Second(LEVELS),
    "old": OldBlock([1, 1, 1], 3, paddings="valid", skips={"0": 2}),
}


@settings(max_examples=150, deadline=None)
@given(which=st.sampled_from(sorted(SHAPED)), size=st.tuples(st.integers(1, 19), st.integers(1, 19)))
def test_sizes_are_told_as_they_come_out(which, size):
    net = SHAPED[which].eval()
    told = [net.output_size(pixels, axis) for axis, pixels in enumerate(size)]

    try:
        with mcore.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = [int(pixels) for pixels in net(mcore.zeros(1, 1, *size)).shape[2:]]
    except (RuntimeError, ValueError):
        got = [None, None]

    assert got == (told if None not in told else [None, None])


def test_valid_sizes_name_those_near():
    assert valid_sizes(SHAPED["refuse"], around=17, count=3) == [{12: 12, 16: 16, 20: 20}] * 2
    assert valid_sizes(SHAPED["same"], around=17, count=3) == [{16: 16, 17: 16, 18: 16}] * 2


def test_a_smaller_result_is_told():
    with pytest.warns(UserWarning, match=r"UNet: \[17, 19\] pixels give \[16, 16\], since its levels don't divide"):
        SHAPED["same"](mcore.zeros(1, 1, 17, 19))


@pytest.mark.parametrize("make", [lambda: First(LEVELS), lambda: ConvnetUNet(LEVELS, paddings=1)], ids=["v0", "one"])
def test_a_smaller_result_is_told_by_any_version_and_any_padding_that_keeps_the_size(make):
    with pytest.warns(UserWarning, match=r"UNet: \[7, 8\] pixels give \[6, 8\], since its levels don't divide them"):
        make()(mcore.zeros(1, 1, 7, 8))


def test_a_size_that_does_not_fit_is_refused_with_the_nearest():
    with pytest.raises(SizeError, match=r'17 pixels along axis 2 .* fit are 12, 16, 20, or take fit="pad"'):
        SHAPED["refuse"](mcore.zeros(1, 1, 17, 16))


def test_padding_keeps_any_size_and_the_numbers_of_fitting_ones():
    padded = SHAPED["pad"]
    padded.load_state_dict(SHAPED["same"].state_dict())
    x = ramp(1, 1, 16, 20)

    assert_near(run(padded, x), run(SHAPED["same"], x))
    assert run(padded, ramp(1, 1, 17, 19)).shape == (1, 2, 17, 19)


# --- Weights and compilers ------------------------------------------------------------------------


def test_a_file_of_a_training_framework_loads_by_name():
    net = drawn(ConvnetUNet(LEVELS))
    theirs = {f"model.{key}": value for key, value in net.state_dict().items()}

    loaded = ConvnetUNet(LEVELS, weights={"state": {"state_dict": theirs}})

    for key, value in loaded.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), net.state_dict()[key].numpy(), err_msg=key)


def test_weights_serve_another_number_of_input_channels():
    theirs = ConvnetUNet(LEVELS).state_dict()

    net = ConvnetUNet([[3, 4], *LEVELS[1:]], weights={"state": theirs})

    assert net.weights_report.adapted == ["layers.0.layers.0.weight"]


@trains
@pytest.mark.parametrize("name", ["zetta_unet_valid_concat", "zetta_convblock_pre_3d", "zetta_multihead"])
def test_torch_compiles_and_traces_it(name):
    import torch

    file, net = original(name)
    x = torch.from_numpy(file["input"])

    with torch.no_grad():
        expected = net(x)
        compiled = torch.compile(net, backend="eager", fullgraph=True)(x)
        traced = torch.jit.trace(net, x)(x)

    for one in (compiled, traced):
        for a, b in zip(one, expected, strict=True):
            assert_near(a.numpy(), b.numpy())
