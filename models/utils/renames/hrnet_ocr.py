"""The authors' names for HRNet-OCR, whose backbone and head are one module there (HRNet-Semantic-Segmentation)."""

_HEAD = ("conv3x3_ocr.", "ocr_distri_head.", "aux_head.", "cls_head.")

TABLES: dict[str, dict[str, str]] = {"hrnet_ocr": {**{part: f"head.{part}" for part in _HEAD}, "": "backbone."}}
