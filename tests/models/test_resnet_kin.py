"""ResNet's kin: what the originals gave, published sizes, attention, shortcuts, stems, refusals."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcore
import models
from models.attention import ECA, SE, SK, SplitAttention
from models.backbones import resnet10, resnet18, resnet18d, resnet50, resnext50_32x4d
from models.backbones.res2net import Res2NetBlock
from models.basicblocks import BasicBlock, Bottleneck
from models.basicblocks.pooling import mean_of_three
from models.basicblocks.residual import pooled_projection, projection
from models.functional.channels import divisible
from tests.models import golden

dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


@dtypes
@pytest.mark.parametrize("name", ["resnet18d", "seresnet50", "ecaresnet26t", "skresnet34", "legacy_seresnet34"])
def test_a_family_gives_the_logits_and_the_maps_of_the_original(name, dtype):
    golden.assert_classifier_reproduced(
        f"timm_{name}", lambda **more: models.create(name, kind="backbone", **more), dtype
    )


@dtypes
def test_other_widths_and_groups_give_what_the_original_gives_with_them(dtype):
    golden.assert_classifier_reproduced(
        "timm_resnext_narrow",
        lambda **more: resnext50_32x4d(widths=(32, 64, 128, 256), groups=8, width_per_group=8, **more),
        dtype,
    )


@dtypes
def test_resnet10_on_volumes_gives_the_scores_of_monais(dtype):
    net = resnet10(in_channels=1, num_classes=2, dims=3, stem_stride=1, shortcut_bias=True)

    golden.assert_reproduced("monai_resnet10_3d", net, dtype)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet10t", 5.44),
        ("resnet26t", 16.01),
        ("resnet34d", 21.82),
        ("resnet152d", 60.21),
        ("resnext101_64x4d", 83.46),
        ("seresnext26d_32x4d", 16.81),
        ("ecaresnet101d", 44.57),
        ("skresnet50", 25.80),
        ("res2net50_14w_8s", 25.06),
        ("res2net50_26w_8s", 48.40),
        ("res2net101_26w_4s", 45.21),
        ("res2next50", 24.67),
        ("resnest26d", 17.07),
        ("resnest101e", 48.28),
        ("resnest200e", 70.20),
        ("resnest269e", 110.93),
        ("resnest50d_4s2x40d", 30.42),
        ("resnest50d_1s4x24d", 25.68),
        ("legacy_seresnext101_32x4d", 48.96),
        ("resnetv2_101", 44.54),
    ],
)
def test_a_classifier_has_the_millions_of_parameters_that_timms_tables_give(name, millions):
    with mcore.device("meta"):
        net = models.create(name, kind="backbone", num_classes=1000)

    assert round(parameters(net) / 1e6, 2) == millions


@pytest.mark.parametrize("name", ["resnet18d", "skresnet18", "resnest14d", "legacy_seresnet18", "resnetv2_18d"])
@pytest.mark.parametrize(("output_stride", "strides"), [(16, [2, 4, 8, 16, 16]), (8, [2, 4, 8, 8, 8])])
def test_every_family_keeps_the_resolution_from_the_output_stride_on(name, output_stride, strides):
    net = models.create(name, kind="backbone", out_indices=range(5), output_stride=output_stride).eval()

    maps = net(mcore.zeros(1, 3, 64, 64))

    assert [stride for _, stride in net.features] == [64 // x.shape[2] for x in maps] == strides


def test_a_stem_without_stride_gives_the_level_at_full_resolution():
    net = resnet10(stem_stride=1, out_indices=[-1, 0, 1, 2, 3]).eval()

    maps = net(mcore.zeros(1, 3, 33, 48))

    assert [tuple(x.shape[2:]) for x in maps] == [(33, 48), (17, 24), (9, 12), (5, 6), (3, 3)]


def test_a_pool_without_padding_rounds_odd_maps_down():
    net = models.create("legacy_seresnet18", kind="backbone").eval()

    maps = net(mcore.zeros(1, 3, 65, 67))

    assert [tuple(x.shape[2:]) for x in maps] == [(16, 17), (8, 9), (4, 5), (2, 3)]


def test_volumes_thinner_than_a_window_are_averaged_in_shortcuts():
    net = resnet18d(in_channels=1, dims=3, out_indices=[4]).eval()

    (x,) = net(mcore.zeros(1, 1, 3, 33, 32))

    assert tuple(x.shape[2:]) == (1, 2, 1)


@pytest.mark.parametrize(("dims", "size"), [(1, (5,)), (2, (5, 4)), (3, (3, 5, 4))])
def test_a_pooled_shortcut_averages_the_pixels_that_there_are(dims, size):
    pool, x = pooled_projection(1, 2, stride=2, dims=dims)[0], mcore.rand(1, 1, *size)

    y = pool(x).numpy()

    halves = [[slice(start, start + 2) for start in range(0, pixels, 2)] for pixels in size]
    expected = [x.numpy()[0, 0][window].mean() for window in itertools.product(*halves)]
    np.testing.assert_allclose(y.ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_mean_of_three_counts_the_zeros_around(dims):
    y = mean_of_three(2, dims=dims)(mcore.ones(1, 1, *(4,) * dims))

    # A window at a corner has two of three pixels along every axis.
    np.testing.assert_allclose(y[(0, 0) + (0,) * dims].numpy(), (2 / 3) ** dims, rtol=1e-6)
    assert tuple(y.shape[2:]) == (2,) * dims


def test_shortcuts_stay_the_identity_where_it_fits():
    assert projection(8, 8) is None
    assert pooled_projection(8, 8) is None


@pytest.mark.parametrize(("stride", "dilation", "size"), [(1, 1, 1), (2, 1, 3), (1, 2, 3)])
def test_a_larger_shortcut_serves_only_where_a_block_strides_or_is_dilated(stride, dilation, size):
    conv = projection(8, 16, stride=stride, dilation=dilation, kernel_size=3)[0]

    assert conv.kernel_size == (size, size)


def test_a_block_hands_its_channels_to_the_attention_it_is_given():
    asked = []

    def attention(channels, *, dims):
        asked.append((channels, dims))
        return mcore.Identity()

    BasicBlock(8, 12, attention=attention, dims=1)
    Bottleneck(8, 12, attention=attention, dims=3)

    assert asked == [(12, 1), (48, 3)]


def test_attention_of_a_block_weighs_the_branch_and_not_the_shortcut():
    class Off(mcore.Module):
        def forward(self, x):
            return x * 0.0

    block = BasicBlock(8, 8, attention=lambda channels, dims: Off()).eval()
    x = mcore.randn(1, 8, 6, 6)

    np.testing.assert_array_equal(block(x).detach().numpy(), np.maximum(x.numpy(), 0.0))


@pytest.mark.parametrize(("channels", "size"), [(8, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_eca_reaches_further_among_more_channels(channels, size):
    assert ECA(channels).conv.kernel_size == (size,)


def test_eca_weighs_a_channel_by_itself_where_its_kernel_is_one():
    eca, x = ECA(4, kernel_size=1), mcore.randn(2, 4, 3, 3)
    scale = float(eca.conv.weight.detach().numpy().item())

    weights = 1.0 / (1.0 + np.exp(-scale * x.numpy().mean((2, 3), keepdims=True)))

    np.testing.assert_allclose(eca(x).detach().numpy(), x.numpy() * weights, rtol=1e-5)


def test_sk_gives_what_all_paths_agree_on():
    sk, x = SK(4).eval(), mcore.randn(2, 4, 7, 7)
    first, second = sk.paths
    second.load_state_dict(first.state_dict())
    second.conv.dilation, second.conv.padding = first.conv.dilation, first.conv.padding

    # Weights of the paths sum to 1.
    np.testing.assert_allclose(sk(x).detach().numpy(), first(x).detach().numpy(), rtol=1e-4, atol=1e-6)


def test_split_attention_of_one_map_is_a_gate():
    split, x = SplitAttention(4, radix=1).eval(), mcore.randn(2, 4, 7, 7)
    split.fc2.weight.data.zero_()
    split.fc2.bias.data.zero_()

    expected = mcore.functional.relu(split.bn0(split.conv(x))) * 0.5

    np.testing.assert_allclose(split(x).detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_timm_rounds_the_inner_channels_of_squeeze_and_excitation_to_eights():
    blocks = models.create("seresnet18", kind="backbone").layer1

    assert isinstance(blocks[0].se, SE)
    assert blocks[0].se.fc1.out_channels == 8


@given(channels=st.floats(1, 4096), divisor=st.sampled_from((1, 4, 8, 16, 32)))
def test_rounded_channels_are_multiples_that_lose_at_most_a_tenth(channels, divisor):
    rounded = divisible(channels, divisor)

    assert rounded % divisor == 0
    assert rounded >= max(divisor, 0.9 * channels)
    assert rounded <= max(divisor, channels + divisor)


def test_first_convolutions_are_named_where_files_have_them():
    nets = [resnet18(), resnet18d(), *(models.create(name) for name in ("legacy_seresnet18", "resnetv2_18d"))]

    for net in nets:
        assert net.state_dict()[f"{net.first_conv}.weight"].shape[1] == 3
    assert [net.first_conv for net in nets] == ["conv1", "conv1.0", "layer0.conv1", "stem.conv1"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("resnet18d", {"conv1", "bn1", "layer1"}),
        ("legacy_seresnet18", {"layer0", "layer1"}),
        ("resnetv2_18", {"stem", "stages.0"}),
    ],
)
def test_frozen_stages_hold_from_the_stem_on(name, parts):
    net = models.create(name, kind="backbone", frozen_stages=1)

    kept = {key for key, value in net.named_parameters() if not value.requires_grad}

    assert kept == {key for key, _ in net.named_parameters() if key.startswith(tuple(f"{part}." for part in parts))}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: resnet18(widths=[8, 16]), r"resnet18: widths=\[8, 16\] aren't the channels of four stages"),
        (lambda: resnet18(stem_stride=4), "resnet18: stem_stride=4 is not one of 1, 2"),
        (lambda: resnet18(groups=2), "BasicBlock: groups=2"),
        (lambda: resnext50_32x4d(widths=[8] * 4), "width_per_group=4 have no channels at width=8; 8 is the least"),
        (lambda: models.create("senet154", widths=[16] * 4), "groups=64 don't divide 64 channels reduced by"),
        (lambda: models.create("skresnet18", groups=2), "SKBasicBlock: groups=2"),
        (lambda: models.create("legacy_seresnet18", groups=2), "SEBasicBlock: groups=2"),
        (lambda: resnet50(dims=4), "resnet50: dims=4 is not 1, 2 or 3"),
        (lambda: ECA(8, kernel_size=4), "ECA: kernel_size=4 is not odd"),
        (lambda: ECA(8, dims=4), "ECA: dims=4 is not 1, 2 or 3"),
        (lambda: SK(8, kernel_sizes=[3]), r"SK: kernel_sizes=\[3\] aren't two or more odd numbers from 3"),
        (lambda: SK(8, kernel_sizes=[3, 4]), r"SK: kernel_sizes=\[3, 4\] aren't"),
        (lambda: SK(9, split=True), "SK: in_channels=9 can't be split among 2"),
        (lambda: SplitAttention(9), "SplitAttention: in_channels=9 .* can't be divided among groups=1 of radix=2"),
        (lambda: SplitAttention(8, radix=0), "SplitAttention: .* radix=0"),
        (lambda: Res2NetBlock(8, 64, scale=1), "Res2NetBlock: scale=1 splits nothing"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
