"""Every layer of the vocabulary, with constructor arguments and inputs at two sizes; for any test over all layers."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.words.contract import A, I, T


@dataclasses.dataclass(frozen=True)
class LayerCase:
    """One layer and how to call it.

    `random`: the outputs in training are drawn, so only those in evaluation are compared.
    `other`: inputs of another size, or None where the layer allows only one.
    `unsupported`: words of the error where ONNX cannot express the call; the state is torch's all the same.
    """

    name: str
    args: tuple = ()
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: tuple = ()
    other: tuple | None = None
    call: dict[str, Any] = dataclasses.field(default_factory=dict)
    random: bool = False
    rtol: float = 1e-5
    atol: float = 1e-6
    unsupported: str = ""

    @property
    def id(self) -> str:
        given = [repr(a) for a in self.args] + [f"{k}={v!r}" for k, v in self.kwargs.items()]
        called = "".join(f"-{k}={v!r}" for k, v in self.call.items())
        # Descriptions of arrays are too long to read.
        text = f"{self.name}({','.join(given)}){called}"
        return text if len(text) < 100 else text[:97] + "..."


def case(name, *args, on=(), other=None, call=None, random=False, rtol=1e-5, atol=1e-6, unsupported="", **kwargs):
    """`case("Conv2d", 3, 8, 3, padding=1, on=A(...), other=A(...))`."""
    on = on if isinstance(on, tuple) else (on,)
    other = other if other is None or isinstance(other, tuple) else (other,)
    return LayerCase(name, args, kwargs, on, other, call or {}, random, rtol, atol, unsupported)


# Inputs by number of axes: (n, c, ...) at two sizes, odd and even, crossing strides.
def image(channels, axes, *, seed=0):
    return A(2, channels, *(9, 8, 7)[:axes], seed=seed), A(3, channels, *(12, 7, 10)[:axes], seed=seed)


def over(axes_list, name, *args, channels=6, **kwargs):
    """A case for each number of axes: name "Conv" becomes Conv1d, Conv2d, Conv3d."""
    out = []
    for axes in axes_list:
        first, second = image(channels, axes)
        out.append(case(f"{name}{axes}d", *args, on=first, other=second, **kwargs))
    return out


ALL = (1, 2, 3)
X, Y = A(2, 6, 5), A(3, 6, 7)
IMAGE = image(6, 2)


def plain(name, *args, on=X, other=Y, **kwargs):
    return case(name, *args, on=on, other=other, **kwargs)


LINEAR = [
    plain("Identity", 3, unused=True),
    plain("Linear", 5, 4, other=A(3, 2, 6, 5)),
    plain("Linear", 5, 4, bias=False, on=A(5), other=A(4, 5)),
    plain("Bilinear", 5, 4, 3, on=(A(2, 5), A(2, 4)), other=(A(3, 5), A(3, 4))),
    plain("Bilinear", 5, 4, 3, bias=False, on=(A(2, 3, 5), A(2, 3, 4)), other=(A(3, 1, 5), A(3, 1, 4))),
    plain("Embedding", 10, 4, on=I(2, 5), other=I(3, 7)),
    plain("Embedding", 10, 4, padding_idx=-2, on=I(2, 5), other=I(3, 7)),
    plain("EmbeddingBag", 10, 4, on=I(2, 5), other=I(3, 7)),
    plain("EmbeddingBag", 10, 4, mode="sum", on=I(2, 5), other=I(3, 7)),
    plain("EmbeddingBag", 10, 4, mode="max", padding_idx=1, on=I(2, 5), other=I(3, 7)),
    plain("EmbeddingBag", 10, 4, on=(I(6), T([0, 2, 5], "int64")), other=(I(8), T([0, 3, 5], "int64"))),
]

CONVOLUTIONS = [
    *over(ALL, "Conv", 6, 4, 3),
    *over(ALL, "Conv", 6, 4, 3, stride=2, padding=1, bias=False),
    *over(ALL, "Conv", 6, 6, 3, padding=2, dilation=2, groups=3),
    *over(ALL, "Conv", 6, 4, 3, padding="same"),
    *over(ALL, "Conv", 6, 4, 4, padding="same", dilation=1),
    *over(ALL, "Conv", 6, 4, 2, padding="valid"),
    *over((1, 2), "Conv", 6, 4, 3, padding=1, padding_mode="reflect"),
    *over(ALL, "Conv", 6, 4, 3, padding=1, padding_mode="replicate"),
    *over(ALL, "Conv", 6, 4, 3, padding=1, padding_mode="circular"),
    case("Conv2d", 6, 4, (3, 2), padding="same", padding_mode="reflect", on=IMAGE[0], other=IMAGE[1]),
    case("Conv2d", 6, 4, (3, 5), stride=(2, 1), padding=(1, 2), on=A(6, 9, 8), other=A(6, 12, 7)),
    *over(ALL, "ConvTranspose", 6, 4, 3),
    *over(ALL, "ConvTranspose", 6, 4, 3, stride=2, padding=1, output_padding=1, bias=False),
    *over(ALL, "ConvTranspose", 6, 6, 3, groups=2, dilation=2, stride=2),
    case("ConvTranspose2d", 6, 4, 3, stride=2, padding=1, on=A(2, 6, 5, 4), call={"output_size": [10, 7]}),
    case("ConvTranspose2d", 6, 4, 3, stride=2, padding=1, on=A(6, 5, 4), call={"output_size": [4, 9, 8]}),
]

NORMALIZATIONS = [
    *over(ALL, "BatchNorm", 6, rtol=1e-4, atol=1e-5),
    *over(ALL, "BatchNorm", 6, affine=False, eps=1e-3, rtol=1e-4, atol=1e-5),
    *over(ALL, "BatchNorm", 6, track_running_stats=False, rtol=1e-4, atol=1e-5),
    *over(ALL, "BatchNorm", 6, momentum=None, rtol=1e-4, atol=1e-5),
    case("BatchNorm1d", 6, on=A(5, 6), other=A(7, 6), rtol=1e-4, atol=1e-5),
    case("BatchNorm2d", 6, bias=False, on=IMAGE[0], other=IMAGE[1], rtol=1e-4, atol=1e-5),
    *over(ALL, "InstanceNorm", 6, rtol=1e-4, atol=1e-5),
    *over(ALL, "InstanceNorm", 6, affine=True, rtol=1e-4, atol=1e-5),
    *over(ALL, "InstanceNorm", 6, affine=True, track_running_stats=True, rtol=1e-4, atol=1e-5),
    case("InstanceNorm2d", 6, affine=True, on=A(6, 9, 8), other=A(6, 5, 7), rtol=1e-4, atol=1e-5),
    *over(ALL, "GroupNorm", 3, 6, rtol=1e-4, atol=1e-5),
    case("GroupNorm", 2, 6, affine=False, on=X, other=Y, rtol=1e-4, atol=1e-5),
    case("GroupNorm", 2, 6, bias=False, on=X, other=Y, rtol=1e-4, atol=1e-5),
    plain("LayerNorm", 5, on=A(2, 6, 5), other=A(3, 5), rtol=1e-4, atol=1e-5),
    plain("LayerNorm", (6, 5), on=A(2, 6, 5), other=A(3, 4, 6, 5), rtol=1e-4, atol=1e-5),
    plain("LayerNorm", [5], elementwise_affine=False, other=A(3, 5), rtol=1e-4, atol=1e-5),
    plain("LayerNorm", 5, bias=False, eps=1e-3, other=A(3, 5), rtol=1e-4, atol=1e-5),
    plain("RMSNorm", 5, other=A(3, 5), rtol=1e-4, atol=1e-5),
    plain("RMSNorm", (6, 5), eps=1e-3, elementwise_affine=False, other=A(3, 6, 5), rtol=1e-4, atol=1e-5),
    plain("LocalResponseNorm", 3, alpha=1e-2, k=2.0, on=IMAGE[0], other=IMAGE[1]),
]
# torch has one GroupNorm for all ranks.
NORMALIZATIONS = [
    dataclasses.replace(c, name="GroupNorm") if c.name.startswith("GroupNorm") else c for c in NORMALIZATIONS
]

ACTIVATIONS = [
    *(
        plain(name)
        for name in (
            *(
                "CELU",
                "ELU",
                "GELU",
                "Hardshrink",
                "Hardsigmoid",
                "Hardswish",
                "Hardtanh",
                "LeakyReLU",
                "LogSigmoid",
            ),
            *(
                "Mish",
                "PReLU",
                "ReLU",
                "ReLU6",
                "SELU",
                "SiLU",
                "Sigmoid",
                "Softplus",
                "Softshrink",
                "Softsign",
            ),
            *("Tanh", "Tanhshrink"),
        )
    ),
    *(
        plain(name, inplace=True)
        for name in (
            "CELU",
            "ELU",
            "Hardsigmoid",
            "Hardswish",
            "LeakyReLU",
            "Mish",
            "ReLU",
            "ReLU6",
            "SELU",
            "SiLU",
        )
    ),
    plain("CELU", 0.5),
    plain("ELU", 0.5),
    plain("GELU", approximate="tanh"),
    plain("GLU", on=A(2, 6, 4), other=A(3, 5, 8)),
    plain("GLU", 1),
    plain("Hardshrink", 0.3),
    plain("Hardtanh", -0.5, 0.7, inplace=True),
    plain("LeakyReLU", 0.2),
    plain("LogSoftmax", -1),
    plain("PReLU", 6, init=0.1),
    plain("RReLU", random=True),
    plain("RReLU", 0.1, 0.2, inplace=True, random=True),
    plain("Softmax", 1),
    plain("Softmax", dim=-1),
    plain("Softmax2d", on=IMAGE[0], other=A(6, 4, 3)),
    plain("Softmin", 1),
    plain("Softplus", 2.0, 1.0),
    plain("Softshrink", 0.1),
    plain("Threshold", 0.1, 20.0),
    plain("Threshold", 0.1, 20.0, inplace=True),
]

POOLING = [
    *over(ALL, "MaxPool", 3),
    *over(ALL, "MaxPool", 3, stride=2, padding=1, ceil_mode=True),
    *over(ALL, "MaxPool", 2, dilation=2),
    *over(ALL, "MaxPool", 2, return_indices=True),
    *over(ALL, "AvgPool", 3),
    *over(ALL, "AvgPool", 3, stride=2, padding=1, ceil_mode=True),
    *over(ALL, "AvgPool", 3, stride=2, padding=1, count_include_pad=False),
    *over((2, 3), "AvgPool", 3, divisor_override=5),
    *over(ALL, "LPPool", 2, 3),
    *over(ALL, "LPPool", 3.0, 2, stride=1, ceil_mode=True),
    *over(ALL, "AdaptiveAvgPool", 1),
    *over(ALL, "AdaptiveAvgPool", 4),
    *over(ALL, "AdaptiveMaxPool", 3),
    *over(ALL, "AdaptiveMaxPool", 3, return_indices=True),
    case("AdaptiveAvgPool2d", (None, 3), on=IMAGE[0], other=IMAGE[1]),
    case("MaxUnpool1d", 2, on=(A(2, 3, 4), T([[[0, 3, 4, 6]] * 3] * 2, "int64"))),
    case("MaxUnpool2d", 2, on=(A(1, 2, 2, 2), T([[[[0, 3], [9, 14]]] * 2], "int64"))),
    case("MaxUnpool3d", 2, on=(A(1, 1, 1, 2, 2), T([[[[[0, 3], [25, 14]]]]], "int64"))),
    case(
        "MaxUnpool2d",
        2,
        on=(A(1, 2, 2, 2), T([[[[0, 3], [9, 14]]] * 2], "int64")),
        call={"output_size": [5, 5]},
    ),
]

DROPOUT = [
    plain("Dropout", 0.3, random=True),
    plain("Dropout", inplace=True, random=True),
    *over(ALL, "Dropout", 0.3, random=True),
    plain("AlphaDropout", 0.3, random=True),
    plain("FeatureAlphaDropout", 0.3, random=True),
]

SHAPES = [
    plain("Flatten"),
    plain("Flatten", 0, 1),
    plain("Unflatten", 1, (2, 3)),
    plain("Unflatten", -1, (5, 1), other=A(3, 6, 5)),
    case("Fold", (6, 5), (2, 3), on=A(2, 12, 15), other=A(3, 12, 15)),
    case("Fold", (6, 5), 2, dilation=2, padding=1, stride=2, on=A(2, 12, 9), other=A(4, 12, 9)),
    case("Unfold", 2, on=IMAGE[0], other=IMAGE[1]),
    case("Unfold", (2, 3), dilation=2, padding=1, stride=2, on=IMAGE[0], other=IMAGE[1]),
    case("PixelShuffle", 2, on=A(2, 8, 3, 4), other=A(3, 4, 5, 2)),
    case("PixelUnshuffle", 2, on=A(2, 3, 4, 6), other=A(3, 3, 2, 8)),
    case("ChannelShuffle", 3, on=IMAGE[0], other=IMAGE[1]),
    case("Upsample", scale_factor=2, on=A(2, 3, 4, 5), other=A(1, 3, 3, 7)),
    case("Upsample", size=(7, 9), mode="bilinear", on=A(2, 3, 4, 5), other=A(1, 3, 3, 7)),
    case(
        "Upsample",
        scale_factor=(1.5, 2.0),
        mode="bicubic",
        align_corners=True,
        on=A(2, 3, 4, 5),
        other=A(1, 3, 6, 7),
    ),
    case("Upsample", scale_factor=2, mode="linear", on=A(2, 3, 4), other=A(1, 3, 7)),
    case("Upsample", scale_factor=2, mode="trilinear", on=A(2, 3, 4, 5, 3), other=A(1, 3, 3, 2, 4)),
    case("UpsamplingNearest2d", scale_factor=3, on=A(2, 3, 4, 5), other=A(1, 3, 3, 7)),
    case("UpsamplingNearest2d", (5, 9), on=A(2, 3, 4, 5), other=A(1, 3, 3, 7)),
    case("UpsamplingBilinear2d", scale_factor=2, on=A(2, 3, 4, 5), other=A(1, 3, 3, 7)),
]

PADDING = [
    *over(ALL, "ConstantPad", 2, 0.5),
    *over(ALL, "ZeroPad", 1),
    *over(ALL, "ReflectionPad", 2),
    *over(ALL, "ReplicationPad", 2),
    *over(ALL, "CircularPad", 2),
    case("ZeroPad2d", (1, -1, 0, 2), on=IMAGE[0], other=IMAGE[1]),
    case("CircularPad2d", (1, 2, 0, 3), on=A(6, 9, 8), other=A(6, 5, 7)),
]

SEQUENCE, LONGER = A(5, 2, 8), A(7, 3, 8)
MEMORY = A(6, 2, 8, seed=1)
PADDED = T([[False, False, False, False, True], [False, False, True, True, True]], "bool")
CAUSAL = T([[False, True, True, True, True], [False, False, True, True, True], [False, False, False, True, True],
            [False, False, False, False, True], [False, False, False, False, False]], "bool")  # fmt: skip

ATTENTION = [
    case("MultiheadAttention", 8, 2, on=(SEQUENCE,) * 3, other=(LONGER,) * 3),
    case("MultiheadAttention", 8, 2, on=(A(5, 8),) * 3, other=(A(7, 8),) * 3),
    case(
        "MultiheadAttention",
        8,
        4,
        bias=False,
        batch_first=True,
        on=(A(2, 5, 8),) * 3,
        other=(A(3, 7, 8),) * 3,
    ),
    case(
        "MultiheadAttention",
        8,
        2,
        kdim=6,
        vdim=4,
        on=(SEQUENCE, A(6, 2, 6), A(6, 2, 4)),
        other=(LONGER, A(4, 3, 6), A(4, 3, 4)),
    ),
    case(
        "MultiheadAttention",
        8,
        2,
        add_bias_kv=True,
        add_zero_attn=True,
        on=(SEQUENCE,) * 3,
        other=(LONGER,) * 3,
    ),
    case("MultiheadAttention", 8, 2, on=(SEQUENCE,) * 3, call={"average_attn_weights": False}),
    case("MultiheadAttention", 8, 2, on=(SEQUENCE,) * 3, call={"need_weights": False}),
    case(
        "MultiheadAttention",
        8,
        2,
        batch_first=True,
        on=(A(2, 5, 8),) * 3,
        call={"key_padding_mask": PADDED, "attn_mask": CAUSAL, "need_weights": False},
    ),
    case("MultiheadAttention", 8, 2, on=(SEQUENCE,) * 3, call={"key_padding_mask": PADDED}),
    case("MultiheadAttention", 8, 2, on=(SEQUENCE,) * 3, call={"attn_mask": A(5, 5)}),
    case("MultiheadAttention", 8, 2, on=(SEQUENCE, MEMORY, MEMORY), other=(LONGER, A(4, 3, 8), A(4, 3, 8))),
    case("MultiheadAttention", 8, 2, dropout=0.5, on=(SEQUENCE,) * 3, other=(LONGER,) * 3, random=True),
    case("TransformerEncoderLayer", 8, 2, 16, on=SEQUENCE, other=LONGER, random=True, rtol=1e-4, atol=1e-5),
    case(
        "TransformerEncoderLayer",
        8,
        2,
        16,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        on=A(2, 5, 8),
        other=A(3, 7, 8),
        rtol=1e-4,
        atol=1e-5,
    ),
    case(
        "TransformerEncoderLayer",
        8,
        2,
        16,
        dropout=0.0,
        norm_first=True,
        bias=False,
        on=SEQUENCE,
        other=LONGER,
        rtol=1e-4,
        atol=1e-5,
    ),
    case(
        "TransformerEncoderLayer",
        8,
        2,
        16,
        dropout=0.0,
        on=SEQUENCE,
        call={"src_mask": CAUSAL, "is_causal": True},
        rtol=1e-4,
        atol=1e-5,
    ),
    case(
        "TransformerDecoderLayer",
        8,
        2,
        16,
        dropout=0.0,
        on=(SEQUENCE, MEMORY),
        other=(LONGER, A(4, 3, 8)),
        rtol=1e-4,
        atol=1e-5,
    ),
    case(
        "TransformerDecoderLayer",
        8,
        2,
        16,
        dropout=0.0,
        norm_first=True,
        activation="gelu",
        on=(SEQUENCE, MEMORY),
        other=(LONGER, A(4, 3, 8)),
        rtol=1e-4,
        atol=1e-5,
    ),
    case(
        "Transformer",
        8,
        2,
        1,
        2,
        16,
        dropout=0.0,
        on=(MEMORY, SEQUENCE),
        other=(A(4, 3, 8), LONGER),
        rtol=1e-4,
        atol=1e-5,
    ),
]

RECURRENT = [
    *(
        case(name, 8, 4, *more, **kwargs, on=SEQUENCE, other=LONGER)
        for name in ("RNN", "LSTM", "GRU")
        for more, kwargs in [((), {}), ((2,), {"bidirectional": True}), ((), {"bias": False})]
    ),
    *(case(name, 8, 4, batch_first=True, on=A(2, 5, 8), other=A(3, 7, 8)) for name in ("RNN", "LSTM", "GRU")),
    *(case(name, 8, 4, on=A(5, 8), other=A(7, 8)) for name in ("RNN", "LSTM", "GRU")),
    case("RNN", 8, 4, 1, "relu", on=SEQUENCE, other=LONGER),
    case("RNN", 8, 4, nonlinearity="relu", on=(SEQUENCE, A(1, 2, 4)), other=(LONGER, A(1, 3, 4))),
    case("GRU", 8, 4, on=(SEQUENCE, A(1, 2, 4)), other=(LONGER, A(1, 3, 4))),
    case("LSTM", 8, 4, 2, on=(SEQUENCE, (A(2, 2, 4), A(2, 2, 4, seed=1)))),
    case("LSTM", 8, 4, proj_size=3, bidirectional=True, on=SEQUENCE, unsupported="proj_size > 0"),
    case("GRU", 8, 4, 2, dropout=0.5, on=SEQUENCE, other=LONGER, random=True),
    *(case(name, 8, 4, on=A(3, 8), other=A(5, 8)) for name in ("RNNCell", "LSTMCell", "GRUCell")),
    *(case(name, 8, 4, bias=False, on=A(8)) for name in ("RNNCell", "LSTMCell", "GRUCell")),
    case("RNNCell", 8, 4, nonlinearity="relu", on=(A(3, 8), A(3, 4)), other=(A(5, 8), A(5, 4))),
    case("GRUCell", 8, 4, on=(A(8), A(4))),
    case("LSTMCell", 8, 4, on=(A(3, 8), (A(3, 4), A(3, 4, seed=1)))),
]

CHANCES = A(4, 6, low=0.05, high=0.95)
PAIR, BIGGER = (A(4, 6), A(4, 6, seed=1)), (A(7, 6), A(7, 6, seed=1))
SIGNS = T([1.0, -1.0, -1.0, 1.0])
LOGITS = (A(4, 6), I(4, high=6))

LOSSES = [
    case("CosineSimilarity", on=PAIR, other=BIGGER),
    case("CosineSimilarity", 0, 1e-4, on=PAIR, other=BIGGER),
    case("PairwiseDistance", on=PAIR, other=BIGGER),
    case("PairwiseDistance", 1.0, keepdim=True, on=PAIR, other=BIGGER),
    *(
        case(name, reduction=reduction, on=PAIR, other=BIGGER)
        for name in ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss")
        for reduction in ("mean", "sum", "none")
    ),
    case("SmoothL1Loss", beta=0.3, on=PAIR),
    case("HuberLoss", delta=0.3, on=PAIR),
    *(case("CrossEntropyLoss", reduction=r, on=LOGITS, other=(A(5, 6), I(5, high=6))) for r in ("mean", "sum", "none")),
    case("CrossEntropyLoss", A(6, low=0.5, high=2.0), label_smoothing=0.1, on=LOGITS),
    case("CrossEntropyLoss", ignore_index=2, label_smoothing=0.1, on=LOGITS),
    case("CrossEntropyLoss", on=(A(2, 6, 3, 4), I(2, 3, 4, high=6)), other=(A(3, 6, 2, 5), I(3, 2, 5, high=6))),
    case(
        "CrossEntropyLoss",
        on=(A(4, 6), A(4, 6, low=0.0, high=1.0)),
        other=(A(5, 6), A(5, 6, low=0.0, high=1.0)),
    ),
    case("NLLLoss", on=LOGITS),
    case("NLLLoss", A(6, low=0.5, high=2.0), reduction="sum", ignore_index=1, on=LOGITS),
    case("BCELoss", on=(CHANCES, A(4, 6, low=0.0, high=1.0))),
    case("BCEWithLogitsLoss", on=(A(4, 6), A(4, 6, low=0.0, high=1.0))),
    case("BCEWithLogitsLoss", pos_weight=A(6, low=0.5, high=2.0), on=(A(4, 6), A(4, 6, low=0.0, high=1.0))),
    case("KLDivLoss", reduction="batchmean", on=(A(4, 6), CHANCES)),
    case("KLDivLoss", reduction="sum", log_target=True, on=(A(4, 6), A(4, 6, seed=1))),
    case("PoissonNLLLoss", on=(A(4, 6), A(4, 6, low=0.0, high=5.0))),
    case("PoissonNLLLoss", log_input=False, full=True, on=(CHANCES, A(4, 6, low=0.0, high=5.0))),
    case("GaussianNLLLoss", full=True, on=(*PAIR, A(4, 6, low=0.1, high=2.0))),
    case("SoftMarginLoss", on=(A(4), SIGNS)),
    case("MultiLabelSoftMarginLoss", on=(A(4, 6), T([[0, 1, 0, 1, 1, 0]] * 4, "float32"))),
    case("MultiMarginLoss", on=LOGITS),
    case("MultiMarginLoss", 2, 0.5, on=LOGITS),
    case("MarginRankingLoss", 0.2, on=(A(4), A(4, seed=1), SIGNS)),
    case("HingeEmbeddingLoss", on=(A(4), SIGNS)),
    case("CosineEmbeddingLoss", 0.1, on=(*PAIR, SIGNS)),
    case("TripletMarginLoss", swap=True, on=(*PAIR, A(4, 6, seed=2))),
    case("TripletMarginWithDistanceLoss", margin=0.5, on=(*PAIR, A(4, 6, seed=2))),
]

LAYER_CASES: list[LayerCase] = [
    *LINEAR, *CONVOLUTIONS, *NORMALIZATIONS, *ACTIVATIONS, *POOLING, *DROPOUT, *SHAPES, *PADDING, *ATTENTION,
    *RECURRENT, *LOSSES,
]  # fmt: skip

__all__ = ["LAYER_CASES", "LayerCase"]
