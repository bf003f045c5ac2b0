"""timm's names for the layers of a VGG classifier, which has torchvision's here.

The first two layers are convolutions there, of 7x7 and 1x1 pixels, and linear layers here, of the same numbers in
the same order: their weights have to be flattened, (4096, 512, 7, 7) to (4096, 25088).
"""

TABLES: dict[str, dict[str, str]] = {
    "timm_vgg": {"pre_logits.fc1.": "classifier.0.", "pre_logits.fc2.": "classifier.3.", "head.fc.": "classifier.6."}
}
