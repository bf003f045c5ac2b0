"""Random numbers: drawn by the host at each call and fed to the graph, never baked into one.

Differs: from torch's, the numbers are other ones (numpy's Philox), their distributions are the same.
"""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.graph import active
from mcore.platform.tensor import CPU, Tensor, constant, device, emit, emit_many
from mcore.platform.word import inplace, publish, word, write_back
from mcore.platform.words._common import as_tensor, broadcast, cast
from mcore.platform.words._elementwise import FLOAT, floats_only, join, plus, times
from mcore.platform.words._pieces import reduce, test, unsqueeze
from mcore.platform.words.creation import options, sizes_of

# --- the generator


class Generator:
    """A source of random numbers, as `torch.Generator`; `manual_seed` makes it start anew."""

    def __init__(self, device: str | device = "cpu") -> None:
        self.device = _device(device)
        self.manual_seed(67280421310721)

    def manual_seed(self, seed: int) -> Generator:
        """Starts anew: the same seed gives the same numbers."""
        self._seed = int(seed) % 2**64
        self._host = np.random.Generator(np.random.Philox(key=self._seed))
        self._streams = 0
        return self

    def seed(self) -> int:
        """Starts anew from a seed that nobody chose, and tells it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1)
        return self._seed

    def initial_seed(self) -> int:
        """The seed that it started from."""
        return self._seed

    def get_state(self) -> Tensor:
        """Where it stands, as a tensor of bytes for `set_state`."""
        state = pickle.dumps((self._seed, self._streams, self._host.bit_generator.state))
        return Tensor._of(np.frombuffer(state, np.uint8).copy())

    def set_state(self, new_state: Tensor) -> None:
        """Goes back to where `get_state` was called."""
        self._seed, self._streams, state = _read_state(new_state.numpy().tobytes())
        self._host = np.random.Generator(np.random.Philox(key=self._seed))
        self._host.bit_generator.state = state

    def next_stream(self) -> tuple[int, int]:
        """Seed and number of a stream of its own: for values that may be drawn later, or never."""
        self._streams += 1
        return self._seed, self._streams


_device = device


class _PlainUnpickler(pickle.Unpickler):
    """Reads numbers, dicts and numpy arrays: a state from a file may not name anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("numpy") and name in (
            "_reconstruct",
            "ndarray",
            "dtype",
            "_frombuffer",
            "scalar",
        ):
            return super().find_class(module, name)
        raise RuntimeError(f"RNG state names {module}.{name}, which no generator's state holds.")


def _read_state(content: bytes) -> tuple:
    import io

    return _PlainUnpickler(io.BytesIO(content)).load()


def stream(seed: int, number: int) -> np.random.Generator:
    """The numbers of one stream, as `next_stream` named it: the same at each reading."""
    # The fastest of numpy's sources: weights of a network are millions of numbers.
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, number))))


_default = Generator()
_default.seed()


def generator() -> Generator:
    """The generator that words use unless they are given one."""
    return _default


def manual_seed(seed: int) -> Generator:
    """Starts the default generator anew, and tells it."""
    return _default.manual_seed(seed)


def seed() -> int:
    """Starts the default generator from a seed that nobody chose, and tells it."""
    return _default.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return _default.initial_seed()


def get_rng_state() -> Tensor:
    """Where the default generator stands."""
    return _default.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Puts the default generator back."""
    _default.set_state(new_state)


for _function in (manual_seed, seed, initial_seed, get_rng_state, set_rng_state):
    publish(_function, f"torch.{_function.__name__}")


# --- drawing


def draw(
    make: Callable[[np.random.Generator, tuple], np.ndarray], shape: Sequence[int], kind: dtype,
    source: Generator | None = None, where: device = CPU,
) -> Tensor:  # fmt: skip
    """A tensor of fresh numbers; in a recording it is an input fed anew at each call.

    Raises:
        RuntimeError: a graph is exported, which can't draw.
    """
    recorder = active.recorder
    if recorder is not None and recorder.exporting:
        raise RuntimeError(
            "random numbers can't stand in an exported graph: it would repeat the same ones for ever. Call "
            "eval() first (dropout and its kin then do nothing), or make the numbers an argument of forward"
        )
    plain = tuple(int(s) for s in shape)
    array = np.asarray(make((source or _default)._host, plain)).astype(kind.numpy, copy=False)
    if recorder is None:
        return Tensor._of(array, kind, where)
    recorder.drew_random.append(recorder.place())
    return Tensor._recorded(recorder, recorder.input(array, kind), kind, tuple(shape))


def draw_uniform(
    shape: Sequence[int], kind: dtype, low: float = 0.0, high: float = 1.0, source: Generator | None = None,
    where: device = CPU,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [low, high)."""

    def make(host: np.random.Generator, plain: tuple) -> np.ndarray:
        numbers = host.random(plain, np.float64 if kind is dtypes.float64 else np.float32)
        if kind.itemsize == 2:  # rounding up would reach `high`
            numbers = np.floor(numbers * 2**8) / 2**8
        return numbers if (low, high) == (0, 1) else numbers * (high - low) + low

    return draw(make, shape, kind, source, where)


def draw_normal(
    shape: Sequence[int], kind: dtype, mean: float = 0.0, std: float = 1.0, source: Generator | None = None,
    where: device = CPU,
) -> Tensor:  # fmt: skip
    """Normal numbers."""

    def make(host: np.random.Generator, plain: tuple) -> np.ndarray:
        numbers = host.standard_normal(plain, np.float64 if kind is dtypes.float64 else np.float32)
        return numbers if (mean, std) == (0, 1) else numbers * std + mean

    return draw(make, shape, kind, source, where)


def draw_integers(
    shape: Sequence[int],
    kind: dtype,
    low: int,
    high: int,
    source: Generator | None = None,
    where: device = CPU,
) -> Tensor:
    """Whole numbers in [low, high)."""
    return draw(lambda host, plain: host.integers(low, high, plain), shape, kind, source, where)


def _float_options(given: dict, like: Tensor | None = None) -> tuple[dtype, device]:
    kind, where = options(given, like)
    if kind.category != FLOAT:
        raise NotImplementedError(f"\"normal_kernel_cpu\" not implemented for '{kind.title}'")
    return kind, where


# --- creation


@word("torch.rand", ready=True)
def rand(*size: Any, generator: Generator | None = None, **given: Any) -> Tensor:
    """Uniform numbers in [0, 1)."""
    shape = sizes_of(size, given)
    kind, where = _float_options(given)
    return draw_uniform(shape, kind, source=generator, where=where)


@word("torch.randn", ready=True)
def randn(*size: Any, generator: Generator | None = None, **given: Any) -> Tensor:
    """Normal numbers of mean 0 and variance 1."""
    shape = sizes_of(size, given)
    kind, where = _float_options(given)
    return draw_normal(shape, kind, source=generator, where=where)


@word("torch.randint", ready=True)
def randint(*args: Any, generator: Generator | None = None, **given: Any) -> Tensor:
    """Whole numbers in [low, high): `randint(high, size)` or `randint(low, high, size)`."""
    names = ("high", "size") if len(args) + sum(k in given for k in ("low", "high", "size")) == 2 else (
        "low", "high", "size"
    )  # fmt: skip
    found = dict(zip(names, args, strict=False)) | {k: given.pop(k) for k in names if k in given}
    if "high" not in found or "size" not in found:
        raise TypeError(
            "randint() received an invalid combination of arguments: give (high, size) or (low, high, size)"
        )
    low, high = int(found.get("low", 0)), int(found["high"])
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    kind, where = options({"dtype": dtypes.int64} | {k: v for k, v in given.items() if v is not None})
    return draw_integers(tuple(found["size"]), kind, low, high, generator, where)


@word("torch.randperm", ready=True)
def randperm(n: int, *, generator: Generator | None = None, **given: Any) -> Tensor:
    """The numbers 0 to n - 1 in random order."""
    kind, where = options({"dtype": dtypes.int64} | {k: v for k, v in given.items() if v is not None})
    return draw(lambda host, plain: host.permutation(plain[0]), (n,), kind, generator, where)


@word("torch.rand_like", ready=True)
def rand_like(input: Tensor, *, generator: Generator | None = None, **given: Any) -> Tensor:
    """Uniform numbers in the shape and type of the input."""
    kind, where = _float_options(given, input)
    return draw_uniform(input.shape, kind, source=generator, where=where)


@word("torch.randn_like", ready=True)
def randn_like(input: Tensor, *, generator: Generator | None = None, **given: Any) -> Tensor:
    """Normal numbers in the shape and type of the input."""
    kind, where = _float_options(given, input)
    return draw_normal(input.shape, kind, source=generator, where=where)


@word("torch.randint_like", ready=True)
def randint_like(
    input: Tensor,
    low: int | None = None,
    high: int | None = None,
    *,
    generator: Generator | None = None,
    **given: Any,
) -> Tensor:
    """Whole numbers in [low, high), or in [0, low), in the shape and type of the input."""
    low, high = (0, low) if high is None else (low or 0, high)
    kind, where = options(given, input)
    return draw_integers(input.shape, kind, int(low or 0), int(high or 0), generator, where)


@word("torch.normal", ready=True)
def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, **given: Any) -> Tensor:
    """Normal numbers of these means and deviations, numbers (with `size`) or tensors."""
    if size is not None:
        kind, where = _float_options(given)
        return draw_normal(tuple(size), kind, mean, std, generator, where)
    if isinstance(mean, Tensor) and not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return _normal_of(mean, std, generator)


def _normal_of(mean: Any, std: Any, source: Generator | None) -> Tensor:
    tensors = [v for v in (mean, std) if isinstance(v, Tensor)]
    shape = broadcast(*[t.shape for t in tensors])
    return draw_normal(shape, tensors[0]._dtype, source=source) * std + mean  # type: ignore[operator]


# --- choices


@word("torch.bernoulli", "Tensor.bernoulli")
def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the chance that the input says (or `p`), else 0."""
    x = floats_only(input, "bernoulli")
    chance = x if p is None else as_tensor(p, x._dtype)
    drawn = draw_uniform(x.shape, x._dtype, source=generator)
    return cast(test("Less", drawn, chance), x._dtype)


@word("torch.multinomial", "Tensor.multinomial")
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`num_samples` indices along the last axis, by chance in proportion to the input."""
    x = floats_only(input, "multinomial")
    if x.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not replacement and num_samples > int(x.shape[-1]):
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    shape = (*x.shape[:-1], num_samples)
    if replacement:
        return _by_sums(x, shape, generator)
    drawn = draw(lambda host, plain: host.standard_exponential(plain), x.shape, x._dtype, generator)
    score = join("Div", x, drawn, x._dtype)  # the largest ones are a draw without replacement
    return emit_many("TopK", (score, constant([num_samples])), [(shape, x._dtype), (shape, dtypes.int64)])[1]


def _by_sums(x: Tensor, shape: tuple, source: Generator | None) -> Tensor:
    """How many running sums a uniform number reaches is the index that it chose."""
    kind = x._dtype
    sums = emit("CumSum", (x, constant(-1)), x.shape, kind)
    total = reduce("ReduceSum", x, (x.ndim - 1,), keepdim=True)
    level = join("Mul", draw_uniform(shape, kind, source=source), total, kind)
    reached = test("LessOrEqual", unsqueeze(sums, x.ndim - 1), unsqueeze(level, x.ndim))
    return cast(reduce("ReduceSum", cast(reached, dtypes.int32), (x.ndim,)), dtypes.int64)


# --- dropout


def _check_chance(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _dropped(x: Tensor, p: float, mask_shape: Sequence[int]) -> Tensor:
    """`x` with a share `p` set to zero and the rest scaled up."""
    x = floats_only(x, "bernoulli_scalar")
    if p == 1:
        return times(x, 0)
    kept = draw(lambda host, plain: (host.random(plain, np.float32) >= p) / (1 - p), mask_shape, x._dtype)
    return join("Mul", x, kept, x._dtype)


def _channels(x: Tensor) -> tuple:
    """The shape of a mask that treats a whole channel alike."""
    if x.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*x.shape[:2], *([1] * (x.ndim - 2)))


def _ended(input: Tensor, result: Tensor, inplace: bool) -> Tensor:
    return write_back(input, result) if inplace and result is not input else result


@word("F.dropout")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each element is 0 with chance `p`, else divided by `1 - p`; in evaluation as it is."""
    if not 0.0 <= p <= 1.0:
        _check_chance(p)
    if not training or p == 0:
        return input
    return _ended(input, _dropped(input, p, input.shape), inplace)


def _feature_dropout(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    _check_chance(p)
    if not training or p == 0:
        return input
    shape = _channels(input) if batched else (input.shape[0], *([1] * (input.ndim - 1)))
    return _ended(input, _dropped(input, p, shape), inplace)


@word("F.dropout1d")
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (n, c, l) or (c, l)."""
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d "
            "exists to provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, "
            "and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _feature_dropout(input, p, training, inplace, input.ndim == 3)


@word("F.dropout2d")
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (n, c, h, w); any first two axes are taken as n and c, as in torch."""
    return _feature_dropout(input, p, training, inplace, True)


@word("F.dropout3d")
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (n, c, d, h, w) or (c, d, h, w)."""
    return _feature_dropout(input, p, training, inplace, input.ndim == 5)


def _alpha_dropped(input: Tensor, p: float, training: bool, inplace: bool, shape: Sequence[int]) -> Tensor:
    """Dropout that keeps mean and variance under SELU: what is dropped takes SELU's least value."""
    if not training or p == 0:
        return input
    x = floats_only(input, "bernoulli_scalar")
    if p == 1:
        return _ended(input, times(x, 0), inplace)
    alpha = 1.7580993408473766
    scale = 1 / math.sqrt((alpha * alpha * p + 1) * (1 - p))
    kept = draw(lambda host, plain: host.random(plain, np.float32) >= p, shape, x._dtype)
    rest = plus(times(plus(kept, -1), alpha * scale), alpha * scale * p)
    return _ended(input, join("Add", join("Mul", x, times(kept, scale), x._dtype), rest, x._dtype), inplace)


@word("F.alpha_dropout")
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean and variance under SELU."""
    _check_chance(p)
    return _alpha_dropped(input, p, training, inplace, input.shape)


@word("F.feature_alpha_dropout")
def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Alpha dropout of whole channels."""
    _check_chance(p)
    return _alpha_dropped(input, p, training, inplace, _channels(input) if training and p else ())


@word("torch.dropout")
def _dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`F.dropout` in the order of torch's C function."""
    return dropout(input, p, train)


@word("torch.alpha_dropout")
def _alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`F.alpha_dropout` in the order of torch's C function."""
    return alpha_dropout(input, p, train)


@word("torch.feature_alpha_dropout")
def _feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """`F.feature_alpha_dropout` in the order of torch's C function."""
    return feature_alpha_dropout(input, p, train)


@word("torch.feature_dropout")
def feature_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """Dropout of whole channels, in the order of torch's C function."""
    return _feature_dropout(input, p, train, False, True)


for _name, _twin in (
    ("dropout", _dropout), ("alpha_dropout", _alpha_dropout),
    ("feature_alpha_dropout", _feature_alpha_dropout), ("feature_dropout", feature_dropout),
):  # fmt: skip
    inplace(_twin, f"torch.{_name}_")


# --- filling in place


def _filler(name: str) -> Callable[[Callable], Callable]:
    """A method that overwrites a tensor with fresh numbers, whatever it held."""

    def enter(make: Callable[..., Tensor]) -> Callable:
        def fill(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return self._write(make(self, *args, **kwargs))

        fill.__name__, fill.__doc__ = name, make.__doc__
        word(f"Tensor.{name}", ready=True)(fill)
        return make

    return enter


def _where(self: Tensor) -> device:
    return self._device


@_filler("normal_")
def _normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Normal numbers."""
    if std < 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    return draw_normal(self.shape, self._dtype, mean, std, generator, _where(self))


@_filler("uniform_")
def _uniform_(self: Tensor, a: float = 0, b: float = 1, *, generator: Generator | None = None, **given: Any) -> Tensor:
    """Uniform numbers in [a, b); torch's own names for the two are `from` and `to`."""
    a, b = given.pop("from", a), given.pop("to", b)
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}")
    return draw_uniform(self.shape, self._dtype, a, b, generator, _where(self))


@_filler("bernoulli_")
def _bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """1 with chance `p`, a number or a tensor, else 0."""
    if isinstance(p, Tensor):
        return bernoulli(p, generator=generator).to(self._dtype)  # type: ignore[attr-defined]
    return draw(lambda host, plain: host.random(plain) < p, self.shape, self._dtype, generator, _where(self))


@_filler("random_")
def _random_(self: Tensor, a: int = 0, b: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Whole numbers in [a, b), in [0, a), or in all of the type's range."""
    kind = self._dtype
    if b is None:
        top = 2 ** {"float32": 24, "float64": 53, "float16": 11, "bfloat16": 8, "bool": 1}.get(
            kind.name, 8 * kind.itemsize - kind.is_signed
        )  # fmt: skip
        a, b = (0, a) if a else (0, min(top, 2**63 - 1))
    return draw_integers(self.shape, kind, a, b, generator, _where(self))


@_filler("exponential_")
def _exponential_(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Exponential numbers of rate `lambd`."""
    return draw(
        lambda h, plain: h.standard_exponential(plain) / lambd,
        self.shape,
        self._dtype,
        generator,
        _where(self),
    )


@_filler("log_normal_")
def _log_normal_(self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """Exponentials of normal numbers."""
    return draw(lambda h, plain: h.lognormal(mean, std, plain), self.shape, self._dtype, generator, _where(self))


@_filler("cauchy_")
def _cauchy_(self: Tensor, median: float = 0, sigma: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Cauchy numbers."""
    return draw(
        lambda h, plain: h.standard_cauchy(plain) * sigma + median,
        self.shape,
        self._dtype,
        generator,
        _where(self),
    )


@_filler("geometric_")
def _geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Numbers of trials to the first success of chance `p`."""
    return draw(lambda h, plain: h.geometric(p, plain), self.shape, self._dtype, generator, _where(self))
