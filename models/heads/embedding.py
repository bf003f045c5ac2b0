"""Vectors for whole images, for retrieval and for self-supervised training."""

import itertools
from collections.abc import Sequence
from typing import Literal

from mcore import BatchNorm1d, Linear, Module, Parameter, ReLU, Sequential, Tensor, full
from mcore import functional as F
from models.functional.maps import Merge
from models.heads.pooled import PooledHead
from models.utils.arguments import one_of


class Embedding(PooledHead):
    """A vector of length 1 for each image, near those of images like it.

    Pixels are pooled by their generalised mean, whose power is learnt: 1 is the mean, large powers the maximum.
    With `num_classes`, classes have vectors too, and cosines to them come beside: `models.functional.margins`
    makes ArcFace's scores of them for training.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, size); with `num_classes`, {"embedding": (n, size), "cosine": (n, num_classes), -1 to 1}

    Args:
        size: of the vector.
        num_classes: of the training set; None, no classes.
        power: of the generalised mean, at the start of training.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dropout: the share of the pooled channels that training leaves out.
        merge: which maps: "coarsest", "finest", "sum" or "concat" of all; where left out, "sum" for maps of
            the same channels, as a pyramid's are, else "coarsest".

    Source: Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", arXiv:1711.02512,
    section 3.2 (GeM); Deng et al., "ArcFace", arXiv:1801.07698, section 3.1.
    """

    # Below it, values of a map count as this: a power of a negative number is none.
    smallest = 1e-6

    classifier = "classes"

    def __init__(
        self,
        size: int = 128,
        num_classes: int | None = None,
        *,
        power: float = 3.0,
        in_channels: int | Sequence[int] | None = None,
        dropout: float = 0.0,
        merge: Merge | None = None,
    ) -> None:
        if not power > 0:
            raise ValueError(f"Embedding: power={power} is not greater than 0.")
        super().__init__(in_channels, dropout=dropout, merge=merge)
        self.power = Parameter(full((1,), float(power)))
        self.fc = Linear(self.wide, size)
        self.classes = Linear(size, num_classes, bias=False) if num_classes else None

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor | dict[str, Tensor]:
        embedding = F.normalize(self.fc(self.pooled(features)))
        if self.classes is None:
            return embedding
        return {"embedding": embedding, "cosine": F.linear(embedding, F.normalize(self.classes.weight))}

    def mean(self, x: Tensor) -> Tensor:
        """The generalised mean: (mean(x ** power)) ** (1 / power)."""
        return (x.clamp(min=self.smallest).flatten(2) ** self.power).mean(2) ** (1.0 / self.power)


class Projection(PooledHead):
    """The vector that contrastive training compares; it is thrown away afterwards, with all that it forgot.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), or one
        returns: (n, size); of length 1 with `unit`

    Args:
        size: of the vector.
        hidden: channels of the hidden layers.
        depth: linear maps in a row, 2 for SimCLR and 3 for its second version.
        norm: of hidden layers: "batch", which needs batches of two or more in training, or None.
        unit: whether vectors are scaled to length 1.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        merge: which maps, as for `Embedding`.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", arXiv:2002.05709,
    section 4.2; arXiv:2006.10029, section 2.
    """

    def __init__(
        self,
        size: int = 128,
        *,
        hidden: int = 2048,
        depth: int = 2,
        norm: Literal["batch"] | None = "batch",
        unit: bool = True,
        in_channels: int | Sequence[int] | None = None,
        merge: Merge | None = None,
    ) -> None:
        one_of(("batch", None), of="Projection", norm=norm)
        if depth < 1:
            raise ValueError(f"Projection: depth={depth} is less than one linear map.")
        super().__init__(in_channels, dropout=0.0, merge=merge)
        self.unit = unit
        widths = [self.wide, *(hidden for _ in range(depth - 1)), size]
        row: list[Module] = []
        for number, (fed, given) in enumerate(itertools.pairwise(widths), start=1):
            last = number == depth
            row.append(Linear(fed, given, bias=last or norm is None))
            row += [] if last else [*([BatchNorm1d(given)] if norm else []), ReLU()]
        self.layers = Sequential(*row)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        x = self.layers(self.pooled(features))
        return F.normalize(x) if self.unit else x
