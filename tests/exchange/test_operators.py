"""Operators of files on the torch engine against ONNX Runtime: sizes, attributes and operator sets drawn at random."""

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from mcore.exchange.onnx_torch import OnnxModule

# One operator in float32, whose sums are taken in another order.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
SEEDS = range(12)


class Draw:
    """Random arrays and choices of one seed."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def floats(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def one(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def ints(self, low, high, count):
        return [int(n) for n in self.rng.integers(low, high + 1, count)]

    def int(self, low, high):
        return self.ints(low, high, 1)[0]


def model_of(op, arrays, opset, constants, outputs, attributes):
    names = ["" if a is None else f"i{k}" for k, a in enumerate(arrays)]
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], name="it", **attributes)
    fed = [k for k, a in enumerate(arrays) if a is not None and k not in constants]
    inputs = [
        helper.make_tensor_value_info(names[k], helper.np_dtype_to_tensor_dtype(arrays[k].dtype), arrays[k].shape)
        for k in fed
    ]
    held = [numpy_helper.from_array(np.array(arrays[k]), names[k]) for k in constants if arrays[k] is not None]
    graph = helper.make_graph([node], "g", inputs, [helper.make_empty_tensor_value_info(n) for n in node.output], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), fed


def assert_as_the_runtime(op, arrays, opset=21, *, constants=(), outputs=1, close=CLOSE, **attributes):
    """Compares, unless the runtime refuses to run what was drawn; whether it was compared."""
    model, fed = model_of(op, arrays, opset, constants, outputs, attributes)
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        wanted = session.run(None, {f"i{k}": arrays[k] for k in fed})
    except Exception:  # the runtime has no class of its own
        return False
    for info, array in zip(model.graph.output, wanted, strict=True):
        info.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    got = OnnxModule(model)(*(torch.from_numpy(arrays[k].copy()) for k in fed))
    for one, other in zip(got if outputs > 1 else (got,), wanted, strict=True):
        assert tuple(one.shape) == other.shape, (op, attributes)
        np.testing.assert_allclose(one.detach().numpy(), other, **close, err_msg=f"{op}-{opset} {attributes}")
    return True


def windows(draw, *, transposed=False):
    """Sizes and attributes of a convolution or a pool."""
    dims = draw.int(1, 3)
    how = draw.one("NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    kernel = draw.ints(1, 3, dims)
    said = {"kernel_shape": kernel, "strides": draw.ints(1, 3, dims), "auto_pad": how}
    dilations = draw.ints(1, 2, dims) if how in ("NOTSET", "VALID") else [1] * dims
    if how == "NOTSET":
        said["pads"] = draw.ints(0, 2, 2 * dims) if transposed else [draw.int(0, k - 1) for k in kernel * 2]
    return draw.ints(6, 9, dims), said, dilations


@pytest.mark.parametrize("seed", SEEDS)
def test_convolutions_are_padded_as_the_runtime_pads_them(seed):
    draw = Draw(seed)
    sizes, said, dilations = windows(draw)
    groups = draw.one(1, 2)
    weight = draw.floats(6, 4 // groups, *said["kernel_shape"])

    assert assert_as_the_runtime(
        "Conv", [draw.floats(2, 4, *sizes), weight, draw.floats(6)], 11, constants=(1, 2), group=groups,
        dilations=dilations, **said,
    )  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("asked", ["pads", "output_padding", "output_shape"])
def test_transposed_convolutions_reach_the_size_that_the_runtime_reaches(seed, asked):
    draw = Draw(seed)
    sizes, said, dilations = windows(draw, transposed=True)
    if asked == "output_padding":
        said["output_padding"] = [draw.int(0, s - 1) for s in said["strides"]]
    if asked == "output_shape":
        said["output_shape"] = [(n - 1) * s + draw.int(1, 2) for n, s in zip(sizes, said["strides"], strict=True)]
        said.pop("pads", None)
    weight = draw.floats(4, 3, *said["kernel_shape"])
    arrays = [draw.floats(2, 4, *sizes), weight, draw.floats(6)]

    compared = assert_as_the_runtime(
        "ConvTranspose", arrays, 11, constants=(1, 2), group=2, dilations=dilations, **said
    )

    assert compared or asked == "output_shape"


@pytest.mark.parametrize("seed", range(30))
def test_pools_take_the_windows_that_the_runtime_takes(seed):
    draw = Draw(seed)
    sizes, said, dilations = windows(draw)
    x = draw.floats(2, 3, *sizes)
    ceil = {"ceil_mode": draw.one(0, 1)} if said["auto_pad"] == "NOTSET" else {}
    spread = {"dilations": dilations} if said["auto_pad"] == "NOTSET" else {}

    compared = [assert_as_the_runtime("LpPool", [x], 18, p=draw.int(1, 3), **said)]
    compared += [assert_as_the_runtime("MaxPool", [x], 12, outputs=draw.int(1, 2), **said, **ceil, **spread)]
    for opset in (11, 19, 22):
        counted = {"count_include_pad": draw.one(0, 1)}
        compared += [assert_as_the_runtime("AveragePool", [x], opset, **said, **ceil, **counted)]

    assert any(compared)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_pools_take_everything(op):
    assert assert_as_the_runtime(op, [Draw(0).floats(2, 3, 4, 5)])


MODES = {
    "nearest": [{"nearest_mode": how} for how in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")],
    "linear": [{}, {"antialias": 1}],
    "cubic": [{}, {"cubic_coeff_a": -0.5}, {"exclude_outside": 1}, {"antialias": 1}],
}
COORDINATES = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("seed", range(4))
def test_resizing_lies_where_the_runtime_lays_it(mode, coordinates, seed):
    draw = Draw(seed)
    rank = 4 if mode == "cubic" else draw.int(3, 5)
    x, none = draw.floats(1, 2, *draw.ints(2, 7, rank - 2)), np.zeros(0, np.float32)
    opset = 19 if coordinates == "half_pixel_symmetric" else draw.one(13, 18, 19)
    # A place between two elements is a matter of the last digit.
    scale = 2.0 if coordinates in ("half_pixel_symmetric", "align_corners") else draw.one(0.5, 0.6, 1.5, 2.3, 3.0)
    compared = []
    for extra in MODES[mode]:
        said = {"mode": mode, "coordinate_transformation_mode": coordinates, **extra}
        if "antialias" in extra and (opset < 18 or coordinates != "half_pixel"):
            continue
        scales = np.array([1, 1, *[scale] * (rank - 2)], np.float32)
        compared.append(assert_as_the_runtime("Resize", [x, none, scales], opset, constants=(1, 2), **said))
        if coordinates != "half_pixel_symmetric":
            sizes = np.array([1, 2, *draw.ints(1, 12, rank - 2)], np.int64)
            compared.append(assert_as_the_runtime("Resize", [x, none, None, sizes], opset, constants=(1, 3), **said))

    assert any(compared)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scales", [(2.0, 3.0), (1.0, 2.5), (1.7, 1.0)])
def test_files_of_old_operator_sets_are_resized_as_they_meant_it(mode, scales):
    x, scales = Draw(0).floats(1, 2, 4, 5), [1.0, 1.0, *scales]

    assert assert_as_the_runtime("Resize", [x, np.array(scales, np.float32)], 10, constants=(1,), mode=mode)
    assert assert_as_the_runtime("Upsample", [x, np.array(scales, np.float32)], 9, constants=(1,), mode=mode)
    assert assert_as_the_runtime("Upsample", [x], 7, mode=mode, scales=scales)


@pytest.mark.parametrize("seed", range(30))
def test_padding_and_cutting_give_what_the_runtime_gives(seed):
    draw = Draw(seed)
    rank = draw.int(1, 5)
    x = draw.floats(*draw.ints(3, 5, rank))
    mode, pads, value = draw.one("constant", "reflect", "edge", "wrap"), draw.ints(-1, 2, 2 * rank), np.float32(2.0)
    ends = [draw.one(n, 2**31 - 1, 2**63 - 1, -(2**63)) for n in draw.ints(-6, 6, rank)]
    starts, steps = draw.ints(-6, 6, rank), [draw.one(1, 2, -1, -2) for _ in range(rank)]
    cut = [np.array(v, np.int64) for v in (starts, ends, range(rank), steps)]

    compared = [assert_as_the_runtime("Slice", [x, *cut], 13, constants=(1, 2, 3, 4))]
    compared += [assert_as_the_runtime("Slice", [x], 9, starts=starts, ends=draw.ints(-6, 6, rank))]
    if mode != "wrap":
        compared += [assert_as_the_runtime("Pad", [x], 10, mode=mode, pads=pads, value=1.5)]
    given = [x, np.array(pads, np.int64), np.array(value)]
    compared += [assert_as_the_runtime("Pad", given, 19, constants=draw.one((1,), (1, 2)), mode=mode)]

    assert sum(compared) >= 2


@pytest.mark.parametrize("seed", SEEDS)
def test_reductions_and_orders_mean_what_their_operator_set_says(seed):
    draw = Draw(seed)
    rank = draw.int(2, 4)
    x = draw.floats(*draw.ints(3, 5, rank))
    axes, keep = sorted({axis % rank for axis in draw.ints(0, rank - 1, 2)}), draw.one(0, 1)

    for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceLogSumExp", "ReduceL1", "ReduceL2", "ReduceProd"):
        assert assert_as_the_runtime(op, [x], 13, axes=axes, keepdims=keep)
        assert assert_as_the_runtime(op, [x, np.array(axes)], 18, constants=(1,), keepdims=keep)
    for op, version in (("Softmax", 9), ("Softmax", 13), ("LogSoftmax", 9), ("Hardmax", 13), ("Flatten", 13)):
        assert assert_as_the_runtime(op, [x], version, axis=draw.int(0, rank - 1))
    coarse = np.round(x)  # with ties
    assert assert_as_the_runtime(
        "TopK", [coarse, np.array([2])], 11, constants=(1,), outputs=2, axis=-1, largest=draw.one(0, 1)
    )
    assert assert_as_the_runtime("ArgMax", [coarse], 13, axis=draw.int(-rank, rank - 1), select_last_index=keep)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_turn_their_gates_as_the_runtime_does(op, seed):
    draw = Draw(seed)
    time, batch, features, hidden = draw.ints(2, 4, 4)
    way = draw.one("forward", "reverse", "bidirectional")
    both, gates = 2 if way == "bidirectional" else 1, {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    x, state = draw.floats(time, batch, features), draw.floats(both, batch, hidden)
    w, r = draw.floats(both, gates * hidden, features), draw.floats(both, gates * hidden, hidden)
    bias = draw.one(None, draw.floats(both, 2 * gates * hidden))
    lengths = draw.one(None, np.array(draw.ints(1, time, batch), np.int32))
    arrays = [x, w, r, bias, lengths, state]
    said = {"hidden_size": hidden, "direction": way, **draw.one({}, {"clip": 0.5})}
    if op == "LSTM":
        arrays += [draw.floats(both, batch, hidden), draw.one(None, draw.floats(both, 3 * hidden))]
        said |= draw.one({}, {"activations": ["HardSigmoid", "Relu", "Tanh"] * both})
    if op == "GRU":
        said["linear_before_reset"] = draw.one(0, 1)

    assert assert_as_the_runtime(op, arrays, 14, outputs=3 if op == "LSTM" else 2, **said)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scattering_reduces_as_the_runtime_does(reduction):
    draw = Draw(0)
    places = draw.rng.permutation(12)[:5]
    rows = draw.rng.permutation(3)[:2, None] - 3 if reduction == "none" else draw.rng.integers(-3, 3, (2, 1))
    index = np.repeat(rows, 3, axis=1)

    where = np.stack([places // 4, places % 4], -1)
    assert assert_as_the_runtime("ScatterND", [draw.floats(3, 4, 2), where, draw.floats(5, 2)], 18, reduction=reduction)
    arrays = [draw.floats(3, 4), index, draw.floats(2, 3)]
    assert assert_as_the_runtime("ScatterElements", arrays, 18, axis=0, reduction=reduction)


@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("border", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
def test_grids_are_sampled_as_the_runtime_samples_them(mode, border, corners):
    draw = Draw(3)

    assert assert_as_the_runtime(
        "GridSample", [draw.floats(1, 2, 5, 6), draw.floats(1, 3, 4, 2)], 20, mode=mode, padding_mode=border,
        align_corners=corners,
    )  # fmt: skip


@pytest.mark.parametrize("centred", [0, 1])
def test_boxes_are_suppressed_in_the_runtimes_order(centred):
    draw = Draw(1)
    boxes, scores = np.abs(draw.floats(2, 8, 4)), np.abs(draw.floats(2, 3, 8))
    limits = [np.array([2]), np.array([0.3], np.float32), np.array([0.4], np.float32)]

    assert assert_as_the_runtime(
        "NonMaxSuppression", [boxes, scores, *limits], 11, constants=(2, 3, 4), center_point_box=centred
    )


def test_arithmetic_of_integers_truncates_and_follows_the_divisor():
    a, b = np.arange(-9, 9, dtype=np.int32), np.array([1, 2, 3, 4, -2, -5] * 3, np.int32)

    assert assert_as_the_runtime("Div", [a, b], 13)
    assert assert_as_the_runtime("Mod", [a, b], 13)
    assert assert_as_the_runtime("Mod", [a.astype(np.float32), b.astype(np.float32)], 13, fmod=1)
    assert assert_as_the_runtime("Pow", [np.abs(a), np.full(18, 2.0, np.float32)], 13)


def test_products_are_scaled_turned_and_added_to():
    draw = Draw(0)

    assert assert_as_the_runtime(
        "Gemm", [draw.floats(4, 3), draw.floats(3, 5), draw.floats(4, 1)], 13, alpha=0.5, beta=2.0
    )
    assert assert_as_the_runtime("Gemm", [draw.floats(3, 4), draw.floats(5, 3), draw.floats(5)], 13, transA=1, transB=1)
    assert assert_as_the_runtime("Einsum", [draw.floats(2, 3, 4), draw.floats(2, 5, 4)], 13, equation="bic,bjc->bij")


def test_numbers_of_few_bits_are_rounded_as_the_runtime_rounds_them():
    draw = Draw(0)
    q, w = draw.rng.integers(0, 255, (1, 3, 5, 5)), draw.rng.integers(-127, 127, (2, 3, 3, 3))
    scalar = lambda v, kind=np.float32: np.array(v, kind)  # noqa: E731  # short for a table of arguments

    zeros = draw.rng.integers(0, 255, 4).astype(np.uint8)
    assert assert_as_the_runtime("QuantizeLinear", [50 * draw.floats(3, 4), np.abs(draw.floats(4)) + 0.01, zeros], 13)
    arrays = [
        q.astype(np.uint8), scalar(0.02), scalar(100, np.uint8), w.astype(np.int8), np.array([0.01, 0.03], np.float32),
        np.zeros(2, np.int8), scalar(0.3), scalar(120, np.uint8), np.array([300, -200], np.int32),
    ]  # fmt: skip
    # The last bit may round the other way.
    assert assert_as_the_runtime("QLinearConv", arrays, 10, constants=(3, 4, 5, 8), close={"rtol": 0, "atol": 1})


def test_random_operators_draw_with_the_odds_that_are_given():
    nodes = [helper.make_node("Bernoulli", ["p"], ["y"])]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4000]) for name in "py"]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:])
    module = OnnxModule(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)]))

    drawn = module(torch.full((4000,), 0.25))

    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert abs(float(drawn.mean()) - 0.25) < 0.05  # seven deviations
