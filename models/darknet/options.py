"""What may stand in each section of a Darknet configuration.

Source: the parsers of github.com/pjreddie/darknet and github.com/AlexeyAB/darknet, read for names and defaults.
"""

from typing import Any, NamedTuple


class Option(NamedTuple):
    """What an option holds: int, float, str, or list of numbers; its value where it is left out; bounds."""

    kind: type
    default: Any = None
    least: int | None = None
    choices: tuple[str, ...] = ()
    required: bool = False


# Names that sections have besides, and the ones that they have here.
ALIASES = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
    "silence": "empty",
}

ACTIVATIONS = "linear leaky mish swish logistic relu relu6 elu selu gelu tanh hardtan loggy ramp relie".split()

_COUNT, _FLAG = Option(int, 1, least=1), Option(int, 0, least=0)
_NORMALIZATION = ("none", "relu", "avg_relu", "softmax")


def _activation(default: str) -> Option:
    return Option(str, default, choices=tuple(ACTIVATIONS))


_FROM = Option(list, required=True)
_BOXES = {
    "classes": Option(int, 20, least=1),
    "num": _COUNT,
    "mask": Option(list),
    "anchors": Option(list, ()),
    "scale_x_y": Option(float, 1.0),
    "new_coords": _FLAG,
}

# What decides the network, by section.
SECTIONS: dict[str, dict[str, Option]] = {
    "net": {
        "width": Option(int, least=1),
        "height": Option(int, least=1),
        "channels": Option(int, 3, least=1),
        "inputs": Option(int, least=1),
    },
    "convolutional": {
        "filters": _COUNT,
        "size": _COUNT,
        "stride": _COUNT,
        "stride_x": Option(int),
        "stride_y": Option(int),
        "pad": _FLAG,
        "padding": _FLAG,
        "groups": _COUNT,
        "dilation": _COUNT,
        "batch_normalize": _FLAG,
        "cbn": _FLAG,
        "activation": _activation("logistic"),
        "flipped": _FLAG,
        "dontload": _FLAG,
        "dontloadscales": _FLAG,
    },
    "connected": {
        "output": _COUNT,
        "activation": _activation("logistic"),
        "batch_normalize": _FLAG,
        "dontload": _FLAG,
        "dontloadscales": _FLAG,
    },
    "local": {
        "filters": _COUNT,
        "size": _COUNT,
        "stride": _COUNT,
        "pad": _FLAG,
        "activation": _activation("logistic"),
        "dontload": _FLAG,
    },
    "batchnorm": {"dontload": _FLAG},
    "activation": {"activation": _activation("linear")},
    "shortcut": {
        "from": _FROM,
        "activation": _activation("linear"),
        "weights_type": Option(str, "none", choices=("none", "per_feature", "per_layer", "per_channel")),
        "weights_normalization": Option(str, "none", choices=_NORMALIZATION),
        "dontload": _FLAG,
    },
    "route": {"layers": _FROM, "groups": _COUNT, "group_id": _FLAG},
    "scale_channels": {"from": _FROM, "activation": _activation("linear"), "scale_wh": _FLAG},
    "sam": {"from": _FROM, "activation": _activation("linear")},
    "maxpool": {"size": Option(int, least=1), "stride": _COUNT, "padding": Option(int, least=0)},
    "avgpool": {},
    "upsample": {"stride": Option(int, 2, least=1), "scale": Option(float, 1.0)},
    "reorg": {"stride": _COUNT, "reverse": _FLAG},
    "reorg3d": {"stride": _COUNT, "reverse": _FLAG},
    "softmax": {"groups": _COUNT, "temperature": Option(float, 1.0), "spatial": _FLAG},
    "dropout": {"probability": Option(float, 0.2)},
    "crop": {
        "crop_height": Option(int, 1, least=1),
        "crop_width": Option(int, 1, least=1),
        "noadjust": _FLAG,
    },
    "cost": {},
    "empty": {},
    "yolo": _BOXES,
    "Gaussian_yolo": _BOXES,
    "region": {
        "classes": Option(int, 20, least=1),
        "num": _COUNT,
        "coords": Option(int, 4),
        "anchors": Option(list, ()),
        "softmax": _FLAG,
        "tree": Option(str),
    },
    "detection": {},
}

# Sections that Darknet knows and this reader refuses.
REFUSED_SECTIONS = {
    **dict.fromkeys(("rnn", "gru", "lstm", "crnn", "conv_lstm", "history"), "it remembers earlier inputs"),
    **dict.fromkeys(
        ("deconvolutional", "normalization", "lrn", "local_avg", "local_avgpool"), "no published file uses it"
    ),
    **dict.fromkeys(
        ("contrastive", "implicit", "iseg", "logistic", "l2norm", "isegment"), "no published detector uses it"
    ),
}

# Options that change what is computed, in ways that are not written here; off, they are as good as absent.
REFUSED = (
    "xnor binary antialiasing maxpool_depth share_index coordconv sway rotate stretch stretch_sway reverse "
    "maxpool_zero_nonmax embedding_layer background"
).split()

# Options that only training, drawing or memory management reads, in any section.
IGNORED = frozenset(
    "absolute adam adversarial_lr align angle aspect assisted_excitation attention augment_speed "
    "badlabels_rejection_percentage batch batches_per_cycle beta_nms bias_match bin_output blur burn_in "
    "burnin_update B1 B2 center class_scale classfix clip cls_normalizer contrastive contrastive_color "
    "contrastive_jit_flip coord_scale coords counters_per_class crop cutmix decay delta_normalizer dets_for_show "
    "dets_for_track dont_update dot dropblock dropblock_size_abs dropblock_size_rel dynamic_minibatch ema_alpha "
    "eps equidistant_point exposure flip focal_loss forced gamma gaussian_noise grad_centr hue ignore_thresh "
    "init_sequential_subdivisions iou_loss iou_normalizer iou_thresh iou_thresh_kind jitter joint "
    "label_smooth_eps learning_rate learning_rate_min letter_box log loss_scale map mask_scale max "
    "max_batches max_chart_loss max_crop max_delta max_ratio min_crop min_ratio mixup momentum mosaic "
    "mosaic_bound multi_scale nms_kind noloss noobject_scale num_sigmas_reject_badlabels num_steps "
    "obj_normalizer object_scale objectness_smooth onlyforward optimized_memory policy power random ratio "
    "rescore resize resize_step saturation scale scales seq_scales sequential_subdivisions sgdr_cycle "
    "sgdr_mult shift show_details show_receptive_field side sim_thresh softmax smooth sqrt step steps "
    "stopbackward stream subdivisions thresh time_steps track track_ciou_norm track_history_size "
    "train_only_bn truth_thresh try_fix_nan type uc_normalizer unsupervised use_cuda_graph wait_stream "
    "weights_reject_freq workspace_size_limit_MB yolo_point alpha beta classes num anchors rand reorg".split()
)

# What only AlexeyAB's program reads: a file that has one of these was made for it.
ALEXEYAB = {
    "sections": frozenset(("scale_channels", "sam", "Gaussian_yolo", "reorg3d", "empty")),
    "options": frozenset(
        "scale_x_y iou_loss iou_normalizer cls_normalizer nms_kind beta_nms new_coords mosaic cutmix letter_box "
        "group_id weights_type stride_x stride_y antialiasing counters_per_class max_delta optimized_memory "
        "resize dynamic_minibatch ema_alpha blur sgdr_cycle".split()
    ),
    "activations": frozenset(("mish", "swish", "relu6", "gelu")),
}
