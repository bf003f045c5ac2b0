"""torchvision's names for whole networks that stand here in parts: backbone and head."""

TABLES: dict[str, dict[str, str]] = {
    "torchvision_classifier": {"fc.": "head.fc.", "": "backbone."},
    "torchvision_fcn_head": {"0.": "conv.0.", "1.": "conv.1.", "4.": "classifier."},
    "torchvision_fcn": {
        "classifier.0.": "head.conv.0.",
        "classifier.1.": "head.conv.1.",
        "classifier.4.": "head.classifier.",
    },
    "torchvision_deeplabv3": {
        "classifier.0.": "head.aspp.",
        "classifier.1.": "head.conv.",
        "classifier.2.": "head.bn.",
        "classifier.4.": "head.classifier.",
    },
}
