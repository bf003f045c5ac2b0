"""Normalization words, also at large means, in half precision, and with running statistics."""

from tests.words.contract import A, Error, I, Row, Sample

HALF = {"rtol": 4e-3, "atol": 4e-3}
SHAPES = [
    ((3, 6), (5, 6)),
    ((2, 6, 9), (3, 6, 5)),
    ((2, 6, 5, 4), (1, 6, 7, 8)),
    ((2, 6, 3, 4, 5), (1, 6, 6, 5, 4)),
]
# torch itself is this far from the exact numbers at mean 100.
FAR = {"rtol": 2e-5, "atol": 5e-5}


def positive(*shape, **options):
    return A(*shape, low=0.1, high=2.0, **options)


def both(first, second, *args, **kwargs) -> Sample:
    options = {k: kwargs.pop(k) for k in ("rtol", "atol") if k in kwargs}
    return Sample(A(*first), *args, **kwargs, **options).other(A(*second), *args, **kwargs)


def batch_samples() -> list[Sample]:
    mean, var, weight, bias = A(6, seed=1), positive(6), A(6, seed=2), A(6, seed=3)
    out = []
    for first, second in SHAPES:
        out += [
            both(first, second, mean, var, weight, bias),
            both(first, second, mean, var),
            both(first, second, mean, var, weight),
            both(first, second, mean, var, None, bias, eps=1e-3),
            both(first, second, None, None, weight, bias, True),
            both(first, second, None, None, None, None, True, 0.3, 1e-3),
        ]
    shape = SHAPES[2][0]
    double = [A(6, dtype="float64", seed=k) for k in (1, 2)]
    return [
        *out,
        Sample(A(*shape), mean, var, weight, bias, True, 0.1),
        Sample(A(*shape), mean, var, weight, bias, True, 0.0),
        Sample(A(*shape), mean, var, weight, bias, True, 1.0),
        Sample(A(*shape, low=99, high=101), None, None, training=True, **FAR),
        Sample(A(*shape, dtype="float16"), mean, var, weight, bias, **HALF),
        Sample(A(*shape, dtype="float16"), *(positive(6, dtype="float16", seed=k) for k in range(4)), **HALF),
        Sample(A(*shape, dtype="float16"), None, None, weight, bias, True, **HALF),
        Sample(A(*shape, dtype="float64"), double[0], positive(6, dtype="float64"), *double),
    ]


def instance_samples() -> list[Sample]:
    mean, var, weight, bias = A(6, seed=1), positive(6), A(6, seed=2), A(6, seed=3)
    out = []
    for first, second in SHAPES[1:]:
        out += [
            both(first, second),
            both(first, second, weight=weight, bias=bias),
            both(first, second, mean, var, weight, bias, False),
            Sample(A(*first), mean, var, weight, bias, True, 0.3),
        ]
    shape = SHAPES[2][0]
    return [
        *out,
        Sample(A(1, 2, 16, 32, 32, low=99, high=101), **FAR),
        Sample(A(2, 6, 40, low=-1001, high=-999), rtol=1e-4, atol=1e-3),
        Sample(A(*shape, dtype="float16"), weight=weight, bias=bias, **HALF),
        Sample(A(*shape, dtype="float64")),
    ]


def group_samples() -> list[Sample]:
    weight, bias = A(6, seed=2), A(6, seed=3)
    out = []
    for first, second in SHAPES:
        for groups in (1, 2, 3):
            out.append(both(first, second, groups, weight, bias))
        out += [
            both(first, second, 3),
            both(first, second, 2, weight),
            both(first, second, 2, None, bias, 1e-3),
        ]
    shape = SHAPES[3][0]
    return [
        *out,
        both(*SHAPES[2], 6, weight, bias),
        Sample(A(1, 6, 16, 24, 24, low=99, high=101), 3, weight, bias, **FAR),
        Sample(A(*shape, dtype="float16"), 2, weight, bias, **HALF),
        Sample(A(*shape, dtype="float16"), 2, A(6, dtype="float16"), A(6, dtype="float16"), **HALF),
        Sample(A(*shape, dtype="float64"), 2, A(6, dtype="float64"), A(6, dtype="float64")),
    ]


LAYER = [
    ((2, 6), (4, 6), 1),
    ((2, 3, 6), (3, 5, 6), 1),
    ((2, 3, 4, 6), (3, 3, 4, 6), 3),
    ((2, 3, 4, 6), (1, 5, 4, 6), 2),
]


def layer_samples() -> list[Sample]:
    out = []
    for first, second, count in LAYER:
        sizes = first[-count:]
        weight, bias = A(*sizes, seed=2), A(*sizes, seed=3)
        out += [
            both(first, second, sizes, weight, bias),
            both(first, second, list(sizes)),
            both(first, second, sizes, weight, eps=1e-3),
            both(first, second, sizes, None, bias),
            Sample(A(*first, dtype="float16"), sizes, weight, bias, **HALF),
            Sample(A(*first, dtype="float16"), sizes, **HALF),
            Sample(A(*first, dtype="float64"), sizes, A(*sizes, dtype="float64")),
        ]
    return [*out, Sample(A(4, 64, low=99, high=101), (64,), **FAR)]


def rms_samples() -> list[Sample]:
    out = []
    for first, second, count in LAYER:
        sizes = first[-count:]
        out += [
            both(first, second, sizes, A(*sizes, seed=2)),
            both(first, second, sizes),
            both(first, second, sizes, A(*sizes, seed=2), 1e-3),
            Sample(A(*first, dtype="float16"), sizes, A(*sizes, dtype="float16"), **HALF),
            Sample(A(*first, dtype="float64"), sizes, A(*sizes, dtype="float64"), 1e-3),
        ]
    return [*out, Sample(A(3, 4, low=-1e-5, high=1e-5), (4,), rtol=1e-5, atol=1e-9)]


X = A(2, 6, 5, 4)

ROWS = [
    Row(
        "F.batch_norm",
        samples=batch_samples(),
        atol=1e-5,
        errors=[
            Error(
                ValueError,
                "Expected more than 1 value per channel when training, got input size torch.Size([1, 6])",
                A(1, 6),
                None,
                None,
                training=True,
            ),
            Error(RuntimeError, "running_mean must be defined in evaluation mode", X, None, None),
            Error(RuntimeError, "running_mean should contain 6 elements not 4", X, A(4), A(4)),
            Error(RuntimeError, "running_var should contain 6 elements not 4", X, A(6), A(4)),
            Error(RuntimeError, "weight should contain 6 elements not 4", X, A(6), A(6), A(4)),
            Error(RuntimeError, "bias should contain 6 elements not 4", X, A(6), A(6), A(6), A(4)),
            Error(
                RuntimeError,
                "mixed dtype (CPU): expect parameter to have scalar type of Float",
                X,
                A(6, dtype="float64"),
                A(6, dtype="float64"),
            ),
            Error(NotImplementedError, "not implemented for 'Long'", I(2, 6, 5), A(6), A(6)),
        ],
    ),
    Row(
        "torch.batch_norm",
        signature=False,
        reason="torch's is builtin",
        samples=[
            both(*SHAPES[2], A(6, seed=2), A(6, seed=3), A(6, seed=1), positive(6), False, 0.1, 1e-5, True),
            both(*SHAPES[2], A(6, seed=2), A(6, seed=3), None, None, True, 0.1, 1e-5, True),
        ],
    ),
    Row(
        "F.instance_norm",
        samples=instance_samples(),
        atol=1e-5,
        errors=[
            Error(
                ValueError,
                "Expected more than 1 spatial element when training, got input size torch.Size([2, 3, 1])",
                A(2, 3, 1),
            ),
            Error(
                RuntimeError,
                "Expected running_mean and running_var to be defined when use_input_stats is false",
                X,
                use_input_stats=False,
            ),
        ],
    ),
    Row(
        "torch.instance_norm",
        signature=False,
        reason="torch's is builtin",
        samples=[both(*SHAPES[2], A(6, seed=2), A(6, seed=3), None, None, True, 0.1, 1e-5, True)],
        atol=1e-5,
    ),
    Row(
        "F.group_norm",
        samples=group_samples(),
        atol=1e-5,
        errors=[
            Error(RuntimeError, "Expected number of channels in input to be divisible by num_groups", X, 4),
            Error(
                RuntimeError,
                "Expected weight to be a vector of size equal to the number of channels in input",
                X,
                2,
                A(4),
            ),
            Error(
                ValueError,
                "Expected more than 1 value per channel when training, got input size [1, 3, 1, 1]",
                A(1, 3, 1, 1),
                3,
            ),
            Error(RuntimeError, "Expected at least 2 dimensions for input tensor but received 1", A(6), 2),
        ],
    ),
    Row(
        "torch.group_norm",
        signature=False,
        reason="torch's is builtin",
        samples=[both(*SHAPES[2], 2, A(6), A(6), 1e-5)],
        atol=1e-5,
    ),
    Row(
        "F.layer_norm",
        samples=layer_samples(),
        atol=1e-5,
        errors=[
            Error(
                RuntimeError,
                "Given normalized_shape=[7], expected input with shape [*, 7], but got input of size[2, 6, 5, 4]",
                X,
                (7,),
            ),
            Error(
                RuntimeError,
                "Expected weight to be of same shape as normalized_shape, but got weight of shape "
                "[3] and normalized_shape = [4]",
                X,
                (4,),
                A(3),
            ),
            Error(RuntimeError, "Expected normalized_shape to be at least 1-dimensional", X, ()),
            Error(TypeError, "must be tuple of ints, not int", X, 4),
        ],
    ),
    Row(
        "torch.layer_norm",
        signature=False,
        reason="torch's is builtin",
        samples=[both(*LAYER[1][:2], (6,), A(6), A(6))],
        atol=1e-5,
    ),
    Row(
        "F.rms_norm",
        samples=rms_samples(),
        atol=1e-5,
        errors=[
            Error(
                RuntimeError,
                "Given normalized_shape=[7], expected input with shape [*7], but got input of size[2, 6, 5, 4]",
                X,
                (7,),
            )
        ],
    ),
    Row(
        "torch.rms_norm",
        signature=False,
        reason="torch's is builtin",
        samples=[both(*LAYER[1][:2], (6,), A(6))],
        atol=1e-5,
    ),
    Row(
        "F.local_response_norm",
        atol=1e-5,
        samples=[
            *(both(*shape, size, 0.1, 0.6, 1.5) for shape in SHAPES[1:] for size in (1, 2, 3, 4, 5)),
            Sample(A(2, 6, 5, 4), 3),
            Sample(A(2, 6, 5, 4, dtype="float64"), 4),
        ],
        errors=[Error(ValueError, "Expected 3D or higher dimensionality", A(2, 6), 3)],
    ),
]
