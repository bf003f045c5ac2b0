"""Heads for electron microscopy: where objects end, and which neighbours belong together.

Targets are made from labels by `models.functional.affinities`.
"""

from collections.abc import Sequence
from typing import Literal

from models.functional.affinities import check_offsets
from models.functional.maps import Merge
from models.heads.dense import DenseHead


class Boundary(DenseHead):
    """How much every pixel looks like the boundary between two objects.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        size: of the image, in pixels, to which scores are resized; None leaves them at the map's size
        returns: (n, 1, *size), before the sigmoid

    Args:
        channels: between the two convolutions; where left out, a quarter of what comes.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".
        dims: 1, 2 or 3.

    Source: Ciresan et al., "Deep Neural Networks Segment Neuronal Membranes in Electron Microscopy Images", NIPS 2012.
    """

    def __init__(
        self,
        channels: int | None = None,
        *,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
        dims: Literal[1, 2, 3] = 3,
    ) -> None:
        super().__init__(1, channels, in_channels=in_channels, dropout=dropout, merge=merge, dims=dims)


class Affinity(DenseHead):
    """For every pixel and every offset, whether the pixel there belongs to the same object.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        size: of the image, in pixels, to which scores are resized; None leaves them at the map's size
        returns: (n, len(offsets), *size), before the sigmoid; channel i tells of the pixel at `offsets[i]`

    Args:
        offsets: steps in pixels, one number for each axis; where left out, one step back along each axis. Steps
            of several pixels make long-range affinities.
        channels: between the two convolutions; where left out, a quarter of what comes.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the channels that training leaves out.
        merge: which maps, as for `Boundary`.
        dims: 1, 2 or 3.

    Source: Turaga et al., "Convolutional Networks Can Learn to Generate Affinity Graphs for Image Segmentation",
    Neural Computation 22 (2010), section 3; Lee et al., "Superhuman Accuracy on the SNEMI3D Connectomics
    Challenge", arXiv:1706.00120, section 2.2 (long range).
    """

    def __init__(
        self,
        offsets: Sequence[Sequence[int]] | None = None,
        channels: int | None = None,
        *,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
        dims: Literal[1, 2, 3] = 3,
    ) -> None:
        nearest = [[-int(axis == own) for axis in range(dims)] for own in range(dims)]
        checked = check_offsets(offsets or nearest, dims, of="Affinity")
        super().__init__(len(checked), channels, in_channels=in_channels, dropout=dropout, merge=merge, dims=dims)
        #: Steps in pixels, in the order of the channels.
        self.offsets = checked
