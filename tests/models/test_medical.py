"""U-Net and its kin: MONAI's results with its weights, its sizes, any size of image or a refusal by name."""

import csv
from collections import OrderedDict
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
from mcore import Sequential
from models.backbones import plain_encoder
from models.basicblocks.conv import CONV_NORM_ACT, ConvNormAct
from models.basicblocks.layers import PLAIN_INSTANCE, activation_layer, norm_layer
from models.networks import (
    AttentionUNet,
    BasicUNet,
    DynUNet,
    NestedUNet,
    ResidualUNet,
    SegNet,
    SegResNet,
    VNet,
)
from models.sizing import valid_sizes
from models.utils.layouts import layout_of
from models.utils.summary import parameters
from models.utils.weights import load_weights
from tests.models import golden

dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)

FIVE = {"channels": (16, 32, 64, 128, 256)}
KERNELS = [[1, 3, 3], [3, 3, 3], [3, 3, 3]]


def autoencoder(channels, norm="batch"):
    """MONAI's AutoEncoder for images of one channel: strided convolutions, then transposed ones."""
    fed = [1, *channels]
    same = {"stride": 2, "bias": True, "norm": norm, "activation": "prelu", "names": CONV_NORM_ACT}
    encode = [ConvNormAct(*pair, **same) for pair in pairwise(fed)]
    decode = [
        Sequential(OrderedDict(conv=ConvNormAct(fed[level], fed[level - 1], transposed=True, **same)))
        for level in range(len(channels), 1, -1)
    ]
    last = ConvNormAct(fed[1], 1, transposed=True, **{**same, "norm": None, "activation": None})
    decode.append(Sequential(OrderedDict(conv=last)))
    parts = {"encode": encode, "decode": decode}
    return Sequential(
        OrderedDict(
            (name, Sequential(OrderedDict((f"{name}_{i}", layer) for i, layer in enumerate(found))))
            for name, found in parts.items()
        )
    )


# Golden file: the table of its names, and our network.
NETWORKS = {
    "monai_UNet3d_res2": ("monai_unet", lambda: ResidualUNet(1, 2, channels=(8, 16, 32), norm="batch", dims=3)),
    "monai_AttentionUnet3d": ("monai_attention_unet", lambda: AttentionUNet(1, 2, channels=(4, 8, 16), dims=3)),
    "monai_BasicUNet2d": ("monai", lambda: BasicUNet(1, 2, channels=(8, 8, 16, 32, 64), last=8)),
    "monai_SegResNet2d": ("monai_segresnet", lambda: SegResNet(1, 2)),
    "monai_AutoEncoder2d": ("monai", lambda: autoencoder((8, 16, 32))),
}


@dtypes
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_the_scores_of_monais(name, dtype):
    table, make = NETWORKS[name]

    golden.assert_reproduced(name, make(), dtype, rename=table)


# Files that hold more than is used: scores of other nodes; every layer twice.
LARGER = {
    "monai_BasicUNetPlusPlus3d": (
        "monai",
        lambda: NestedUNet(1, 2, channels=(4, 4, 8, 16, 32), last=4, dims=3),
        ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3"),
    ),
    "monai_DynUNet3d_aniso": (
        "monai_dynunet",
        lambda: DynUNet(1, 3, kernel_size=KERNELS, strides=[1, [1, 2, 2], 2], channels=[8, 16, 32]),
        ("input_block", "downsamples", "bottleneck", "upsamples"),
    ),
}


@dtypes
@pytest.mark.parametrize("name", LARGER)
def test_a_network_gives_the_scores_of_monais_whose_file_holds_more(name, dtype):
    table, make, unused = LARGER[name]
    stored, net = golden.read(name), make()
    state = {key: mcore.from_numpy(value) for key, value in golden.weights(stored).items()}
    report = load_weights(net, {"state": state, "rename": table})

    got = golden.run(net.to(getattr(mcore, dtype)).eval(), golden.inputs(stored), dtype)

    golden.assert_equal(got, next(iter(stored["outputs"].values())), dtype)
    assert report.missing == []
    assert {key.split(".")[0] for key in report.unexpected} == set(unused)


@pytest.mark.parametrize(
    ("table", "make", "theirs", "ours"),
    [
        ("monai_vnet", VNet, "down_tr128.ops.2.conv_block.adn.N.weight", "down_tr.2.ops.2.conv_block.norm.weight"),
        ("monai_vnet", VNet, "up_tr256.up_conv.weight", "up_tr.0.up_conv.weight"),
        ("monai_unet", partial(ResidualUNet, 1, 2, units=0), "model.2.conv.weight", "up.0.conv.weight"),
        (
            "monai_segresnet",
            partial(SegResNet, 1, 2, up="transposed"),
            "up_samples.2.1.deconv.bias",
            "up_samples.2.1.bias",
        ),
        (
            "monai_dynunet",
            partial(DynUNet, 1, 2, supervised=1),
            "skip_layers.next_layer.super_head.conv.conv.weight",
            "heads.0.weight",
        ),
    ],
)
def test_a_name_of_monais_that_no_file_here_holds_finds_its_place(table, make, theirs, ours):
    with mcore.device("meta"):
        state = make().state_dict()

    assert layout_of(table)(theirs) == ours
    assert ours in state


@pytest.mark.parametrize("name", [*NETWORKS, *LARGER])
def test_the_table_of_a_file_of_monais_finds_every_entry(name):
    net = ({**NETWORKS, **LARGER})[name][1]()
    state = {key: mcore.from_numpy(value) for key, value in golden.weights(golden.read(name)).items()}

    report = load_weights(net, {"state": state})

    assert report.missing == []


# Published name: our network.
COUNTED = {
    "UNet3d_16-256_res0": lambda: ResidualUNet(1, 2, **FIVE, units=0, dims=3),
    "UNet3d_16-256_res2": lambda: ResidualUNet(1, 2, **FIVE, dims=3),
    "UNet2d_16-256_res2": lambda: ResidualUNet(1, 2, **FIVE),
    "BasicUNet3d": lambda: BasicUNet(1, 2, dims=3),
    "BasicUNet2d": lambda: BasicUNet(1, 2),
    "BasicUNetPlusPlus2d": lambda: NestedUNet(1, 2, deep_supervision=True),
    "BasicUNetPlusPlus3d": lambda: NestedUNet(1, 2, deep_supervision=True, dims=3),
    "AttentionUnet2d": lambda: AttentionUNet(1, 2),
    "AttentionUnet3d": lambda: AttentionUNet(1, 2, dims=3),
    "SegResNet3d": lambda: SegResNet(1, 2, dims=3),
    "VNet": VNet,
    "DynUNet3d_nnunet": lambda: DynUNet(1, 2, strides=[1, 2, 2, 2, 2, [1, 2, 2]]),
    "AutoEncoder": lambda: autoencoder((16, 32, 64), PLAIN_INSTANCE),
}
ROWS = csv.DictReader((golden.FOLDER / "zoo.csv").open())
PUBLISHED = {row["name"]: int(row["params"]) for row in ROWS if row["library"] == "monai"}


@pytest.mark.parametrize("name", COUNTED)
def test_a_network_has_the_published_number_of_parameters(name):
    with mcore.device("meta"):
        net = COUNTED[name]()

    assert parameters(net) == PUBLISHED[name]


BATCH = {"channels": (4, 8, 8), "norm": "batch"}
ANY = [
    partial(ResidualUNet, **BATCH, strides=[2, 3]),
    partial(AttentionUNet, channels=(4, 8)),
    partial(BasicUNet, **BATCH),
    partial(NestedUNet, **BATCH),
    partial(SegResNet, down_depths=(1, 1), up_depths=(1,)),
    partial(VNet, width=12, down_depths=(1,), up_depths=(1,), dims=2),
    partial(DynUNet, **BATCH, strides=[1, [2, 3], 2], residual=True, dims=2),
    partial(SegNet, channels=[4, 8], depths=[1, 1]),
]
small = pytest.mark.parametrize("make", ANY, ids=lambda make: make.func.__name__)


@small
def test_weights_for_three_channels_serve_one(make):
    state = make(3, 2).state_dict()

    net = make(1, 2)
    report = load_weights(net, {"state": state})

    firsts = [net.first_conv] if isinstance(net.first_conv, str) else net.first_conv
    assert set(report.adapted) == {f"{name}.weight" for name in firsts} & set(state)


@small
@given(h=st.integers(1, 30), w=st.integers(1, 30))
@settings(max_examples=8)
def test_any_size_comes_back_as_it_was(make, h, w):
    # Instance norms of the attention U-Net need more than one pixel.
    h = h + 2

    assert tuple(make(1, 2).eval()(mcore.zeros(1, 1, h, w)).shape) == (1, 2, h, w)


def test_sizes_that_do_not_fit_are_refused_with_those_that_do():
    net = ResidualUNet(1, 2, **BATCH, strides=[2, [1, 3]], fit="refuse")

    with pytest.raises(ValueError, match=r"ResidualUNet: 20 pixels along axis 3 .* fit are 12, 18, 24"):
        net(mcore.zeros(1, 1, 16, 20))


def test_fitting_sizes_are_told_by_axis():
    net = DynUNet(1, 2, strides=[1, [1, 2], [2, 2]], channels=[4, 8, 8], dims=2, fit="refuse")

    assert valid_sizes(net, around=9, count=3) == [{6: 6, 8: 8, 10: 10}, {4: 4, 8: 8, 12: 12}]


def test_padding_changes_nothing_where_the_size_fits():
    net, x = SegNet(1, 2, channels=[4, 8], depths=[1, 1]).eval(), mcore.randn(1, 1, 16, 8)
    other = SegNet(1, 2, channels=[4, 8], depths=[1, 1], fit="refuse").eval()
    other.load_state_dict(net.state_dict())

    assert (other(x) == net(x)).all()


def test_the_first_stride_of_dynunet_makes_the_result_coarser():
    net = DynUNet(1, 2, strides=[2, 2], channels=[4, 8], dims=2).eval()

    assert tuple(net(mcore.zeros(1, 1, 17, 12)).shape) == (1, 2, 9, 6)


def test_inner_levels_of_dynunet_are_scored_in_training_alone():
    net = DynUNet(1, 2, strides=[1, 2, 2, 2], channels=[4, 8, 8, 8], supervised=2, dims=2)
    x = mcore.randn(1, 1, 32, 24)

    shapes = [tuple(y.shape) for y in net.train()(x)]

    assert shapes == [(1, 2, 32, 24)] * 3
    assert tuple(net.eval()(x).shape) == (1, 2, 32, 24)


def test_segnet_puts_a_maximum_back_where_it_was():
    net, x = SegNet(1, 1, channels=[1], depths=[1], dims=1), np.zeros((1, 1, 8), np.float32)
    x[0, 0, [1, 2, 7]] = 1.0

    pooled, places = net.pool(mcore.from_numpy(x))

    np.testing.assert_array_equal(net.unpool(pooled, places).numpy(), x)


def test_levels_of_a_plain_encoder_have_strides_by_axis():
    encoder = plain_encoder(strides=[1, (1, 2, 2), 2], channels=[4, 8, 8], out_indices=[-1, 0, 1]).eval()

    maps = encoder(mcore.zeros(1, 1, 7, 9, 11))

    assert encoder.features == [(4, 1), (8, 2), (8, 4)]
    assert [tuple(x.shape[2:]) for x in maps] == [(7, 9, 11), (7, 5, 6), (4, 3, 3)]


def test_levels_of_a_plain_encoder_that_nothing_needs_are_not_built():
    encoder = plain_encoder(channels=[4, 8, 8], out_indices=[-1])

    assert all(key.startswith("blocks.0.") for key in encoder.state_dict())


def test_a_choice_with_arguments_is_made_with_them():
    slope, norm = {"name": "leaky_relu", "negative_slope": 0.5}, {"name": "group", "num_groups": 4}

    assert activation_layer(slope, of="test").negative_slope == 0.5
    assert norm_layer(norm, 2, of="test")(8).num_groups == 4


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (ResidualUNet, {"channels": [8]}, r"ResidualUNet: channels=\[8\] is 1 level; it needs two or more"),
        (ResidualUNet, {"strides": [2]}, r"ResidualUNet: strides=\[2\] are 1 for 5 levels; give one less"),
        (ResidualUNet, {"strides": [2, 2, 2, [2, 0]]}, r"ResidualUNet: strides=\[2, 0\] is no positive number, nor 2"),
        (ResidualUNet, {"units": -1}, "ResidualUNet: units=-1 is not 0 or more"),
        (ResidualUNet, {"kernel_size": 4}, "ResidualUNet: kernel_size=4 has an even number, which doesn't keep"),
        (
            ResidualUNet,
            {"up_kernel_size": 4, "strides": [1] * 4},
            "ConvNormAct: kernel_size=4 with padding=1 gives more",
        ),
        (AttentionUNet, {"kernel_size": [3, 2]}, r"AttentionUNet: kernel_size=\[3, 2\] has an even number"),
        (ResidualUNet, {"fit": "crop"}, "ResidualUNet: fit='crop' is not 'pad' or 'refuse'"),
        (ResidualUNet, {"norm": {"num_groups": 4}}, r"norm=\{'num_groups': 4\} has no name"),
        (AttentionUNet, {"dims": 4}, "AttentionUNet: dims=4 is not 1, 2 or 3"),
        (BasicUNet, {"channels": [4, 4, 7]}, r"BasicUNet: channels=\[4, 4, 7\] are odd behind the second"),
        (NestedUNet, {"up": "nearest"}, "NestedUNet: up='nearest' is not 'transposed' or 'linear'"),
        (SegResNet, {"up_depths": [1]}, r"SegResNet: up_depths=\[1\] has 1 levels; with .* it takes 3"),
        (VNet, {"width": 15, "in_channels": 2}, "VNet: in_channels=2 doesn't divide width=15"),
        (VNet, {"up_depths": [1]}, "VNet: .* are 4 and 1 levels; give as many of both"),
        (DynUNet, {"strides": [1]}, "DynUNet: strides are of 1 levels; it needs two or more"),
        (DynUNet, {"channels": [8]}, r"DynUNet: channels=\[8\] are 1 for 6 levels"),
        (DynUNet, {"kernel_size": [3, 3]}, r"DynUNet: kernel_size=\[3, 3\] are 2 kernels for 6 levels"),
        (DynUNet, {"kernel_size": 4}, "DynUNet: kernel_size=4 has an even number"),
        (DynUNet, {"supervised": 5}, "DynUNet: supervised=5 isn't 0 to 4, the inner levels"),
        (SegNet, {"depths": [1]}, r"SegNet: channels=.* and depths=\[1\] are 5 and 1 levels"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**{"in_channels": 1, "num_classes": 2, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strides": [1, 2]}, r"plain_encoder: strides=\[1, 2\] are 2 for 5 levels"),
        ({"strides": [1, 2, 2, 1, 2]}, r"plain_encoder: strides\[3\]=1 isn't 2, nor 3 of 1 or 2 with a 2 among them"),
        ({"depths": [1]}, r"plain_encoder: depths=\[1\] are no positive number, nor one for each of 5"),
        ({"out_indices": [4]}, r"plain_encoder: out_indices=\[4\] aren't some of -1 \(stride 1\), 0 \(stride 2\)"),
    ],
)
def test_an_argument_that_does_not_fit_the_plain_encoder_is_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        plain_encoder(**arguments)
