"""Heads of whole images, of microscopy, depth and key points."""

from tests.models.entry import LEVEL, MAPS, ODD_LEVEL, ODD_MAPS, pyramid, row

ONE, ODD_ONE = MAPS[-1:], ODD_MAPS[-1:]
VOLUME, ODD_VOLUME = pyramid(8, size=(4, 6, 8)), pyramid(8, n=2, size=(5, 7, 3))

ROWS = [
    row("head", "MLPClassification", ONE, ODD_ONE, num_classes=5, hidden=[16, 8], in_channels=[32]),
    row("head", "MLPClassification", LEVEL, ODD_LEVEL, "plain", num_classes=5, in_channels=[8, 8, 8], norm=None),
    row("head", "CosineClassification", ONE, ODD_ONE, num_classes=5, in_channels=[32]),
    row("head", "MultiLabel", MAPS, ODD_MAPS, num_labels=5, prior=0.1, in_channels=[8, 16, 32], merge="concat"),
    row("head", "Regression", ONE, ODD_ONE, num_values=2, in_channels=[32]),
    row("head", "Regression", ONE, ODD_ONE, "bounded", num_values=2, low=-1.0, high=3.0, in_channels=[32]),
    row("head", "Embedding", ONE, ODD_ONE, size=6, in_channels=[32]),
    row("head", "Embedding", ONE, ODD_ONE, "classes", size=6, num_classes=5, in_channels=[32]),
    row("head", "Projection", ONE, ODD_ONE, size=6, hidden=16, depth=3, in_channels=[32]),
    row("head", "Projection", ONE, ODD_ONE, "linear", size=6, depth=1, unit=False, in_channels=[32]),
    row("head", "Depth", ONE, ODD_ONE, low=1.0, high=5.0, in_channels=[32]),
    row("head", "Keypoints", ONE, ODD_ONE, num_points=3, channels=8, depth=2, in_channels=[32]),
    row("head", "Keypoints", VOLUME, ODD_VOLUME, "3d", num_points=2, channels=4, depth=1, in_channels=[8], dims=3),
    row("head", "Boundary", VOLUME, ODD_VOLUME, in_channels=[8]),
    row("head", "Boundary", ONE, ODD_ONE, "2d", in_channels=[32], dims=2),
    row("head", "Affinity", VOLUME, ODD_VOLUME, in_channels=[8]),
    row("head", "Affinity", ONE, ODD_ONE, "long range", offsets=[[0, -1], [-9, 0]], in_channels=[32], dims=2),
]

EXEMPT = {
    "models.heads.pooled.PooledHead": "abstract",
    "models.heads.dense.DenseHead": "abstract",
}
