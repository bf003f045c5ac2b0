"""The words of mcore, by torch's names: the one list that both engines read.

A name stands here when ONNX can express what it means. `REFUSED` names those of torch's words that it cannot,
with the reason, so that an error can say so.
"""

import difflib
from collections.abc import Iterable

# --- Classes --------------------------------------------------------------------------------------

# What a network is made of; both engines define these themselves.
CONTAINERS = (
    *("Module", "Sequential", "ModuleList", "ModuleDict"),
    *("Parameter", "ParameterList", "ParameterDict", "Buffer"),
)

LAYERS = (
    # Linear maps, lookups, and what only passes or reshapes.
    *("Identity", "Linear", "Bilinear", "Embedding", "EmbeddingBag"),
    *("Flatten", "Unflatten", "Fold", "Unfold", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle"),
    # Convolution.
    *("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    # Normalisation.
    *("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"),
    *("GroupNorm", "LayerNorm", "RMSNorm", "LocalResponseNorm"),
    # Activations.
    *("CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU"),
    *("LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid"),
    *("Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink"),
    *("Threshold",),
    # Pooling.
    *("MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"),
    *("AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d"),
    *("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d"),
    *("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"),
    # Dropout.
    *("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
    # Resizing and padding.
    *("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"),
    *("ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d"),
    *("ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d"),
    *("ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d"),
    *("CircularPad1d", "CircularPad2d", "CircularPad3d"),
    # Attention.
    *("MultiheadAttention", "Transformer", "TransformerEncoder", "TransformerEncoderLayer"),
    *("TransformerDecoder", "TransformerDecoderLayer"),
    # Recurrence.
    *("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"),
    # Distances.
    *("CosineSimilarity", "PairwiseDistance"),
    # Losses, for a validation loop to print.
    *("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "CrossEntropyLoss", "NLLLoss", "BCELoss"),
    *("BCEWithLogitsLoss", "KLDivLoss", "PoissonNLLLoss", "GaussianNLLLoss", "SoftMarginLoss"),
    *("MultiLabelSoftMarginLoss", "MultiMarginLoss", "MarginRankingLoss", "HingeEmbeddingLoss"),
    *("CosineEmbeddingLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss"),
)

# --- mcore.functional: torch.nn.functional --------------------------------------------------------

FUNCTIONAL = (
    # Linear maps and lookups.
    *("linear", "bilinear", "embedding", "embedding_bag", "one_hot"),
    # Convolution, and its windows by themselves.
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold"),
    *("unfold",),
    # Normalisation.
    *("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm", "local_response_norm"),
    *("normalize",),
    # Activations.
    *("celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh"),
    *("leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu"),
    *("sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink"),
    *("threshold",),
    # Activations in place.
    *("celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"),
    # Pooling.
    *("max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"),
    *("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d"),
    *("avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "adaptive_avg_pool1d"),
    *("adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d"),
    *("adaptive_max_pool3d", "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d_with_indices"),
    *("adaptive_max_pool3d_with_indices",),
    # Dropout.
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
    # Resizing, padding, sampling.
    *("interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "pad", "grid_sample"),
    *("affine_grid", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    # Attention.
    *("scaled_dot_product_attention", "multi_head_attention_forward"),
    # Distances.
    *("cosine_similarity", "pairwise_distance", "pdist"),
    # Losses.
    *("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "cross_entropy", "nll_loss"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div", "poisson_nll_loss"),
    *("gaussian_nll_loss", "soft_margin_loss", "multilabel_soft_margin_loss", "multi_margin_loss"),
    *("margin_ranking_loss", "hinge_embedding_loss", "cosine_embedding_loss", "triplet_margin_loss"),
    *("triplet_margin_with_distance_loss", "multilabel_margin_loss"),
)

# Of mcore's own, which torch's core lacks and ONNX has an operator for; in mcore.functional too.
OWN = ("nms_mask",)

# --- mcore itself: torch --------------------------------------------------------------------------

# Names of number types, with torch's short ones.
DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool"),
    *("float", "double", "half", "int", "long", "short"),
)

TOP = (
    # The tensor and what describes it.
    *("Tensor", "Size", "dtype", "device", "Generator", "layout", "memory_format", "finfo", "iinfo"),
    *("strided", "contiguous_format", "preserve_format", "channels_last", "channels_last_3d"),
    *("e", "pi", "inf", "nan", "newaxis"),
    # Questions about tensors and number types.
    *("is_tensor", "is_floating_point", "is_complex", "is_nonzero", "is_same_size", "is_signed", "numel"),
    *("result_type", "promote_types", "can_cast", "broadcast_shapes", "get_default_dtype"),
    *("set_default_dtype",),
    # Settings. Gradients exist on torch only, the words to do without them on both.
    *("manual_seed", "seed", "initial_seed", "get_rng_state", "set_rng_state"),
    *("no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "is_grad_enabled"),
    *("set_num_threads", "get_num_threads", "set_printoptions"),
    # Creation.
    *("tensor", "as_tensor", "asarray", "from_numpy", "scalar_tensor"),
    *("zeros", "ones", "full", "empty", "eye", "zeros_like", "ones_like", "full_like", "empty_like"),
    *("arange", "range", "linspace", "logspace", "tril_indices", "triu_indices", "vander"),
    *("hann_window", "hamming_window", "blackman_window", "bartlett_window"),
    # Random numbers.
    *("rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like"),
    *("normal", "bernoulli", "multinomial"),
    # Arithmetic.
    *("add", "sub", "subtract", "rsub", "mul", "multiply", "div", "divide", "true_divide", "floor_divide"),
    *("remainder", "fmod", "pow", "float_power", "square", "sqrt", "rsqrt", "reciprocal", "neg"),
    *("negative", "positive", "abs", "absolute", "sign", "sgn", "signbit", "copysign", "hypot", "lerp"),
    *("addcmul", "addcdiv", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp"),
    *("logaddexp2", "logit", "xlogy", "ceil", "floor", "round", "trunc", "fix", "frac", "clamp"),
    *("clamp_min", "clamp_max", "clip", "nan_to_num", "maximum", "minimum", "fmax", "fmin", "heaviside"),
    *("ldexp", "erf", "erfc", "deg2rad", "rad2deg", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin"),
    *("acos", "atan", "atan2", "asinh", "acosh", "atanh", "arcsin", "arccos", "arctan", "arctan2"),
    *("arcsinh", "arccosh", "arctanh", "sinc", "sigmoid"),
    # Bits and truth.
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "bitwise_left_shift", "bitwise_right_shift"),
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    # Comparison.
    *("eq", "ne", "lt", "le", "gt", "ge", "not_equal", "less", "less_equal", "greater", "greater_equal"),
    *("equal", "isclose", "allclose", "isfinite", "isinf", "isposinf", "isneginf", "isnan", "isreal", "isin"),
    # Reduction.
    *("sum", "mean", "prod", "std", "var", "std_mean", "var_mean", "nansum", "nanmean", "norm", "logsumexp"),
    *("max", "min", "amax", "amin", "aminmax", "all", "any", "count_nonzero", "median", "dist", "trace"),
    # Running along a dimension.
    *("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "diff"),
    # Order.
    *("sort", "argsort", "msort", "topk", "kthvalue", "argmax", "argmin", "unique"),
    *("searchsorted", "bucketize"),
    # Products.
    *("matmul", "mm", "bmm", "mv", "dot", "inner", "outer", "ger", "vdot", "einsum", "tensordot", "kron"),
    *("cross", "addmm", "addmv", "addr", "addbmm", "baddbmm", "chain_matmul", "matrix_power", "cdist"),
    *("det", "logdet"),
    # Reading and writing by index.
    *("gather", "index_select", "select", "narrow", "masked_select", "masked_fill", "masked_scatter"),
    *("take", "take_along_dim", "where", "nonzero", "argwhere", "scatter", "scatter_add", "scatter_reduce"),
    *("index_put", "index_add", "index_copy", "index_fill", "select_scatter", "slice_scatter"),
    *("diagonal_scatter",),
    # Shape.
    *("reshape", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "permute", "transpose", "t"),
    *("adjoint", "swapaxes", "swapdims", "movedim", "moveaxis", "broadcast_to", "broadcast_tensors"),
    *("repeat_interleave", "tile", "roll", "flip", "fliplr", "flipud", "rot90", "atleast_1d", "atleast_2d"),
    *("atleast_3d", "cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack", "column_stack"),
    *("row_stack", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit", "dsplit", "chunk"),
    *("unbind", "meshgrid", "cartesian_prod", "block_diag", "diag", "diag_embed", "diagflat", "diagonal"),
    *("tril", "triu", "clone", "detach"),
    # Words of mcore.functional that torch also speaks at its top.
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "bilinear"),
    *("relu", "relu_", "prelu", "rrelu", "celu", "selu", "hardshrink", "threshold", "softmax", "log_softmax"),
    *("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm"),
    *("dropout", "alpha_dropout", "feature_alpha_dropout", "embedding"),
    *("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "adaptive_avg_pool1d", "adaptive_max_pool1d"),
    *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    *("cosine_similarity", "pairwise_distance", "pdist"),
    # Recurrence, as the layers speak it.
    *("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
)

# --- mcore.linalg and mcore.init: torch.linalg and torch.nn.init ----------------------------------

# Norms, products, and the determinant, which ONNX has; decompositions it has not.
LINALG = (
    *("norm", "vector_norm", "matrix_norm"),
    *("matmul", "multi_dot", "matrix_power", "vecdot", "cross", "diagonal", "det"),
)

# All of torch's that are not deprecated.
INIT = (
    *("calculate_gain", "constant_", "zeros_", "ones_", "eye_", "dirac_", "uniform_", "normal_"),
    *("trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"),
    *("orthogonal_", "sparse_"),
)

# --- torch.optim, which the torch engine alone has ------------------------------------------------

OPTIMIZERS = (
    *("ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "LBFGS", "Muon", "NAdam", "RAdam"),
    *("RMSprop", "Rprop", "SGD", "SparseAdam"),
)

# --- What torch says and ONNX cannot --------------------------------------------------------------

_FAMILIES = (
    (
        "ONNX has no matrix decomposition",
        ("cholesky", "cholesky_ex", "eig", "eigh", "eigvals", "eigvalsh", "inv", "inv_ex", "inverse"),
        ("lstsq", "lu", "lu_factor", "pinv", "pinverse", "qr", "slogdet", "solve", "solve_triangular"),
        ("svd", "svdvals", "svd_lowrank", "matrix_exp", "matrix_rank", "cond", "lu_solve"),
        ("householder_product",),
    ),
    (
        "ONNX Runtime has no complex numbers",
        ("complex", "complex64", "complex128", "cfloat", "cdouble", "polar", "angle", "real", "imag", "stft"),
        ("istft", "view_as_complex", "view_as_real", "fft"),
    ),
    (
        "ONNX has no such special function",
        ("digamma", "lgamma", "polygamma", "igamma", "igammac", "i0", "erfinv", "mvlgamma"),
        ("nextafter", "frexp"),
    ),
    (
        "ONNX has no operator that draws from this distribution",
        ("poisson", "binomial", "FractionalMaxPool2d", "FractionalMaxPool3d"),
        ("fractional_max_pool2d", "fractional_max_pool3d"),
    ),
    (
        "ONNX has no dynamic programming over alignments",
        ("CTCLoss", "ctc_loss"),
    ),
    (
        "it looks at memory, which a graph doesn't have",
        ("as_strided", "as_strided_", "empty_strided", "from_dlpack", "from_file", "frombuffer"),
    ),
    (
        "its shape is known only after data has passed: state the channels",
        ("LazyLinear", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d"),
        ("LazyConvTranspose2d", "LazyConvTranspose3d", "LazyBatchNorm1d", "LazyBatchNorm2d"),
        ("LazyBatchNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d"),
        ("UninitializedParameter", "UninitializedBuffer"),
    ),
    (
        "it serves training, which only the torch engine does",
        ("autocast", "autograd", "optim", "GradScaler", "DataParallel", "SyncBatchNorm", "distributed"),
        ("AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss", "linear_cross_entropy"),
    ),
)

# Torch's words that ONNX cannot express, each with the reason.
REFUSED = {name: reason for reason, *rows in _FAMILIES for row in rows for name in row}


def nearest(name: str, words: Iterable[str], *, least: float = 0.6, most: int = 3) -> list[str]:
    """The `words` most like `name`, best first, in any case; at most `most`, each at least `least` alike.

    >>> nearest("conv2D", ["Conv2d", "Conv3d", "ReLU"], most=1)
    ['Conv2d']
    """
    by_lower: dict[str, list[str]] = {}
    for word in words:
        by_lower.setdefault(word.lower(), []).append(word)
    found = difflib.get_close_matches(name.lower(), by_lower, n=most, cutoff=least)
    return [word for lower in found for word in by_lower[lower]][:most]
