"""Attention blocks: arithmetic written again in numpy, names, sizes, refusals."""

import numpy as np
import pytest

import mcore
from models.attention import (
    BAM,
    CBAM,
    SCSE,
    AttentionGate,
    CoordinateAttention,
    CrissCross,
    ExternalAttention,
    GlobalContext,
    NonLocal,
    SplitAttention,
)
from tests.models.golden import _input, fill

# Single precision: sums of some hundred terms.
CLOSE = {"rtol": 0, "atol": 2e-5}


def filled(net):
    """`net` in eval mode with known weights, and those weights by name, with what broadcasts taken off."""
    state = {key: fill(key, tuple(map(int, value.shape)), 1.0) for key, value in net.state_dict().items()}
    net.load_state_dict({key: mcore.from_numpy(value) for key, value in state.items()})
    matrices = {k: v.reshape(v.shape[:2]) if v.ndim > 2 and v[0, 0].size == 1 else v for k, v in state.items()}
    return net.eval(), matrices


def call(net, *arrays):
    with mcore.no_grad():
        return net(*(mcore.from_numpy(array) for array in arrays)).numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis):
    x = np.exp(x - x.max(axis, keepdims=True))
    return x / x.sum(axis, keepdims=True)


def relu(x):
    return np.maximum(x, 0)


def normed(x, state, name):
    """The norm called `name` in eval mode, of (channels, ...)."""
    mean, variance, weight, bias = (
        state[f"{name}.{leaf}"].reshape(-1, *(1 for _ in x.shape[1:]))
        for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias


def linear(x, state, name):
    """The 1x1 convolution or linear layer called `name`, of (channels, ...)."""
    y = np.tensordot(state[f"{name}.weight"], x, axes=1)
    bias = state.get(f"{name}.bias")
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in x.shape[1:]))


def correlated(x, weight, dilation=1):
    """A convolution of (channels, h, w) that keeps the size."""
    out, _, k, _ = weight.shape
    margin = dilation * (k // 2)
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    h, w = x.shape[1:]
    y = np.zeros((out, h, w))
    for i in range(k):
        for j in range(k):
            at = padded[:, i * dilation : i * dilation + h, j * dilation : j * dilation + w]
            y += np.tensordot(weight[:, :, i, j], at, axes=1)
    return y


IMAGE, VOLUME = _input("attention", (1, 8, 5, 7)), _input("attention", (1, 8, 3, 4, 5))


def test_cbam_weighs_channels_then_pixels():
    net, state = filled(CBAM(8, reduction=4, kernel_size=3))
    (x,) = IMAGE.astype(np.float64)

    pooled = x.mean((1, 2)), x.max((1, 2))
    channels = sum(linear(relu(linear(p, state, "channel.fc1")), state, "channel.fc2") for p in pooled)
    weighed = x * sigmoid(channels)[:, None, None]
    pixels = correlated(np.stack([weighed.mean(0), weighed.max(0)]), state["spatial.conv.conv.weight"])
    expected = weighed * sigmoid(normed(pixels, state, "spatial.conv.bn"))

    np.testing.assert_allclose(call(net, IMAGE)[0], expected, **CLOSE)


def test_cbam_has_timms_names_and_number_of_parameters():
    net = CBAM(64)

    assert [name for name, _ in net.named_parameters()] == [
        "channel.fc1.weight",
        "channel.fc2.weight",
        "spatial.conv.conv.weight",
        "spatial.conv.bn.weight",
        "spatial.conv.bn.bias",
    ]
    assert sum(p.numel() for p in net.parameters()) == 2 * 64 * 4 + 2 * 49 + 2


@pytest.mark.parametrize("join", ["sum", "product"])
def test_bam_joins_channels_with_what_lies_around_a_pixel(join):
    net, state = filled(BAM(8, reduction=4, dilation=2, join=join))
    (x,) = IMAGE.astype(np.float64)

    inner = relu(normed(linear(x.mean((1, 2)), state, "channel_att.gate_c.gate_c_fc_0"), state, f"{C}_bn_1"))
    channels = linear(inner, state, "channel_att.gate_c.gate_c_fc_final")[:, None, None]
    y = relu(normed(linear(x, state, f"{S}_conv_reduce0"), state, f"{S}_bn_reduce0"))
    for number in range(2):
        y = correlated(y, state[f"{S}_conv_di_{number}.weight"], 2) + state[f"{S}_conv_di_{number}.bias"][:, None, None]
        y = relu(normed(y, state, f"{S}_bn_di_{number}"))
    pixels = linear(y, state, f"{S}_conv_final")
    joined = channels + pixels if join == "sum" else channels * pixels

    np.testing.assert_allclose(call(net, IMAGE)[0], x * (1 + sigmoid(joined)), **CLOSE)


C, S = "channel_att.gate_c.gate_c", "spatial_att.gate_s.gate_s"


def test_bam_trains_on_a_batch_of_one():
    net = BAM(8, reduction=4).train()

    assert tuple(net(mcore.from_numpy(IMAGE)).shape) == IMAGE.shape


def test_scse_adds_weighed_channels_and_weighed_pixels():
    net, state = filled(SCSE(8, reduction=4))
    (x,) = IMAGE.astype(np.float64)

    channels = sigmoid(linear(relu(linear(x.mean((1, 2)), state, "cSE.1")), state, "cSE.3"))
    pixels = sigmoid(linear(x, state, "sSE.0"))

    np.testing.assert_allclose(call(net, IMAGE)[0], x * channels[:, None, None] + x * pixels, **CLOSE)


def test_scse_has_the_names_of_segmentation_models():
    keys = [f"{name}.{leaf}" for name in ("cSE.1", "cSE.3", "sSE.0") for leaf in ("weight", "bias")]

    assert list(SCSE(16).state_dict()) == keys


@pytest.mark.parametrize("x", [IMAGE, VOLUME], ids=["2d", "3d"])
def test_coordinate_attention_weighs_by_a_number_for_each_axis(x):
    dims = x.ndim - 2
    net, state = filled(CoordinateAttention(8, reduced=4, dims=dims))
    (expected,) = x.astype(np.float64)

    for axis, letter in enumerate("dhw"[-dims:], start=1):
        means = x[0].astype(np.float64).mean(tuple(other for other in range(1, dims + 1) if other != axis))
        inner = normed(linear(means, state, "conv1"), state, "bn1")
        weights = sigmoid(linear(inner * np.clip(inner + 3, 0, 6) / 6, state, f"conv_{letter}"))
        expected = expected * weights.reshape(8, *(-1 if other == axis else 1 for other in range(1, dims + 1)))

    np.testing.assert_allclose(call(net, x)[0], expected, **CLOSE)


def test_coordinate_attention_has_the_authors_names():
    names = {name.partition(".")[0] for name in CoordinateAttention(64).state_dict()}

    assert names == {"conv1", "bn1", "conv_h", "conv_w"}


@pytest.mark.parametrize("fuse", ["add", "scale", "both"])
def test_global_context_adds_or_scales_by_the_mean_that_is_attended_to(fuse):
    net, state = filled(GlobalContext(8, reduction=2, fuse=fuse))
    (x,) = IMAGE.astype(np.float64)

    weights = softmax(linear(x, state, "conv_attn").ravel(), 0)
    context = x.reshape(8, -1) @ weights

    def mlp(name):
        y = linear(context, state, f"{name}.fc1")
        y = (y - y.mean()) / np.sqrt(y.var() + 1e-6) * state[f"{name}.norm.weight"] + state[f"{name}.norm.bias"]
        return linear(relu(y), state, f"{name}.fc2")[:, None, None]

    scaled = x if fuse == "add" else x * sigmoid(mlp("mlp_scale"))
    expected = scaled if fuse == "scale" else scaled + mlp("mlp_add")

    np.testing.assert_allclose(call(net, IMAGE)[0], expected, **CLOSE)


@pytest.mark.parametrize("pairing", ["gaussian", "embedded", "dot", "concat"])
@pytest.mark.parametrize("x", [IMAGE, VOLUME], ids=["2d", "3d"])
def test_non_local_adds_a_mean_of_all_pixels_weighed_in_pairs(x, pairing):
    net, state = filled(NonLocal(8, pairing=pairing, dims=x.ndim - 2))
    flat = x[0].reshape(8, -1).astype(np.float64)
    pixels = flat.shape[1]
    theta, phi = flat, flat
    if pairing != "gaussian":
        theta, phi = linear(flat, state, "theta.conv"), linear(flat, state, "phi.conv")

    if pairing == "concat":
        sides = np.concatenate([np.repeat(theta, pixels, axis=1), np.tile(phi, pixels)])
        weights = relu(linear(sides, state, "concat_project.conv")).reshape(pixels, pixels) / pixels
    else:
        weights = theta.T @ phi
        if pairing == "dot":
            weights = weights / pixels
        else:
            weights = softmax(weights / (1 if pairing == "gaussian" else np.sqrt(4)), 1)
    y = (weights @ linear(flat, state, "g.conv").T).T
    expected = flat + linear(y, state, "conv_out.conv")

    got = call(net, x)[0].reshape(8, -1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_non_local_attends_to_a_quarter_of_the_pixels_where_it_subsamples():
    net, state = filled(NonLocal(8, pairing="dot", subsample=True, scaled=False))
    (x,) = IMAGE.astype(np.float64)

    def pooled(y):
        y = np.pad(y, ((0, 0), (0, 1), (0, 1)), constant_values=-np.inf)
        return y.reshape(4, 3, 2, 4, 2).max((2, 4)).reshape(4, -1)

    phi, g = pooled(linear(x, state, "phi.0.conv")), pooled(linear(x, state, "g.0.conv"))
    y = linear(x, state, "theta.conv").reshape(4, -1).T @ phi / 12 @ g.T
    expected = x + linear(y.T.reshape(4, 5, 7), state, "conv_out.conv")

    np.testing.assert_allclose(call(net, IMAGE)[0], expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def on_lines(place, shape):
    """Every place on a line through `place` along an axis, each once."""
    return [other for other in np.ndindex(*shape) if sum(a != b for a, b in zip(place, other, strict=True)) <= 1]


@pytest.mark.parametrize("x", [IMAGE, VOLUME], ids=["2d", "3d"])
def test_criss_cross_adds_a_mean_of_the_lines_through_a_pixel(x):
    net, state = filled(CrissCross(8, reduction=2, recurrence=1, dims=x.ndim - 2))
    image = x[0].astype(np.float64)
    queries, keys, values = (linear(image, state, f"{name}_conv") for name in ("query", "key", "value"))

    expected = image.copy()
    for place in np.ndindex(*image.shape[1:]):
        others = on_lines(place, image.shape[1:])
        weights = softmax(np.array([queries[:, *place] @ keys[:, *other] for other in others]), 0)
        mean = sum(weight * values[:, *other] for weight, other in zip(weights, others, strict=True))
        expected[:, *place] += state["gamma"] * mean

    np.testing.assert_allclose(call(net, x)[0], expected, **CLOSE)


def test_criss_cross_twice_is_two_passes_with_the_same_weights():
    once, _ = filled(CrissCross(8, recurrence=1))
    twice, _ = filled(CrissCross(8, recurrence=2))

    np.testing.assert_allclose(call(twice, IMAGE), call(once, call(once, IMAGE)), **CLOSE)


def test_external_attention_attends_to_its_memory():
    net, state = filled(ExternalAttention(8, memory=6))
    flat = IMAGE[0].reshape(8, -1).astype(np.float64)

    weights = softmax(linear(linear(flat, state, "conv1"), state, "linear_0"), 1)
    weights = weights / weights.sum(0)
    y = normed(linear(linear(weights, state, "linear_1"), state, "conv2.0"), state, "conv2.1")

    np.testing.assert_allclose(call(net, IMAGE)[0].reshape(8, -1), relu(flat + y), **CLOSE)


def test_an_attention_gate_weighs_pixels_by_what_comes_from_below():
    net, state = filled(AttentionGate(8, 3, between=4, resized=False))
    gate = _input("gate", (1, 3, 5, 7))

    said, own = (
        normed(linear(array[0].astype(np.float64), state, f"W_{name}.0"), state, f"W_{name}.1")
        for name, array in (("g", gate), ("x", IMAGE))
    )
    weights = sigmoid(normed(linear(relu(said + own), state, "psi.0"), state, "psi.1"))

    np.testing.assert_allclose(call(net, IMAGE, gate)[0], IMAGE[0] * weights, **CLOSE)


def test_an_attention_gate_takes_a_coarser_map():
    net = AttentionGate(8, 3).eval()

    assert call(net, IMAGE, _input("gate", (1, 3, 2, 3))).shape == IMAGE.shape


@pytest.mark.parametrize(
    "net",
    [
        GlobalContext(8, zero_init=True),
        NonLocal(8, zero_init=True),
        NonLocal(8, zero_init=True, norm="batch"),
        CrissCross(8, zero_init=True),
    ],
    ids=["GlobalContext", "NonLocal", "NonLocal-norm", "CrissCross"],
)
def test_a_block_of_zero_init_starts_as_the_identity(net):
    np.testing.assert_array_equal(call(net.eval(), IMAGE), IMAGE)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CBAM(8, kernel_size=4), "CBAM: kernel_size=4 is not odd"),
        (lambda: CBAM(8, dims=4), "CBAM: dims=4 is not 1, 2 or 3"),
        (lambda: SCSE(8, dims=0), "SCSE: dims=0 is not 1, 2 or 3"),
        (lambda: SplitAttention(8, kernel_size=2), "SplitAttention: kernel_size=2 is not odd"),
        (lambda: BAM(8, join="both"), "BAM: join='both' is not one of 'sum', 'product'"),
        (lambda: GlobalContext(8, fuse="all"), "GlobalContext: fuse='all' is not one of 'add', 'scale', 'both'"),
        (lambda: GlobalContext(8, pool="max"), "GlobalContext: pool='max' is not one of 'attention', 'mean'"),
        (lambda: GlobalContext(8, fuse="both", zero_init=True), "GlobalContext: zero_init=True gives the identity"),
        (lambda: NonLocal(8, pairing="softmax"), "NonLocal: pairing='softmax' is not one of 'gaussian'"),
        (lambda: CrissCross(8, recurrence=0), "CrissCross: recurrence=0 is not 1 or more"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_by_name(build, message):
    with pytest.raises(ValueError, match=message):
        build()
