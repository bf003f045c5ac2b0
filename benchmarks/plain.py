"""Our networks on the torch engine against the plainest torch of the same arithmetic: forward, with backward, build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.measure import alternately, rows
from benchmarks.zoo import NETWORKS

SHAPE = (1, 3, 224, 224)


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    import torch

    import models
    from benchmarks.plain_networks import NETWORKS as PLAIN

    torch.set_num_threads(1)
    out = []
    for name, make in PLAIN.items():
        ours, plain = eval(NETWORKS[name].build, {"models": models}), make()
        counts = [sum(p.numel() for p in net.parameters()) for net in (ours, plain)]
        if counts[0] != counts[1]:
            raise RuntimeError(f"{name}: ours has {counts[0]:,} parameters, the plain one {counts[1]:,}")
        x = torch.randn(*SHAPE)
        rounds = 3 if quick else 15
        forward = {side: _forward(net.eval(), x) for side, net in (("mcore", ours), ("plain", plain))}
        out += rows(f"{name}, forward", alternately(forward, rounds=rounds), against="plain", goal="1.0")
        # Batch norms of one image at stride 32 see 49 pixels.
        both = {side: _backward(net.train(), x) for side, net in (("mcore", ours), ("plain", plain))}
        out += rows(f"{name}, forward and backward", alternately(both, rounds=rounds), against="plain", goal="1.0")
        build = NETWORKS[name].build
        built = {"mcore": lambda build=build: eval(build, {"models": models}), "plain": make}
        out += rows(f"{name}, build", alternately(built, rounds=2 if quick else 7, warm=1), against="plain", goal="-")
    return out


def _forward(net: Any, x: Any) -> Callable[[], Any]:
    import torch

    def call() -> None:
        with torch.no_grad():
            net(x)

    return call


def _backward(net: Any, x: Any) -> Callable[[], Any]:
    def call() -> None:
        net.zero_grad(set_to_none=True)
        result = net(x)
        sum(y.sum() for y in (result if isinstance(result, tuple) else (result,))).backward()

    return call
