"""Activations: bent lines, gates, and softmax along an axis."""

from __future__ import annotations

import math
import warnings
from typing import Any

import ml_dtypes

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.graph import PLAIN, current
from mcore.platform.tensor import Tensor, constant, emit, emit_many, emit_plain
from mcore.platform.word import inplace, word, write_back
from mcore.platform.words._common import axis_of, cast
from mcore.platform.words._elementwise import FLOAT, as_float, floats_only, join, number, plus, times
from mcore.platform.words._pieces import counted, reduce, reshape, squeeze, test, unary, unsqueeze, where
from mcore.platform.words.arithmetic import limit
from mcore.platform.words.random import draw_uniform


def _ended(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    """`inplace=True` writes the result onto the argument."""
    return write_back(input, result) if inplace else result


# --- bent lines


def _relu(x: Tensor) -> Tensor:
    kind = x._dtype
    if kind.category == FLOAT or kind is dtypes.int32:
        return emit_plain("Relu", (x,), x._shape, kind)
    if kind.category == dtypes.BOOL:
        raise RuntimeError("Boolean inputs not supported for relu")
    return limit(x, 0, None)  # Relu has no kernel for most ints


@word("torch.relu", "Tensor.relu")
def relu(input: Tensor) -> Tensor:
    """`max(input, 0)`."""
    return _relu(input)


@word("F.relu")
def functional_relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(input, 0)`."""
    result = _relu(input)
    return write_back(input, result) if inplace else result


@word("F.relu6")
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(input, 0), 6)`."""
    return _ended(input, limit(input, 0, 6), inplace)


@word("F.hardtanh")
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` within [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input._dtype.category != FLOAT:
        min_val, max_val = int(min_val), int(max_val)
        if input._dtype is dtypes.uint8 and min_val < 0:
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _ended(input, limit(input, min_val, max_val), inplace)


@word("F.leaky_relu")
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where positive, else `negative_slope * input`."""
    return _ended(input, _leaky(floats_only(input, "leaky_relu"), negative_slope), inplace)


def _leaky(x: Tensor, slope: float) -> Tensor:
    return emit("LeakyRelu", (x,), x.shape, x._dtype, alpha=float(slope))


@word("torch.prelu", "Tensor.prelu", "F.prelu")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """`input` where positive, else `weight * input`: one weight, or one a channel.

    Raises:
        RuntimeError: the number of weights is neither 1 nor that of channels.
    """
    if weight._dtype is not input._dtype:
        raise RuntimeError(
            "prelu: Type promoting not supported. "
            f"Got {input._dtype.name} and {weight._dtype.name}"
        )  # fmt: skip
    count, kind = int(math.prod(int(s) for s in weight.shape)), input._dtype
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    if count == 1:
        r = current()
        if weight._is_state != PLAIN and weight._recorder is None and not r.exporting and kind is dtypes.float32:
            # The slope stands in the node: another weight, another recording. 16 times as fast as PRelu.
            return _leaky(input, float(weight._data().reshape(())))
        weight = weight if input.ndim else reshape(weight, ())
    else:
        channels = int(input.shape[1]) if input.ndim > 1 else 1
        if input.ndim == 0:
            raise RuntimeError("prelu: Not allow zero-dim input tensor.")
        if channels != count:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {count} "
                f"and channel size = {channels}."
            )
        weight = unsqueeze(weight, *range(1, input.ndim - 1))
    # Four simple operators take a third of the time of PRelu.
    zero = constant(0, kind)
    above = emit("Max", (input, zero), input.shape, kind)
    below = emit("Min", (input, zero), input.shape, kind)
    return join("Add", above, emit("Mul", (below, weight), input.shape, kind), kind)


@word("F.rrelu", "torch.rrelu")
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """A leaky relu with a random slope in [lower, upper] for each element; in evaluation the mean one."""
    x = floats_only(input, "leaky_relu")
    if not training:
        return _ended(input, _leaky(x, (lower + upper) / 2), inplace)
    slopes = draw_uniform(x.shape, x._dtype, lower, upper)
    result = where(test("LessOrEqual", x, constant(0, x._dtype)), join("Mul", x, slopes, x._dtype), x)
    return _ended(input, result, inplace)


@word("F.threshold", "torch.threshold")
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """`input` where it is above the threshold, else `value`."""
    if input._dtype.category != FLOAT:
        threshold, value = int(threshold), int(value)
    low = test("LessOrEqual", input, number(threshold, input))  # a NaN is not, and stays
    return _ended(input, where(low, number(value, input), input), inplace)


# --- exponential bends


@word("F.elu")
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else `alpha * (exp(input) - 1)`."""
    x = floats_only(input, "elu")
    return _ended(input, emit("Elu", (x,), x.shape, x._dtype, alpha=float(alpha)), inplace)


def _celu(x: Tensor, alpha: float) -> Tensor:
    """By Elu, since Celu has a kernel for float32 only: `alpha * elu(x / alpha)`."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    x = floats_only(x, "elu")
    if alpha == 1:
        return emit("Elu", (x,), x.shape, x._dtype)
    bent = times(unary("Elu", times(emit("Min", (x, constant(0, x._dtype)), x.shape, x._dtype), 1 / alpha)), alpha)
    return join("Add", emit("Max", (x, constant(0, x._dtype)), x.shape, x._dtype), bent, x._dtype)


@word("torch.celu", "F.celu")
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`max(0, input) + min(0, alpha * (exp(input / alpha) - 1))`."""
    return _ended(input, _celu(input, alpha), inplace)


@word("torch.selu", "F.selu")
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU scaled so that mean 0 and variance 1 are kept."""
    x = floats_only(input, "elu")
    return _ended(input, unary("Selu", x), inplace)


@word("F.gelu")
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input * Phi(input)`, Phi the normal distribution; or its approximation by "tanh".

    Differs: of infinity it is infinity; torch on CPU gives NaN.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    x = floats_only(input, "GeluKernelImpl")
    if approximate == "none":
        return emit("Gelu", (x,), x.shape, x._dtype)
    return emit("Gelu", (x,), x.shape, x._dtype, approximate="tanh")


@word("F.silu")
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * sigmoid(input)`."""
    x = floats_only(input, "silu")
    return _ended(input, emit("Mul", (x, emit("Sigmoid", (x,), x.shape, x._dtype)), x.shape, x._dtype), inplace)


@word("F.mish")
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * tanh(softplus(input))`, as a quotient of polynomials in exp: an eighth of the time of Mish."""
    x = floats_only(input, "mish")
    kind = x._dtype
    # Beyond the limit the quotient is 1 to the last digit, and the square would overflow.
    e = unary("Exp", emit("Min", (x, constant(5 if kind is dtypes.float16 else 20, kind)), x.shape, kind))
    above = emit("Mul", (e, plus(e, 2)), x.shape, kind)
    ratio = emit("Div", (above, plus(above, 2)), x.shape, kind)
    return _ended(input, emit("Mul", (x, ratio), x.shape, kind), inplace)


@word("F.softplus")
def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """`log(1 + exp(beta * input)) / beta`; the input itself where `beta * input` is above the threshold."""
    x = floats_only(input, "softplus")
    turned = times(x, beta)
    smooth = times(unary("Softplus", turned), 1 / beta)
    # From 16 on the two agree to float32's last digit.
    if threshold >= 16 and x._dtype is not dtypes.float64:
        return smooth
    return where(test("Greater", turned, number(threshold, x)), x, smooth)


@word("F.logsigmoid")
def logsigmoid(input: Tensor) -> Tensor:
    """`log(sigmoid(input))`."""
    x = floats_only(input, "log_sigmoid")
    return unary("Neg", unary("Softplus", unary("Neg", x)))


# --- gates


@word("F.hardsigmoid")
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(input + 3) / 6`."""
    x = floats_only(input, "hardsigmoid")
    return _ended(input, emit("HardSigmoid", (x,), x.shape, x._dtype, alpha=1 / 6, beta=0.5), inplace)


@word("F.hardswish")
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`input * relu6(input + 3) / 6`."""
    x = floats_only(input, "hardswish")
    return _ended(input, unary("HardSwish", x), inplace)


@word("torch.hardshrink", "Tensor.hardshrink", "F.hardshrink")
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 within [-lambd, lambd], else the input."""
    x = floats_only(input, "hardshrink")
    small = test("LessOrEqual", unary("Abs", x), number(lambd, x))  # not Shrink, which turns NaN into 0
    return where(small, constant(0, x._dtype), x)


@word("F.softshrink")
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """The input drawn `lambd` towards zero; 0 within [-lambd, lambd]."""
    x = floats_only(input, "softshrink")
    if lambd < 0:
        most = float(ml_dtypes.finfo(x._dtype.numpy).max)
        raise RuntimeError(
            f"lambda must be in range [0, {most:g}] for input dtype {x._dtype.title}, but found {lambd:g}"
        )
    return join("Sub", x, limit(x, -lambd, lambd), x._dtype)


@word("F.tanhshrink")
def tanhshrink(input: Tensor) -> Tensor:
    """`input - tanh(input)`."""
    x = as_float(input)
    return join("Sub", x, unary("Tanh", x), x._dtype)


@word("F.softsign")
def softsign(input: Tensor) -> Tensor:
    """`input / (1 + |input|)`."""
    return unary("Softsign", as_float(input))


@word("F.glu")
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of an axis, gated by the sigmoid of the second.

    Raises:
        RuntimeError: the axis has an odd size.
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    x = floats_only(input, "glu")
    axis = axis_of(dim, x.ndim)
    size = x.shape[axis]
    if int(size) % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {axis} is size {int(size)}")
    shape = (*x.shape[:axis], size // 2, *x.shape[axis + 1 :])
    a, b = emit_many("Split", (x,), [(shape, x._dtype)] * 2, axis=axis, num_outputs=2)
    return join("Mul", a, unary("Sigmoid", b), x._dtype)


# --- softmax


def softmax_along(x: Tensor, dim: int, kind: dtype | None, *, log: bool = False) -> Tensor:
    """Softmax, or its logarithm, of a tensor along one axis."""
    x = x if kind is None else cast(x, kind)
    axis = axis_of(dim, x.ndim)
    if x._dtype.category != FLOAT:
        kernel = "softmax_lastdim_kernel_impl" if axis == max(x.ndim - 1, 0) else "softmax_kernel_impl"
        raise NotImplementedError(f"\"{'log_' if log else ''}{kernel}\" not implemented for '{x._dtype.title}'")
    op = "LogSoftmax" if log else "Softmax"
    if x.ndim == 0:  # the operator wants an axis
        return squeeze(emit(op, (unsqueeze(x, 0),), (1,), x._dtype, axis=0), 0)
    if axis == x.ndim - 1 or x._dtype is dtypes.float16:
        return emit(op, (x,), x.shape, x._dtype, axis=axis)
    # The runtime transposes to take softmax over an inner axis: by parts it is 2 to 5 times as fast.
    shape, kind = x.shape, x._dtype
    shifted = emit("Sub", (x, reduce("ReduceMax", x, (axis,), keepdim=True)), shape, kind)
    powers = emit("Exp", (shifted,), shape, kind)
    total = reduce("ReduceSum", powers, (axis,), keepdim=True)
    if log:
        return emit("Sub", (shifted, emit("Log", (total,), total.shape, kind)), shape, kind)
    return emit("Div", (powers, total), shape, kind)


def _implicit(name: str, rank: int, dim: int | None, stacklevel: int) -> int:
    """The axis that old code means by none."""
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel + 2,
    )
    return 0 if rank in (0, 1, 3) else 1


@word("torch.softmax", "Tensor.softmax")
def softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """`exp(input)` divided by its sum along `dim`."""
    return softmax_along(input, dim, dtype)


@word("torch.log_softmax", "Tensor.log_softmax")
def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """The logarithm of softmax along `dim`."""
    return softmax_along(input, dim, dtype, log=True)


@word("F.softmax")
def functional_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """`exp(input)` divided by its sum along `dim`."""
    return softmax_along(input, _implicit("softmax", input.ndim, dim, _stacklevel), dtype)


@word("F.log_softmax")
def functional_log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """The logarithm of softmax along `dim`."""
    return softmax_along(input, _implicit("log_softmax", input.ndim, dim, _stacklevel), dtype, log=True)


@word("F.softmin")
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None) -> Tensor:
    """Softmax of the negated input."""
    dim = _implicit("softmin", input.ndim, dim, _stacklevel)
    return softmax_along(unary("Neg", input), dim, dtype)


@word("F.gumbel_softmax")
def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A random choice along `dim`, by chance `softmax(logits)`: softened by `tau`, or with `hard` one-hot."""
    kind = logits._dtype
    drawn = draw_uniform(logits.shape, kind, float.fromhex("0x1p-32"), 1.0)
    noise = unary("Neg", unary("Log", unary("Neg", unary("Log", drawn))))
    soft = softmax_along(times(join("Add", logits, noise, kind), 1 / tau), dim, None)
    if not hard:
        return soft
    axis = axis_of(dim, soft.ndim)
    shape = tuple(1 if k == axis else s for k, s in enumerate(soft.shape))
    place = emit("ArgMax", (soft,), shape, dtypes.int64, axis=axis)
    places = unsqueeze(counted(soft.shape[axis]), *range(1, soft.ndim - axis)) if soft.ndim else constant(0)
    return cast(test("Equal", place, places), kind)


# --- in place


def _twin(name: str, function: Any) -> None:
    """`F.elu_(input, ...)` is `F.elu(input, ..., inplace=True)`."""
    inplace(function, *((f"F.{name}_", f"torch.{name}_") if name in _IN_TORCH else (f"F.{name}_",)))


_IN_TORCH = ("celu", "selu", "rrelu", "threshold")
for _name, _function in (
    ("celu", celu), ("elu", elu), ("hardtanh", hardtanh), ("leaky_relu", leaky_relu), ("rrelu", rrelu),
    ("selu", selu), ("threshold", threshold),
):  # fmt: skip
    _twin(_name, _function)
inplace(relu, "torch.relu_", "Tensor.relu_", "F.relu_")
