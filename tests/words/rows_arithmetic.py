"""Arithmetic, comparisons, functions of single elements, element types, questions about tensors."""

import math

from tests.words.contract import A, B, Error, I, Row, Sample, T

NAN, INF = math.nan, math.inf
# Zeros of both signs, halves, infinities, NaN; 37 of them, so that vector and scalar loops of a kernel both run.
ODD = [NAN, INF, -INF, 0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 2.5, 1.0, -1.0, 3.25, -7.75, 100.0, -100.0, 1e-6, -1e-6]
EDGES = T((ODD * 3)[:37])
HALF = {"rtol": 2e-3, "atol": 2e-3}
NARROW = {"rtol": 2e-2, "atol": 2e-2}
INTS = ("uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "bfloat16", "float64")


def both(*words):
    """Names of words that are functions and methods."""
    return [f"{owner}.{word}" for word in words for owner in ("torch", "Tensor")]


def typed(kind, *arguments, unrun=(), **options):
    """A sample of one element type, with its tolerance; files in types that the runtime lacks can't be run."""
    limits = {"float16": HALF, "bfloat16": NARROW}
    sample = Sample(*arguments, **limits.get(kind, {}), **options)
    if kind == "bfloat16" or kind in unrun:
        sample.without("export", f"no {kind} kernels").without("recording", f"no {kind} kernels")
    return sample


def of_types(make, kinds, unrun=()):
    """A sample for each element type."""
    return [typed(kind, make(kind), unrun=unrun) for kind in kinds]


def single(*words, low=None, high=None, ints=True, bools=True, halves=FLOATS, extra=(), edges=True, more=(), unrun=(),
           **row):  # fmt: skip
    """The row of a function of one tensor."""
    samples = [Sample(A(2, 3, low=low, high=high)).other(A(4, 5, low=low, high=high)), Sample(A(low=low, high=high))]
    samples += [Sample(A(0, 3, low=low, high=high)), *extra]
    if edges:
        samples.append(Sample(EDGES))
    samples += of_types(lambda kind: A(3, 5, dtype=kind, low=low, high=high), halves, unrun)
    if ints:
        samples += of_types(lambda kind: I(3, 5, low=1, high=5, dtype=kind), INTS)
    if ints and bools:
        samples.append(Sample(B(3, 4)))
    return Row(*both(*words), *more, samples=samples, **row)


def pairs(*words, kinds=("float32", *FLOATS, *INTS), low=1, high=5, bools=False, extra=(), errors=(), more=(), **row):
    """The row of a function of two tensors: all types, broadcasting, mixed types, sizes that change."""
    samples = [
        Sample(A(2, 3), A(2, 3, seed=1)).other(A(4, 5), A(4, 5, seed=1)),
        Sample(A(2, 1, 4), A(3, 1, seed=1)).other(A(5, 1, 2), A(6, 1, seed=1)),
        Sample(A(2, 3), A(seed=1)),
        Sample(A(0, 3), A(1, 3, seed=1)),
    ]
    samples += [
        typed(k, I(3, 4, low=low, high=high, dtype=k), I(3, 4, low=low, high=high, dtype=k, seed=1))
        if "int" in k
        else typed(k, A(3, 4, dtype=k), A(3, 4, dtype=k, seed=1))
        for k in kinds
    ]
    if bools:
        samples.append(Sample(B(3, 4), B(3, 4, seed=1)))
    return Row(*both(*words), *more, samples=[*samples, *extra], errors=list(errors), **row)


MISFIT = Error(RuntimeError, r"The size of tensor a \(3\) must match the size of tensor b \(5\) at non-singleton dim",
               A(2, 3), A(4, 5))  # fmt: skip
MIXED = [
    Sample(A(2, 3), I(2, 3)),
    Sample(I(2, 3, dtype="int32"), I(2, 3)),
    Sample(A(2, 3, dtype="float16"), A(2, 3, seed=1), **HALF),
    Sample(I(2, 3, dtype="uint8"), I(2, 3, dtype="int8")),
    Sample(I(2, 3), A(seed=1)),
    Sample(A(2, 3), 2.5),
    Sample(A(2, 3), 2),
    Sample(I(2, 3), 2),
    Sample(I(2, 3), 2.5),
    Sample(I(2, 3, dtype="uint8"), 3),
]
SIGNED = T([-7, -6, -1, 0, 1, 6, 7, -128, 127], "int8")
SIGNED_LONG = T([-7, -6, -1, 0, 1, 6, 7, -(2**40), 2**40], "int64")
SIGNED_FLOAT = T([-7.5, -6.0, -1.0, 0.0, 1.0, 6.0, 7.5, -0.3, 0.7])
DIVISORS = [Sample(x, d) for x in (SIGNED, SIGNED_LONG, SIGNED_FLOAT) for d in (2, -2, 3, -3)] + [
    Sample(SIGNED_LONG, T([2, -2, 3, -3, 5, -5, 4, 7, -9], "int64")),
    Sample(SIGNED, T([2, -2, 3, -3, 5, -5, 4, 3, -3], "int8")),
    Sample(SIGNED_FLOAT, T([2.0, -2.0, 0.1, -3.0, 0.0, -0.5, INF, -INF, 0.1])),
    Sample(SIGNED_FLOAT, 0.1),
    Sample(I(2, 3, dtype="uint8", low=0, high=250), 7),
]
NO_BOOL_DIFFERENCE = "Subtraction, the `-` operator, with two bool tensors is not supported"
NO_BOOL_NEGATION = "Negation, the `-` operator, on a bool tensor is not supported"

ARITHMETIC = [
    pairs("add", bools=True, errors=[
        MISFIT,
        Error(RuntimeError, "For integral input tensors, argument alpha must not be a floating", I(2), I(2), alpha=0.5),
        Error(TypeError, "must be Tensor, not str", A(2), "a"),
    ], extra=[
        *MIXED, Sample(A(2, 3), A(2, 3, seed=1), alpha=0.5), Sample(I(2, 3), I(2, 3, seed=1), alpha=3),
        Sample(I(2, 3, dtype="uint8"), 300), Sample(B(2, 3), 2), Sample(B(2, 3), 2.5), Sample(B(2, 3), True),
        Sample(A(2, 3, dtype="float16"), 2.5, **HALF), Sample(B(2, 3), B(2, 3), alpha=True),
        Sample(A(), A(seed=1, dtype="float64")), Sample(EDGES, 1),
    ]),
    pairs("sub", "subtract", extra=[
        *MIXED, Sample(A(2, 3), A(2, 3, seed=1), alpha=0.5), Sample(I(2, 3, dtype="uint8"), 250),
    ], errors=[
        MISFIT, Error(RuntimeError, NO_BOOL_DIFFERENCE, B(2), B(2)),
        Error(RuntimeError, "with a bool tensor is not supported", A(2), B(2)),
        Error(RuntimeError, "with a bool tensor is not supported", B(2), 1),
    ]),
    Row("torch.rsub", samples=[Sample(A(2, 3), 1).other(A(4, 2), 1), Sample(I(2, 3), A(2, 3)),
                               Sample(A(2, 3), A(3), alpha=2)],
        errors=[Error(RuntimeError, "with a bool tensor is not supported", B(2), 1)]),
    pairs("mul", "multiply", bools=True, errors=[MISFIT], extra=[
        *MIXED, Sample(I(2, 3, dtype="uint8"), -1), Sample(B(2, 3), 2), Sample(EDGES, 0), Sample(B(2, 3), A(3)),
    ]),
    pairs("div", "divide", bools=True, errors=[
        MISFIT, Error(RuntimeError, "div expected rounding_mode to be one of", A(2), 2, rounding_mode="x"),
        Error(RuntimeError, "ZeroDivisionError", I(2), 0, rounding_mode="floor"),
        Error(RuntimeError, "ZeroDivisionError", I(2), 0, rounding_mode="trunc"),
    ], extra=[
        *MIXED, Sample(I(2, 3, dtype="uint8"), 0), Sample(EDGES, 0), Sample(EDGES, EDGES),
        *[Sample(*s.args, rounding_mode=mode) for s in DIVISORS for mode in ("trunc", "floor")],
        Sample(A(2, 3), A(2, 3, seed=1), rounding_mode="floor").other(A(4, 3), A(4, 3, seed=1), rounding_mode="floor"),
    ]),
    pairs("true_divide", extra=MIXED),
    pairs("floor_divide", errors=[
        Error(RuntimeError, "ZeroDivisionError", I(2), 0),
        Error(NotImplementedError, "not implemented for 'Bool'", B(2), B(2)),
    ], extra=[*DIVISORS, Sample(EDGES, 2.0), Sample(EDGES, 0.3), Sample(EDGES, 0.0), Sample(I(2, 3), A(2, 3))]),
    pairs("remainder", errors=[
        Error(RuntimeError, "ZeroDivisionError", I(2), 0),
        Error(NotImplementedError, "not implemented for 'Bool'", B(2), B(2)),
    ], extra=[*DIVISORS, Sample(7, I(3, low=1)), Sample(A(2, 3, dtype="float16"), 1.5, **HALF)]),
    pairs("fmod", extra=[*DIVISORS, Sample(EDGES, 2.0)], errors=[Error(RuntimeError, "ZeroDivisionError", I(2), 0)]),
    pairs("pow", low=1, high=4, errors=[
        Error(RuntimeError, "Integers to negative integer powers are not allowed", I(3), -1),
        Error(NotImplementedError, "not implemented for 'Bool'", B(2), B(2)),
    ], extra=[
        *[Sample(A(3, 4, low=0.1, high=3), p) for p in (0, 1, 2, 3, 4, 5, -1, -2, -3, 0.5, -0.5, 1.7, 1.0, 2.0)],
        *[Sample(T([-3, -1, 0, 1, 2, 5], kind), p) for kind in ("int8", "int32", "int64") for p in (0, 1, 2, 3, 7, 39)],
        Sample(T([2, 3, 1, -1, -1, 0, 0], "int64"), T([-1, -2, -1, -1, -2, -1, 0], "int64")),
        Sample(2, I(4, low=0, high=9)), Sample(2.5, A(3)), Sample(I(2, 3), 0.5), Sample(I(2, 3), A(2, 3)),
        Sample(EDGES, 2), Sample(EDGES, 0.5), Sample(EDGES, 0), Sample(EDGES, -1), Sample(B(3), 2),
        Sample(I(3, dtype="uint8", low=0, high=200), 2), Sample(A(2, 3, dtype="float64", low=0.1, high=2), A(2, 3)),
    ]),
    Row(*both("float_power"), samples=[
        Sample(A(3, 4, low=0.1, high=3), 2).other(A(5, 2, low=0.1, high=3), 2), Sample(I(3, low=1), 0.5),
        Sample(I(3, low=1), I(3)), Sample(2, I(3)), Sample(I(3, low=1), -1),
    ]),
    Row(*both("addcmul"), samples=[
        Sample(A(2, 3), A(2, 3, seed=1), A(2, 3, seed=2)).other(A(4, 3), A(4, 3, seed=1), A(4, 3, seed=2)),
        Sample(A(2, 3), A(3, seed=1), A(2, 1, seed=2), value=0.5), Sample(I(3), I(3), I(3), value=2),
    ]),
    Row(*both("addcdiv"), samples=[
        Sample(A(2, 3), A(2, 3, seed=1), A(2, 3, seed=2, low=1, high=2)),
        Sample(A(2, 3), A(3, seed=1), A(2, 1, low=1, high=2), value=0.5),
    ], errors=[Error(RuntimeError, "Integer division with addcdiv is no longer supported", I(3), I(3), I(3, low=1))]),
    Row(*both("lerp"), samples=[
        Sample(A(2, 3), A(2, 3, seed=1), 0.3).other(A(5, 3), A(5, 3, seed=1), 0.3),
        Sample(A(2, 3), A(2, 3, seed=1), 0.9), Sample(A(2, 3), A(2, 3, seed=1), 1.0),
        Sample(A(2, 3), A(3, seed=1), A(2, 3, seed=2)), Sample(T([1e8]), T([1.0]), T([1.0])),
    ], errors=[
        Error(RuntimeError, "expected dtype float for `end` but got dtype double", A(2), A(2, dtype="float64"), 0.5),
        Error(NotImplementedError, "not implemented for 'Long'", I(2), I(2), 0.5),
    ]),
    *[
        pairs(name, bools=True, errors=[MISFIT, Error(TypeError, "must be Tensor, not int", A(2), 2)], extra=[
            Sample(EDGES, T(ODD * 2 + [NAN])), Sample(T([NAN, 1.0, NAN]), T([1.0, NAN, NAN])),
            Sample(I(2, 3), A(2, 3)), Sample(I(2, 3, dtype="int16"), I(2, 3, dtype="uint8")),
        ])
        for name in ("maximum", "minimum", "fmax", "fmin")
    ],
    Row(*both("clamp", "clip"), samples=[
        Sample(A(2, 3), -0.5, 0.5).other(A(4, 7), -0.5, 0.5), Sample(A(2, 3), min=0), Sample(A(2, 3), max=0.25),
        Sample(EDGES, 0, 1), Sample(EDGES, -1.5), Sample(T([1, 2, 3], "int64"), 3, 2), Sample(I(5), 1.5),
        Sample(I(5), 2, 5), Sample(A(2, 3), A(2, 3, seed=1), A(2, 3, seed=2)), Sample(A(2, 3), A(seed=1)),
        Sample(A(2, 3), None, A(3, seed=2)), Sample(A(2, 3), A(dtype="float64"), None), Sample(I(2, 3), A(2, 3)),
        *[Sample(I(5, dtype=kind), 2, 5) for kind in INTS], Sample(A(3, dtype="float16"), -0.5, 0.5, **HALF),
        Sample(A(3, dtype="float64"), -0.5, 0.5), typed("bfloat16", A(3, dtype="bfloat16"), -0.5, 0.5),
    ], errors=[
        Error(RuntimeError, "At least one of 'min' or 'max' must not be None", A(2)),
        Error(RuntimeError, "value cannot be converted to type uint8_t without overflow", I(2, dtype="uint8"), 0, 300),
    ]),
    Row(*both("clamp_min"), samples=[Sample(A(2, 3), 0).other(A(5, 3), 0), Sample(EDGES, 0.5), Sample(A(3), A(3))]),
    Row(*both("clamp_max"), samples=[Sample(A(2, 3), 0).other(A(5, 3), 0), Sample(EDGES, 0.5), Sample(A(3), A(3))]),
    Row(*both("neg", "negative"), samples=[
        Sample(A(2, 3)).other(A(5, 2)), Sample(EDGES), *of_types(lambda k: I(5, dtype=k), INTS),
        *of_types(lambda k: A(5, dtype=k), FLOATS),
    ], errors=[Error(RuntimeError, NO_BOOL_NEGATION, B(2))]),
    Row(*both("positive"), samples=[Sample(A(2, 3)).other(A(5, 2))]),
    Row(*both("abs", "absolute"), samples=[
        Sample(A(2, 3)).other(A(5, 2)), Sample(EDGES), Sample(SIGNED), *of_types(lambda k: I(5, dtype=k), INTS),
        *of_types(lambda k: A(5, dtype=k), FLOATS),
    ], errors=[Error(NotImplementedError, "not implemented for 'Bool'", B(2))]),
    single("sign", "sgn", extra=[Sample(SIGNED), Sample(SIGNED_LONG)]),
    single("square"),
    single("sqrt", low=0, high=4),
    single("rsqrt", low=0.1, high=4),
    single("reciprocal", low=0.5, high=3),
]  # fmt: skip


def operator(name, *samples):
    """The row of an operator, spoken as the method."""
    return Row(f"Tensor.__{name}__", samples=list(samples), signature=False, reason="C slots have no signature")


TWO = (Sample(A(2, 3), A(2, 3, seed=1)).other(A(4, 3), A(4, 3, seed=1)), Sample(A(2, 3), 2), Sample(A(2, 3), 1.5),
       Sample(I(2, 3, low=1), I(3, low=1)), Sample(I(2, 3, low=1), 2), Sample(I(2, 3, low=1), 2.5))  # fmt: skip
WHOLE = (Sample(I(2, 3), I(2, 3, seed=1)), Sample(B(2, 3), B(2, 3, seed=1)), Sample(I(2, 3), 3), Sample(B(2, 3), True))
OPERATORS = [
    *[operator(name, *TWO) for name in (
        "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "div", "rdiv", "floordiv", "rfloordiv",
        "mod", "rmod", "eq", "ne", "lt", "le", "gt", "ge",
    )],
    operator("pow", Sample(A(2, 3, low=0, high=2), 2), Sample(I(3), 2), Sample(I(3), 0.5)),
    operator("rpow", Sample(A(2, 3), 2), Sample(I(3), 2), Sample(I(3), 0.5)),
    *[operator(name, Sample(A(2, 3)), Sample(I(2, 3))) for name in ("neg", "pos", "abs")],
    operator("invert", Sample(I(2, 3)), Sample(B(2, 3))),
    *[operator(name, *WHOLE) for name in ("and", "rand", "or", "ror", "xor", "rxor")],
    *[operator(name, Sample(I(2, 3), 2), Sample(I(2, 3), I(3))) for name in ("lshift", "rshift")],
    *[operator(name, Sample(I(2, 3), 2)) for name in ("rlshift", "rrshift")],
]  # fmt: skip

FUNCTIONS = [
    single("exp"),
    single("exp2"),
    single("expm1", extra=[Sample(T([1e-7, -1e-7, 1e-3, 30.0, -30.0]), atol=0)]),
    single("log", low=0.1, high=5),
    single("log2", low=0.1, high=5, extra=[Sample(T([1.0, 2.0, 8.0, 1024.0]))]),
    single("log10", low=0.1, high=5, extra=[Sample(T([1.0, 10.0, 1000.0]))]),
    single("log1p", low=-0.5, high=5, extra=[Sample(T([1e-7, -1e-7, 1e-3, 1e30, -1.0, -2.0]), atol=0)]),
    single("sin"),
    single("cos"),
    single("tan", halves=("float16", "float64"), low=-1, high=1, unrun=("float64",)),
    single("asin", "arcsin", low=-1, high=1, unrun=("float64",)),
    single("acos", "arccos", low=-1, high=1, unrun=("float64",)),
    single("atan", "arctan", unrun=("float64",)),
    single("sinh", unrun=("float64",)),
    single("cosh", unrun=("float64",)),
    single("tanh", more=["F.tanh"]),
    single("asinh", "arcsinh", unrun=("float64",)),
    single("acosh", "arccosh", low=1, high=5, halves=("float16", "float64"), unrun=("float64",)),
    single("atanh", "arctanh", low=-0.9, high=0.9, unrun=("float64",)),
    single("sinc"),
    single("deg2rad"),
    single("rad2deg"),
    single("sigmoid", more=["F.sigmoid"]),
    single("erf", unrun=("float64",)),
    single("erfc", unrun=("float64",), extra=[Sample(T([0.0, 0.4, 0.6, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, -3.0]), atol=0)]),
    single("logit", low=0.05, high=0.95, ints=False, extra=[
        Sample(T([0.1, 2.0, -1.0, 0.0, 1.0])), Sample(T([0.1, 2.0, -1.0, 0.0, 1.0]), 1e-3), Sample(A(3), eps=0.1),
    ]),
    single("floor", bools=False),
    single("ceil", bools=False),
    single("trunc", "fix", bools=False),
    single("frac", ints=False),
    single("round", bools=False, extra=[
        Sample(T([0.5, 1.5, 2.5, -0.5, -1.5])), Sample(A(4), decimals=2), Sample(T([1250.0, -1350.0, 7.0]), decimals=-2),
        Sample(A(4, dtype="float64"), decimals=3),
    ], errors=[Error(NotImplementedError, "not implemented for 'Long'", I(2), decimals=1)]),
    single("nan_to_num", bools=False, extra=[
        Sample(EDGES, 1.0, 2.0, 3.0), Sample(EDGES, posinf=7.0), Sample(T([NAN, INF, -INF], "float16")),
        Sample(T([NAN, INF, -INF], "float64")),
    ]),
    Row(*both("atan2", "arctan2"), samples=[
        Sample(A(2, 3), A(2, 3, seed=1)).other(A(4, 3), A(4, 3, seed=1)), Sample(I(3), I(3, seed=1)),
        *[Sample(T([a] * 10), T([INF, -INF, NAN, 0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 1e-30])) for a in
          (INF, -INF, NAN, 0.0, 1.0, -1.0, -0.0)],
    ]),
    Row(*both("hypot"), samples=[
        Sample(A(2, 3), A(2, 3, seed=1)).other(A(4, 3), A(4, 3, seed=1)), Sample(T([3e20, 0.0, INF, INF, NAN]),
        T([4e20, 0.0, INF, 1.0, 1.0])), Sample(A(3, dtype="float64"), A(3)),
    ], errors=[Error(NotImplementedError, "not implemented for 'Long'", I(2), I(2))]),
    *[
        Row(*both(name), samples=[
            Sample(A(2, 3), A(2, 3, seed=1)).other(A(4, 3), A(4, 3, seed=1)),
            Sample(T([INF, -INF, INF, 100.0, -100.0, 1.0]), T([INF, -INF, 1.0, -100.0, -100.0, 1.0])),
            Sample(A(3, dtype="float64"), A(3, dtype="float64", seed=1)),
        ], errors=[Error(NotImplementedError, "not implemented for 'Long'", I(2), I(2))])
        for name in ("logaddexp", "logaddexp2")
    ],
    Row(*both("xlogy"), samples=[
        Sample(A(2, 3), A(2, 3, seed=1, low=0.1, high=2)).other(A(4, 3), A(4, 3, low=0.1, high=2)),
        Sample(T([0.0, 1.0, 0.0, 2.0]), T([0.0, 2.0, NAN, 0.0])), Sample(2, A(3, low=1, high=2)), Sample(A(3), 3),
        Sample(I(3), I(3, low=1)),
    ]),
    Row(*both("copysign"), samples=[
        Sample(A(2, 3), A(2, 3, seed=1)).other(A(4, 3), A(4, 3, seed=1)), Sample(A(3), -1), Sample(I(3), -0.0),
        Sample(T([1.0, 1.0, 1.0, 1.0]), T([0.0, -0.0, INF, -INF])), Sample(I(3), I(3)),
    ]),
    Row(*both("heaviside"), samples=[
        Sample(T([0.0, 1.0, -1.0, NAN]), T([0.5])), Sample(A(2, 3), A(2, 3)).other(A(5, 3), A(5, 3)), Sample(I(4), I(4)),
    ], errors=[Error(RuntimeError, "heaviside is not yet implemented for tensors with different", A(2), I(2))]),
    Row(*both("ldexp"), samples=[Sample(A(3), I(3)).other(A(5), I(5)), Sample(I(3), I(3))]),
]  # fmt: skip

FLAGS = [Sample(EDGES), Sample(A(2, 3)).other(A(5, 2)), Sample(I(3)), Sample(B(3)), Sample(T([NAN, INF], "float16")),
         Sample(T([NAN, INF], "float64")), typed("bfloat16", T([NAN, INF, 1.0], "bfloat16"))]  # fmt: skip
COMPARED = [
    Sample(EDGES, T(ODD * 2 + [NAN])), *MIXED, Sample(B(3), 1), Sample(B(3), 0.5), Sample(B(3), True),
    Sample(T([44, 200], "uint8"), 300), Sample(I(2, 3, dtype="int16"), I(2, 3, dtype="int16")),
    Sample(T([2**60 + 1], "int64"), T([2**60], "int64")),
]  # fmt: skip
WHOLE_TYPES = [Sample(I(3, dtype=k), I(3, dtype=k, seed=1)) for k in INTS] + [Sample(B(4), B(4, seed=1))]
COMPARISONS = [
    *[
        pairs(*names, bools=True, extra=COMPARED, errors=[MISFIT])
        for names in (("eq",), ("ne", "not_equal"), ("lt", "less"), ("le", "less_equal"), ("gt", "greater"),
                      ("ge", "greater_equal"))
    ],
    *[Row(*both(name), samples=FLAGS) for name in ("isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal",
                                                   "signbit")],
    Row(*both("isclose"), samples=[
        Sample(A(2, 3), A(2, 3)).other(A(5, 2), A(5, 2)), Sample(EDGES, EDGES), Sample(EDGES, EDGES, equal_nan=True),
        Sample(T([1.0, 1.0, INF]), T([1.0 + 1e-6, 1.1, -INF])), Sample(I(3), I(3)), Sample(A(3), A(3, seed=1), 1.0, 0.5),
        Sample(T([INF, 1.0]), T([1.0, INF])), Sample(B(3), B(3, seed=1)),
    ], errors=[Error(RuntimeError, "Float did not match Long", A(2), I(2))]),
    Row(*both("allclose"), samples=[Sample(A(2, 3), A(2, 3)), Sample(A(2, 3), A(2, 3, seed=1))]),
    Row(*both("equal"), samples=[
        Sample(A(2, 3), A(2, 3)), Sample(A(2, 3), A(2, 3, seed=1)), Sample(A(2), A(3)), Sample(T([1.0]), T([1], "int64")),
    ]),
    *[
        Row(*both(name), samples=[
            *WHOLE_TYPES, Sample(T([1.0, 0.0, NAN, 0.0]), T([2, 2, 0, 0], "int64")), Sample(A(2, 3), B(3)),
            Sample(A(2, 1), A(3)).other(A(5, 1), A(4)),
        ], errors=[MISFIT])
        for name in ("logical_and", "logical_or", "logical_xor")
    ],
    Row(*both("logical_not"), samples=[Sample(EDGES), Sample(I(3, high=2)), Sample(B(3))]),
    *[
        Row(*both(name), samples=[
            *WHOLE_TYPES, Sample(I(2, 3), 5).other(I(4, 3), 5), Sample(I(2, 3, dtype="int32"), I(3)), Sample(3, I(3)),
            Sample(B(3), I(3)),
        ], errors=[Error(NotImplementedError, "not implemented for 'Float'", A(2), 1)])
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ],
    Row(*both("bitwise_not"), samples=[Sample(I(3, dtype=k)) for k in INTS] + [Sample(B(3))],
        errors=[Error(NotImplementedError, "not implemented for 'Float'", A(2))]),
    *[
        Row(*both(f"bitwise_{side}_shift"), samples=[
            *[Sample(T([-8, -5, -1, 0, 1, 5, 100], k), T([1, 2, 7, 3, 40, 0, 5], k)) for k in INTS if k != "uint8"],
            Sample(I(4, dtype="uint8", high=255), 3), Sample(T([1, -1, 5], "int64"), 63), Sample(I(3), 2).other(I(5), 2),
            Sample(T([1, -7, -7, 1 << 40], "int64"), T([70, 64, -1, 20], "int64")), Sample(5, I(3)),
            Sample(T([-8], "int32"), T([40], "int64")), Sample(T([-8], "int32"), T([40], "int32")),
        ], errors=[Error(NotImplementedError, "not implemented for 'Float'", A(2), 1)])
        for side in ("left", "right")
    ],
    Row("torch.where", samples=[
        Sample(B(2, 3), A(2, 3), A(2, 3, seed=1)).other(B(5, 3), A(5, 3), A(5, 3, seed=1)),
        Sample(B(3), A(2, 1), 0), Sample(B(3), 1.0, 2), Sample(B(3), 1, 2), Sample(B(3), I(3), 2.5),
        Sample(B(3), B(3, seed=1), B(3, seed=2)), Sample(B(3), A(3), -INF),
        *[Sample(B(3), I(3, dtype=k), I(3, dtype=k, seed=1)) for k in INTS], Sample(I(3, high=2, dtype="uint8"), A(3), 0),
        Sample(B(3), A(3, dtype="float16"), 0.0), typed("bfloat16", B(3), A(3, dtype="bfloat16"), 0.0),
        Sample(B(3), A(3, dtype="float64"), A(3)), Sample(T(True, "bool"), A(3), A()), Sample(B(3), A(3), A(dtype="float64")),
        Sample(B(2, 3)).without("export", "sizes are data").without("recording", "sizes are data"),
    ], errors=[
        Error(RuntimeError, "where expected condition to be a boolean tensor, but got a tensor with dtype Float", A(2),
              A(2), A(2)), Error(RuntimeError, "must match the size of tensor b", B(2), A(3), A(3)),
    ]),
    Row("Tensor.where", samples=[Sample(A(2, 3), B(2, 3), A(2, 3, seed=1)).other(A(4, 3), B(4, 3), A(4, 3, seed=1)),
                                 Sample(A(3), B(3), 0)]),
    Row(*both("masked_fill"), samples=[
        Sample(A(2, 3), B(2, 3), -INF).other(A(4, 3), B(4, 3), -INF), Sample(A(2, 1), B(3), 2.0), Sample(I(3), B(3), 1.5),
        Sample(A(2, 3), B(2, 3), A()), Sample(B(3), B(3, seed=1), True), Sample(I(3, dtype="int16"), B(3), 2),
        Sample(A(3, dtype="float16"), B(3), -INF), Sample(A(2, 3), B(3), 7),
    ], errors=[
        Error(RuntimeError, "masked_fill_ only supports boolean masks, but got mask with dtype long int", A(2), I(2), 1),
        Error(RuntimeError, "only supports a 0-dimensional value tensor, but got tensor with 1 dim", A(2), B(2), A(2)),
    ]),
]  # fmt: skip

# --- element types and questions


def same_call(name):
    return Row(f"Tensor.{name}", samples=[typed(name, x) for x in (
        T([0.0, 1.7, -1.7, 100.4, 0.5]), I(3), B(4), A(3, dtype="float64"), I(3, dtype="uint8"), A(2, dtype="float16"),
    )] + [typed(name, A(2, 3)).other(A(5, 4))], **HALF)  # fmt: skip


PLAIN = {"signature": False, "reason": "a method of C, or a class"}
CASTING = [
    Row("Tensor.to", samples=[
        *[typed(k, A(2, 3, low=0, high=9), f"dtype:{k}").other(A(4, 3, low=0, high=9), f"dtype:{k}")
          for k in ("float32", *FLOATS, *INTS, "bool")],
        Sample(A(2, 3), "cpu"), Sample(A(2, 3), "cpu", "dtype:int64"), Sample(A(2, 3), I(2)), Sample(A(2), copy=True),
        Sample(A(2, 3), dtype="dtype:float64", non_blocking=True), Sample(A(2), device="cpu", dtype="dtype:int32"),
        Sample(A(2), "dtype:float64", True), Sample(A(2), device="cpu"),
    ]),
    Row("Tensor.type_as", samples=[Sample(A(2, 3), I(2)), Sample(I(2, 3), A(2)).other(I(4, 3), A(2))]),
    Row("Tensor.type", samples=[
        Sample(A(2, 3), "dtype:int64"), Sample(A(2), "torch.DoubleTensor"),
    ], errors=[Error(ValueError, "invalid type: 'x'", A(2), "x")]),
    *[same_call(n) for n in ("float", "double", "half", "bfloat16", "int", "long", "short", "char", "bool")],
    Row("Tensor.byte", samples=[Sample(A(3, low=0, high=9)), Sample(I(3)), Sample(B(4))]),
    *[same_call(n) for n in ("cpu", "contiguous")],
    Row("Tensor.cuda", samples=[], **PLAIN),
    Row(*both("clone"), samples=[Sample(A(2, 3)).other(A(4, 3)), Sample(A(2), memory_format=None)
                                 .without("recording", "torch's own argument")]),
    Row(*both("detach"), samples=[Sample(A(2, 3)).other(A(4, 3))]),
    Row(*both("conj", "resolve_conj", "resolve_neg"), "torch.real", samples=[Sample(A(2, 3))]),
    Row("Tensor.requires_grad_", samples=[Sample(A(2), False)],
        errors=[Error(RuntimeError, "computes no gradients.*MCORE_BACKEND=torch", A(2), only="platform")]),
    Row("Tensor.backward", "Tensor.retain_grad", "Tensor.register_hook", samples=[],
        errors=[Error(RuntimeError, "computes no gradients", A(2), only="platform")],
        signature=False, reason="refused whatever the arguments"),
    Row("torch.no_grad", "torch.enable_grad", "torch.inference_mode", "torch.set_grad_enabled", samples=[], **PLAIN),
    Row("torch.is_grad_enabled", samples=[], **PLAIN),
    Row("torch.finfo", "torch.iinfo", samples=[], **PLAIN),
    Row("torch.get_default_dtype", "torch.set_default_dtype", samples=[], **PLAIN),
    Row("torch.is_tensor", samples=[Sample(A(2)), Sample(3)]),
    Row("Tensor.dim", "Tensor.ndimension", samples=[Sample(A(2, 3)), Sample(A())]),
    Row(*both("numel"), "Tensor.nelement", samples=[Sample(A(2, 3)), Sample(A()), Sample(A(0, 3))]),
    Row("Tensor.size", samples=[Sample(A(2, 3)), Sample(A(2, 3), 1), Sample(A(2, 3), -2), Sample(A(2, 3), dim=0)],
        errors=[Error(IndexError, r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)",
                      A(2, 3), 2)]),
    Row("Tensor.stride", samples=[Sample(A(2, 3, 4)), Sample(A(2, 3), 0), Sample(A(1))]),
    Row("Tensor.storage_offset", "Tensor.get_device", "Tensor.is_shared", "Tensor.is_pinned", samples=[Sample(A(2))],
        signature=False, reason="torch's take whatever a storage needs"),
    Row("Tensor.element_size", samples=[Sample(A(2)), Sample(I(2)), Sample(B(2))]),
    Row("Tensor.is_contiguous", samples=[Sample(A(2))]),
    Row(*both("is_floating_point", "is_complex", "is_conj", "is_neg", "is_signed"), samples=[
        Sample(A(2)), Sample(I(2)), Sample(B(2)), Sample(I(2, dtype="uint8")),
    ]),
    Row(*both("is_signed"), samples=[Sample(A(2)), Sample(B(2)), Sample(I(2, dtype="uint8")), Sample(I(2))]),
    Row(*both("is_same_size"), samples=[Sample(A(2), A(2)), Sample(A(2), A(3))]),
    Row(*both("is_nonzero"), samples=[Sample(T([1.0])), Sample(T([0.0])), Sample(T(3, "int64"))],
        errors=[Error(RuntimeError, "Boolean value of Tensor with more than one value is ambiguous", A(2))]),
    Row("torch.result_type", samples=[]),
    Row("torch.promote_types", samples=[]),
    Row("torch.can_cast", samples=[]),
]  # fmt: skip

ROWS = [*ARITHMETIC, *OPERATORS, *FUNCTIONS, *COMPARISONS, *CASTING]
