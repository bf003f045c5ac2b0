"""Windows: sizes and numbers of convolutions, pooling and resizing at other sizes than the recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mcore.platform import dtypes, session
from mcore.platform.graph import Recorder
from mcore.platform.tensor import CPU, Tensor
from mcore.platform.words import adaptive, convolution, grid, normalization, pooling, rearrange, resize

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ranks = st.integers(1, 3)
kernels, strides, dilations = st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)
# torch adds in another order; windows here hold at most 64 * 4 numbers of size about 1.
SUMS = {"rtol": 1e-5, "atol": 2e-5}


def numbers(shape, seed=0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def recorded(function, arrays):
    """`function` recorded with every axis symbolic: how to run it, its shapes, what it fixed."""
    with Recorder(bake_state=False, exporting=True) as recorder:
        inputs = []
        for k, array in enumerate(arrays):
            names = {axis: f"i{k}_{axis}" for axis in range(array.ndim)}
            value = recorder.input(array, dtypes.from_numpy(array.dtype), names)
            inputs.append(Tensor._recorded(recorder, value, recorder.types[value], recorder.shapes[value]))
        values = [tensor._value for tensor in inputs]
        result = function(*inputs)
        results = list(result) if isinstance(result, tuple) else [result]
        built = session.Session(recorder, [recorder.use(r) for r in results], CPU)

    def run(arrays):
        return built.run({**recorder.feeds, **dict(zip(values, arrays, strict=True))})

    return run, [tuple(int(s) for s in r.shape) for r in results], recorded_facts(recorder)


def recorded_facts(recorder) -> dict:
    return {
        "fixed": [text for text, _ in recorder.guards],
        "ops": [n[0] for n in recorder.nodes if n[0][0] != "@"],
    }


def assert_right_at_both_sizes(function, reference, first, second, **tolerance):
    """The graph recorded at `first` gives torch's shapes and numbers at `first` and at `second`."""
    run, shapes, facts = recorded(function, first)
    for arrays in (first, second):
        want = reference(*[torch.from_numpy(a) for a in arrays])
        want = list(want) if isinstance(want, tuple) else [want]
        got = run(arrays)
        if arrays is first:
            assert shapes == [tuple(w.shape) for w in want]
        for mine, theirs in zip(got, want, strict=True):
            assert mine.shape == tuple(theirs.shape)
            np.testing.assert_allclose(mine, theirs.numpy(), **tolerance)
    assert facts["fixed"] == []


@st.composite
def two_sizes(draw, rank, smallest):
    """Two spatial shapes, none smaller than what the window needs."""
    axis = st.integers(smallest, smallest + 9)
    return tuple(draw(axis) for _ in range(rank)), tuple(draw(axis) for _ in range(rank))


@few
@given(st.data(), ranks, kernels, strides, dilations, st.sampled_from((0, 1, 2, "same", "valid")), st.booleans())
def test_a_convolution_is_right_at_every_size(data, rank, kernel, stride, dilation, padding, grouped):
    assume(padding != "same" or stride == 1)
    first, second = data.draw(two_sizes(rank, dilation * (kernel - 1) + 1))
    groups, weight = (2 if grouped else 1), numbers((4, 4 // (2 if grouped else 1), *(kernel,) * rank), 1)
    word, reference = getattr(convolution, f"conv{rank}d"), getattr(F, f"conv{rank}d")

    assert_right_at_both_sizes(
        lambda x: word(x, Tensor._of(weight), None, stride, padding, dilation, groups),
        lambda x: reference(x, torch.from_numpy(weight), None, stride, padding, dilation, groups),
        [numbers((2, 4, *first))], [numbers((1, 4, *second))], **SUMS,
    )  # fmt: skip


@few
@given(st.data(), ranks, kernels, strides, dilations, st.integers(0, 2), st.integers(0, 3))
def test_a_transposed_convolution_is_right_at_every_size(data, rank, kernel, stride, dilation, padding, extra):
    assume(extra < max(stride, dilation) and padding <= dilation * (kernel - 1) // 2)
    first, second = data.draw(two_sizes(rank, 2))
    weight = numbers((4, 3, *(kernel,) * rank), 1)
    word, reference = getattr(convolution, f"conv_transpose{rank}d"), getattr(F, f"conv_transpose{rank}d")

    assert_right_at_both_sizes(
        lambda x: word(x, Tensor._of(weight), None, stride, padding, extra, 1, dilation),
        lambda x: reference(x, torch.from_numpy(weight), None, stride, padding, extra, 1, dilation),
        [numbers((2, 4, *first))], [numbers((1, 4, *second))], **SUMS,
    )  # fmt: skip


@few
@given(st.data(), ranks, kernels, strides, dilations, st.booleans(), st.booleans())
def test_a_maximum_is_right_at_every_size_and_says_where_it_stood(data, rank, kernel, stride, dilation, ceil, indices):
    padding = data.draw(st.integers(0, kernel // 2))
    first, second = data.draw(two_sizes(rank, dilation * (kernel - 1) + 1))
    options = {"ceil_mode": ceil, "return_indices": indices}
    word, reference = getattr(pooling, f"max_pool{rank}d"), getattr(F, f"max_pool{rank}d")

    assert_right_at_both_sizes(
        lambda x: word(x, kernel, stride, padding, dilation, **options),
        lambda x: reference(x, kernel, stride, padding, dilation, **options),
        [numbers((2, 3, *first)).round(1)], [numbers((1, 3, *second)).round(1)], rtol=0, atol=0,
    )  # fmt: skip


@few
@given(st.data(), ranks, kernels, strides, st.booleans(), st.booleans(), st.sampled_from((None, 1, 5)))
def test_a_mean_is_right_at_every_size(data, rank, kernel, stride, ceil, include, divisor):
    padding = data.draw(st.integers(0, kernel // 2))
    first, second = data.draw(two_sizes(rank, kernel))
    rest = (kernel, stride, padding, ceil, include, *((divisor,) if rank > 1 else ()))
    word, reference = getattr(pooling, f"avg_pool{rank}d"), getattr(F, f"avg_pool{rank}d")

    assert_right_at_both_sizes(
        lambda x: word(x, *rest), lambda x: reference(x, *rest),
        [numbers((2, 3, *first))], [numbers((1, 3, *second))], rtol=1e-5, atol=1e-5,
    )  # fmt: skip


@few
@given(st.data(), ranks, st.booleans())
def test_adaptive_pooling_is_right_at_every_size_also_where_sizes_do_not_divide(data, rank, indices):
    first, second = data.draw(two_sizes(rank, 1))
    sizes = tuple(data.draw(st.integers(1, 12)) for _ in range(rank))
    arrays = [numbers((2, 3, *first))], [numbers((1, 3, *second))]

    assert_right_at_both_sizes(
        lambda x: getattr(adaptive, f"adaptive_avg_pool{rank}d")(x, sizes),
        lambda x: getattr(F, f"adaptive_avg_pool{rank}d")(x, sizes), *arrays, rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    assert_right_at_both_sizes(
        lambda x: getattr(adaptive, f"adaptive_max_pool{rank}d")(x, sizes, indices),
        lambda x: getattr(F, f"adaptive_max_pool{rank}d")(x, sizes, return_indices=indices),
        *arrays, rtol=0, atol=0,
    )  # fmt: skip


@few
@given(
    st.data(),
    ranks,
    st.sampled_from(("nearest", "nearest-exact", "linear", "bicubic", "area")),
    st.booleans(),
)
def test_resizing_to_another_tensors_size_is_right_at_every_size(data, rank, mode, antialias):
    assume(mode != "bicubic" or rank == 2)
    antialias = antialias and rank == 2 and mode in ("linear", "bicubic")
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank] if mode == "linear" else mode
    # torch's antialias is wrong where an image one pixel wide keeps its width (its own bilinear
    # upsampling differs).
    smallest = 2 if antialias else 1
    (a, b), (c, d) = data.draw(two_sizes(rank, smallest)), data.draw(two_sizes(rank, smallest))
    options = {"mode": mode, "antialias": antialias}

    assert_right_at_both_sizes(
        lambda x, like: resize.interpolate(x, size=like.shape[2:], **options),
        lambda x, like: F.interpolate(x, size=like.shape[2:], **options),
        [numbers((2, 3, *a)), numbers((1, 1, *b))], [numbers((1, 3, *c)), numbers((2, 1, *d))],
        rtol=1e-5, atol=2e-5,
    )  # fmt: skip


@few
@given(st.data(), ranks, st.sampled_from(("nearest", "nearest-exact", "linear")),
       st.one_of(st.sampled_from((0.25, 0.5, 1.5, 2, 3, 4.0)), st.floats(0.3, 4)))  # fmt: skip
def test_resizing_by_a_factor_reads_positions_by_that_factor_at_every_size(data, rank, mode, factor):
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[rank] if mode == "linear" else mode
    first, second = data.draw(two_sizes(rank, 4))
    options = {"scale_factor": factor, "mode": mode}

    assert_right_at_both_sizes(
        lambda x: resize.interpolate(x, **options), lambda x: F.interpolate(x, **options),
        [numbers((2, 3, *first))], [numbers((1, 3, *second))], rtol=1e-5, atol=2e-5,
    )  # fmt: skip


@few
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(1, 3))
def test_windows_unfold_and_fold_back_at_every_size(data, kernel, dilation, padding, stride):
    first, second = data.draw(two_sizes(2, dilation * (kernel - 1) + 1))
    rest = (kernel, dilation, padding, stride)

    def word(x):
        windows = rearrange.unfold(x, *rest)
        return windows, rearrange.fold(windows, x.shape[2:], *rest)

    def reference(x):
        windows = F.unfold(x, *rest)
        return windows, F.fold(windows, x.shape[2:], *rest)

    assert_right_at_both_sizes(word, reference, [numbers((2, 3, *first))], [numbers((1, 3, *second))], **SUMS)


@pytest.mark.parametrize("window", [lambda x: x.shape[2:], lambda x: (x.shape[2], 1), lambda x: (2, x.shape[3])])
def test_a_window_of_the_inputs_own_size_stays_right_at_other_sizes(window):
    first, second = [numbers((2, 3, 9, 8))], [numbers((1, 3, 5, 7))]

    run, _, facts = recorded(lambda x: pooling.avg_pool2d(x, window(x)), first)

    assert facts["fixed"] == []
    for arrays in (first, second):
        x = torch.from_numpy(arrays[0])
        np.testing.assert_allclose(run(arrays)[0], F.avg_pool2d(x, tuple(window(x))).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("align", "rank"), [(False, 2), (True, 2), (False, 3), (True, 3)])
def test_an_affine_grid_of_another_tensors_size_is_right_at_every_size_also_of_one_pixel(align, rank):
    maps = numbers((2, rank, rank + 1))
    first, second = numbers((2, 1, 6, 5, 4)[: rank + 2]), numbers((2, 3, 1, 8, 1)[: rank + 2])

    assert_right_at_both_sizes(
        lambda theta, x: grid.affine_grid(theta, x.shape, align),
        lambda theta, x: F.affine_grid(theta, x.shape, align),
        [maps, first], [maps, second], rtol=1e-5, atol=1e-6,
    )  # fmt: skip


def test_layer_norm_over_open_sizes_is_right_at_every_size():
    assert_right_at_both_sizes(
        lambda x: normalization.layer_norm(x, x.shape[1:]), lambda x: F.layer_norm(x, x.shape[1:]),
        [numbers((2, 3, 4))], [numbers((3, 5, 6))], rtol=1e-5, atol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("function", "shape", "ops"),
    [
        (lambda x: resize.interpolate(x, scale_factor=2), (1, 2, 4, 4), ["Resize"]),
        (lambda x: resize.interpolate(x, scale_factor=2, mode="bilinear"), (1, 2, 4, 4), ["Resize"]),
        (lambda x: adaptive.adaptive_avg_pool2d(x, 1), (1, 2, 4, 4), ["ReduceMean"]),
        (lambda x: adaptive.adaptive_avg_pool2d(x, (None, None)), (1, 2, 4, 4), []),
        (lambda x: pooling.max_pool2d(x, 3, 2, 1), (1, 2, 4, 4), ["MaxPool"]),
        (lambda x: rearrange.pixel_shuffle(x, 2), (1, 4, 4, 4), ["DepthToSpace"]),
    ],
)
def test_a_frequent_word_is_one_operator(function, shape, ops):
    _, _, facts = recorded(function, [numbers(shape)])

    assert facts["ops"] == ops


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_move_as_in_torch_over_three_calls(name, momentum):
    mean, var = numbers(3), np.abs(numbers(3, 1))
    mine = Tensor._of(mean.copy()), Tensor._of(var.copy())
    theirs = torch.from_numpy(mean.copy()), torch.from_numpy(var.copy())
    options = {"training": True} if name == "batch_norm" else {}

    for seed in range(3):
        x = numbers((2, 3, 4, 5), seed) * 2 + 1
        got = getattr(normalization, name)(Tensor._of(x), *mine, momentum=momentum, **options)
        want = getattr(F, name)(torch.from_numpy(x), *theirs, momentum=momentum, **options)
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, atol=1e-5)

    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5)


def test_a_transposed_convolution_takes_a_symbolic_output_padding():
    weight = numbers((4, 3, 3, 3), 1)

    def word(x, like):
        extra = [s - ((t - 1) * 2 + 1) for s, t in zip(like.shape[2:], x.shape[2:], strict=True)]
        return convolution.conv_transpose2d(x, Tensor._of(weight), None, 2, 1, extra)

    def reference(x, like):
        extra = [s - ((t - 1) * 2 + 1) for s, t in zip(like.shape[2:], x.shape[2:], strict=True)]
        return F.conv_transpose2d(x, torch.from_numpy(weight), None, 2, 1, extra)

    assert_right_at_both_sizes(
        word, reference, [numbers((2, 4, 5, 6)), numbers((1, 1, 9, 12))], [numbers((1, 4, 4, 3)), numbers((1,
        1, 8, 5))], **SUMS,
    )  # fmt: skip
