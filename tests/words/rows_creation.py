"""Creation and random words."""

import numpy as np

from tests.words.contract import A, B, Error, I, Row, Sample

SIZES = [
    Sample(2, 3), Sample((2, 3)), Sample([2, 3]), Sample(size=(2, 3)), Sample(()), Sample(0), Sample(2, 0, 3), Sample(3,
    dtype="dtype:int64"), Sample((2,), dtype="dtype:bool"), Sample(2, dtype="dtype:float16", device="cpu"),
    Sample(2, dtype="dtype:bfloat16"), Sample(2, requires_grad=False), Sample(40, 50),
]  # fmt: skip
NEGATIVE = Error(RuntimeError, "Trying to create tensor with negative dimension -1", -1, 2)
GRADIENT = Error(RuntimeError, "computes no gradients.*MCORE_BACKEND=torch", 2, requires_grad=True, only="platform")
LIKE = [Sample(A(2, 3)).other(A(5, 4)), Sample(I(2, 3)), Sample(B(2)), Sample(A(2), dtype="dtype:int32"), Sample(A()),
        Sample(A(2, 3, dtype="float16")), Sample(A(2), device="cpu"), Sample(A(0, 2))]  # fmt: skip
NEW = [Sample(A(2), 2, 3), Sample(I(2), (2, 3)), Sample(A(2), 3, dtype="dtype:int64"), Sample(B(2), [2]),
       Sample(A(2, dtype="float64"), 2)]  # fmt: skip

CONSTANT = [
    Row("torch.zeros", samples=SIZES, errors=[GRADIENT]),
    Row("torch.ones", samples=SIZES, errors=[NEGATIVE]),
    Row("torch.empty", samples=SIZES, random=True, errors=[NEGATIVE]),
    Row("torch.full", samples=[
        Sample((2, 3), 7), Sample((2, 3), 2.5), Sample((2,), True), Sample((), 3), Sample([2], 7, dtype="dtype:float32"),
        Sample((2,), 300, dtype="dtype:int16"), Sample((40, 50), 1.5),
    ], errors=[Error(RuntimeError, "value cannot be converted to type uint8_t without overflow", (2,), 300,
                     dtype="dtype:uint8")]),
    Row("torch.zeros_like", samples=LIKE),
    Row("torch.ones_like", samples=LIKE),
    Row("torch.empty_like", samples=LIKE, random=True),
    Row("torch.full_like", samples=[
        Sample(A(2, 3), 7).other(A(5, 4), 7), Sample(I(2, 3), 7.5), Sample(A(2), 7, dtype="dtype:int64"), Sample(B(2), True),
        Sample(A(2, 3), -np.inf),
    ]),
    Row("torch.rand_like", "torch.randn_like", samples=LIKE[:1], random=True),
    Row("Tensor.new_zeros", samples=NEW),
    Row("Tensor.new_ones", samples=NEW),
    Row("Tensor.new_empty", samples=NEW, random=True),
    Row("Tensor.new_full", samples=[Sample(A(2), (2, 3), 7), Sample(I(2), (2,), 7), Sample(A(2), [2], 1, dtype="dtype:bool")]),
    Row("Tensor.new_tensor", samples=[Sample(A(2), [1, 2]), Sample(I(2), [[1.0, 2.0]]), Sample(A(2), 3)]),
]  # fmt: skip

DATA = [
    Row("torch.tensor", samples=[
        Sample([1, 2, 3]), Sample([1.0, 2]), Sample([[True, False]]), Sample([True, 2]), Sample(3), Sample(2.5),
        Sample([]), Sample([[], []]), Sample([1, 2], dtype="dtype:float32"), Sample([1.7, -1.7], dtype="dtype:int64"),
        Sample((1, (2)), device="cpu"), Sample(np.arange(6).reshape(2, 3)), Sample(np.float32(3)), Sample(np.ones(2)),
        Sample([np.float64(1), np.float64(2)]), Sample([[[1, 2], [3, 4]]]), Sample([0, 1], dtype="dtype:bool"),
        Sample(range(3)), Sample(A(2, 3)).without("recording", "torch warns and copies by itself"),
    ], errors=[
        Error(ValueError, r"expected sequence of length 2 at dim 1 \(got 1\)", [[1, 2], [3]]),
        Error(RuntimeError, "value cannot be converted to type uint8.* without overflow", 300, dtype="dtype:uint8"),
        Error(TypeError, "new|must be real number|could not", ["a"], only="platform"), GRADIENT,
    ]),
    Row("torch.as_tensor", samples=[
        Sample([1, 2]), Sample(A(2, 3)), Sample(A(2), dtype="dtype:int64"), Sample(np.ones(2)), Sample(3),
        Sample(np.ones(2), dtype="dtype:float32"), Sample([1.5], device="cpu"),
    ]),
    Row("torch.asarray", samples=[
        Sample([1, 2]), Sample(A(2, 3)), Sample(A(2), dtype="dtype:int64"), Sample(np.ones(2), copy=True), Sample(3),
    ]),
    Row("torch.from_numpy", samples=[
        *[Sample(np.arange(6).reshape(2, 3).astype(k)) for k in ("float32", "float64", "int64", "uint8", "bool", "float16")],
        Sample(np.arange(6).reshape(2, 3).T), Sample(np.ones((0, 2))),
    ], errors=[
        Error(TypeError, "can't convert np.ndarray of type", np.array(["a"])),
        Error(TypeError, r"expected np.ndarray \(got list\)", [1]),
    ]),
    Row("torch.scalar_tensor", samples=[Sample(3), Sample(2.5, dtype="dtype:int64"), Sample(True)]),
]  # fmt: skip

RANGES = [
    Row("torch.arange", samples=[
        Sample(5), Sample(2, 7), Sample(2, 9, 3), Sample(9, 2, -2), Sample(5.0), Sample(0, 1, 0.1), Sample(1.5, 7, 2),
        Sample(0), Sample(3, 3), Sample(5, dtype="dtype:float32"), Sample(start=1, end=4), Sample(end=3), Sample(1, 4, step=2),
        Sample(0, 10, 3, dtype="dtype:int32"), Sample(5, dtype="dtype:float16"), Sample(4, device="cpu"),
    ], errors=[
        Error(RuntimeError, "step must be nonzero", 0, 5, 0),
        Error(RuntimeError, "upper bound and lower bound inconsistent with step sign", 5, 0, 1),
    ]),
    Row("torch.range", samples=[Sample(0, 4), Sample(1, 4, 0.5)]),
    Row("torch.linspace", samples=[
        Sample(0, 1, 5), Sample(-3, 10, 7), Sample(2, 2, 3), Sample(0, 1, 1), Sample(0, 1, 0), Sample(1, 0, 4),
        Sample(0, 10, steps=6), Sample(0, 1, 5, dtype="dtype:float64"), Sample(0, 10, 11, dtype="dtype:int64"), Sample(0, 1, 2),
        Sample(-1, 1, 224, device="cpu"),
    ], errors=[Error(RuntimeError, "number of steps must be non-negative", 0, 1, -1)]),
    Row("torch.logspace", samples=[Sample(0, 3, 4), Sample(-1, 1, 5, 2.0), Sample(0, 1, 3, base=3)]),
    Row("torch.eye", samples=[Sample(3), Sample(2, 4), Sample(4, 2), Sample(3, dtype="dtype:int64"), Sample(0), Sample(2, m=3),
                              Sample(2, dtype="dtype:bool")]),
    *[
        Row(f"torch.{name}", f"Tensor.{name}", samples=[
            Sample(A(3, 4)).other(A(5, 2)), Sample(A(3, 4), 1).other(A(6, 2), 1), Sample(A(4, 3), -1), Sample(A(2, 3, 3)),
            Sample(A(3, 3), diagonal=5), Sample(A(3, 3), -5), Sample(I(3, 3)), Sample(B(3, 3)), Sample(A(0, 3)),
            *[Sample(I(3, 3, dtype=k)) for k in ("uint8", "int8", "int16", "int32")], Sample(A(3, 3, dtype="float64")),
            Sample(A(3, 3, dtype="float16")), Sample(A(2, 2, 3, 4), 2),
        ], errors=[Error(RuntimeError, f"{name}: input tensor must have at least 2 dimensions", A(3))])
        for name in ("tril", "triu")
    ],
    *[
        Row(f"torch.{name}", samples=[Sample(3, 3), Sample(3, 4, 1), Sample(4, 3, -1), Sample(3, 3, 5), Sample(0, 3),
                                      Sample(3, 3, dtype="dtype:int32"), Sample(3, 4, offset=1)])
        for name in ("tril_indices", "triu_indices")
    ],
    Row("torch.meshgrid", samples=[
        Sample(A(3), A(4), indexing="ij").other(A(5), A(2), indexing="ij"), Sample(A(3), A(4), indexing="xy"),
        Sample(I(2), I(3), I(4), indexing="xy"), Sample(A(3), indexing="ij"), Sample([A(3), A(2)], indexing="ij"),
        Sample(A(3), A(), indexing="ij"), Sample(A(3), A(4)),
    ], errors=[
        Error(RuntimeError, "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got", A(2, 3), indexing="ij"),
        Error(RuntimeError, "torch.meshgrid: indexing must be one of", A(2), A(2), indexing="x"),
        Error(RuntimeError, "expects all tensors to have the same dtype", A(2), I(2), indexing="ij"),
    ]),
    Row("torch.cartesian_prod", samples=[Sample(I(2), I(3)).other(I(4), I(5)), Sample(A(2), A(2), A(3)), Sample(A(3))]),
    Row("torch.vander", samples=[
        Sample(A(3)).other(A(5)), Sample(A(3), 2), Sample(A(3), 5, True), Sample(I(3)), Sample(I(3), increasing=True),
    ], errors=[Error(RuntimeError, "x must be a one-dimensional tensor", A(2, 3))]),
    *[
        Row(f"torch.{name}", samples=[Sample(8), Sample(7, False), Sample(1), Sample(2), Sample(5, dtype="dtype:float64")])
        for name in ("hann_window", "hamming_window", "blackman_window", "bartlett_window")
    ],
]  # fmt: skip

RANDOM = [
    Row("torch.rand", "torch.randn", samples=[Sample(2, 3), Sample((2, 3)), Sample(size=(2,)), Sample(()),
                                              Sample(2, dtype="dtype:float64")], random=True, errors=[NEGATIVE]),
    Row("torch.randn", samples=[Sample(2, 3), Sample([2]), Sample(2, dtype="dtype:float16")], random=True),
    Row("torch.randint", samples=[Sample(5, (2, 3)), Sample(2, 5, (2,)), Sample(high=5, size=(2,)), Sample(low=1, high=3,
        size=(2,)), Sample(5, (2,), dtype="dtype:int32")], random=True,
        errors=[Error(RuntimeError, "random_ expects 'from' to be less than 'to', but got from=5 >= to=5", 5, 5, (2,))]),
    Row("torch.randint_like", samples=[Sample(I(2, 3), 5), Sample(A(2), 1, 5)], random=True),
    Row("torch.randperm", samples=[Sample(5), Sample(0), Sample(3, dtype="dtype:int32")], random=True),
    Row("torch.normal", samples=[Sample(A(2, 3), 1.0), Sample(0.0, A(2, low=0, high=1)), Sample(A(2), A(2, low=0, high=1)),
                                 Sample(0.0, 1.0, (2, 3)), Sample(A(2))], random=True),
    Row("torch.bernoulli", "Tensor.bernoulli", samples=[Sample(A(2, 3, low=0, high=1)), Sample(A(2), 0.5)], random=True),
    Row("torch.multinomial", "Tensor.multinomial", samples=[
        Sample(A(5, low=0, high=1), 3), Sample(A(2, 5, low=0, high=1), 7, True), Sample(A(2, 5, low=0, high=1), 5),
    ], random=True, errors=[
        Error(RuntimeError, "cannot sample n_sample > prob_dist.size", A(3, low=0, high=1), 4),
        Error(RuntimeError, "prob_dist must be 1 or 2 dim", A(2, 2, 2, low=0, high=1), 1),
    ]),
    Row("torch.manual_seed", "torch.seed", "torch.initial_seed", "torch.get_rng_state", "torch.set_rng_state", samples=[],
        signature=False, reason="torch.seed and its kin are its own annotations"),
]  # fmt: skip

ROWS = [*CONSTANT, *DATA, *RANGES, *RANDOM]
