"""Deep supervision: in training, scores from several levels of a decoder.

Source: Lee et al., "Deeply-Supervised Nets", arXiv:1409.5185; for U-Net++, Zhou et al., arXiv:1807.10165,
section 3.2.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mcore import Module, ModuleList, Tensor, specs
from models.basicblocks.layers import layers
from models.component import Feeds, Part, Unbuilt, strides_from
from models.functional.maps import as_channels
from models.functional.sizes import resize


class DeepSupervision(Part):
    """A decoder whose inner levels are scored too in training, so that they learn from the labels directly.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; see the decoder
        returns: in eval mode (n, num_classes, *size), as the decoder gives; in training a tuple of such scores,
            the decoder's own first, then those of its inner levels from the last one back

    Args:
        head: the decoder, unbuilt, a mapping or a name: UNetDecoder, UNetPlusPlusDecoder, LinkNetDecoder,
            MAnetDecoder, or another that has `decode`.
        levels: how many inner levels are scored; where left out, all.
        resized: whether inner scores are brought to the image's size; else labels have to be brought to theirs.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        in_strides: of the maps fed; where left out, doubling from 2.
        dims: 1, 2 or 3.

    Raises:
        ValueError: the head has no inner levels, or fewer.
    """

    dense = True

    def __init__(
        self,
        head: Unbuilt | Mapping[str, Any] | str,
        *,
        levels: int | None = None,
        resized: bool = True,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        fed = as_channels(in_channels or ())
        strides = strides_from(in_strides, len(fed), first=2)
        decoder = _decoder(head, Feeds(fed, strides, dims))
        inner = decoder.decoded[:-1]
        if levels is not None and not 1 <= levels <= len(inner):
            raise ValueError(f"DeepSupervision: levels={levels} isn't 1 to {len(inner)}, the decoder's inner levels.")
        super().__init__()
        self.dims, self.resized, self.head = dims, resized, decoder
        chosen = inner[-levels:] if levels is not None else inner
        conv, classes = layers(dims, of="DeepSupervision").conv, decoder.classifier.out_channels
        #: Of the inner levels, coarsest first.
        self.classifiers = ModuleList(conv(channels, classes, 1) for channels, _ in chosen)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Any:
        if not self.training:
            return self.head(features, size)
        *inner, last = self.head.decode(features, size)
        out = self.head.classifier(last)
        chosen = inner[len(inner) - len(self.classifiers) :]
        scores = [classifier(x) for classifier, x in zip(self.classifiers, chosen, strict=True)]
        if self.resized:
            scores = [resize(x, out.shape[2:]) for x in scores]
        return (out, *reversed(scores))


def _decoder(head: Unbuilt | Mapping[str, Any] | str | Module, feeds: Feeds) -> Any:
    """The decoder, built for what it is fed.

    Raises:
        ValueError: it has no inner levels.
    """
    maker: Any = head if isinstance(head, Unbuilt | Module) else specs.build(head, kind="head")
    decoder = maker.build(feeds) if isinstance(maker, Unbuilt) else maker
    if len(getattr(decoder, "decoded", ())) < 2:
        raise ValueError(
            f"DeepSupervision: {type(decoder).__name__} has no inner levels to score; take UNetDecoder, "
            "UNetPlusPlusDecoder, LinkNetDecoder or MAnetDecoder, on more than one map."
        )
    return decoder
