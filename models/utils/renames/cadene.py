"""Cadene's names (pretrained-models.pytorch) for networks that have torchvision's here."""

TABLES: dict[str, dict[str, str]] = {"cadene_resnet": {"last_linear.": "fc."}}
