"""Pooling, adaptive pooling and the way back from a maximum's indices."""

import itertools

from tests.words.contract import A, Error, I, Row, Sample, T

INF = float("inf")
# Sessions take a detour through float32.
NO_KERNEL = "a file keeps the type as it is, and the CPU runtime has no kernel for it"
BUILTIN = {"signature": False, "reason": "torch's is builtin, or dispatches by an argument"}
HALF = {"rtol": 2e-3, "atol": 2e-3}


def shapes(rank: int) -> tuple[tuple, tuple]:
    return (2, 3, *(9, 8, 7)[:rank]), (1, 3, *(12, 13, 10)[:rank])


def at(rank: int, *args, **kwargs) -> Sample:
    first, second = shapes(rank)
    return Sample(A(*first), *args, **kwargs).other(A(*second), *args, **kwargs)


def max_samples(rank: int) -> list[Sample]:
    first, second = shapes(rank)
    windows = [
        at(rank, kernel, stride, kernel // 2, dilation, ceil)
        for kernel, stride, dilation, ceil in itertools.product((2, 3), (1, 2, 3), (1, 2), (False, True))
    ]
    return [
        at(rank, 2),
        at(rank, 3, 2, 1),
        at(rank, 2, 5, ceil_mode=True),  # a last window would start behind the end
        at(rank, (3, 2, 1)[:rank], stride=(2, 1, 3)[:rank], padding=(1, 1, 0)[:rank]),
        at(rank, (2,), stride=[]),
        *windows,
        at(rank, 3, 2, 1, ceil_mode=True, return_indices=True),
        at(rank, 2, 2, 0, 2, return_indices=True),
        Sample(A(*first, low=0, high=1), 3, 2, 1, return_indices=True),
        Sample(A(*first[1:]), 2, return_indices=True).other(A(*second[1:]), 2, return_indices=True),
        Sample(A(*first[1:]), 2).other(A(*second[1:]), 2),
        Sample(A(0, *first[1:]), 2),
        Sample(
            T([[[-INF] * 8] * 2] if rank == 1 else [[[[-INF] * 8] * 8]] if rank == 2 else [[[[[-INF] * 4] * 4] * 4]]),
            3,
            2,
            1,
            return_indices=True,
        ),
        Sample(A(*first, dtype="float16"), 3, 2, 1, return_indices=True),
        Sample(A(*first, dtype="float64"), 3, 2, 1, return_indices=True),
        Sample(A(*first, dtype="bfloat16"), 2).without("export", NO_KERNEL).without("recording", NO_KERNEL),
    ]


def integer_samples(rank: int) -> list[Sample]:
    first, second = shapes(rank)
    return [
        Sample(I(*first, low=-100 if kind != "uint8" else 0, high=100, dtype=kind), 3, 2, 1).other(
            I(*second, low=-100 if kind != "uint8" else 0, high=100, dtype=kind), 3, 2, 1
        )
        for kind in ("int64", "int32", "int16", "int8", "uint8")
    ]


def avg_samples(rank: int) -> list[Sample]:
    first, second = shapes(rank)
    windows = [
        at(rank, kernel, stride, kernel // 2, ceil, include)
        for kernel, stride, ceil, include in itertools.product((2, 3), (1, 2, 3), (False, True), (False, True))
    ]
    return [
        at(rank, 2),
        at(rank, 3, 2, 1),
        at(rank, (3, 2, 1)[:rank], stride=(2, 1, 3)[:rank], padding=(1, 1, 0)[:rank], count_include_pad=False),
        *windows,
        Sample(A(*first[1:]), 2).other(A(*second[1:]), 2),
        Sample(A(*first, dtype="float64"), 3, 2, 1, True, False).other(
            A(*second, dtype="float64"), 3, 2, 1, True, False
        ),
        Sample(A(*first, dtype="float64"), 3, 2, 1, True, True, rtol=1e-12, atol=1e-12),
        Sample(I(*first, low=-50, high=50), 3, 2, 1).other(I(*second, low=-50, high=50), 3, 2, 1),
        *([Sample(A(*first, dtype="float16"), 3, 2, 1, **HALF)] if rank < 3 else []),
        *(
            [at(rank, 3, 2, 1, ceil, include, 5) for ceil in (False, True) for include in (False, True)]
            if rank > 1
            else []
        ),
        *([Sample(A(*first, dtype="float64"), 3, 2, 1, True, True, 5)] if rank > 1 else []),
    ]


def window_errors(rank: int, maximum: bool) -> list[Error]:
    x, name = A(2, 3, *(6,) * rank), f"{'max' if maximum else 'avg'}_pool{rank}d"
    many = [Error(RuntimeError, f"{name}: kernel_size must", x, (2,) * (rank + 1))] if rank > 1 else []
    return [
        *many,
        Error(RuntimeError, "at most half of" if rank > 1 or not maximum else "", x, 2, padding=2),
        Error(RuntimeError, "non-negative", x, 2, padding=-1),
        Error(RuntimeError, "stride should not be zero" if rank > 1 or not maximum else "", x, 2, 0),
        Error(RuntimeError, "" if (rank == 1 and maximum) or rank == 3 else "Output size is too small", x, 7),
    ]


def lp_samples(rank: int) -> list[Sample]:
    first, second = shapes(rank)
    some = []
    for power, stride, ceil in itertools.product((1, 2, 3.0, 0.5, INF), (None, 3), (False, True)):
        options = {"stride": stride, "ceil_mode": ceil}
        some.append(
            Sample(A(*first, low=0.1, high=2.0), power, 2, **options).other(
                A(*second, low=0.1, high=2.0), power, 2, **options
            )
        )
    return [*some, at(rank, 3, 2), Sample(A(*first, dtype="float16", low=0.1, high=2.0), 2, 2, **HALF)][
        : None if rank < 3 else -1
    ]


def unpool_samples(rank: int) -> list[Sample]:
    # Windows side by side: every index is its own.
    base = {1: [[1, 2, 5, 6]], 2: [[0, 3], [9, 14]], 3: [[[0, 3], [9, 14]], [[16, 39], [41, 62]]]}[rank]
    shape = {1: (1, 1, 4), 2: (1, 1, 2, 2), 3: (1, 1, 2, 2, 2)}[rank]
    places = T([base] if rank == 1 else [[base]], "int64")
    return [
        Sample(A(*shape), places, 2),
        Sample(A(*shape), places, 2, 2, 0),
        Sample(A(*shape), places, 2, output_size={1: (9,), 2: (1, 1, 5, 5), 3: (5, 5, 5)}[rank]),
        Sample(A(*shape, dtype="float64"), places, 2),
    ]


def adaptive_samples(rank: int, maximum: bool) -> list[Sample]:
    first, second = shapes(rank)
    sizes = [1, 2, 3, 4, 7, 20, (3,) * rank]
    sizes += {
        1: [],
        2: [(None, 1), (1, None), (3, None), (4, 1), (2, 5)],
        3: [(None, 1, 2), (1, 1, None), (3, 8, 5)],
    }[rank]
    flags = [{}, {"return_indices": True}] if maximum else [{}]
    some = [at(rank, size, **flag) for size in sizes for flag in flags]
    divides = [
        Sample(A(2, 3, *(12,) * rank), size, **flag).other(A(1, 3, *(18,) * rank), size, **flag)
        for size in (2, 3, 6)
        for flag in flags
    ]
    kinds = [
        Sample(A(*first, dtype=kind), size, **({} if kind == "float64" else HALF))
        for kind in ("float16", "float64")
        for size in (1, 3, 4)
    ]
    alone = [Sample(A(*first[1:]), 3, **flag).other(A(*second[1:]), 3, **flag) for flag in flags]
    return [*some, *divides, *kinds, *alone]


def adaptive_errors(rank: int, maximum: bool) -> list[Error]:
    x, name = A(2, 3, *(6,) * rank), f"adaptive_{'max' if maximum else 'avg'}_pool{rank}d"
    refused = NotImplementedError
    return [
        Error(RuntimeError, "", x, (2,) * (rank + 1)),
        Error(RuntimeError, "", x, -1),
        Error(
            RuntimeError,
            "" if rank == 1 else f"{name}(): Expected {rank + 1}D or {rank + 2}D tensor",
            A(6),
            2,
        ),
        Error(RuntimeError, "to have non-zero size for non-batch dimensions", A(2, 3, *(0,) * rank), 2),
        Error(refused, "not implemented for 'Long'", I(2, 3, *(6,) * rank), 2),
    ]


ROWS = [
    *(
        Row(
            f"F.max_pool{r}d",
            f"torch.max_pool{r}d",
            samples=max_samples(r) + (integer_samples(r) if r > 1 else []),
            errors=window_errors(r, True),
            **BUILTIN,
        )
        for r in (1, 2, 3)
    ),
    Row(
        "F.max_pool1d_with_indices",
        "torch.max_pool1d_with_indices",
        samples=[at(1, 3, 2, 1), at(1, 2)],
        **BUILTIN,
    ),
    Row("F.max_pool2d_with_indices", samples=[at(2, 3, 2, 1), at(2, 2, ceil_mode=True)]),
    Row("F.max_pool3d_with_indices", samples=[at(3, 3, 2, 1), at(3, 2, ceil_mode=True)]),
    Row("F.avg_pool1d", "torch.avg_pool1d", samples=avg_samples(1), errors=window_errors(1, False), **BUILTIN),
    Row("F.avg_pool2d", samples=avg_samples(2), errors=window_errors(2, False), **BUILTIN),
    Row("F.avg_pool3d", samples=avg_samples(3), errors=window_errors(3, False), **BUILTIN),
    *(Row(f"F.lp_pool{r}d", samples=lp_samples(r), rtol=2e-5, atol=1e-5) for r in (1, 2, 3)),
    *(
        Row(
            f"F.max_unpool{r}d",
            samples=unpool_samples(r),
            errors=[
                Error(
                    RuntimeError,
                    "elements in indices should be type int64",
                    A(1, 2, *(2,) * r),
                    I(1, 2, *(2,) * r, dtype="int32"),
                    2,
                ),
                Error(
                    RuntimeError,
                    "Expected shape of indices to be same as that of the input tensor",
                    A(1, 2, *(2,) * r),
                    I(1, 2, *(3,) * r),
                    2,
                ),
                Error(
                    ValueError,
                    "invalid output_size",
                    A(1, 2, *(2,) * r),
                    I(1, 2, *(2,) * r, high=2),
                    2,
                    output_size=(30,) * r,
                ),
            ],
        )
        for r in (1, 2, 3)
    ),
    Row(
        "F.adaptive_avg_pool1d",
        "torch.adaptive_avg_pool1d",
        samples=adaptive_samples(1, False),
        errors=adaptive_errors(1, False),
        **BUILTIN,
    ),
    Row("F.adaptive_avg_pool2d", samples=adaptive_samples(2, False), errors=adaptive_errors(2, False)),
    Row("F.adaptive_avg_pool3d", samples=adaptive_samples(3, False), errors=adaptive_errors(3, False)),
    *(
        Row(
            f"F.adaptive_max_pool{r}d",
            samples=adaptive_samples(r, True),
            errors=adaptive_errors(r, True),
            **BUILTIN,
        )
        for r in (1, 2, 3)
    ),
    Row("torch.adaptive_max_pool1d", samples=[at(1, 3), at(1, 4)], **BUILTIN),
    *(Row(f"F.adaptive_max_pool{r}d_with_indices", samples=[at(r, 3), at(r, 4)]) for r in (1, 2, 3)),
]
