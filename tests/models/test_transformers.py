"""Attention and transformers: arithmetic told again in numpy, published sizes and names, any size, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
import models
from models.attention import MultiHeadSelfAttention, SpatialReductionAttention, WindowAttention
from models.backbones import mit_b0, swin_tiny_patch4_window7_224, vit_tiny_patch16_224
from models.backbones.mit import MixMLP
from models.backbones.swin import PatchMerging
from models.basicblocks import MLP, TransformerBlock
from models.utils.summary import parameters
from models.utils.weights import load_weights
from tests.models import golden

trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")

# Single precision, against sums in double; values are about 1.
CLOSE = {"rtol": 0, "atol": 2e-5}


def filled(net):
    """`net` in eval mode with weights by the rule of the golden files, and these as double arrays by name."""
    state = {key: golden.fill(key, tuple(map(int, value.shape)), 1.0) for key, value in net.state_dict().items()}
    net.load_state_dict({key: mcore.from_numpy(value) for key, value in state.items()})
    return net.eval(), {key: value.astype(np.float64) for key, value in state.items()}


def draw(*shape):
    return golden._input("transformers", shape)


def run(net, x):
    with mcore.no_grad():
        return net(mcore.from_numpy(x)).numpy()


def of(state, prefix):
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def linear(x, state, name):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def norm(x, state, name, eps):
    centred = x - x.mean(-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * state[f"{name}.weight"] + state[f"{name}.bias"]
    )


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def attend(query, key, value, heads, bias=0.0):
    """Attention of (pixels, channels), a head after the other; `bias` is (heads, pixels, pixels)."""
    size = query.shape[1] // heads
    taken = []
    for head in range(heads):
        mine = slice(head * size, (head + 1) * size)
        scores = query[:, mine] @ key[:, mine].T / math.sqrt(size)
        taken.append(softmax(scores + (bias if np.isscalar(bias) else bias[head])) @ value[:, mine])
    return np.concatenate(taken, axis=1)


def self_attention(x, state, heads, bias=0.0):
    query, key, value = np.split(linear(x, state, "qkv"), 3, axis=1)
    return linear(attend(query, key, value, heads, bias), state, "proj")


def block(x, state, heads, eps=1e-6):
    x = x + self_attention(norm(x, state, "norm1", eps), of(state, "attn."), heads)
    return x + linear(gelu(linear(norm(x, state, "norm2", eps), state, "mlp.fc1")), state, "mlp.fc2")


def pixels(x):
    """(1, channels, *size) as (pixels, channels)."""
    return x[0].reshape(x.shape[1], -1).T.astype(np.float64)


@pytest.mark.parametrize("size", [(7,), (4, 5), (2, 3, 4)])
def test_self_attention_is_that_of_the_paper_in_any_number_of_dimensions(size):
    net, state = filled(MultiHeadSelfAttention(12, heads=3))
    x = draw(1, 12, *size)

    np.testing.assert_allclose(pixels(run(net, x)), self_attention(pixels(x), state, 3), **CLOSE)


def test_a_transformer_block_is_that_of_the_paper():
    net, state = filled(TransformerBlock(8, heads=2))
    x = draw(1, 8, 3, 4)

    np.testing.assert_allclose(pixels(run(net, x)), block(pixels(x), state, 2), **CLOSE)


def windowed(x, state, heads, window, shift):
    """Window attention told pixel by pixel: who stands in the same window of a grid that starts at `shift`."""
    size = x.shape[2:]
    padded = [-(-length // window) * window for length in size]
    shifts = [shift if length > window else 0 for length in padded]
    filled = np.zeros((1, x.shape[1], *padded))
    filled[(slice(None), slice(None), *(slice(0, length) for length in size))] = x
    places = np.stack(np.meshgrid(*(np.arange(length) for length in padded), indexing="ij"), -1).reshape(-1, len(size))
    homes = (places - np.array(shifts)) // window
    together = (homes[:, None] == homes[None]).all(-1)
    row = np.zeros(together.shape, int)
    for axis in range(len(size)):
        apart = places[:, None, axis] - places[None, :, axis]
        row = row * (2 * window - 1) + np.where(together, apart + window - 1, 0)
    bias = state["relative_position_bias_table"][row].transpose(2, 0, 1)
    bias = np.where(together, bias, -np.inf)
    taken = self_attention(pixels(filled), state, heads, bias).T.reshape(1, -1, *padded)
    return taken[(slice(None), slice(None), *(slice(0, length) for length in size))]


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(8, 12), (5, 9), (3, 11), (2, 3), (13,), (5, 4, 6)])
def test_window_attention_joins_the_pixels_of_a_window(size, shifted):
    net, state = filled(WindowAttention(8, heads=2, window=4, shifted=shifted, dims=len(size)))
    x = draw(1, 8, *size)

    np.testing.assert_allclose(run(net, x), windowed(x, state, 2, 4, 2 if shifted else 0), **CLOSE)


def test_window_attention_treats_the_images_of_a_batch_alike():
    net, _ = filled(WindowAttention(8, heads=2, window=4, shifted=True))
    x = draw(3, 8, 9, 6)

    together, alone = run(net, x), [run(net, x[i : i + 1]) for i in range(3)]

    np.testing.assert_allclose(together, np.concatenate(alone), **CLOSE)


def test_keys_of_reduced_attention_stand_for_patches():
    net, state = filled(SpatialReductionAttention(8, heads=2, reduction=2))
    x = draw(1, 8, 5, 6)

    # The last row fills no patch.
    patches = x[:, :, :4].reshape(8, 2, 2, 3, 2).transpose(1, 3, 0, 2, 4).reshape(6, -1).astype(np.float64)
    keys = norm(patches @ state["sr.weight"].reshape(8, -1).T + state["sr.bias"], state, "norm", 1e-5)
    key, value = np.split(linear(keys, state, "kv"), 2, axis=1)
    expected = linear(attend(linear(pixels(x), state, "q"), key, value, 2), state, "proj")
    np.testing.assert_allclose(pixels(run(net, x)), expected, **CLOSE)


def test_a_mix_mlp_whose_convolution_does_nothing_is_an_mlp():
    plain, mixed = MLP(6, 12).eval(), MixMLP(6, 12).eval()
    kernel = np.zeros((12, 1, 3, 3), np.float32)
    kernel[:, :, 1, 1] = 1.0
    idle = {"dwconv.dwconv.weight": mcore.from_numpy(kernel), "dwconv.dwconv.bias": mcore.zeros(12)}
    mixed.load_state_dict({**plain.state_dict(), **idle})
    x = draw(1, 6, 4, 5)

    np.testing.assert_allclose(run(mixed, x), run(plain, x), **CLOSE)


def test_merging_takes_pixels_column_by_column_as_published_weights_expect():
    net, state = filled(PatchMerging(4))
    x = draw(1, 4, 5, 6)

    padded = np.concatenate([x, np.zeros((1, 4, 1, 6))], axis=2)
    quarters = [padded[0, :, i::2, j::2].reshape(4, -1).T for j in (0, 1) for i in (0, 1)]
    expected = norm(np.concatenate(quarters, axis=1), state, "norm", 1e-5) @ state["reduction.weight"].T
    np.testing.assert_allclose(pixels(run(net, x)), expected, **CLOSE)


def test_a_vision_transformer_reads_patches_positions_and_a_class_token():
    net, state = filled(vit_tiny_patch16_224(out_indices=[0], image_size=32))
    x = draw(1, 3, 32, 32)

    patches = x.reshape(3, 2, 16, 2, 16).transpose(1, 3, 0, 2, 4).reshape(4, -1).astype(np.float64)
    embedded = patches @ state["patch_embed.proj.weight"].reshape(192, -1).T + state["patch_embed.proj.bias"]
    tokens = np.concatenate([state["cls_token"][0], embedded]) + state["pos_embed"][0]
    expected = block(tokens, of(state, "blocks.0."), 3)[1:]
    with mcore.no_grad():
        (got,) = net(mcore.from_numpy(x))
    np.testing.assert_allclose(pixels(got.numpy()), expected, **CLOSE)


def test_the_classifier_of_a_vision_transformer_reads_the_class_token():
    net, state = filled(vit_tiny_patch16_224(num_classes=5, image_size=32))
    x = draw(1, 3, 32, 32)
    seen = []
    net.blocks[-1].register_forward_hook(lambda module, args, result: seen.append(result.numpy()))

    got = run(net, x)

    token = seen[0][:, :, 0].astype(np.float64)
    np.testing.assert_allclose(got, linear(norm(token, state, "norm", 1e-6), state, "head"), **CLOSE)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_equal_embeddings_of_positions_stay_equal_at_other_sizes(dims):
    net, state = filled(vit_tiny_patch16_224(dims=dims, image_size=64, out_indices=[0]))
    blind = {"patch_embed.proj.weight": np.zeros_like(state["patch_embed.proj.weight"])}
    equal = {"pos_embed": np.tile(state["pos_embed"][:, :1], (1, 1 + 4**dims, 1))}
    net.load_state_dict({k: mcore.from_numpy(np.float32(v)) for k, v in {**state, **blind, **equal}.items()})

    with mcore.no_grad():
        (got,) = net(mcore.zeros(1, 3, *(48, 112, 80)[:dims]))

    seen = pixels(got.numpy())
    np.testing.assert_allclose(seen, np.tile(seen[:1], (len(seen), 1)), **CLOSE)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        # Counted at timm, where not in zoo.csv.
        ("vit_large_patch16_224", 304_326_632),
        ("vit_small_patch32_224", 22_878_952),
        ("vit_base_patch32_224", 88_224_232),
        ("vit_large_patch32_224", 306_535_400),
        ("deit_small_patch16_224", 22_050_664),
        ("deit_base_patch16_224", 86_567_656),
        ("swin_small_patch4_window7_224", 49_606_258),
        ("swin_base_patch4_window7_224", 87_768_224),
        ("swin_large_patch4_window7_224", 196_532_476),
    ],
)
def test_a_classifier_has_the_published_number_of_parameters(name, count):
    with mcore.device("meta"):
        net = models.create(name, num_classes=1000)

    assert parameters(net) == count


@pytest.mark.parametrize(
    ("name", "count", "entries"),
    [
        # Counted at segmentation-models' encoders.
        ("mit_b0", 3_319_392, 176),
        ("mit_b2", 24_196_288, 332),
        # Table 1 of the paper has them in millions: 13.1, 44.0, 60.8, 81.4.
        ("mit_b1", 13_151_424, 176),
        ("mit_b3", 44_072_128, 572),
        ("mit_b4", 60_842_688, 832),
        ("mit_b5", 81_443_008, 1052),
    ],
)
def test_a_mix_transformer_has_the_published_number_of_parameters(name, count, entries):
    with mcore.device("meta"):
        net = models.create(name)

    assert (parameters(net), len(net.state_dict())) == (count, entries)


def test_a_swins_files_have_timms_number_of_entries():
    with mcore.device("meta"):
        net = swin_tiny_patch4_window7_224(num_classes=1000)

    assert len(net.state_dict()) == 173


def test_a_mix_transformers_attributes_are_the_authors():
    first = [key for key in mit_b0().state_dict() if key.startswith("block1.0.") and key.endswith("weight")]

    layers = ["norm1", "attn.q", "attn.kv", "attn.proj", "attn.sr", "attn.norm"]
    layers += ["norm2", "mlp.fc1", "mlp.dwconv.dwconv", "mlp.fc2"]
    assert first == [f"block1.0.{layer}.weight" for layer in layers]


@given(h=st.integers(29, 80), w=st.integers(29, 80))
@settings(max_examples=8, deadline=None)
@pytest.mark.parametrize("make", [swin_tiny_patch4_window7_224, mit_b0])
def test_maps_of_any_size_are_divided_rounding_up(make, h, w):
    net = make(out_indices=[1, 4]).eval()

    with mcore.no_grad():
        maps = net(mcore.zeros(1, 3, h, w))

    assert [tuple(x.shape[2:]) for x in maps] == [(-(-h // s), -(-w // s)) for s in (4, 32)]


def test_the_blocks_of_a_vision_transformer_are_its_levels():
    net = models.create("vit_large_patch32_224", out_indices=[1])

    assert (len(net.blocks), len(net.levels), net.features) == (2, 24, [(1024, 32)])


def test_by_default_four_blocks_evenly_spaced_give_maps():
    assert vit_tiny_patch16_224().out_indices == (2, 5, 8, 11)


@trains
def test_frozen_stages_of_a_vision_transformer_hold_its_tokens_and_positions():
    net = vit_tiny_patch16_224(frozen_stages=1, out_indices=[2]).train()

    trained = {name.rpartition(".")[0].split(".norm")[0] for name, p in net.named_parameters() if p.requires_grad}

    assert {name[: len("blocks.1")] for name in trained} == {"blocks.1", "blocks.2"}


# What another library calls a part of block 1 in stage 1 (the second), and what we call it.
NAMES = {
    ("torchvision_vit", "vit_tiny_patch16_224"): {
        "class_token": "cls_token",
        "conv_proj.bias": "patch_embed.proj.bias",
        "encoder.pos_embedding": "pos_embed",
        "encoder.layers.encoder_layer_11.ln_1.bias": "blocks.11.norm1.bias",
        "encoder.layers.encoder_layer_11.self_attention.in_proj_weight": "blocks.11.attn.qkv.weight",
        "encoder.layers.encoder_layer_11.self_attention.in_proj_bias": "blocks.11.attn.qkv.bias",
        "encoder.layers.encoder_layer_11.self_attention.out_proj.weight": "blocks.11.attn.proj.weight",
        "encoder.layers.encoder_layer_11.ln_2.weight": "blocks.11.norm2.weight",
        "encoder.layers.encoder_layer_11.mlp.0.weight": "blocks.11.mlp.fc1.weight",
        "encoder.layers.encoder_layer_11.mlp.linear_2.weight": "blocks.11.mlp.fc2.weight",
        "encoder.ln.weight": "norm.weight",
        "heads.head.weight": "head.weight",
    },
    ("torchvision_swin", "swin_tiny_patch4_window7_224"): {
        "features.0.0.weight": "patch_embed.proj.weight",
        "features.0.2.weight": "patch_embed.norm.weight",
        "features.3.1.norm1.weight": "layers.1.blocks.1.norm1.weight",
        "features.3.1.attn.relative_position_bias_table": "layers.1.blocks.1.attn.relative_position_bias_table",
        "features.3.1.attn.qkv.weight": "layers.1.blocks.1.attn.qkv.weight",
        "features.3.1.mlp.0.weight": "layers.1.blocks.1.mlp.fc1.weight",
        "features.3.1.mlp.3.weight": "layers.1.blocks.1.mlp.fc2.weight",
        "features.2.reduction.weight": "layers.1.downsample.reduction.weight",
        "features.6.norm.bias": "layers.3.downsample.norm.bias",
        "norm.weight": "norm.weight",
        "head.weight": "head.fc.weight",
    },
    ("microsoft_swin", "swin_tiny_patch4_window7_224"): {
        "layers.0.downsample.reduction.weight": "layers.1.downsample.reduction.weight",
        "layers.2.downsample.norm.bias": "layers.3.downsample.norm.bias",
        "layers.1.blocks.1.attn.qkv.weight": "layers.1.blocks.1.attn.qkv.weight",
        "head.bias": "head.fc.bias",
    },
}


@pytest.mark.filterwarnings("ignore:.*keep their")
@pytest.mark.parametrize(("table", "name"), list(NAMES))
def test_files_of_other_libraries_load(table, name):
    names, net = NAMES[table, name], models.create(name, num_classes=3)
    state = net.state_dict()
    values = {theirs: mcore.full_like(state[ours], 0.5) for theirs, ours in names.items()}

    report = load_weights(net, {"state": values, "rename": table})

    assert report.unexpected == report.skipped == []
    assert all(float(net.state_dict()[ours].min()) == 0.5 for ours in names.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiHeadSelfAttention(12, 5), r"MultiHeadSelfAttention: heads=5 don't divide channels=12; 1, 2, 3"),
        (lambda: WindowAttention(8, 2, window=0), "WindowAttention: window=0 is not at least 1"),
        (lambda: SpatialReductionAttention(8, 2, reduction=0), "reduction=0 is not at least 1"),
        (lambda: vit_tiny_patch16_224(image_size=100), "image_size=100 is no multiple of the patch's 16"),
        (lambda: vit_tiny_patch16_224(out_indices=[12]), r"out_indices=\[12\] aren't some of 0"),
        (lambda: swin_tiny_patch4_window7_224(dims=4), "dims=4 is not 1, 2 or 3"),
        (lambda: swin_tiny_patch4_window7_224(out_indices=[0]), r"out_indices=\[0\] aren't some of 1"),
        (lambda: mit_b0(out_indices=[0]), r"mit_b0: out_indices=\[0\] aren't some of 1"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
