"""What an export found out: how exact it is, which axes stay free, and which lines fixed the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """What `toplatform` and `to_onnx` have to say about a graph; `str(report)` is meant to be read.

    Attributes:
        differences: per verified data set, the shapes of its inputs and the largest relative difference between
            ONNX Runtime and the module itself.
        axes: input or output name -> {axis: its symbolic name}; axes that aren't here are fixed.
        fixed: axes that the network fixed: which one, why, and the file and line.
        guards: comparisons of sizes that Python decided by while recording; the graph holds where they do.
        fallback: why torch's own exporter wrote the graph, or None where the recorder did.
        notes: everything else worth knowing.
        nodes: number of nodes in the graph.
    """

    differences: list[tuple[tuple[tuple[int, ...], ...], float]] = field(default_factory=list)
    axes: dict[str, dict[int, str]] = field(default_factory=dict)
    fixed: list[str] = field(default_factory=list)
    guards: list[str] = field(default_factory=list)
    fallback: str | None = None
    notes: list[str] = field(default_factory=list)
    nodes: int = 0

    @property
    def largest(self) -> float:
        """The largest relative difference over all data sets; 0.0 where none was verified."""
        return max((difference for _, difference in self.differences), default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for `model.json`."""
        return {
            "differences": [
                {"sizes": [list(shape) for shape in shapes], "largest_relative_difference": difference}
                for shapes, difference in self.differences
            ],
            "axes": {name: {str(axis): label for axis, label in axes.items()} for name, axes in self.axes.items()},
            "fixed": self.fixed,
            "guards": self.guards,
            "fallback": self.fallback,
            "notes": self.notes,
            "nodes": self.nodes,
        }

    def __str__(self) -> str:
        """The report in lines: nodes, verified sizes, free axes, then whatever limits the graph.

        >>> print(Report(differences=[(((1, 3, 8, 8),), 2e-7)], axes={"x": {0: "batch"}}, nodes=3))
        3 nodes, written by the recorder
        verified at 1x3x8x8: largest relative difference 2.0e-07
        free axes: x[0]=batch
        """
        writer = f"torch's exporter ({self.fallback})" if self.fallback else "the recorder"
        lines = [f"{self.nodes} nodes, written by {writer}"]
        for shapes, difference in self.differences:
            sizes = ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)
            lines.append(f"verified at {sizes}: largest relative difference {difference:.1e}")
        free = [f"{name}[{axis}]={label}" for name, axes in self.axes.items() for axis, label in axes.items()]
        lines.append(f"free axes: {', '.join(free) or 'none'}")
        for title, entries in (("fixed", self.fixed), ("holds where", self.guards), ("note", self.notes)):
            lines += [f"{title}: {entry}" for entry in entries]
        return "\n".join(lines)
