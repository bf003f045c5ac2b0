"""What networks of a backbone and a dense head have in common: the model that they hand on."""

from collections.abc import Mapping
from typing import Any

import mcore
from mcore import specs
from models.backbones.base import Weights
from models.composite import Composite, Maker, with_arguments
from models.utils.weights import load_weights


class Segmenter(Composite):
    """Abstract: a backbone and the head that a network names.

    Args:
        backbone: as the network got it.
        head: a mapping.
        output_stride: what the backbone is asked for; None leaves it its own.
        all_levels: whether the head takes the backbone's maps from stride 2 on.
        options: what else the backbone gets, where it knows it.

    Raises:
        ValueError: the backbone can't keep `output_stride`.
    """

    def __init__(
        self,
        backbone: Maker,
        head: Mapping[str, Any],
        *,
        in_channels: int,
        dims: int,
        weights: Weights,
        output_stride: int | None = None,
        all_levels: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        title = type(self).__name__
        maker = with_arguments(backbone, in_channels=in_channels, dims=dims, **options or {})
        if output_stride is not None:
            maker = with_arguments(maker, output_stride=output_stride)
            if isinstance(maker, Mapping) and "output_stride" not in maker:
                raise ValueError(
                    f"{title}: {specs.type_of(maker)} can't keep output_stride={output_stride}; "
                    "take another backbone, or output_stride=None."
                )
        if all_levels:
            maker = with_arguments(maker, **_levels(maker))
        super().__init__({"backbone": maker, "head": head})
        if weights is not None:
            self.weights_report = load_weights(self, weights)


def _levels(maker: Maker) -> dict[str, list[int]]:
    """`out_indices` of all levels from stride 2 on that a backbone has; nothing where it can't be built."""
    if not isinstance(maker, Mapping):
        return {}
    try:
        with mcore.device("meta"):
            sketch = specs.build({key: value for key, value in maker.items() if key != "weights"}, kind="backbone")
    # What is wrong with it is told where the network is put together, with everything else.
    except (ValueError, TypeError, LookupError):
        return {}
    indices = [level.index for level in getattr(sketch, "levels", ()) if level.index >= 0]
    return {"out_indices": indices} if indices else {}
