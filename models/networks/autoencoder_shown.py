"""Pictures of what an autoencoder looks at."""

import os
from typing import Any

import numpy as np

import mcore
from mcore import Module, Tensor
from mcore.checkpoint.extras import needed
from models.networks.autoencoder_parts import inspecting

# Inches of a panel along each axis.
_PANEL = 3.2
# Titles of panels.
_IMAGE, _MATRIX, _HEAT = "image", "attention of patches", "what matters"


def visualize_attention(
    model: Module,
    x: Tensor,
    save_path: str | os.PathLike[str] | None = None,
    show_matrix: bool = True,
    show_heatmap: bool = True,
) -> Any:
    """Draws images, their reconstructions, the attention between patches, and what matters, over the image.

    Args:
        model: an AutoEncoder_CNNV3; it is drawn in eval mode, and has afterwards the mode that it had.
        x: (n, 1, h, w), a row of panels for each image.
        save_path: a file, in the format that its name says; None writes none.
        show_matrix: whether `get_attention_matrix` is drawn; a model without attention has none.
        show_heatmap: whether `get_attention_map` is drawn over the image, which takes an engine with gradients.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib isn't installed.
        RuntimeError: the engine has no gradients, and `show_heatmap` is True.
    """
    needed("matplotlib", "plots", what="visualize_attention")
    from matplotlib.figure import Figure

    panels = _panels(model, x, matrix=show_matrix, heat=show_heatmap)
    rows = int(x.shape[0])
    figure = Figure(figsize=(_PANEL * len(panels), _PANEL * rows), layout="constrained")
    axes = figure.subplots(rows, len(panels), squeeze=False)
    for row in range(rows):
        for place, (title, values) in zip(axes[row], panels.items(), strict=True):
            _draw(place, title, values[row], over=panels[_IMAGE][row] if title == _HEAT else None)
            if row == 0:
                place.set_title(title)
    if save_path is not None:
        figure.savefig(save_path, dpi=120)
    return figure


def _panels(model: Any, x: Tensor, *, matrix: bool, heat: bool) -> dict[str, np.ndarray]:
    """By title, an array of two axes for each image."""
    # First, as it is what an engine may refuse.
    heated = {_HEAT: _array(model.get_attention_map(x))[:, 0]} if heat else {}
    attended = model.get_attention_matrix(x) if matrix else None
    with inspecting(model), mcore.no_grad():
        rebuilt = model(x)
    pictures = {_IMAGE: _array(x)[:, 0], "reconstruction": _array(rebuilt)[:, 0]}
    return pictures | ({} if attended is None else {_MATRIX: _array(attended)}) | heated


def _draw(place: Any, title: str, values: np.ndarray, *, over: np.ndarray | None) -> None:
    """One panel: grey, or coloured; `over` is the image beneath what lets it shine through."""
    if over is not None:
        place.imshow(over, cmap="gray")
        # The largest few would leave all others dark.
        place.imshow(values, cmap="inferno", alpha=0.6, vmin=0, vmax=np.quantile(values, 0.99) or None)
    else:
        place.imshow(values, cmap="viridis" if title == _MATRIX else "gray", interpolation="nearest")
    if title == _MATRIX:
        place.set_xlabel("patch attended to")
        place.set_ylabel("patch that attends")
    else:
        place.set_axis_off()


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


__all__ = ["visualize_attention"]
