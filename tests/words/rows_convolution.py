"""Convolutions: every kind of padding, stride, dilation and groups, in one to three dimensions."""

from tests.words.contract import A, Error, Row, Sample

# torch adds up a transposed convolution in half precision.
HALF = {"rtol": 2e-2, "atol": 3e-2}


def shapes(rank: int) -> tuple[tuple, tuple]:
    return (2, 4, *(9, 8, 7)[:rank]), (3, 4, *(12, 13, 6)[:rank])


def at(rank: int, channels: tuple[int, int], kernel: int, **options) -> Sample:
    first, second = shapes(rank)
    weight = A(*channels, *(kernel,) * rank)
    return Sample(A(*first), weight, **options).other(A(*second), weight, **options)


def conv_samples(rank: int) -> list[Sample]:
    first, second = shapes(rank)
    weight, bias = A(6, 4, *(3,) * rank), A(6)
    return [
        Sample(A(*first), weight, bias).other(A(*second), weight, bias),
        Sample(A(*first), weight, bias, 2, 1).other(A(*second), weight, bias, 2, 1),
        at(rank, (6, 4), 3, padding="same"),
        at(rank, (6, 4), 2, padding="same"),  # even kernels: the odd rest goes to the end
        at(rank, (6, 4), 4, padding="same", dilation=3),
        at(rank, (6, 4), 3, padding="valid", stride=2),
        at(rank, (6, 2), 3, groups=2, padding=1),
        at(rank, (8, 1), 3, groups=4, padding=2, dilation=2),
        at(rank, (6, 4), 1, stride=(2,) * rank),
        at(rank, (6, 4), 3, stride=(1, 2, 3)[:rank], padding=(2, 1, 0)[:rank], dilation=(1, 2, 1)[:rank]),
        at(rank, (6, 4), 3, stride=(2,), padding=(1,)),
        Sample(A(*first[1:]), weight, bias).other(A(*second[1:]), weight, bias),
        Sample(A(0, *first[1:]), weight, bias),
        Sample(A(*first, dtype="float16"), A(6, 4, *(3,) * rank, dtype="float16"), **HALF),
        Sample(A(*first, dtype="float64"), A(6, 4, *(3,) * rank, dtype="float64")),
    ]


def conv_errors(rank: int) -> list[Error]:
    x, weight = A(2, 4, *(8,) * rank), A(6, 4, *(3,) * rank)
    return [
        Error(
            RuntimeError,
            f"expected input[2, 4, {', '.join(['8'] * rank)}] to have 3 channels, but got 4 channels instead",
            x,
            A(6, 3, *(3,) * rank),
        ),
        Error(
            RuntimeError,
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to conv{rank}d, but got "
            "input of size: [8]",
            A(8),
            weight,
        ),
        Error(RuntimeError, "Kernel size can't be greater than actual input size", A(2, 4, *(2,) * rank), weight),
        Error(
            RuntimeError,
            "Kernel size can't be greater than actual input size",
            A(2, 4, *(4,) * rank),
            weight,
            dilation=2,
        ),
        Error(
            RuntimeError,
            "expected weight to be divisible by 2 at dimension 0",
            x,
            A(5, 2, *(3,) * rank),
            groups=2,
        ),
        Error(RuntimeError, "to have 6 channels, but got 4 channels instead", x, A(6, 3, *(3,) * rank), groups=2),
        Error(RuntimeError, "non-positive groups is not supported", x, weight, groups=0),
        Error(
            RuntimeError,
            "expected bias to be 1-dimensional with 6 elements, but got bias of size [4] instead",
            x,
            weight,
            A(4),
        ),
        Error(RuntimeError, "negative padding is not supported", x, weight, padding=-1),
        Error(RuntimeError, "non-positive stride is not supported", x, weight, stride=0),
        Error(
            RuntimeError,
            "padding='same' is not supported for strided convolutions",
            x,
            weight,
            stride=2,
            padding="same",
        ),
        Error(RuntimeError, "Invalid padding string: 'full'", x, weight, padding="full"),
        Error(RuntimeError, "should be the same", x, A(6, 4, *(3,) * rank, dtype="float64")),
        Error(RuntimeError, "bias type", x, weight, A(6, dtype="float64")),
    ]


def transpose_samples(rank: int) -> list[Sample]:
    first, second = shapes(rank)
    weight, bias = A(4, 6, *(3,) * rank), A(6)
    return [
        Sample(A(*first), weight, bias).other(A(*second), weight, bias),
        Sample(A(*first), weight, bias, 2, 1, 1).other(A(*second), weight, bias, 2, 1, 1),
        at(rank, (4, 6), 2, stride=2),
        at(rank, (4, 6), 4, stride=2, padding=1),
        at(rank, (4, 3), 3, stride=2, groups=2),
        at(rank, (4, 2), 3, stride=3, groups=4, output_padding=2, padding=1),
        at(rank, (4, 6), 3, stride=2, dilation=2, padding=2, output_padding=1),
        at(rank, (4, 6), 3, dilation=3, output_padding=2),  # more than the stride: refused by the runtime's own form
        at(rank, (4, 6), 3, dilation=2, padding=2, output_padding=1),
        at(
            rank,
            (4, 6),
            3,
            stride=(1, 2, 3)[:rank],
            padding=(0, 1, 2)[:rank],
            output_padding=(0, 1, 2)[:rank],
        ),
        Sample(A(*first[1:]), weight, bias).other(A(*second[1:]), weight, bias),
        Sample(A(*first, dtype="float16"), A(4, 6, *(3,) * rank, dtype="float16"), **HALF),
        Sample(A(*first, dtype="float64"), A(4, 6, *(3,) * rank, dtype="float64")),
    ]


def transpose_errors(rank: int) -> list[Error]:
    x, weight = A(2, 4, *(8,) * rank), A(4, 6, *(3,) * rank)
    return [
        Error(RuntimeError, "to have 3 channels, but got 4 channels instead", x, A(3, 6, *(3,) * rank)),
        Error(RuntimeError, f"input to conv_transpose{rank}d, but got input of size: [8]", A(8), weight),
        Error(
            RuntimeError,
            "output padding must be smaller than either stride or dilation",
            x,
            weight,
            output_padding=1,
        ),
        Error(
            RuntimeError,
            "output padding must be smaller than either stride or dilation",
            x,
            weight,
            stride=2,
            output_padding=2,
        ),
        Error(
            RuntimeError,
            "expected bias to be 1-dimensional with 6 elements, but got bias of size [4] instead",
            x,
            weight,
            A(4),
        ),
        Error(RuntimeError, "expected weight to be divisible by 3 at dimension 0", x, weight, groups=3),
        Error(TypeError, "argument 'padding' must be tuple of ints, not str", x, weight, padding="same"),
    ]


ROWS = [
    Row(
        f"F.conv{rank}d",
        f"torch.conv{rank}d",
        samples=conv_samples(rank),
        errors=conv_errors(rank),
        atol=2e-5,
        signature=False,
        reason="torch's is builtin",
    )
    for rank in (1, 2, 3)
] + [
    Row(
        f"F.conv_transpose{rank}d",
        f"torch.conv_transpose{rank}d",
        samples=transpose_samples(rank),
        errors=transpose_errors(rank),
        atol=2e-5,
        signature=False,
        reason="torch's is builtin",
    )
    for rank in (1, 2, 3)
]
