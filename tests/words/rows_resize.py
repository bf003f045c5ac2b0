"""Resizing, rearranging, sampling at positions."""

import itertools

from tests.words.contract import A, B, Error, I, Row, Sample, T

BUILTIN = {"signature": False, "reason": "torch's is builtin"}
HALF = {"rtol": 2e-3, "atol": 2e-3}
SHAPES = {
    1: ((2, 3, 11), (1, 3, 17)),
    2: ((2, 3, 11, 8), (1, 3, 14, 13)),
    3: ((1, 2, 7, 6, 5), (2, 2, 8, 9, 10)),
}
MODES = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}
PLAIN = ("nearest", "nearest-exact", "area")


def both(rank: int, **options) -> Sample:
    first, second = SHAPES[rank]
    tolerance = {k: options.pop(k) for k in ("rtol", "atol") if k in options}
    return Sample(A(*first), **options, **tolerance).other(A(*second), **options)


def resize_samples() -> list[Sample]:
    out = []
    for rank, modes in MODES.items():
        for mode, corners in itertools.product(modes, (None, False, True)):
            if (corners is None) == (mode not in PLAIN):
                continue
            options = {"mode": mode} if corners is None else {"mode": mode, "align_corners": corners}
            out += [both(rank, scale_factor=s, **options) for s in (2, 3.0, 0.5, 1.5, 0.7, 1.3, 1)]
            out += [both(rank, size=s, **options) for s in (5, 20, 1)]
            out.append(both(rank, scale_factor=1.3, recompute_scale_factor=True, **options))
            out.append(both(rank, scale_factor=(1, 2, 1.3)[:rank], **options))
            out += [
                Sample(A(*SHAPES[rank][0], dtype="float64"), scale_factor=2, **options),
                Sample(A(*SHAPES[rank][0], dtype="float16"), size=13, **options, **HALF),
            ]
    for mode, corners in (("bilinear", False), ("bilinear", True), ("bicubic", False), ("lanczos", False)):
        options = {"mode": mode, "align_corners": corners, "antialias": True, "rtol": 2e-5, "atol": 1e-5}
        out += [both(2, scale_factor=s, **options) for s in (2, 0.5, 0.3)] + [both(2, size=5, **options)]
    for mode, antialias in (
        ("bilinear", False),
        ("bilinear", True),
        ("bicubic", False),
        ("bicubic", True),
        ("lanczos", True),
    ):
        for size in ((5, 6), (20, 30), (24, 31)):
            image = I(2, 3, 24, 17, high=256, dtype="uint8")
            out.append(Sample(image, size=size, mode=mode, antialias=antialias))
    for mode in ("nearest", "nearest-exact"):
        first, second = I(1, 3, 6, 5, high=256, dtype="uint8"), I(2, 3, 9, 4, high=256, dtype="uint8")
        out += [Sample(first, scale_factor=s, mode=mode).other(second, scale_factor=s, mode=mode) for s in (2, 0.6)]
    return out


def refused(mode: str, shape: tuple) -> Error:
    needs = {"linear": 3, "bilinear": 4, "trilinear": 5}[mode]
    return Error(
        NotImplementedError,
        f"Got {len(shape)}D input, but {mode} mode needs {needs}D input",
        A(*shape),
        size=4,
        mode=mode,
    )


X = A(2, 3, 7, 6)
WINDOWS = list(itertools.product((2, (2, 3)), (1, 2), (0, 1), (1, 2)))


def fold_sample(kernel, dilation, padding, stride) -> Sample:
    pair = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    counts = [(s + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for s, k in zip((9, 8), pair, strict=True)]
    rows, columns = 3 * pair[0] * pair[1], counts[0] * counts[1]
    rest = ((9, 8), kernel, dilation, padding, stride)
    return Sample(A(2, rows, columns), *rest).other(A(3, rows, columns), *rest)


def grid_samples() -> list[Sample]:
    out = []
    ticks = [[[x / 4, y / 4] for x in range(-6, 7)] for y in range(-6, 7)]
    for mode, padding, corners in itertools.product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    ):
        options = (mode, padding, corners)
        out.append(
            Sample(A(2, 3, 7, 6), A(2, 5, 4, 2, low=-1.4, high=1.4), *options).other(
                A(1, 3, 9, 8), A(1, 3, 8, 2, low=-3, high=3), *options
            )
        )
        out.append(Sample(A(1, 3, 8, 4), T([ticks]), *options))  # half-way between pixels
        if mode != "bicubic":
            out.append(
                Sample(A(2, 3, 4, 7, 6), A(2, 5, 4, 2, 3, low=-1.4, high=1.4), *options).other(
                    A(1, 3, 9, 8, 3), A(1, 3, 8, 2, 3, low=-3, high=3), *options
                )
            )
    out += [
        Sample(A(1, 3, 8, 4), T([[[[1e20, 0.0], [0.0, -1e12], [3e9, 3e9]]]]), mode, padding, False)
        for mode, padding in itertools.product(("bilinear", "nearest"), ("zeros", "border"))
    ]
    return [
        *out,
        Sample(A(2, 3, 7, 6, dtype="float64"), A(2, 5, 4, 2, dtype="float64"), align_corners=False),
        Sample(
            A(2, 3, 7, 6, dtype="float16"),
            A(2, 5, 4, 2, dtype="float16", low=-1, high=1),
            align_corners=False,
            rtol=1e-2,
            atol=5e-2,
        ),
    ]


ROWS = [
    Row(
        "F.interpolate",
        samples=resize_samples(),
        atol=1e-5,
        errors=[
            Error(ValueError, "only one of size or scale_factor should be defined", X, size=4, scale_factor=2),
            Error(ValueError, "either size or scale_factor should be defined", X),
            Error(
                ValueError,
                "Input and output must have the same number of spatial dimensions",
                X,
                size=(4, 4, 4),
            ),
            Error(
                ValueError,
                "Input and scale_factor must have the same number of spatial dimensions",
                X,
                scale_factor=(2, 2, 2),
            ),
            Error(
                ValueError,
                "align_corners option can only be set with the interpolating modes",
                X,
                size=4,
                align_corners=True,
            ),
            Error(ValueError, "Anti-alias option is restricted to", X, size=4, antialias=True),
            Error(ValueError, "Lanczos mode requires antialias=True", X, size=4, mode="lanczos"),
            Error(
                ValueError,
                "recompute_scale_factor is not meaningful with an explicit size",
                X,
                size=4,
                recompute_scale_factor=True,
            ),
            Error(RuntimeError, "Input and output sizes should be greater than 0", X, size=0),
            Error(NotImplementedError, "not implemented for 'Long'", I(1, 3, 4, 4), size=8),
            refused("linear", (2, 3, 7, 6)),
            refused("bilinear", (2, 3, 7)),
            refused("trilinear", (2, 3, 7, 6)),
        ],
    ),
    Row(
        "F.upsample",
        samples=[both(2, scale_factor=2), both(2, size=9, mode="bilinear", align_corners=True)],
        atol=1e-5,
    ),
    Row("F.upsample_nearest", samples=[both(2, scale_factor=2), both(3, scale_factor=2), both(1, size=9)]),
    Row("F.upsample_bilinear", samples=[both(2, scale_factor=2), both(2, size=9)], atol=1e-5),
    Row(
        "F.pixel_shuffle",
        "torch.pixel_shuffle",
        **BUILTIN,
        samples=[
            Sample(A(2, 12, 3, 4), 2).other(A(1, 12, 5, 2), 2),
            Sample(A(2, 9, 3, 4), 3),
            Sample(A(12, 3, 4), 2),
            Sample(A(2, 2, 12, 3, 4), 2).other(A(1, 3, 12, 2, 2), 2),
            *(Sample(I(2, 12, 3, 4, dtype=kind), 2) for kind in ("uint8", "int8", "int32", "int64", "int16")),
            Sample(B(2, 12, 3, 4), 2),
            Sample(A(2, 12, 3, 4, dtype="float64"), 2),
            Sample(A(2, 12, 3, 4, dtype="float16"), 2),
        ],
        errors=[
            Error(RuntimeError, "at least 3 dimensions", A(3, 4), 2),
            Error(RuntimeError, "input.size(-3)=6 is not divisible by 4", A(6, 4, 4), 2),
            Error(RuntimeError, "expects a positive upscale_factor", A(4, 4, 4), 0),
        ],
    ),
    Row(
        "F.pixel_unshuffle",
        "torch.pixel_unshuffle",
        **BUILTIN,
        samples=[
            Sample(A(2, 3, 4, 6), 2).other(A(1, 3, 8, 2), 2),
            Sample(A(2, 3, 9, 6), 3),
            Sample(A(3, 4, 6), 2),
            Sample(A(2, 2, 3, 4, 2), 2).other(A(1, 3, 3, 2, 2), 2),
            Sample(I(2, 3, 4, 6, dtype="int32"), 2),
            Sample(B(2, 3, 4, 6), 2),
        ],
        errors=[
            Error(
                RuntimeError,
                "expects height to be divisible by downscale_factor, but input.size(-2)=5 is not divisible by 2",
                A(1, 5, 4),
                2,
            ),
            Error(
                RuntimeError,
                "expects width to be divisible by downscale_factor, but input.size(-1)=5 is not divisible by 2",
                A(1, 4, 5),
                2,
            ),
        ],
    ),
    Row(
        "F.channel_shuffle",
        "torch.channel_shuffle",
        "F.native_channel_shuffle",
        "torch.native_channel_shuffle",
        **BUILTIN,
        samples=[
            *(Sample(A(2, 12, 3, 4), g).other(A(1, 12, 5, 2), g) for g in (1, 2, 3, 12)),
            Sample(A(2, 12, 3), 3).other(A(3, 12, 5), 3),
            Sample(A(2, 12, 2, 3, 4), 3),
        ],
        errors=[Error(RuntimeError, "Got 12 channels and 5 groups", A(2, 12, 3, 4), 5)],
    ),
    Row(
        "F.unfold",
        signature=False,
        reason="torch's annotations alone differ",
        samples=[
            *(Sample(A(2, 3, 9, 8), *w).other(A(1, 3, 12, 7), *w) for w in WINDOWS),
            Sample(A(2, 3, 8, 8), 2, stride=2).other(A(1, 3, 11, 6), 2, stride=2),
            Sample(A(2, 3, 9, 8), (3, 2), (1, 2), (1, 0), (2, 3)),
            Sample(A(3, 9, 8), 3).other(A(3, 6, 7), 3),
            Sample(B(2, 3, 9, 8), 3, padding=1),
            Sample(A(2, 3, 9, 8, dtype="float16"), 3),
            Sample(A(2, 3, 9, 8, dtype="float64"), 3),
        ],
        errors=[
            Error(RuntimeError, "its components must be at least one", A(1, 2, 3, 3), 4),
            Error(RuntimeError, "Expected 3D or 4D (batch mode) tensor", A(1, 2, 0, 3), 2),
        ],
    ),
    Row(
        "F.fold",
        signature=False,
        reason="torch's annotations alone differ",
        atol=1e-5,
        samples=[
            *(fold_sample(*w) for w in WINDOWS),
            Sample(A(2, 12, 16), (8, 8), 2, stride=2),
            Sample(A(12, 16), (8, 8), 2, stride=2),
            Sample(A(2, 4, 9, dtype="float64"), (4, 4), 2),
            Sample(A(2, 4, 9, dtype="float16"), (4, 4), 2, rtol=1e-2, atol=1e-2),
        ],
        errors=[
            Error(RuntimeError, "to be divisible by the product of kernel_size, but got", A(2, 5, 9), (4, 4), 2),
            Error(
                RuntimeError,
                "calculated number of sliding blocks 3 * 3 = 9, but got input.size(2)=8",
                A(2, 4, 8),
                (4, 4),
                2,
            ),
        ],
    ),
    Row(
        "F.grid_sample",
        samples=grid_samples(),
        rtol=2e-5,
        atol=2e-5,
        errors=[
            Error(
                ValueError,
                "expected mode to be 'bilinear', 'nearest' or 'bicubic'",
                X,
                A(2, 3, 3, 2),
                "cubic",
                align_corners=False,
            ),
            Error(
                ValueError,
                "expected padding_mode to be 'zeros', 'border', or 'reflection'",
                X,
                A(2, 3, 3, 2),
                padding_mode="wrap",
                align_corners=False,
            ),
            Error(
                RuntimeError,
                "expected grid and input to have same batch size",
                X,
                A(3, 3, 3, 2),
                align_corners=False,
            ),
            Error(
                RuntimeError,
                "expected grid to have size 2 in last dimension",
                X,
                A(2, 3, 3, 3),
                align_corners=False,
            ),
        ],
    ),
    Row(
        "torch.grid_sampler",
        **BUILTIN,
        rtol=2e-5,
        atol=2e-5,
        samples=[
            Sample(X, A(2, 5, 4, 2, low=-1.4, high=1.4), mode, pad, False) for mode in (0, 1, 2) for pad in (0, 1, 2)
        ],
    ),
    Row(
        "F.affine_grid",
        atol=2e-6,
        samples=[
            *(Sample(A(2, 2, 3), (2, 3, 5, 7), corners) for corners in (False, True)),
            *(Sample(A(2, 3, 4), (2, 3, 4, 5, 7), corners) for corners in (False, True)),
            *(Sample(A(2, 2, 3), [2, 3, 1, 1], corners) for corners in (False, True)),
            Sample(A(2, 2, 3, dtype="float64"), (2, 3, 5, 7), False),
            Sample(A(2, 2, 3, dtype="float16"), (2, 3, 5, 7), False, rtol=1e-2, atol=1e-2),
        ],
        errors=[
            Error(
                ValueError,
                "Expected theta to have floating point type, but got torch.int64",
                I(2, 2, 3),
                (2, 3, 5, 7),
                False,
            ),
            Error(
                ValueError,
                "Expected a batch of 2D affine matrices of shape Nx2x3",
                A(2, 3, 4),
                (2, 3, 5, 7),
                False,
            ),
            Error(NotImplementedError, "affine_grid only supports 4D and 5D sizes", A(2, 2, 3), (2, 3, 5), False),
            Error(ValueError, "Expected non-zero, positive output size", A(2, 2, 3), (2, 3, 0, 5), False),
        ],
    ),
    Row(
        "torch.affine_grid_generator",
        **BUILTIN,
        samples=[Sample(A(2, 2, 3), (2, 3, 5, 7), corners) for corners in (False, True)],
    ),
]
