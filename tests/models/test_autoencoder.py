"""AutoEncoder CNN V3: what the guide says of it, clause by clause."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
from models.basicblocks.grouped import GroupedBottleneck
from models.basicblocks.inception import InceptionBlock as SharedInception
from models.basicblocks.residual import BasicBlock
from models.networks.autoencoder_cnn_v3 import (
    PRESETS,
    AutoEncoder_CNNV3,
    InceptionBlock,
    ResNetBasicBlock,
    ResNeXtBlock,
    SEBlock,
    create_autoencoder,
    load_autoencoder,
    visualize_attention,
)
from models.networks.autoencoder_parts import BLOCKS, PatchAttention
from models.sizing import SizeError
from tests import isolation

trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")
SMALL = {"latent_size": 128, "block_config": ["resnet", "se"], "channel_config": [8, 16], "stride_config": [2, 2]}
STRATEGIES = ("conv", "spatial")


def small(**arguments):
    """A small network in eval mode, with the same weights each time."""
    mcore.manual_seed(0)
    return AutoEncoder_CNNV3(**{**SMALL, "input_size": (21, 30), **arguments}).eval()


def images(*shape, seed=0):
    """Grey images, (n, 1, h, w)."""
    return mcore.from_numpy(np.random.default_rng(seed).uniform(size=shape).astype(np.float32))


def arrays(*tensors):
    return [tensor.detach().numpy() for tensor in tensors]


# --- sizes


@pytest.mark.parametrize(
    ("preset", "strategy", "parameters"),
    [
        ("tiny", "conv", 492_689),
        ("small", "conv", 2_077_056),
        ("medium", "conv", 7_964_932),
        ("large", "conv", 31_359_476),
        ("tiny", "spatial", 230_489),
        ("small", "spatial", 508_416),
        ("medium", "spatial", 649_972),
        ("large", "spatial", 2_104_676),
    ],
)
def test_a_preset_has_the_parameters_that_are_told(preset, strategy, parameters):
    with mcore.device("meta"):
        net = create_autoencoder(preset, latent_strategy=strategy)

    assert sum(p.numel() for p in net.parameters()) == parameters


@pytest.mark.parametrize(
    ("preset", "latent", "features"),
    [("tiny", 128, 1024), ("small", 512, 1536), ("medium", 2048, 1792), ("large", 8192, 1792)],
)
def test_a_preset_has_the_guides_latent_and_the_features_behind_it_that_are_told(preset, latent, features):
    with mcore.device("meta"):
        net = create_autoencoder(preset)

    assert (net.actual_latent_size, net.encoder.latent[1].in_features) == (latent, features)


@pytest.mark.parametrize(("preset", "guide"), [("tiny", 5e5), ("small", 2e6), ("medium", 8e6), ("large", 32e6)])
def test_a_preset_is_within_four_percent_of_the_guides_count(preset, guide):
    with mcore.device("meta"):
        net = create_autoencoder(preset)

    assert abs(sum(p.numel() for p in net.parameters()) - guide) <= 0.04 * guide


@pytest.mark.parametrize(("latent", "strategy"), [*itertools.product((128, 500, 1000, 8192), STRATEGIES)])
def test_the_latent_has_the_size_asked_for_or_the_nearest_that_cells_can_have(latent, strategy):
    net = small(latent_size=latent, latent_strategy=strategy)

    code = net.encode(images(2, 1, 21, 30))

    assert tuple(code.shape) == (2, net.actual_latent_size)
    assert abs(net.actual_latent_size - latent) <= (8 if strategy == "spatial" else 0)


@pytest.mark.parametrize("size", [(201, 201), (1280, 152), (77, 152), (640, 152), (4, 4), (5, 131)])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_image_comes_back_at_its_size(size, strategy):
    net = small(latent_strategy=strategy, channel_config=[4, 8])

    with mcore.no_grad():
        assert tuple(net(images(1, 1, *size)).shape) == (1, 1, *size)


@settings(max_examples=12, deadline=None)
@given(h=st.integers(6, 40), w=st.integers(6, 40), strides=st.permutations([1, 2, 3]))
def test_a_stride_divides_the_patches_rounding_up(h, w, strides):
    blocks, channels = ["resnet", "resnext", "inception"], [4, 8, 8]
    net = small(block_config=blocks, channel_config=channels, stride_config=strides)

    matrix = net.get_attention_matrix(images(1, 1, h, w))

    patches = -(-h // 6) * -(-w // 6)
    assert tuple(matrix.shape) == (1, patches, patches)


# --- blocks


@pytest.mark.parametrize(
    ("block", "shared"),
    [
        (ResNetBasicBlock, BasicBlock),
        (SEBlock, BasicBlock),
        (ResNeXtBlock, GroupedBottleneck),
        (InceptionBlock, SharedInception),
    ],
)
def test_a_block_is_the_backbones_own(block, shared):
    assert type(block(8, 16, stride=2)) is shared


def test_the_block_named_se_weighs_channels_and_the_one_named_resnet_does_not():
    assert SEBlock(8, 16).se is not None
    assert ResNetBasicBlock(8, 16).se is None


@pytest.mark.parametrize(("channels", "groups", "width"), [(256, 32, 128), (512, 32, 256), (64, 8, 32), (20, 3, 12)])
def test_a_resnext_block_has_32_groups_or_groups_of_four(channels, groups, width):
    middle = ResNeXtBlock(16, channels).conv2.conv

    assert (middle.groups, middle.out_channels) == (groups, width)


@pytest.mark.parametrize(("name", "out_channels", "stride"), [*itertools.product(BLOCKS, (4, 22, 64), (1, 2, 3))])
def test_blocks_have_one_signature(name, out_channels, stride):
    block = BLOCKS[name](6, out_channels, stride=stride).eval()

    assert tuple(block(images(1, 6, 13, 8)).shape) == (1, out_channels, -(-13 // stride), -(-8 // stride))


def test_blocks_mix_in_the_order_given_and_the_decoder_has_them_backwards():
    net = small(
        block_config=["resnet", "resnext", "se", "inception"],
        channel_config=[8, 12, 16, 20],
        stride_config=[2, 1, 2, 2],
        input_size=(21, 30),
    )
    kinds = [BasicBlock, GroupedBottleneck, BasicBlock, SharedInception]

    assert [type(stage) for stage in net.encoder.stages] == kinds
    assert [type(stage) for stage in net.decoder.stages] == kinds[::-1]
    assert [getattr(stage, "se", None) is not None for stage in net.encoder.stages] == [False, False, True, False]


def test_stages_have_their_channels_and_strides():
    net = small(block_config=["resnet"] * 3, channel_config=[8, 12, 20], stride_config=[1, 3, 2])

    maps, x = [], images(1, 1, 21, 30)
    for stage in net.encoder.stages:
        x = stage(x)
        maps.append(tuple(x.shape[1:]))

    assert maps == [(8, 21, 30), (12, 7, 10), (20, 4, 5)]


def test_each_stage_of_the_decoder_sees_the_size_of_the_encoders_map_that_it_mirrors():
    net = small(block_config=["resnet"] * 3, channel_config=[4, 8, 12], stride_config=[1, 3, 2])
    given, sees = [], []
    for stage in net.encoder.stages:
        stage.register_forward_hook(lambda module, came, y: given.append(tuple(map(int, y.shape[1:]))))
    for stage in net.decoder.stages:
        stage.register_forward_hook(lambda module, came, y: sees.append(tuple(map(int, came[0].shape[1:]))))

    net(images(1, 1, 25, 32))

    assert given == [(4, 25, 32), (8, 9, 11), (12, 5, 6)]
    assert sees == given[::-1]


# --- latents


def test_the_embedding_is_spatial_where_the_latent_is():
    x = images(2, 1, 21, 30)

    assert tuple(small(latent_strategy="spatial", latent_size=200).Embedding(x).shape) == (2, 13, 4, 4)
    assert tuple(small().Embedding(x).shape) == (2, 128)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_encode_is_the_embedding_made_flat(strategy):
    net, x = small(latent_strategy=strategy), images(2, 1, 21, 30)

    code, embedding = arrays(net.encode(x), net.Embedding(x))

    np.testing.assert_array_equal(code, embedding.reshape(2, 128))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_decoding_a_latent_gives_what_forward_gives(strategy):
    net, x = small(latent_strategy=strategy), images(2, 1, 33, 19)

    whole, flat, raw = arrays(net(x), net.decode(net.encode(x), (33, 19)), net.decode(net.Embedding(x), (33, 19)))

    np.testing.assert_allclose(flat, whole, atol=1e-6)
    np.testing.assert_allclose(raw, whole, atol=1e-6)


def test_decode_gives_the_size_that_the_network_was_made_for_unless_told_another():
    net, code = small(input_size=(23, 31)), images(2, 128)

    assert tuple(net.decode(code).shape) == (2, 1, 23, 31)
    assert tuple(net.decode(code, size=(40, 9)).shape) == (2, 1, 40, 9)


def test_decode_from_latent_is_decode():
    net, code = small(), images(2, 128)

    np.testing.assert_array_equal(*arrays(net.decode_from_latent(code), net.decode(code)))


class Fixed(mcore.Module):
    """In place of an encoder: the same latent for every image."""

    def __init__(self, latent):
        super().__init__()
        self.register_buffer("latent", latent)

    def forward(self, x):
        return self.latent


@pytest.mark.parametrize(("strategy", "attention"), [*itertools.product(STRATEGIES, (True, False))])
def test_with_the_latent_fixed_the_reconstruction_does_not_depend_on_the_image(strategy, attention):
    net = small(latent_strategy=strategy, use_attention=attention)
    first, second = images(2, 1, 21, 30), images(2, 1, 21, 30, seed=1)
    assert np.abs(np.subtract(*arrays(net(first), net(second)))).max() > 1e-4

    net.encoder = Fixed(net.Embedding(first).detach())

    np.testing.assert_array_equal(*arrays(net(first), net(second)))


@trains
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_gradient_reaches_the_image_but_through_the_latent(strategy):
    net, x = small(latent_strategy=strategy).requires_grad_(False), images(2, 1, 21, 30).requires_grad_()
    assert net(x).requires_grad

    net.encoder.register_forward_hook(lambda module, given, latent: latent.detach())

    assert not net(x).requires_grad


# --- attention


def test_the_attention_matrix_is_what_attention_weighs_patches_with():
    mcore.manual_seed(0)
    # Five channels have one head.
    attention, x = PatchAttention(5).eval(), images(2, 5, 3, 4)
    tokens = attention.norm(x).flatten(2).transpose(1, 2)
    value = attention.attention.qkv(tokens)[..., 10:]

    taken = attention.attention.proj(attention.matrix(x) @ value).transpose(1, 2).reshape(x.shape)

    np.testing.assert_allclose(*arrays(x + taken, attention(x)), atol=1e-6)


def test_the_attention_matrix_is_the_average_over_heads():
    mcore.manual_seed(0)
    attention, x = PatchAttention(8).eval(), images(1, 8, 2, 3)
    tokens = attention.norm(x).flatten(2).transpose(1, 2)
    query, key = (part.reshape(6, 4, 2) for part in np.split(arrays(attention.attention.qkv(tokens))[0][0], 3, 1)[:2])

    scores = np.exp(np.einsum("qhc,khc->hqk", query, key) / np.sqrt(2))
    expected = (scores / scores.sum(2, keepdims=True)).mean(0)

    np.testing.assert_allclose(attention.matrix(x).detach().numpy()[0], expected, atol=1e-6)


def test_rows_of_the_attention_matrix_add_up_to_one():
    matrix = small().get_attention_matrix(images(3, 1, 21, 30))

    assert tuple(matrix.shape) == (3, 48, 48)
    np.testing.assert_allclose(matrix.numpy().sum(2), 1, atol=1e-5)


def test_without_attention_there_is_no_matrix():
    assert small(use_attention=False).get_attention_matrix(images(1, 1, 21, 30)) is None


def test_asking_for_the_matrix_leaves_modes_and_statistics_of_norms_as_they_were():
    net = small().train()
    net.encoder.stages[0].eval()
    before = {key: value.numpy().copy() for key, value in net.state_dict().items()}

    net.get_attention_matrix(images(1, 1, 21, 30))

    assert [net.training, net.encoder.stages[0].training, net.decoder.training] == [True, False, True]
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key], err_msg=key)


@trains
def test_the_attention_map_is_the_gradient_of_the_error_by_the_image():
    net, x = small(channel_config=[4, 4]).double(), images(1, 1, 12, 13).double()

    heat = net.get_attention_map(x)

    def error(image):
        with mcore.no_grad():
            return float((net(image) - image).square().mean())

    assert tuple(heat.shape) == (1, 1, 12, 13)
    assert float(heat.min()) >= 0
    for row, column in ((0, 0), (5, 7), (11, 12)):
        step = mcore.zeros_like(x)
        step[0, 0, row, column] = 1e-6
        slope = (error(x + step) - error(x - step)) / 2e-6
        assert float(heat[0, 0, row, column]) == pytest.approx(abs(slope), rel=1e-3, abs=1e-9)


@trains
def test_the_attention_map_of_an_image_does_not_depend_on_its_batch():
    net, x = small().train(), images(3, 1, 21, 30)

    together, alone = net.get_attention_map(x), net.get_attention_map(x[1:2])

    np.testing.assert_allclose(together[1:2].numpy(), alone.numpy(), rtol=1e-4, atol=1e-8)


@trains
def test_asking_for_the_map_leaves_gradients_modes_and_statistics_as_they_were():
    net, x = small().train(), images(2, 1, 21, 30)
    net(x).sum().backward()
    frozen = net.decoder.last.weight.requires_grad_(False)
    before = {name: p.grad.clone() for name, p in net.named_parameters()}
    state = {key: value.clone() for key, value in net.state_dict().items()}

    net.get_attention_map(x)

    assert net.training
    assert not frozen.requires_grad
    assert all(mcore.equal(p.grad, before[name]) for name, p in net.named_parameters())
    assert all(mcore.equal(value, state[key]) for key, value in net.state_dict().items())
    assert not x.requires_grad


@trains
@pytest.mark.parametrize("context", [mcore.no_grad, mcore.inference_mode])
def test_the_map_is_the_same_for_callers_without_gradients(context):
    net = small()
    expected = net.get_attention_map(images(1, 1, 21, 30))

    with context():
        got = net.get_attention_map(images(1, 1, 21, 30) * 1)

    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-5, atol=1e-9)


@pytest.mark.skipif(mcore.backend() != "platform", reason="the torch engine has gradients")
def test_the_platform_refuses_the_map_as_it_has_no_gradients():
    with pytest.raises(RuntimeError, match="the platform engine computes no gradients"):
        small().get_attention_map(images(1, 1, 21, 30))


def test_the_platform_without_torch_refuses_the_map_and_draws_the_matrix(tmp_path):
    code = f"""
    from tests.models.test_autoencoder import images, small, visualize_attention
    net, x = small(), images(1, 1, 21, 30)
    try:
        visualize_attention(net, x)
    except RuntimeError as error:
        print("no gradients" in str(error))
    visualize_attention(net, x, {str(tmp_path / "seen.png")!r}, show_heatmap=False)
    """

    assert isolation.run(code, engine="platform", without=["torch"]) == "True"
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


# --- pictures


def titles(figure):
    return [axes.get_title() for axes in figure.axes]


@trains
def test_a_picture_shows_the_image_its_reconstruction_the_matrix_and_what_matters_over_the_image(tmp_path):
    x = images(2, 1, 21, 30)

    figure = visualize_attention(small(), x, tmp_path / "seen.png")

    assert titles(figure)[:4] == ["image", "reconstruction", "attention of patches", "what matters"]
    assert len(figure.axes) == 8
    under, over = (image.get_array() for image in figure.axes[7].get_images())
    np.testing.assert_array_equal(under, x.numpy()[1, 0])
    np.testing.assert_array_equal(over, small().get_attention_map(x).numpy()[1, 0])
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_leaves_out_what_is_not_asked_for_or_not_there():
    x = images(1, 1, 21, 30)

    assert titles(visualize_attention(small(), x, show_matrix=False, show_heatmap=False)) == ["image", "reconstruction"]
    assert titles(visualize_attention(small(use_attention=False), x, show_heatmap=False)) == ["image", "reconstruction"]


def test_a_picture_without_matplotlib_names_what_to_install():
    code = """
    from tests.models.test_autoencoder import images, small, visualize_attention
    visualize_attention(small(), images(1, 1, 21, 30))
    """

    told = isolation.failure(code, without=["matplotlib"])

    assert told == 'ImportError: matplotlib is not installed, which visualize_attention needs: pip install ".[plots]"'


# --- configuration


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"latent_strategy": "spatial", "use_attention": False, "DropOut": True},
        {"embedding_dim": 300, "input_size": (50, 21)},
        {"block_config": ("inception",), "channel_config": (12,), "stride_config": (3,)},
    ],
)
def test_a_network_is_built_again_from_its_configuration(arguments):
    net = small(**arguments)

    again = AutoEncoder_CNNV3(**net.get_config())

    assert again.get_config() == net.get_config()
    shapes = [{key: tuple(value.shape) for key, value in one.state_dict().items()} for one in (net, again)]
    assert shapes[0] == shapes[1]
    assert again.load_state_dict(net.state_dict()) is not None


def test_the_configuration_is_plain_data_with_every_argument():
    import inspect
    import json

    config = small().get_config()

    assert json.loads(json.dumps(config)) == config
    assert [*config] == [*inspect.signature(AutoEncoder_CNNV3.__init__).parameters][1:]


def test_drop_out_is_stored_and_changes_nothing():
    with_it, without = small(DropOut=True), small()

    assert (with_it.DropOut, without.DropOut) == (True, False)
    x = images(1, 1, 21, 30)
    np.testing.assert_array_equal(*arrays(with_it(x), without(x)))
    assert [type(module) for module in with_it.modules()] == [type(module) for module in without.modules()]


def test_embedding_dim_is_taken_in_place_of_the_latents_size():
    net = small(latent_size=512, embedding_dim=200)

    assert (net.latent_size, net.actual_latent_size, net.get_config()["latent_size"]) == (200, 200, 200)
    assert tuple(net.encode(images(1, 1, 21, 30)).shape) == (1, 200)


def test_arguments_in_place_of_a_presets_own_are_taken():
    net = create_autoencoder("tiny", (30, 40), latent_size=200, use_attention=False)

    assert net.get_config() == {
        **{"latent_strategy": "conv", "DropOut": False, "embedding_dim": None},
        **PRESETS["tiny"],
        **{"latent_size": 200, "use_attention": False, "input_size": [30, 40]},
    }


# --- refusals


@pytest.mark.parametrize("size", [127, 8193, 0, 512.0, True])
@pytest.mark.parametrize("name", ["latent_size", "embedding_dim"])
def test_a_latents_size_out_of_range_is_refused(name, size):
    with pytest.raises(ValueError, match=rf"AutoEncoder_CNNV3: {name}={size!r} is no whole number from 128 to 8192"):
        small(**{name: size})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"block_config": ["resnet"]},
            r"block_config=\['resnet'\], channel_config=\[8, 16\].* one entry for every stage",
        ),
        ({"block_config": [], "channel_config": [], "stride_config": []}, "there is one stage or more"),
        (
            {"block_config": ["resnet", "vgg"]},
            "block_config='vgg' is not one of 'resnet', 'resnext', 'se'",
        ),
        ({"channel_config": [2, 8]}, r"channel_config=\[2, 8\] is no list of whole numbers from 4 on"),
        ({"stride_config": [2, 0]}, r"stride_config=\[2, 0\] is no list of whole numbers from 1 on"),
        ({"latent_strategy": "flat"}, "latent_strategy='flat' is not one of 'conv', 'spatial'"),
        ({"input_size": 201}, "input_size=201 is no list of whole numbers"),
        ({"input_size": (20, 3)}, "3 pixels along axis 3 .* 4 is the least, the product of stride_config"),
        ({"input_size": (20, 20, 20)}, "an image of 5 axes came"),
    ],
)
def test_what_can_not_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=rf"AutoEncoder_CNNV3: .*{message}"):
        small(**arguments)


@pytest.mark.parametrize("ask", ["__call__", "Embedding", "encode", "get_attention_matrix"])
def test_an_image_smaller_than_the_strides_allow_is_refused_with_the_least_size(ask):
    with pytest.raises(SizeError, match=r"3 pixels along axis 2 don't go through its levels.* 4 is the least"):
        getattr(small(), ask)(images(1, 1, 3, 30))


def test_a_size_to_decode_to_is_checked_like_an_images():
    with pytest.raises(SizeError, match=r"2 pixels along axis 3.* 4 is the least"):
        small().decode(images(1, 128), size=(30, 2))


def test_an_image_in_colour_is_refused():
    with pytest.raises(ValueError, match="images of 3 channels came; it takes grey ones"):
        small()(images(1, 3, 21, 30))


@pytest.mark.parametrize(
    ("strategy", "fits"), [("conv", r"\(n, 128\)\."), ("spatial", r"\(n, 128\) or \(n, 8, 4, 4\)\.")]
)
def test_a_latent_of_another_size_is_refused_with_those_that_fit(strategy, fits):
    with pytest.raises(ValueError, match=rf"Decoder: a latent of \(n, 64\) came; it takes {fits}"):
        small(latent_strategy=strategy).decode(images(1, 64))


def test_a_preset_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="preset='huge' is not one of 'tiny', 'small', 'medium', 'large'"):
        create_autoencoder("huge")


def test_an_argument_that_is_not_there_is_refused_with_the_one_that_was_meant():
    with pytest.raises(TypeError, match=r"no argument 'latent_sise' \(did you mean 'latent_size'\?\)"):
        create_autoencoder("tiny", latent_sise=256)


# --- checkpoints


def write_checkpoint(path, net, *, prefix="", **more):
    """What the guide's training loop saves."""
    import torch

    state = {f"{prefix}{key}": torch.from_numpy(value.detach().numpy()) for key, value in net.state_dict().items()}
    optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    content = {"model_state_dict": state, "optimizer_state_dict": optimiser, "config": net.get_config(), "epoch": 7}
    torch.save({**content, **more}, path)


@trains
@pytest.mark.parametrize("prefix", ["", "_orig_mod.", "module."])
def test_a_checkpoint_dictionary_gives_the_network_back_wrapped_or_not(prefix, tmp_path):
    net, x = small(latent_strategy="spatial"), images(1, 1, 21, 30)
    write_checkpoint(tmp_path / "checkpoint_7.pth", net, prefix=prefix)

    again = load_autoencoder(tmp_path / "checkpoint_7.pth")

    assert again.get_config() == net.get_config()
    assert not again.training
    np.testing.assert_array_equal(*arrays(again(x), net(x)))


@trains
def test_a_checkpoint_is_read_where_there_is_no_torch(tmp_path):
    net, x = small(), images(1, 1, 21, 30)
    write_checkpoint(tmp_path / "checkpoint_7.pth", net)
    code = f"""
    from tests.models.test_autoencoder import images, load_autoencoder
    print(float(load_autoencoder({str(tmp_path / "checkpoint_7.pth")!r}).encode(images(1, 1, 21, 30)).sum()))
    """

    told = isolation.run(code, engine="platform", without=["torch"])

    assert float(told) == pytest.approx(float(net.encode(x).detach().sum()), abs=1e-4)


@trains
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"config": None}, r"has no config, as a checkpoint has; it has model_state_dict, optimizer_state_dict"),
        ({"config": None, "model_state_dict": 3}, "has no config and no model_state_dict"),
        ({"config": {"latent": 3}}, "its config builds no AutoEncoder_CNNV3: .* has no argument 'latent'"),
        ({"config": {"latent_size": 3}}, "its config builds no AutoEncoder_CNNV3: .* 128 to 8192"),
        (
            {"config": {**SMALL, "channel_config": [8, 20]}},
            r"another network .* of \(16, 8, 3, 3\), here of \(20, 8",
        ),
        ({"config": {**SMALL, "use_attention": False}}, "of another network .*, here of no shape"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(more, message, tmp_path):
    write_checkpoint(tmp_path / "checkpoint.pth", small(), **more)

    with pytest.raises(ValueError, match=message):
        load_autoencoder(tmp_path / "checkpoint.pth")


# --- engines and use


@pytest.mark.parametrize(("strategy", "part"), [*itertools.product(STRATEGIES, ("encoder", "decoder"))])
def test_a_half_exports_by_itself_for_all_sizes(strategy, part, tmp_path):
    net = small(latent_strategy=strategy)
    pictures = [images(1, 1, 21, 30), images(2, 1, 32, 17), images(3, 1, 9, 41)]
    fed = pictures if part == "encoder" else [net.Embedding(x).detach() for x in pictures]
    half = getattr(net, part)

    artifact = half.toplatform(tmp_path / "half", inputs=[(x,) for x in fed], strict=True)

    again = type(half).fromplatform(tmp_path / "half")
    assert artifact.report.largest < 1e-4
    assert set(artifact.report.axes[artifact.model.graph.input[0].name]) == ({0, 2, 3} if part == "encoder" else {0})
    np.testing.assert_allclose(*arrays(again(fed[1]), half(fed[1])), atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(("preset", "strategy"), [*itertools.product(PRESETS, STRATEGIES)])
def test_a_preset_exports_for_the_guides_sizes(preset, strategy, tmp_path):
    mcore.manual_seed(0)
    net = create_autoencoder(preset, latent_strategy=strategy).eval()
    fed = [(images(1, 1, *size),) for size in ((201, 201), (1280, 152), (97, 152))]

    assert net.toplatform(tmp_path / "net", inputs=fed, strict=True).report.largest < 1e-4


@trains
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_lstm_learns_from_its_latents_where_a_film_goes_on(strategy):
    """A dot that moves to the right: from three latents, the LSTM tells the fourth better than the last one does."""
    mcore.manual_seed(0)
    net = small(latent_strategy=strategy, input_size=(16, 16), channel_config=[8, 8])
    films = mcore.zeros(12, 4, 1, 16, 16)
    for film, frame in itertools.product(range(12), range(4)):
        films[film, frame, 0, film + 1 : film + 4, 3 * frame + 1 : 3 * frame + 5] = 1.0
    with mcore.no_grad():
        codes = net.encode(films.flatten(0, 1)).unflatten(0, (12, 4))
    lstm, head = mcore.LSTM(net.actual_latent_size, 32, batch_first=True), mcore.Linear(32, net.actual_latent_size)
    optimiser = mcore.optim.Adam([*lstm.parameters(), *head.parameters()], lr=1e-2)

    for _ in range(150):
        optimiser.zero_grad()
        loss = (codes[:, 2] + head(lstm(codes[:, :3])[0][:, -1]) - codes[:, 3]).square().mean()
        loss.backward()
        optimiser.step()

    assert float(loss.detach()) < 0.2 * float((codes[:, 2] - codes[:, 3]).square().mean())


@trains
def test_it_learns_to_give_images_back():
    net, x = small(input_size=(16, 16)).train(), images(8, 1, 16, 16)
    optimiser = mcore.optim.Adam(net.parameters(), lr=3e-3)

    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (net(x) - x).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < 0.6 * losses[0]


def example(name, *options):
    """What a script prints.

    Raises:
        AssertionError: it failed; with its traceback.
    """
    command = [f"examples.autoencoder.{name}", *map(str, options)]
    code = f"import runpy, sys; sys.argv = {command!r}; runpy.run_module(sys.argv[0], run_name='__main__')"
    return isolation.run(code, cwd=isolation.ROOT)


@pytest.mark.long
@trains
def test_what_the_training_script_saves_the_other_script_takes_a_picture_through(tmp_path):
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    for number, picture in enumerate(images(4, 40, 50).numpy()):
        Image.fromarray((255 * picture).astype(np.uint8)).save(tmp_path / "pictures" / f"{number}.png")
    asked = ("--preset", "tiny", "--data", tmp_path / "pictures", "--input_size", 32, 32, "--epochs", 2)

    example("train_example", *asked, "--batch_size", 4, "--accumulation_steps", 2, "--amp", "bf16", "--out", tmp_path)
    given = ("--checkpoint", tmp_path / "checkpoint.pth", "--input", tmp_path / "pictures" / "0.png")
    printed = example("infer_and_visualize", *given, "--output", tmp_path / "seen.png")

    assert printed.splitlines()[0] == "40 x 50 pixels, a latent of 128"
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")
    saved = mcore.load(tmp_path / "checkpoint.pth")
    assert [*saved] == ["model_state_dict", "optimizer_state_dict", "config", "epoch"]
    assert (saved["epoch"], saved["config"]["input_size"]) == (1, [32, 32])


@pytest.mark.long
@trains
def test_the_script_that_measures_says_where_there_is_no_gpu():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    options = ("--preset", "tiny", "--input_size", 32, 32, "--batch_size", 2, "--runs", 1, "--no-compile")

    printed = example("bench_gpu", *options).splitlines()

    assert printed[0].startswith("tiny: 492,689 parameters")
    assert printed[1].startswith("no GPU here: the CPU")
    assert [line.split("  ")[0] for line in printed[4:]] == ["float32, as it is", "bfloat16, as it is"]


@pytest.mark.long
def test_the_module_tests_itself():
    printed = isolation.run("import runpy; runpy.run_module('models.networks.autoencoder_cnn_v3', run_name='__main__')")

    assert printed.count(": ok") == 8
