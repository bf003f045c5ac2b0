"""Onnx's own reference evaluator: slow, and what the standard means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcore.backend import installed
from mcore.devices.base import Device, UnsupportedOperator, graph_of, version_of

_LACKING = (
    re.compile(r"Node type '(?P<op>[^']*)' from domain '(?P<domain>[^']*)' is unknown"),
    re.compile(r"No registered (?:schema|implementation) for operator '(?P<op>[^']*)' and domain '(?P<domain>[^']*)'"),
)


class Reference(Device):
    """The graph in numpy, node by node. Its threads are numpy's: OMP_NUM_THREADS=1 makes them one."""

    name, title = "reference", "onnx's reference evaluator"

    def missing(self) -> str:
        """Onnx."""
        return "" if installed("onnx") else "onnx is not installed: pip install ."

    def version(self) -> str:
        """Onnx's."""
        return version_of("onnx")

    def prepare(self) -> None:
        """Imports the evaluator and its operators."""
        import onnx.reference.ops  # noqa: F401

    def load(self, artifact: Path) -> None:
        """The graph with an implementation for each of its nodes."""
        from onnx.reference import ReferenceEvaluator

        graph = graph_of(artifact)
        try:
            self.evaluator = ReferenceEvaluator(str(graph.model))
        except NotImplementedError as error:
            operators = lacking(str(error))
            if not operators:
                raise
            raise UnsupportedOperator(f"the reference evaluator has no {', '.join(operators)}.", operators) from error
        self.names = graph.inputs

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The graph's outputs."""
        # Overflows on the way to a right result are numpy's business.
        with np.errstate(all="ignore"):
            found = self.evaluator.run(None, dict(zip(self.names, inputs, strict=True)))
        odd = [type(value).__name__ for value in found if not isinstance(value, np.ndarray | np.generic)]
        if odd:
            raise TypeError(f"the reference evaluator gives a {odd[0]} where a tensor was expected.")
        return [np.asarray(value) for value in found]


def lacking(text: str) -> list[str]:
    """The operator that an error of the evaluator is about, if it says that it lacks one."""
    for pattern in _LACKING:
        found = pattern.search(text)
        if found:
            return [f"{found['domain']}:{found['op']}" if found["domain"] else found["op"]]
    return []
