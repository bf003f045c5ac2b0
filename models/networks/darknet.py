"""Any network that a Darknet description tells of."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from mcore import Tensor
from models.backbones.base import Weights
from models.component import Component
from models.darknet.cfg import Source, read_cfg
from models.darknet.decoding import decoded
from models.darknet.graph import Graph
from models.darknet.loading import scorers_of, state_of
from models.darknet.plan import Plan, plan_of, with_sizes
from models.darknet.published import PUBLISHED
from models.utils.weights import load_weights


class Darknet(Component):
    """The network of a Darknet description, its layers under the numbers that they have there.

    Shapes:
        x: (n, in_channels, h, w), 0 to 1
        returns: the maps that [yolo] and [region] sections read, as trained, in their order; where there are
            none, what the last layer gives, (n, c, h', w'). With `outputs`, what those layers give. In eval mode
            with `decode`, "boxes" (n, count, 4), corners in pixels, and "scores" (n, count, num_classes)

    Every size of image works, where Darknet itself wants multiples of 32; but [connected] and [local] take the one
    that [net] tells, and [reorg] maps that its stride divides. A [yolo] layer asked for in `outputs` gives
    what Darknet leaves there, shares in place of raw numbers.

    Args:
        cfg: a name (one of `models.darknet.published.PUBLISHED`), a path, the text of a file, or its sections
            as mappings: `[{"section": "convolutional", "filters": 32, ...}, ...]`.
        in_channels: of the image; where left out, what [net] says.
        num_classes: other than the description's; the layers before [yolo], [region] or the last softmax
            change with it.
        outputs: numbers of the layers to return; layers that none of them needs aren't built.
        flavour: whose batch norm, "pjreddie" or "alexeyab"; where left out, AlexeyAB's if the description has
            what only his program reads (mish, scale_x_y, ...), else pjreddie's.
        decode: boxes and scores instead of maps, in eval mode; `models.functional.detections` chooses among them.
        weights: a file: `.weights`, one that stops early such as `.conv.137`, or any that `models.utils.weights`
            reads.

    Source: github.com/pjreddie/darknet, github.com/AlexeyAB/darknet.
    Differs: running statistics follow torch's rule in training; DropBlock is dropout.
    Names: `layers.<number>.conv`, `.bn`, `.fc` or `.weights`.
    """

    def __init__(
        self,
        cfg: Source,
        *,
        in_channels: int | None = None,
        num_classes: int | None = None,
        outputs: Sequence[int] | None = None,
        flavour: Literal["pjreddie", "alexeyab"] | None = None,
        decode: bool = False,
        weights: Weights = None,
    ) -> None:
        described = read_cfg(cfg)
        if flavour is not None:
            described = replace(described, flavour=flavour)
        plan = plan_of(with_sizes(described, in_channels=in_channels, num_classes=num_classes))
        wanted = _outputs(plan, outputs, decode)
        super().__init__()
        #: What every layer computes, from which, with how many channels.
        self.plan, self.decode = plan, decode
        self._single = len(wanted) == 1 and not decode
        self.layers = Graph(plan, wanted, described.flavour)
        # Kept is the data that builds the same again, wherever the file is then.
        name = cfg if isinstance(cfg, str) and cfg in PUBLISHED else described.rows()
        received: Any = self._arguments  # type: ignore[has-type]  # kept by the metaclass
        self._arguments = {**received, "cfg": name, "flavour": described.flavour}
        self.first_conv = next((key.removesuffix(".weight") for key, x in self.state_dict().items() if x.ndim == 4), "")
        self.classifier = scorers_of(described)
        self._described = described
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def darknet_state(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """The arrays of a `.weights` file, which `models.load_weights` takes."""
        return state_of(path, self.plan, self._described)

    def forward(self, x: Tensor) -> Any:
        maps = self.layers(x)
        if self.decode and not self.training:
            return decoded(maps, self.plan.detectors)
        return maps[0] if self._single else maps


def _outputs(plan: Plan, outputs: Sequence[int] | None, decode: bool) -> tuple[int, ...]:
    """The layers to return: those asked for, or the maps of boxes, or the last layer."""
    readers, title, count = plan.detectors, plan.cfg.title, len(plan.layers)
    if decode:
        if outputs is not None:
            raise ValueError(f"Darknet: outputs={list(outputs)} and decode=True exclude each other.")
        strange = [reader.title for reader in readers if reader.kind not in ("yolo", "region")]
        strange += [reader.title for reader in readers if reader.options.get("tree")]
        if not readers or strange:
            wrong = f"boxes of {', '.join(strange)} aren't decoded here" if strange else "it has no [yolo] or [region]"
            raise ValueError(f"Darknet: decode=True, but {wrong} ({title}).")
    if outputs is None:
        chosen = [reader.inputs[0] for reader in readers] or [count - 1]
    else:
        chosen = [index + count if index < 0 else index for index in outputs]
        if not chosen or not all(0 <= index < count for index in chosen):
            raise ValueError(f"Darknet: outputs={list(outputs)} aren't layers of {title}, which has 0 to {count - 1}.")
    return tuple(chosen)
