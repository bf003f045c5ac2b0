"""OpenMMLab's names (mmdetection, mmsegmentation) for assembled networks; backbones there have torchvision's."""

TABLES: dict[str, dict[str, str]] = {
    "mmdetection_fpn": {
        r"^neck\.lateral_convs\.(\d+)\.conv\.": r"neck.inner_blocks.\1.0.",
        r"^neck\.fpn_convs\.(\d+)\.conv\.": r"neck.layer_blocks.\1.0.",
    },
    "mmsegmentation_fcn": {
        "decode_head.convs.0.conv.": "head.conv.0.",
        "decode_head.convs.0.bn.": "head.conv.1.",
        "decode_head.conv_seg.": "head.classifier.",
    },
}
