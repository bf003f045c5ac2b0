"""segmentation-models' names for whole networks that stand here in parts: backbone and head.

Heads have the names of its decoders, whichever it is; an encoder whose names are others than our backbone's has a
table of its own. What it keeps in a file and never uses (an encoder's last stages, attention of steps that join no
map) is reported as unexpected.

Source: measured on segmentation-models 0.6.0.
"""

from models.utils.renames.torchvision import TABLES as TORCHVISION

# PSP's pools and the decoders' attention are wrapped there once more.
_WRAPPED = {
    r"^decoder\.psp\.blocks\.(\d+)\.pool\.": r"decoder.psp.blocks.\1.",
    r"^decoder\.blocks\.(\w+)\.attention([12])\.attention\.": r"decoder.blocks.\1.attention\2.",
}
_HEAD = {**_WRAPPED, "decoder.": "head.", "segmentation_head.0.": "head.classifier."}


def _encoder(table: dict[str, str]) -> dict[str, str]:
    """A table for the encoder alone, for the network."""
    return {f"encoder.{theirs}": f"backbone.{ours}" for theirs, ours in table.items()}


TABLES: dict[str, dict[str, str]] = {
    "segmentation_models": {**_HEAD, "encoder.": "backbone."},
    # Networks with aux_params have a classifier beside: heads "mask" and "label".
    "segmentation_models_mask_and_label": {
        **_WRAPPED,
        "decoder.": "heads.mask.",
        "segmentation_head.0.": "heads.mask.classifier.",
        "classification_head.3.": "heads.label.fc.",
        "encoder.": "backbone.",
    },
    # Encoders called "tu-...", which are timm's.
    "segmentation_models_timm": {**_HEAD, "encoder.model.": "backbone."},
    "segmentation_models_mobilenet_v2": {**_HEAD, **_encoder(TORCHVISION["torchvision_mobilenet_v2"])},
}
