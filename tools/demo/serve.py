"""The second process of the demo: the same networks where torch cannot be imported.

Run as `python -m tools.demo.serve FOLDER REPEATS`, for a folder that `tools.demo` has prepared.
"""

import importlib.abc
import json
import sys
from pathlib import Path
from typing import Any, NoReturn


class _NoTorch(importlib.abc.MetaPathFinder):
    """Makes every import of torch an error, though it is installed."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "torch":
            self._refuse(name)

    def _refuse(self, name: str) -> NoReturn:
        raise ImportError(f"{name} was imported in a process that must do without torch.")


def serve(folder: Path, repeats: int) -> None:
    """Evaluates the artifact in `folder`, as a graph and as the network's own source; writes what came."""
    import numpy as np

    import mcore
    from models.assembly import Assembly
    from tools.demo.running import predict

    images = np.load(folder / "held_out.npy")
    artifact = folder / "artifact"
    source = Assembly.fromplatform(artifact)  # type: ignore[attr-defined]  # mypy sees torch's Module
    nets = {"source": source, "graph": mcore.fromplatform(artifact / "model.onnx")}
    scores, times = {}, {}
    for name, net in nets.items():
        scores[name], times[name] = predict(net, images, repeats=repeats)
    np.savez(folder / "platform.npz", source=scores["source"], graph=scores["graph"])
    told = {"engine": mcore.backend(), "milliseconds": times, "torch": "torch" in sys.modules}
    (folder / "platform.json").write_text(json.dumps(told))


if __name__ == "__main__":
    sys.meta_path.insert(0, _NoTorch())
    serve(Path(sys.argv[1]), int(sys.argv[2]))
