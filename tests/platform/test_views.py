"""Views and in-place words: what torch does to shared memory, the platform does without any."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mcore.platform as engine
from mcore.exchange.export import to_onnx

SIZES = (4, 6, 2)
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float64")
OTHER = (6, 9, 2)


def ramp(*shape: int, dtype: str = "float32") -> np.ndarray:
    """1, 2, 3, ...: every element tells where it came from."""
    return np.arange(1, np.prod(shape, dtype=int) + 1).astype(dtype).reshape(shape)


def run_onnx(model, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Outputs of a model by the runtime alone."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {entry.name: x for entry, x in zip(session.get_inputs(), inputs, strict=True)})


def results(value) -> list[np.ndarray]:
    """Tensors of a result as arrays."""
    if isinstance(value, tuple | list):
        return [array for item in value for array in results(item)]
    return [np.asarray(value.detach().numpy() if isinstance(value, torch.Tensor) else value.numpy())]


def assert_same(got, want) -> None:
    got, want = results(got), results(want)
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=1e-6, equal_nan=True)


# --- programs, each spoken by both engines: `x` is (a, b, 2), with even sizes above 3


def write_row(m, x):
    x[0] = 5.0
    x[-1][1] = 7.0


def write_through_a_chain(m, x):
    x[1:][0, 2:].transpose(0, 1)[1] = 3.0


def add_to_every_second_column(m, x):
    x[:, ::2] += 1


def add_to_a_transposed_view(m, x):
    x.transpose(0, 1)[2] *= 10


def write_a_view_of_a_view_twice(m, x):
    row = x[2]
    row += 100
    row[1:3] -= 50
    row.mul_(2)


def chunks(m, x):
    a, b = x.chunk(2, dim=1)
    a += 1000
    b.mul_(a.shape[1])
    x[0] = 0.0
    return a, b


def splits(m, x):
    first, second = x.split([1, x.shape[0] - 1])
    second.zero_()
    first.add_(second[:1] + 3)
    return first


def unbound(m, x):
    for k, page in enumerate(x.unbind(-1)):
        page.add_(10 * k)


def flattened(m, x):
    flat = x.flatten(1)
    flat[:, 1::3] = -1.0
    return flat


def a_copy_is_no_view(m, x):
    turned = x.transpose(0, 1).reshape(-1)
    turned.zero_()
    return turned


def a_contiguous_copy_is_no_view(m, x):
    turned = x.transpose(0, 1).contiguous()
    turned.zero_()
    x.contiguous().add_(1)
    return turned, x.transpose(0, 1).is_contiguous() or m.ones(1), x.detach().clone().mul_(2)


def a_view_of_a_permuted_tensor(m, x):
    seen = x.permute(2, 0, 1).unsqueeze(1).squeeze(1).view_as(x.permute(2, 0, 1))
    seen[0] += 4
    return seen


def view_by_shape(m, x):
    seen = x.view(x.shape[0] // 2, 2, -1)
    seen[:, 0].add_(1)
    return seen


def unflattened(m, x):
    x.unflatten(0, (2, -1))[1, 0].fill_(9.0)


def narrowed(m, x):
    x.narrow(1, 1, 2).select(0, 1).copy_(x[0, :2])


def diagonal(m, x):
    x[:, : x.shape[0]].diagonal(0, 0, 1).mul_(-1)
    x.diagonal(1, 1, 2).add_(0.5)


def windows_that_do_not_overlap(m, x):
    x.unfold(1, 2, 3).mul_(7)


def windows_side_by_side(m, x):
    x.unfold(0, 2, 2)[0].add_(1)


def a_mask(m, x):
    x[x > 5] = 0.0
    x[x[:, 0, 0] > 2] += 1


def a_masked_view(m, x):
    x[:, 1][x[:, 1] > 3] = -1.0


def index_tensors(m, x):
    x[[0, 2]] = 1.5
    x[:, [1, 3]] += 2
    x[[0, 1], :, [1, 0]] = m.tensor([8.0])


def the_index_list_in_a_slice(m, x):
    x[1:, [0, -1], :1] = 4.0


def integers_through_tensors(m, x):
    k = m.tensor(1)
    x[k] = 2.5
    x[:, k, 0] = x[0, 0, 0]


def the_base_changes_under_a_view(m, x):
    row = x[1]
    x += 100
    first = row + 0
    x.zero_()
    return first, row


def a_shift(m, x):
    x[:, 1:] = x[:, :-1] + 0


def numbers_of_every_kind(m, x):
    x[0, 0, 0] = True
    x[..., -1] = 3
    x[None] = x[None] + 1


def the_whole(m, x):
    x[...] = x[:1]
    x[:] = x * 2


def shape_words_in_place(m, x):
    y = x[:, :, 0]
    y.t_()
    y += 1
    y.unsqueeze_(0)
    y[0, 1] = -5.0
    y.squeeze_(0).transpose_(0, 1)
    y[0] = 77.0
    return y


def expanded_without_growing(m, x):
    x[0].expand(-1, -1).add_(1)


def a_scatter_in_place(m, x):
    x[:, :, 0].scatter_add_(1, m.zeros(4, 3, dtype=m.int64), m.ones(4, 3))
    x[0].index_fill_(0, m.tensor([1]), 0.25)
    x[1].index_add_(0, m.tensor([0, 0]), m.ones(2, 2))


def movedim_and_swap(m, x):
    x.movedim(-1, 0)[1].swapaxes(0, 1)[0].neg_()
    x.mT[..., 0, :] = 6.0
    x.T[0, 0] = 1.0


PROGRAMS = [
    write_row, write_through_a_chain, add_to_every_second_column, add_to_a_transposed_view,
    write_a_view_of_a_view_twice, chunks, splits, unbound, flattened, a_copy_is_no_view, a_contiguous_copy_is_no_view,
    a_view_of_a_permuted_tensor, view_by_shape, unflattened, narrowed, diagonal, windows_that_do_not_overlap,
    windows_side_by_side, a_mask, a_masked_view, index_tensors,
    the_index_list_in_a_slice, integers_through_tensors, the_base_changes_under_a_view, a_shift,
    numbers_of_every_kind, the_whole, shape_words_in_place, expanded_without_growing, movedim_and_swap,
]  # fmt: skip
# Their index tensors are as long as the first size.
AT_ONE_SIZE = [a_scatter_in_place]

programs = pytest.mark.parametrize("program", [*PROGRAMS, *AT_ONE_SIZE], ids=lambda p: p.__name__)


def on_torch(program, array: np.ndarray):
    x = torch.from_numpy(array.copy())
    out = program(torch, x)
    return x if out is None else (x, out)


class Speaks(engine.Module):
    """A platform module whose forward is a program on a copy-on-write twin of its input."""

    def __init__(self, program):
        super().__init__()
        self.program = program

    def forward(self, x):
        out = self.program(engine, x)
        return x if out is None else (x, out)


class Recorded(torch.nn.Module):
    """The same on the torch engine, for recording."""

    def __init__(self, program):
        super().__init__()
        self.program = program

    def forward(self, x):
        x = x + 0
        out = self.program(torch, x)
        return x if out is None else (x, out)


@programs
def test_writing_through_views_outside_a_module_changes_what_torch_changes(program):
    x = engine.tensor(ramp(*SIZES))

    out = program(engine, x)

    assert_same(x if out is None else (x, out), on_torch(program, ramp(*SIZES)))


@programs
def test_writing_through_views_in_forward_changes_what_torch_changes_at_alternating_sizes(program):
    net = Speaks(program)
    for sizes in (SIZES,) if program in AT_ONE_SIZE else (SIZES, OTHER, SIZES, (8, 6, 2)):
        assert_same(net(engine.tensor(ramp(*sizes))), on_torch(program, ramp(*sizes)))


@programs
def test_forward_leaves_the_tensor_of_the_caller_as_it_was(program):
    x = engine.tensor(ramp(*SIZES))

    Speaks(program)(x)

    np.testing.assert_array_equal(x.numpy(), ramp(*SIZES))


@pytest.mark.parametrize("make", [lambda p: Recorded(p), lambda p: Speaks(p)], ids=["torch", "platform"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_an_exported_program_writes_through_views_at_other_sizes_too(program, make):
    net = make(program)
    x = torch.from_numpy(ramp(*SIZES)) if isinstance(net, torch.nn.Module) else engine.tensor(ramp(*SIZES))
    model = to_onnx(net.eval(), (x,), dynamic={0: [0, 1]}, strict=True)

    for sizes in (SIZES, OTHER, (8, 12, 2)):
        want = on_torch(program, ramp(*sizes))
        np_want = results(want)

        got = run_onnx(model, [ramp(*sizes)])

        for a, b in zip(got, np_want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


# --- refusals


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x[:1].expand(3, 4).add_(1),
        lambda x: x.unsqueeze(0).expand(2, -1, -1).mul_(2),
        lambda x: x[:1].expand(3, 4).__setitem__(slice(None), 1.0),
    ],
)
def test_writing_where_one_element_stands_twice_is_refused(write):
    words = "more than one element of the written-to tensor refers to a single memory location"
    for x in (torch.ones(3, 4), engine.ones(3, 4)):
        with pytest.raises(RuntimeError, match=words):
            write(x)


def test_writing_to_windows_that_overlap_is_refused_where_torch_gives_what_the_order_brings():
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        engine.ones(3, 4).unfold(1, 3, 1).add_(1)


@pytest.mark.parametrize(
    ("kind", "words", "index", "value"),
    [
        (RuntimeError, r"The expanded size of the tensor \(4\) must match the existing size \(3\)", 0, [1.0, 2.0, 3.0]),
        (RuntimeError, "shape mismatch: value tensor of shape", [0, 1], [1.0, 2.0, 3.0]),
        (IndexError, "index 5 is out of bounds for dimension 0 with size 3", 5, 1.0),
        (IndexError, "too many indices for tensor of dimension 2", (0, 0, 0), 1.0),
        (ValueError, "step must be greater than zero", slice(None, None, -1), 1.0),
    ],
)
def test_a_bad_assignment_is_refused_in_the_words_of_torch(kind, words, index, value):
    for m in (torch, engine):
        x = m.zeros(3, 4)
        with pytest.raises(kind, match=words):
            x[index] = m.tensor(value) if isinstance(value, list) else value
        np.testing.assert_array_equal(x.numpy(), np.zeros((3, 4)))


@pytest.mark.parametrize("value", [[1, 2, 3, 4], "a", None])
def test_what_is_no_number_and_no_tensor_cannot_be_assigned(value):
    for x in (torch.zeros(3, 4), engine.zeros(3, 4)):
        with pytest.raises(TypeError, match=f"can't assign a {type(value).__name__} to a torch.FloatTensor"):
            x[0] = value


def test_a_value_of_another_type_is_cast_for_a_slice_and_refused_for_an_index_tensor():
    for m in (torch, engine):
        x = m.zeros(2, 3, dtype=m.int64)
        x[0] = m.tensor([1.7, 2.2, -3.9])
        x[1] = 4.8
        np.testing.assert_array_equal(x.numpy(), [[1, 2, -3], [4, 4, 4]])
        with pytest.raises(RuntimeError, match="Index put requires the source and destination dtypes match"):
            x[[0]] = m.tensor([1.7, 2.2, 3.9])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "index",
    [
        0,
        (slice(None), slice(1, 3)),
        (slice(None), slice(None, None, 2)),
        (..., -1),
        (0, 1),
        [0, 2],
        (slice(None), [1, 0]),
        "mask",
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*computed in float32")
def test_every_element_type_can_be_written(dtype, index):
    found = []
    for m in (torch, engine):
        x = m.zeros(3, 4, dtype=getattr(m, dtype))
        where = m.ones(3, 4).tril() > 0 if index == "mask" else index
        x[where] = 1
        x[where] = x[where]
        found.append(x.to(m.float32))

    assert_same(*reversed(found))


def test_a_state_written_in_forward_keeps_what_was_written():
    class Counts(engine.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", engine.zeros(3, 2))

        def forward(self, x):
            self.seen[1] += x
            self.seen[:, 0].mul_(2)
            return self.seen + 0

    net = Counts()
    want = np.zeros((3, 2), np.float32)
    for _ in range(3):
        want[1] += [1, 2]
        want[:, 0] *= 2
        np.testing.assert_array_equal(net(engine.tensor([1.0, 2.0])).numpy(), want)
    np.testing.assert_array_equal(net.seen.numpy(), want)


def test_a_result_that_is_a_view_keeps_nothing_of_its_recording():
    class Takes(engine.Module):
        def forward(self, x):
            return (x * 2)[0]

    assert Takes()(engine.ones(3, 4))._view is None


def test_augmented_assignment_writes_once():
    class Adds(engine.Module):
        def forward(self, x):
            x[:, 1:3] += 1
            return x

    model = to_onnx(Adds(), (engine.ones(3, 4),))

    assert sorted(n.op_type for n in model.graph.node) == ["Add", "Concat", "Slice", "Slice", "Slice"]


# --- graphs stay clean


def ops(forward, x, **options) -> list[str]:
    """Operators of a one-function module exported with open batch, height and width."""

    class Net(engine.Module):
        def forward(self, x):
            return forward(x)

    return [n.op_type for n in to_onnx(Net(), (x,), **options).graph.node]


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (lambda x: x.flatten(1), ["Reshape"]),
        (lambda x: x.flatten(2).transpose(1, 2), ["Reshape", "Transpose"]),
        (lambda x: x.view(x.shape[0], -1, 4), ["Reshape"]),
        (lambda x: x.reshape(x.shape[0], 2, 2, x.shape[2], x.shape[3]), ["Shape", "Concat", "Reshape"]),
        (lambda x: x.permute(0, 1, 2, 3).contiguous() + 0.0, ["Add"]),
        (lambda x: x[:, 1:3, ::2, 1:-1], ["Slice"]),
        (lambda x: x[:, 0], ["Gather"]),
        (lambda x: x[..., 1:, 0], ["Slice", "Squeeze"]),
        (lambda x: x.expand(-1, -1, -1, -1).reshape(x.shape) + 0.0, ["Add"]),
        (lambda x: x.unsqueeze(0).expand(2, -1, -1, -1, -1), ["Unsqueeze", "Expand"]),
        (lambda x: x.chunk(2, 1)[0], ["Split"]),
        (lambda x: x.flip(2, 3), ["Slice"]),
    ],
)
def test_a_symbolic_shape_costs_no_nodes_that_it_does_not_need(forward, expected):
    x = engine.randn(2, 4, 6, 10)

    assert ops(forward, x, dynamic={0: [0, 2, 3]}) == expected


@settings(max_examples=25, deadline=None)
@given(b=st.integers(1, 3), rows=st.integers(1, 3), columns=st.integers(1, 3))
def test_windows_are_cut_and_put_back_at_every_size_from_one_recording(b, rows, columns):
    got = run_onnx(WINDOWS, [ramp(b, rows * 4, columns * 4, 3)])

    want = Windows().forward(torch.from_numpy(ramp(b, rows * 4, columns * 4, 3)))
    for a, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, w.numpy())


class Windows(engine.Module):
    """The window partition of Swin and its reverse, as published."""

    def forward(self, x):
        b, h, w, c = x.shape
        x = x.roll((-2, -2), (1, 2))
        parts = x.view(b, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 4, 4, c)
        flat = parts.view(-1, 16, c)
        rows = flat.view(-1, 4, 4, c)
        back = rows.view(b, h // 4, w // 4, 4, 4, -1).permute(0, 1, 3, 2, 4, 5).contiguous().view(b, h, w, -1)
        return parts + 0.0, back.roll((2, 2), (1, 2)).reshape(b, h * w, c)


WINDOWS = to_onnx(Windows(), (engine.randn(2, 8, 12, 3),), dynamic={0: [0, 1, 2]})


BOUNDS = st.none() | st.integers(-6, 6)
SLICES = st.builds(slice, BOUNDS, BOUNDS, st.sampled_from((None, 1, 2, 3)))


class Slices(engine.Module):
    """Reads and writes a slice, and uses the sizes of what it read as numbers."""

    def __init__(self, index):
        super().__init__()
        self.index = index

    def forward(self, x):
        y = x[self.index]
        written = x + 0
        written[self.index] = -y.flip(0)
        return y + 0.0, engine.ones(y.shape) * 2, y.expand(2, *y.shape).reshape(-1, y.shape[1]) + 0.0, written


@settings(max_examples=60, deadline=None)
@given(rows=SLICES, columns=SLICES)
def test_a_slice_recorded_at_one_size_reads_and_writes_right_at_every_size(rows, columns):
    assume(ramp(7, 8)[rows, columns].size)
    model = to_onnx(Slices((rows, columns)), (engine.tensor(ramp(7, 8)),), dynamic={0: [0, 1]})

    for sizes in ((7, 8), (1, 3), (2, 9), (5, 1), (12, 4)):
        x = ramp(*sizes)
        y = x[rows, columns]
        if y.shape[1] == 0:
            continue  # what has no elements cannot be cut into rows of no elements
        written = x.copy()
        written[rows, columns] = -y[::-1]
        got = run_onnx(model, [x])
        for mine, want in zip(got, (y, y * 0 + 2, np.concatenate([y, y]), written), strict=True):
            np.testing.assert_array_equal(mine, want)


# --- whatever index, shape and order


KINDS = ("number", "slice", "slice", "none", "dots", "index", "list", "mask", "stop", "all")


@st.composite
def indices(draw, shape):
    """An index of numbers, slices, None, Ellipsis, lists, masks and index tensors that fits `shape`."""
    parts, axis, dots = [], 0, False
    together = draw(st.sampled_from(((), (1,), (2,), (2, 1))))
    while axis < len(shape):
        kind = draw(st.sampled_from(KINDS))
        size = shape[axis]
        if kind == "stop":
            break
        if kind == "none":
            parts.append(None)
            continue
        if kind == "dots":
            if dots:
                continue
            dots = True
            parts.append(...)
            axis += draw(st.integers(0, len(shape) - axis))
            continue
        if kind == "number":
            parts.append(draw(st.integers(-size, size - 1)))
        elif kind in ("slice", "all"):
            bound = st.none() | st.integers(-size - 1, size + 1)
            steps = st.sampled_from((None, 1, 2, 3))
            parts.append(slice(None) if kind == "all" else slice(draw(bound), draw(bound), draw(steps)))
        elif kind == "index":
            parts.append(draw(index_arrays(together, size)))
        elif kind == "list":
            count = draw(st.integers(0, 2)) if together == () else together[-1]
            parts.append([draw(st.integers(-size, size - 1)) for _ in range(max(count, 1))])
        else:
            parts.append(np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size))))
        axis += 1
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


def index_arrays(shape, size):
    count = int(np.prod(shape, dtype=int))
    numbers = st.lists(st.integers(-size, size - 1), min_size=count, max_size=count)
    return numbers.map(lambda found: np.array(found, np.int64).reshape(shape))


def with_tensors(m, index):
    """Arrays in an index as tensors of an engine."""
    if isinstance(index, tuple):
        return tuple(with_tensors(m, part) for part in index)
    return m.tensor(index) if isinstance(index, np.ndarray) else index


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


class Reads(engine.Module):
    def forward(self, x, index):
        return x[index]


@settings(max_examples=200, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_any_index_reads_what_torch_reads(data, shape):
    index = data.draw(indices(shape))
    try:
        want = torch.from_numpy(ramp(*shape))[with_tensors(torch, index)]
    except (IndexError, RuntimeError, ValueError) as error:
        with pytest.raises(type(error)):
            engine.tensor(ramp(*shape))[with_tensors(engine, index)]
        return

    assert_same(engine.tensor(ramp(*shape))[with_tensors(engine, index)], want)
    assert_same(Reads()(engine.tensor(ramp(*shape)), with_tensors(engine, index)), want)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_any_index_writes_what_torch_writes(data, shape):
    index = data.draw(indices(shape))
    theirs = torch.from_numpy(ramp(*shape))
    try:
        target = theirs[with_tensors(torch, index)].shape
    except (IndexError, RuntimeError, ValueError):
        return
    kept = data.draw(st.integers(0, len(target)))
    ones = data.draw(st.lists(st.booleans(), min_size=kept, max_size=kept))
    sizes = [1 if one else n for one, n in zip(ones, target[len(target) - kept :], strict=True)]
    value = np.asarray(-ramp(*sizes))
    if _writes_twice(index, shape) and value.size > 1:
        value = np.zeros_like(value)  # which of two writes wins is nobody's promise
    ours = engine.tensor(ramp(*shape))
    theirs[with_tensors(torch, index)] = torch.from_numpy(value)

    ours[with_tensors(engine, index)] = engine.tensor(value)

    assert_same(ours, theirs)


def _writes_twice(index, shape) -> bool:
    counts = torch.zeros(shape)
    named = torch.arange(counts.numel()).reshape(shape)[with_tensors(torch, index)]
    return named.unique().numel() != named.numel()


@st.composite
def reshapings(draw):
    """A shape and another with as many elements, one size perhaps -1."""
    factors = draw(st.lists(st.sampled_from((1, 2, 3)), min_size=1, max_size=5))
    cut = lambda: draw(st.lists(st.integers(0, len(factors)), max_size=3).map(sorted))  # noqa: E731
    shapes = []
    for _ in range(2):
        bounds = [0, *cut(), len(factors)]
        shapes.append([int(np.prod(factors[a:b], dtype=int)) for a, b in itertools.pairwise(bounds)])
    if draw(st.booleans()):
        shapes[1][draw(st.integers(0, len(shapes[1]) - 1))] = -1
    return tuple(shapes[0]), tuple(shapes[1])


@settings(max_examples=200, deadline=None)
@given(shapes=reshapings(), data=st.data())
def test_reshape_after_permute_is_a_view_or_a_copy_as_in_torch(shapes, data):
    old, new = shapes
    order = data.draw(st.permutations(range(len(old))))
    start = tuple(old[order.index(axis)] for axis in range(len(old)))
    found = []
    for x in (torch.from_numpy(ramp(*start)), engine.tensor(ramp(*start))):
        y = x.permute(*order).reshape(new)
        y += 100
        x *= 2
        found.append((x, y))

    assert_same(found[1], found[0])


@settings(max_examples=100, deadline=None)
@given(shapes=reshapings(), data=st.data())
def test_a_reshape_recorded_at_one_batch_serves_every_batch(shapes, data):
    old, new = shapes
    old, new = (2, *old), (2 if -1 in new else -1, *new)

    class Net(engine.Module):
        def forward(self, x):
            return x.reshape(new if new[0] == -1 else (x.shape[0], *new[1:])) + 0.0

    model = to_onnx(Net(), (engine.tensor(ramp(*old)),), dynamic={0: [0]})

    for batch in (2, 1, 5):
        x = ramp(batch, *old[1:])
        want = x.reshape(new if new[0] == -1 else (batch, *new[1:]))
        np.testing.assert_array_equal(run_onnx(model, [x])[0], want)
