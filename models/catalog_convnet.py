"""What specs of the namespace "convnet" may name, and where it is: the connectomics convnet's own, and torch's words.

A spec is data: it names what stands in these lists and nothing else, so that it can't read, write or run anything
that they don't hold.
"""

from collections.abc import Mapping

from mcore.vocabulary import FUNCTIONAL, LAYERS, OPTIMIZERS, TOP

# Words of torch's top that set something, tell of the process, or are no functions of their arguments.
_NO_FUNCTIONS = (
    *("Tensor", "Size", "dtype", "device", "Generator", "layout", "memory_format", "finfo", "iinfo"),
    *("strided", "contiguous_format", "preserve_format", "channels_last", "channels_last_3d"),
    *("e", "pi", "inf", "nan", "newaxis", "get_default_dtype", "set_default_dtype"),
    *("manual_seed", "seed", "initial_seed", "get_rng_state", "set_rng_state"),
    *("no_grad", "enable_grad", "inference_mode", "set_grad_enabled", "is_grad_enabled"),
    *("set_num_threads", "get_num_threads", "set_printoptions"),
)

_BLOCKS = "models.basicblocks"
PRIMITIVES = {
    **{
        name: f"{_BLOCKS}.reshaping:{name}"
        for name in (
            *("View", "Flatten", "Unflatten", "Crop", "CenterCrop", "SplitTuple"),
            *("MaxPool2DFlatten", "AvgPool2DFlatten"),
        )
    },
    **{name: f"{_BLOCKS}.values:{name}" for name in ("RescaleValues", "Clamp")},
    "UpConv": f"{_BLOCKS}.upconv:UpConv",
    "MultiHeaded": f"{_BLOCKS}.multihead:MultiHeaded",
    "MultiHeadedOutput": f"{_BLOCKS}.multihead:MultiHeadedOutput",
}
# What works with whole models: in specs, it reads files that hold data alone.
TOOLS = {
    "load_model": "mcore.volumes.in_specs:load_model",
    "load_weights_file": "mcore.checkpoint:load_weights_file",
    "SimpleInferenceRunner": "mcore.volumes.in_specs:SimpleInferenceRunner",
}

_VERSIONS: dict[str, dict[str, Mapping[str, str]]] = {
    "network": {
        "UNet": {
            ">=0.0.2": "models.networks.convnet:UNet",
            "==0.0.1": "models.networks.convnet_v1:UNet",
            "<=0.0.0": "models.networks.convnet_v0:UNet",
        },
    },
    "block": {
        "ConvBlock": {
            ">=0.0.2": "models.networks.convnet_block:ConvBlock",
            "<=0.0.1": "models.networks.convnet_v1:ConvBlock",
        },
    },
}

_NAMES: dict[str, dict[str, str | Mapping[str, str]]] = {
    "network": {**_VERSIONS["network"]},
    "block": {**_VERSIONS["block"], **PRIMITIVES},
    "layer": {
        **{f"torch.nn.{name}": f"mcore:{name}" for name in LAYERS},
        # These take lists, as data has them.
        "torch.nn.Sequential": f"{_BLOCKS}.upconv:sequential",
        "torch.nn.ModuleList": f"{_BLOCKS}.upconv:module_list",
        "torch.nn.ModuleDict": f"{_BLOCKS}.upconv:module_dict",
        "torch.nn.Upsample": f"{_BLOCKS}.upconv:upsample",
        "build_group_norm": f"{_BLOCKS}.upconv:build_group_norm",
    },
    "function": {
        # Those that end with "_" write into what they are given.
        **{f"torch.nn.functional.{name}": f"mcore.functional:{name}" for name in FUNCTIONAL if name[-1] != "_"},
        **{f"torch.{name}": f"mcore:{name}" for name in TOP if name[-1] != "_" and name not in _NO_FUNCTIONS},
    },
    "optimizer": {f"torch.optim.{name}": f"mcore.optimizers:{name}" for name in OPTIMIZERS},
    "tool": {**TOOLS},
}

CONVNET = {kind: {f"convnet/{name}": target for name, target in names.items()} for kind, names in _NAMES.items()}
