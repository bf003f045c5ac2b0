"""What words that look at a tensor another way share: aliases, strides, symbolic shapes as targets of Reshape.

No memory is shared on this engine, so a view is a recipe to read and to write back. torch's strides are followed
along the views only to know where `reshape` is a view and where it is a copy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.graph import active, current
from mcore.platform.tensor import Tensor, View, constant, emit, emit_plain, ints
from mcore.platform.word import speak_alone

# To the end of the axis, whatever its size: Slice's ends.
END, BEFORE_START = np.iinfo(np.int64).max, np.iinfo(np.int64).min


def speaking(body: Callable[..., Any]) -> Callable[..., Any]:
    """A private function of words that may be called outside a recording, as reading and writing a view is."""

    @functools.wraps(body)
    def spoken(*args: Any) -> Any:
        return body(*args) if active.recorder is not None else speak_alone(body, body.__name__, args, {})

    return spoken


def plain_shape(x: Tensor) -> tuple:
    """The sizes of `x` as a bare tuple, which is quicker to read than `x.shape`."""
    if x._view is not None:
        x._refresh()
    return x._shape


def same_value(x: Tensor) -> Tensor:
    """Another tensor of the same value, not a view: what torch copies, a graph need not."""
    r = current()
    return Tensor._recorded(r, r.use(x), x._dtype, x.shape)


def alias(x: Tensor) -> Tensor:
    """Another tensor that views all of `x` as it is."""
    out = same_value(x)
    out._view = View(x, _as_it_is, _replaced, _as_it_is)
    return out


def _as_it_is(x: Any) -> Any:
    return x


def _replaced(base: Tensor, new: Tensor) -> Tensor:
    return new


def in_order(shape: Sequence[int]) -> list[int]:
    """Strides of a tensor whose elements lie in order."""
    out, step = [], 1
    for size in reversed(shape):
        out.append(step)
        step *= max(int(size), 1)
    return out[::-1]


def strides_of(x: Tensor) -> list[int]:
    """torch's strides of `x`, followed along its views; a tensor that is no view lies in order."""
    view = x._view
    if view is None or view.strides is None:
        return in_order(x._shape)
    return view.strides(strides_of(view.base))


def lies_in_order(x: Tensor) -> bool:
    """Whether torch would call `x` contiguous."""
    if x._view is None:
        return True
    wanted = in_order(x._shape)
    empty = any(int(n) == 0 for n in x._shape)
    return empty or all(int(n) == 1 or a == b for n, a, b in zip(x._shape, strides_of(x), wanted, strict=True))


def viewed_strides(shape: Sequence[int], strides: Sequence[int], new: Sequence[int]) -> list[int] | None:
    """Strides under which elements at `strides` read as the shape `new`; None where that takes a copy.

    Source: torch's computeStride: runs of axes that lie in order may be cut anew.
    """
    if any(int(n) == 0 for n in shape):
        return in_order(new)
    out, target = [0] * len(new), len(new) - 1
    run, base = 1, strides[-1] if strides else 1
    for axis in range(len(shape) - 1, -1, -1):
        run *= int(shape[axis])
        if axis and (int(shape[axis - 1]) == 1 or strides[axis - 1] == run * base):
            continue
        cut = 1
        while target >= 0 and (cut < run or int(new[target]) == 1):
            out[target] = cut * base
            cut *= int(new[target])
            target -= 1
        if cut != run:
            return None
        if axis:
            run, base = 1, strides[axis - 1]
    for k in range(target, -1, -1):
        out[k] = base
    return out


def reshaped(x: Tensor, shape: Sequence[int], *, inferred: int = -1) -> Tensor:
    """`x` in order under another shape of as many elements; `inferred` is the axis the program wrote as -1.

    Sizes that stand at the same place in `x` are copied (0), one is left to the runtime (-1); only what else is
    symbolic is computed.
    """
    r = current()
    shape = tuple(shape)
    for size in shape:
        if type(size) is Dim:
            return _reshaped_symbolic(x, shape, inferred)
    attributes = (("allowzero", 1),) if 0 in shape else ()
    return emit_plain("Reshape", (x, r.ints(shape)), shape, x._dtype, attributes)


def _reshaped_symbolic(x: Tensor, shape: tuple, inferred: int) -> Tensor:
    if any(int(n) == 0 for n in shape):  # 0 would copy, and -1 cannot be told
        return emit("Reshape", [x, ints(shape)], shape, x._dtype, allowzero=1)
    old, target = x.shape, list(shape)
    computed = []
    for k, size in enumerate(shape):
        if type(size) is Dim:
            if k < len(old) and dims.equal_always(size, old[k]):
                target[k] = 0
            else:
                computed.append(k)
    if computed:
        free = _freest(shape, computed, inferred)
        # The runtime cannot divide by the product of the others where that may be zero.
        if not any(_may_be_empty(n) for k, n in enumerate(shape) if k != free):
            target[free] = -1
    return emit_plain("Reshape", (x, current().ints(target)), shape, x._dtype)


def _freest(shape: tuple, computed: list[int], inferred: int) -> int:
    """The axis to leave to the runtime: the program's own -1, or the one of the longest expression."""
    if inferred in computed:
        return inferred
    return max(computed, key=lambda k: len(repr(shape[k].expr)))


def _may_be_empty(size: int) -> bool:
    return type(size) is Dim and any(name.startswith("data") for name in dims.symbols_of(size.expr))


def transposed(x: Tensor, order: Sequence[int]) -> Tensor:
    """`x` with its axes in another order; `x` itself where they are."""
    order = tuple(order)
    if order == tuple(range(len(order))):
        return x
    shape = plain_shape(x)
    return emit_plain("Transpose", (x,), tuple([shape[a] for a in order]), x._dtype, (("perm", order),))


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The order that undoes `order`."""
    return tuple(sorted(range(len(order)), key=list(order).__getitem__))


def squeezed(x: Tensor, axes: Sequence[int]) -> Tensor:
    """`x` without these axes of size 1."""
    if not axes:
        return x
    shape = tuple([n for a, n in enumerate(plain_shape(x)) if a not in axes])
    return emit_plain("Squeeze", (x, current().ints(axes)), shape, x._dtype)


def unsqueezed(x: Tensor, axes: Sequence[int]) -> Tensor:
    """`x` with axes of size 1 at these places of the result (in rising order)."""
    if not axes:
        return x
    shape = list(plain_shape(x))
    for axis in axes:
        shape.insert(axis, 1)
    return emit_plain("Unsqueeze", (x, current().ints(axes)), tuple(shape), x._dtype)


def expanded(x: Tensor, shape: Sequence[int]) -> Tensor:
    """`x` repeated along axes of size 1 up to `shape`; `x` itself where nothing is to repeat."""
    shape, old = tuple(shape), plain_shape(x)
    lead = len(shape) - len(old)
    # What `x` already has needs no number: 1 keeps the size.
    target = [n if k < lead or _grows(old[k - lead], n) else 1 for k, n in enumerate(shape)]
    if not lead and all(type(n) is int and n == 1 for n in target):
        return x
    if any(type(n) is int and n == 0 for n in target):
        return _emptied(unsqueezed(x, range(lead)), shape)
    return emit_plain("Expand", (x, current().ints(target)), shape, x._dtype)


def _emptied(x: Tensor, shape: tuple) -> Tensor:
    """`expanded` where an axis gets size 0: the runtime drops an Expand whose constant target has a 0."""
    cuts = [(k, 0, 0, 1) for k, n in enumerate(shape) if type(n) is int and n == 0]
    none = tuple(0 if type(n) is int and n == 0 else m for n, m in zip(shape, x.shape, strict=True))
    return expanded(sliced(x, cuts, none), shape)


def _grows(old: int, new: int) -> bool:
    # A symbolic size that happens to be 1 now is larger elsewhere.
    return int(old) == 1 and not dims.equal_always(old, new)


def sliced(x: Tensor, cuts: Sequence[tuple], shape: Sequence[int]) -> Tensor:
    """One Slice; `cuts`: (axis, start, end, step), with negative and open bounds as ONNX reads them."""
    number = current().ints
    axes, starts, ends, steps = zip(*cuts, strict=True)
    inputs = [x, number(starts), number(ends), number(axes)]
    if any(type(step) is Dim or step != 1 for step in steps):
        inputs.append(number(steps))
    return emit_plain("Slice", inputs, tuple(shape), x._dtype)


def resized(shape: Sequence[int], axis: int, size: Any) -> tuple:
    """A shape with another size on one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def cut(x: Tensor, axis: int, start: int, end: int, size: int) -> Tensor:
    """`size` elements of one axis."""
    return sliced(x, [(axis, start, end, 1)], resized(x.shape, axis, size))


def joined(pieces: Sequence[Tensor], axis: int) -> Tensor:
    """One Concat of tensors of one type; the only piece itself where there is but one."""
    if len(pieces) == 1:
        return pieces[0]
    size: int = 0
    for piece in pieces:
        size = piece.shape[axis] + size
    return emit("Concat", pieces, resized(pieces[0].shape, axis, size), pieces[0]._dtype, axis=axis)


def counting(size: int, kind: dtype = dtypes.int64) -> Tensor:
    """0, 1, ..., size - 1: a constant, or a Range where the size is symbolic."""
    if type(size) is not Dim:
        return constant(np.arange(int(size), dtype=np.int64), kind)
    end = emit("Squeeze", [ints([size])], (), dtypes.int64)
    start, step = constant(0, dtypes.int64), constant(1, dtypes.int64)
    return emit("Range", [start, end, step], (size,), dtypes.int64)


def note(condition: str) -> None:
    """Enters what the recording now holds for into the export report."""
    r = current()
    r.guards.append((condition, r.place()))
