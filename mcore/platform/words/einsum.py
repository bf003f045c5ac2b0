"""einsum and its kin, as permutations and matrix products: the runtime's Einsum is slower and takes fewer
types.

An operand's axes have labels. A pair is contracted so that as little as possible moves: axes of the left
operand that the right lacks stay where they are, as a batch over which the right operand broadcasts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant, emit, size_tensor
from mcore.platform.word import word
from mcore.platform.words._common import axis_of, cast, promote
from mcore.platform.words._pieces import binary, hand_out, permute, reduce, reshape, squeeze, take, unsqueeze
from mcore.platform.words.linear import check_alike, matmul

Labels = list[Hashable]


class Labelled:
    """A tensor whose axes have labels."""

    __slots__ = ("labels", "tensor")

    def __init__(self, tensor: Tensor, labels: Iterable[Hashable]) -> None:
        self.tensor, self.labels = tensor, list(labels)

    def size(self, label: Hashable) -> int:
        """Size of the axis of that label; 1 where there is none."""
        return self.tensor.shape[self.labels.index(label)] if label in self.labels else 1

    def summed(self, labels: Sequence[Hashable]) -> Labelled:
        """Without these axes."""
        if not labels:
            return self
        ones = [k for k, label in enumerate(self.labels) if label in labels and _is_one(self.tensor.shape[k])]
        rest = [k for k, label in enumerate(self.labels) if label in labels and k not in ones]
        kind = self.tensor._dtype
        x = squeeze(self.tensor, *ones)
        if rest:
            kept = [k for k in range(len(self.labels)) if k not in ones]
            wide = x if kind.itemsize >= 4 or kind.category == dtypes.FLOAT else cast(x, dtypes.int64)
            x = cast(reduce("ReduceSum", wide, [kept.index(k) for k in rest]), kind)
        return Labelled(x, [label for label in self.labels if label not in labels])

    def arranged(self, labels: Sequence[Hashable]) -> Tensor:
        """The tensor with its axes in that order; labels that it lacks become axes of size 1."""
        present = [label for label in labels if label in self.labels]
        x = permute(self.tensor, [self.labels.index(label) for label in present])
        return unsqueeze(x, *[k for k, label in enumerate(labels) if label not in self.labels])


def _is_one(size: int) -> bool:
    """1 at every size."""
    return type(size) is not dims.Dim and size == 1


def contract(a: Labelled, b: Labelled, keep: Sequence[Hashable]) -> Labelled:
    """The product of two, summed over the labels that are not in `keep`."""
    a = a.summed([k for k in a.labels if k not in b.labels and k not in keep])
    b = b.summed([k for k in b.labels if k not in a.labels and k not in keep])
    inner = [k for k in a.labels if k in b.labels and k not in keep]
    # An axis of size 1 against n: the one side is summed, the other has nothing to sum.
    spread = [k for k in inner if _is_one(a.size(k)) or _is_one(b.size(k))]
    if spread:
        a, b, inner = a.summed(spread), b.summed(spread), [k for k in inner if k not in spread]
    left = [k for k in a.labels if k not in b.labels]
    right = [k for k in b.labels if k not in a.labels]
    if len(right) > 1 and len(left) <= 1:  # the many are better on the left, where they stay as they are
        a, b, left, right = b, a, right, left
    if not inner:
        order = a.labels + right
        return Labelled(binary("Mul", a.arranged(order), b.arranged(order)), order)
    if not left and not right and len(inner) < len(a.labels):  # a matrix product of single numbers is slow
        order = [k for k in a.labels if k not in inner] + inner
        return Labelled(binary("Mul", a.arranged(order), b.arranged(order)), order).summed(inner)
    last = left[-1:]
    outer = [k for k in a.labels if k not in inner and k not in last]
    first_shared = next((k for k, label in enumerate(outer) if label in b.labels), len(outer))
    x = a.arranged([*outer, *last, *inner])
    y = b.arranged([*outer[first_shared:], *inner, *right])
    x, y = _merged(x, len(inner), 0), _merged(y, len(inner), len(right))
    # A vector stands alone where there is no batch; within one it is a matrix of one row or column.
    row, column = not last and x.ndim > 1, not right and y.ndim > 1
    product = matmul(unsqueeze(x, -2) if row else x, unsqueeze(y, -1) if column else y)
    product = squeeze(product, *([-1] if column else []), *([-2] if row else []))
    if len(right) > 1:
        product = reshape(product, (*product.shape[:-1], *[b.size(k) for k in right]))
    return Labelled(product, [*outer, *last, *right])


def _merged(x: Tensor, inner: int, right: int) -> Tensor:
    """`x` with its inner axes as one axis, and with its last `right` axes, behind them, as one."""
    if inner == 1 and right <= 1:
        return x
    rank = x.ndim - inner - right
    end = (dims.product(x.shape[rank + inner :]),) if right else ()
    return reshape(x, (*x.shape[:rank], dims.product(x.shape[rank : rank + inner]), *end))


def diagonal_of(x: Labelled, operand: int) -> Labelled:
    """Labels that come twice in one operand read its diagonal."""
    while len(set(x.labels)) < len(x.labels):
        label = next(k for k in x.labels if x.labels.count(k) > 1)
        i, j = [k for k, other in enumerate(x.labels) if other == label][:2]
        n, m = x.tensor.shape[i], x.tensor.shape[j]
        if int(n) != int(m):
            raise ShapeError(
                f"einsum(): subscript {label} is repeated for operand {operand} but the sizes don't match, "
                f"{int(m)} != {int(n)}"
            )
        rest = [k for k in range(x.tensor.ndim) if k not in (i, j)]
        labels = [x.labels[k] for k in rest]
        x = Labelled(diagonal_last(permute(x.tensor, [*rest, i, j])), [*labels, label])
    return x


def diagonal_last(x: Tensor) -> Tensor:
    """The main diagonal of the last two axes: (..., n, m) to (..., min(n, m))."""
    n, m = x.shape[-2:]
    flat = reshape(x, (*x.shape[:-2], n * m))
    count = dims.dim_min(n, m) if dims.expr_of(n) != dims.expr_of(m) else n
    step = m + 1
    places = emit(
        "Range",
        [constant(0, dtypes.int64), size_tensor(count * step), size_tensor(step)],
        (count,),
        dtypes.int64,
    )
    return take(flat, places, flat.ndim - 1)


def summation(operands: Sequence[Labelled], output: Sequence[Hashable]) -> Tensor:
    """Products of all operands, summed over the labels that are not in `output`, from left to right."""
    result = operands[0]
    for k, other in enumerate(operands[1:], 1):
        later = [label for o in operands[k + 1 :] for label in o.labels]
        result = contract(result, other, [*output, *later])
    result = result.summed([label for label in result.labels if label not in output])
    return result.arranged(output)


# --- equations

_ELLIPSIS = "..."


def _subscripts(text: str) -> list:
    """Letters of one operand, with `...` as one entry."""
    head, dots, tail = text.replace(" ", "").partition(_ELLIPSIS)
    if "." in head + tail:
        raise RuntimeError("einsum(): found '.' for operand that is not part of any ellipsis")
    for letter in head + tail:
        if not letter.isalpha():
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {text.index(letter)} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
    return [*head, *([_ELLIPSIS] if dots else []), *tail]


def _parsed(args: tuple) -> tuple[list[Tensor], list[list], list | None]:
    """Operands, their subscripts, and the output's (None: implicit), from a string or the sublist form."""
    if isinstance(args[0], str):
        left, arrow, right = args[0].partition("->")
        operands = list(args[1]) if len(args) == 2 and isinstance(args[1], tuple | list) else list(args[1:])
        return operands, [_subscripts(t) for t in left.split(",")], _subscripts(right) if arrow else None
    name = lambda sub: [_ELLIPSIS if s is Ellipsis else int(s) for s in sub]  # noqa: E731
    pairs, rest = list(args), None
    if len(pairs) % 2:
        rest = name(pairs.pop())
    return list(pairs[0::2]), [name(s) for s in pairs[1::2]], rest


def _labels_of(subscripts: list, tensor: Tensor, operand: int) -> Labels:
    """One label an axis: those under the ellipsis are ("...", k), counted from the last."""
    named = len([s for s in subscripts if s != _ELLIPSIS])
    if _ELLIPSIS not in subscripts:
        if named != tensor.ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the number of "
                f"dimensions ({tensor.ndim}) for operand {operand} and no ellipsis was given"
            )
        return list(subscripts)
    hidden = tensor.ndim - named
    if hidden < 0:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) is more than the number of "
            f"dimensions "
            f"({tensor.ndim}) for operand {operand}"
        )
    at = subscripts.index(_ELLIPSIS)
    return [*subscripts[:at], *[(_ELLIPSIS, hidden - k) for k in range(hidden)], *subscripts[at + 1 :]]


def _check_sizes(operands: Sequence[Labelled]) -> None:
    seen: dict[Hashable, int] = {}
    for k, operand in enumerate(operands):
        for label, size in zip(operand.labels, operand.tensor.shape, strict=True):
            known = seen.setdefault(label, int(size))
            if known == 1:
                seen[label] = int(size)
            elif int(size) not in (1, known):
                raise ShapeError(
                    f"einsum(): subscript {label} has size {int(size)} for operand {k} which does not "
                    f"broadcast "
                    f"with previously seen size {known}"
                )


@word("torch.einsum")
def einsum(*args: Any) -> Tensor:
    """Sums of products by Einstein's convention: `einsum("bhid,bhjd->bhij", q, k)`, or sublists of ints.

    Raises:
        RuntimeError: subscripts and operands that do not fit, in torch's words.
    """
    tensors, subscripts, output = _parsed(args)
    if len(tensors) != len(subscripts):
        few = "fewer" if len(tensors) < len(subscripts) else "more"
        raise RuntimeError(f"einsum(): {few} operands were provided than specified in the equation")
    for other in tensors[1:]:
        if tensors[0]._dtype is not other._dtype:
            check_alike(tensors[0], other)
    labelled = [Labelled(t, _labels_of(s, t, k)) for k, (t, s) in enumerate(zip(tensors, subscripts, strict=True))]
    used = [label for operand in labelled for label in operand.labels]
    hidden = sorted({k for k in used if isinstance(k, tuple)}, key=lambda k: -k[1])
    labelled = [diagonal_of(operand, k) for k, operand in enumerate(labelled)]
    _check_sizes(labelled)
    if output is None:
        letters: list[Any] = [k for k in set(used) if not isinstance(k, tuple) and used.count(k) == 1]
        return summation(labelled, [*hidden, *sorted(letters)])
    wanted: Labels = []
    for entry in output:
        if entry != _ELLIPSIS and entry not in used:
            raise RuntimeError(
                f"einsum(): output subscript {entry} does not appear in the equation for any input operand"
            )
        if entry in wanted:
            raise RuntimeError(f"einsum(): output subscript {entry} appears more than once in the output")
        wanted += hidden if entry == _ELLIPSIS else [entry]
    return summation(labelled, wanted)


# --- by axes instead of letters


@word("torch.tensordot")
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """Sums of products over the last `dims` axes of `a` and the first of `b`, or over two lists of axes."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        first, second = list(range(-dims, 0)), list(range(dims))
    else:
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    check_alike(a, b)
    left: Labels = [("a", k) for k in range(a.ndim)]
    right: Labels = [("b", k) for k in range(b.ndim)]
    for p, q in zip(first, second, strict=True):
        i, j = axis_of(p, a.ndim), axis_of(q, b.ndim)
        n, m = int(a.shape[i]), int(b.shape[j])
        if n != m and n != 1 and m != 1:
            raise ShapeError(
                f"contracted dimensions need to match, but first has size {n} in dim {p} and second "
                f"has size {m} in dim {q}"
            )
        right[j] = left[i]
    output = [k for k in left if k not in right] + [k for k in right if k not in left]
    return hand_out(summation([Labelled(a, left), Labelled(b, right)], output), out)


@word("torch.inner", "Tensor.inner")
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Sums of products over the last axes."""
    if not input.ndim or not other.ndim:
        (a, b), _ = promote(input, other)
        return hand_out(binary("Mul", a, b), out)
    if int(input.shape[-1]) != int(other.shape[-1]):
        shapes = [str([int(s) for s in t.shape]) for t in (input, other)]
        raise ShapeError(
            "inner() the last dimension must match on both input tensors but got shapes " + " and ".join(shapes)
        )
    return hand_out(tensordot(input, other, ([-1], [-1])), out)


@word("F.bilinear", "torch.bilinear")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input1 @ weight[k] @ input2 + bias[k]` for each output k.

    Shapes:
        input1: (..., in1), input2: (..., in2), weight: (out, in1, in2), bias: (out,)
        returns: (..., out)
    """
    for position, x, axis in (("input1", input1, 1), ("input2", input2, 2)):
        if int(x.shape[-1]) != int(weight.shape[axis]):
            raise ShapeError(
                f"bilinear(): {position} size does not match weight size: got {int(x.shape[-1])} but "
                f"expected "
                f"{int(weight.shape[axis])}"
            )
    batch: Labels = [("batch", k) for k in range(input1.ndim - 1)]
    parts = [Labelled(input1, [*batch, "i"]), Labelled(weight, "oij"), Labelled(input2, [*batch, "j"])]
    out = summation(parts, [*batch, "o"])
    return out if bias is None else binary("Add", out, bias)
