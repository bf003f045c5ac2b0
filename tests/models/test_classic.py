"""DenseNet, VGG, RegNet, Inception, Xception, Darknet, CSPNet, LeNet, AlexNet: the originals' results, refusals."""

import numpy as np
import pytest

import mcore
import models
from models.backbones import (
    cs3darknet_s,
    cspresnet50,
    darknet53,
    densenet121,
    inception_v3,
    legacy_xception,
    regnetx_002,
    vgg11,
    vgg11_bn,
    xception41,
    xception71,
)
from models.basicblocks import CSPStage, DarknetStage, DenseLayer, GroupedBottleneck, InceptionB, InceptionBlock
from models.networks import AlexNet, LeNet
from models.utils.summary import parameters, summary
from models.utils.weights import renamed
from tests.models import golden

dtypes = pytest.mark.parametrize("dtype", golden.DTYPES)
trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")


@dtypes
@pytest.mark.parametrize("name", ["densenet121", "regnetx_004", "regnety_002", "darknet53", "cspresnet50"])
def test_a_network_gives_the_logits_and_the_maps_of_the_original(name, dtype):
    golden.assert_classifier_reproduced(
        f"timm_{name}", lambda **more: models.create(name, kind="backbone", **more), dtype
    )


@dtypes
def test_vgg_gives_the_maps_of_segmentation_models_from_full_resolution_on(dtype):
    golden.assert_reproduced("smp_encoder_vgg11_bn", vgg11_bn(out_indices=range(-1, 5)), dtype)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Not in tests/golden/zoo/zoo.csv; as their publishers give them, in millions where a point stands.
        ("regnetx_040", 22.12),
        ("regnetx_064", 26.21),
        ("regnetx_080", 39.57),
        ("regnetx_120", 46.11),
        ("regnetx_160", 54.28),
        ("regnetx_320", 107.81),
        ("regnety_064", 30.58),
        ("regnety_120", 51.82),
        ("regnety_320", 145.05),
        ("regnet_y_8gf", 39_381_472),
        ("repvgg_a1", 14.09),
        ("repvgg_a2", 28.21),
        ("repvgg_b1", 57.42),
    ],
)
def test_a_classifier_has_the_published_number_of_parameters(name, count):
    with mcore.device("meta"):
        found = parameters(models.create(name, num_classes=1000))

    assert (round(found / 1e6, 2) if isinstance(count, float) else found) == count


@pytest.mark.parametrize(("network", "count"), [(LeNet, 61_706), (AlexNet, 61_100_840)])
def test_a_network_has_the_published_number_of_parameters(network, count):
    with mcore.device("meta"):
        assert parameters(network()) == count


def test_inception_with_its_auxiliary_classifier_has_the_parameters_of_torchvisions():
    with mcore.device("meta"):
        assert parameters(inception_v3(num_classes=1000, auxiliary=True)) == 27_161_264


@pytest.mark.parametrize(("name", "count"), [("vgg16", 15_470_264_320), ("densenet121", 2_834_161_664)])
def test_a_classifier_has_the_published_number_of_multiply_adds(name, count):
    assert multiply_adds(models.create(name, num_classes=1000)) == count


def multiply_adds(net):
    return sum(row.multiply_adds or 0 for row in summary(net, (1, 3, 224, 224)))


def shapes(net, *size):
    """Pixels of each map along every axis."""
    return [tuple(map(int, x.shape[2:])) for x in net.eval()(mcore.zeros(1, 3, *size))]


def test_the_blocks_of_densenet_and_vgg_halve_odd_sizes_rounding_down():
    assert shapes(densenet121(out_indices=range(5)), 70, 75) == [(35, 38), (18, 19), (9, 9), (4, 4), (2, 2)]
    assert shapes(vgg11(out_indices=range(-1, 5)), 70, 75)[1:] == [(35, 37), (17, 18), (8, 9), (4, 4), (2, 2)]


def test_inception_without_padding_has_the_papers_sizes():
    assert shapes(inception_v3(out_indices=range(5)), 299, 75) == [(147, 35), (71, 15), (35, 7), (17, 3), (8, 1)]


def test_xception_without_padding_has_the_originals_sizes():
    assert shapes(legacy_xception(out_indices=range(5)), 299, 64) == [(147, 29), (74, 15), (37, 8), (19, 4), (10, 2)]


@pytest.mark.parametrize("make", [inception_v3, legacy_xception])
def test_with_padding_every_size_is_divided_by_the_stride_rounding_up(make):
    net = make(out_indices=range(5), padding="same")

    assert shapes(net, 33, 70) == [(17, 35), (9, 18), (5, 9), (3, 5), (2, 3)]


@pytest.mark.parametrize("name", ["densenet121", "regnetx_002", "xception41", "repvgg_a0", "darknet17", "cspresnet50"])
@pytest.mark.parametrize("stride", [8, 16])
def test_dilation_keeps_the_resolution_from_the_output_stride_on(name, stride):
    net = models.create(name, kind="backbone", out_indices=range(5), output_stride=stride)

    assert [s for _, s in net.features] == [64 // h for h, _ in shapes(net, 64, 64)]
    assert [s for _, s in net.features] == [min(s, stride) for s in (2, 4, 8, 16, 32)]


def test_a_dilated_network_has_the_parameters_of_the_plain_one():
    for make in (densenet121, xception41, darknet53):
        assert parameters(make(output_stride=8)) == parameters(make())


def test_blocks_of_a_dilated_xception_see_what_the_stride_would_have_left_out():
    net = xception71(output_stride=16)

    assert [block.stack.conv1.conv_dw.dilation[0] for block in list(net.blocks)[-3:]] == [1, 1, 2]


def test_a_block_of_xception_inside_which_the_last_map_is_is_half_built():
    net = xception41(out_indices=[1])

    assert [len(list(block.stack)) for block in net.blocks] == [3, 2]
    assert net.blocks[1].shortcut is None


def test_what_no_level_needs_is_not_built():
    assert {key.split(".")[1] for key in densenet121(out_indices=[1]).state_dict()} == {"conv0", "norm0", "denseblock1"}
    assert {key.split(".")[1] for key in vgg11(out_indices=[0]).state_dict()} == {"0", "3"}
    assert {key.split(".")[0] for key in inception_v3(out_indices=[0]).state_dict()} == {
        "Conv2d_1a_3x3",
        "Conv2d_2a_3x3",
        "Conv2d_2b_3x3",
    }
    assert {key.split(".")[0] for key in legacy_xception(out_indices=[1]).state_dict()} == {
        "conv1",
        "bn1",
        "conv2",
        "bn2",
        "block1",
    }


@trains
@pytest.mark.parametrize(
    ("name", "frozen", "trained"),
    [
        ("densenet121", 3, {"features.transition3", "features.denseblock4", "features.norm5"}),
        ("vgg11", 3, {"features.16", "features.18"}),
        ("regnetx_002", 3, {"s4.b1", "s4.b2", "s4.b3", "s4.b4", "s4.b5", "s4.b6", "s4.b7"}),
        ("inception_v3", 3, {f"Mixed_7{letter}" for letter in "abc"}),
        ("legacy_xception", 3, {"block12", "conv3", "bn3", "conv4", "bn4"}),
        ("xception41", 3, {"blocks.12"}),
        ("darknet17", 4, {"stages.4"}),
    ],
)
def test_frozen_stages_get_no_gradient(name, frozen, trained):
    net = models.create(name, kind="backbone", frozen_stages=frozen)

    left = [key for key, parameter in net.named_parameters() if parameter.requires_grad]

    assert left != []
    assert {key for key in left if not any(key.startswith(f"{start}.") for start in trained)} == set()
    assert {start for start in trained if not any(key.startswith(f"{start}.") for key in left)} == set()


def test_maps_and_layers_of_the_same_name_do_not_meet():
    net = models.assemble(densenet121(out_indices=[1]), head=models.heads.Segmentation(2))

    assert net.backbone.features == [(256, 4)]
    assert "backbone.features.conv0.weight" in net.state_dict()


@trains
def test_inception_gives_two_scores_in_training_and_one_in_use():
    net = inception_v3(num_classes=3, auxiliary=True)

    scores = net.train()(mcore.randn(2, 3, 299, 299))

    assert [tuple(x.shape) for x in scores] == [(2, 3), (2, 3)]
    assert tuple(net.eval()(mcore.randn(1, 3, 299, 299)).shape) == (1, 3)


def test_lenet_at_the_papers_size_takes_its_maps_as_they_are():
    net, x = LeNet().eval(), mcore.randn(2, 1, 32, 32)
    expected = net(x).detach().numpy()

    net.resize = mcore.Identity()

    np.testing.assert_array_equal(net(x).detach().numpy(), expected)


def test_means_of_a_volume_thinner_than_their_window_are_as_those_of_a_thick_one():
    net = InceptionBlock(2, 8, dims=3).eval()
    thin = mcore.randn(1, 2, 2, 6, 6)
    thick = mcore.cat((thin, mcore.zeros(1, 2, 4, 6, 6)), dim=2)
    pool = net.branches[3][0]

    np.testing.assert_allclose(pool(thin).numpy()[:, :, :2], pool(thick).numpy()[:, :, :2], rtol=1e-6)


def test_a_dense_layer_keeps_what_came_first():
    x = mcore.randn(1, 4, 6, 6)

    y = DenseLayer(4, 3).eval()(x)

    assert tuple(y.shape) == (1, 7, 6, 6)
    np.testing.assert_array_equal(y[:, :4].detach().numpy(), x.numpy())


def test_half_of_the_channels_goes_by_a_cross_stage_partial_stage():
    seen = []
    stage = CSPStage(8, 8, transitions=1).eval()
    stage.blocks.register_forward_hook(lambda layer, args, result: seen.append(int(args[0].shape[1])))

    stage(mcore.zeros(1, 8, 4, 4))

    assert seen == [4]


def theirs(key):
    """torchvision's name of a RegNet's entry: the shortcut is `proj`, convolutions a, b, c, blocks count from 0."""
    first, _, rest = key.partition(".")
    if first == "head":
        return rest
    if first == "stem":
        return f"stem.{rest}".replace("conv", "0").replace("bn", "1")
    block, _, rest = rest.partition(".")
    layer, part, leaf = rest.split(".")
    places = {"downsample": "proj", "conv1": "f.a", "conv2": "f.b", "conv3": "f.c", "se": "f.se"}
    place = part if layer == "se" else "01"[part == "bn"]
    return f"trunk_output.block{first[1]}.block{first[1]}-{int(block[1:]) - 1}.{places[layer]}.{place}.{leaf}"


@pytest.mark.parametrize("name", ["regnety_002", "regnetx_004", "regnety_016"])
def test_torchvisions_names_of_regnet_become_ours(name):
    with mcore.device("meta"):
        keys = list(models.create(name, num_classes=2).state_dict())

    assert list(renamed({theirs(key): None for key in keys}, rename="torchvision_regnet")) == keys


def test_timms_vgg_loads_with_its_convolutions_made_linear():
    state = vgg11(num_classes=2, hidden_features=3).state_dict()
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}
    kernels = {"classifier.0.weight": (3, 512, 7, 7), "classifier.3.weight": (3, 3, 1, 1)}
    file = {}
    for key, value in state.items():
        layer, _, leaf = key.rpartition(".")
        file[f"{names.get(layer, layer)}.{leaf}"] = value.reshape(*kernels.get(key, value.shape))

    loaded = vgg11(num_classes=2, hidden_features=3, weights={"state": file}).state_dict()

    for key, value in state.items():
        np.testing.assert_array_equal(loaded[key].numpy(), value.numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: densenet121(out_indices=[5]), r"densenet121: out_indices=\[5\] aren't some of 0"),
        (lambda: vgg11(out_indices=[-2]), r"vgg11: out_indices=\[-2\] aren't some of -1 \(stride 1\)"),
        (lambda: vgg11(frozen_stages=6), "vgg11: frozen_stages=6 is not -1"),
        (lambda: regnetx_002(output_stride=4), "regnetx_002: output_stride=4 is not one of 8, 16, 32"),
        (lambda: cspresnet50(dims=4), "dims=4 is not 1, 2 or 3"),
        (lambda: cs3darknet_s(negative_slope=0.1), "cs3darknet_s: negative_slope=0.1, but its activation is 'silu'"),
        (lambda: inception_v3(padding="some"), "inception_v3: padding='some' is not one of 'valid', 'same'"),
        (lambda: inception_v3(auxiliary=True), "auxiliary=True adds a second classifier; give num_classes"),
        (lambda: legacy_xception(padding=1), "legacy_xception: padding=1 is not one of"),
        (lambda: InceptionB(8, padding="full"), "InceptionB: padding='full' is not one of"),
        (lambda: InceptionBlock(8, 3), "InceptionBlock: out_channels=3 is too few for four branches"),
        (lambda: InceptionBlock(8, 8, pool="sum"), "InceptionBlock: pool='sum' is not one of 'avg', 'max'"),
        (lambda: GroupedBottleneck(8, 8, group_width=3), "width=8 is no multiple of group_width=3"),
        (lambda: CSPStage(8, 7), "expanded=7 channels can't be split in two halves"),
        (lambda: CSPStage(8, 8, block="basic"), "block='basic' is not one of 'darknet', 'bottleneck'"),
        (lambda: CSPStage(8, 8, groups=2), "groups=2, but only block='bottleneck' has groups"),
        (lambda: CSPStage(8, 8, transitions=0), "transitions=0 is not one of 1, 2"),
        (lambda: DarknetStage(8, 8, dims=0), "dims=0 is not 1, 2 or 3"),
        (lambda: LeNet(pool="sum"), "LeNet: pool='sum' is not one of 'avg', 'max'"),
        (lambda: AlexNet(dims=4), "AlexNet: dims=4 is not 1, 2 or 3"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
