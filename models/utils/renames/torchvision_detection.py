"""torchvision's names for whole detectors that stand here in parts: backbone, neck and head.

Heads and SSD300 have its names. Its batch norms may be frozen ones, which count no batches.
"""

_PYRAMID = {"backbone.body.": "backbone.", "backbone.fpn.": "neck."}

TABLES: dict[str, dict[str, str]] = {
    "torchvision_retinanet": _PYRAMID,
    "torchvision_fcos": _PYRAMID,
    "torchvision_ssd300": {},
}
