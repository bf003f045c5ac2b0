"""A platform call against the bare session on the same graph, and against torch eager; one process, one thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.measure import alternately, rows


def pairs() -> dict[str, tuple[Any, Any, tuple[int, ...]]]:
    """Name -> (torch network, platform network with its weights, input shape)."""
    import torch

    import mcore.platform as platform
    from benchmarks.networks import small, strided_unet_3d, unet

    made = {
        "1 ms network": (small(torch.nn), small(platform), (1, 3, 88, 88)),
        "UNet": (unet(torch.nn), unet(platform), (1, 3, 128, 128)),
        "residual 3-D UNet with PReLU": (strided_unet_3d(torch.nn), strided_unet_3d(platform), (1, 1, 64, 64, 64)),
        "3-D UNet with PReLU": (
            unet(torch.nn, dims=3, widths=(16, 32, 64), activation="PReLU"),
            unet(platform, dims=3, widths=(16, 32, 64), activation="PReLU"), (1, 1, 32, 64, 64),
        ),
    }  # fmt: skip
    for here, there, _ in made.values():
        there.load_state_dict(here.state_dict())
    return made


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    import torch

    import mcore.platform as platform

    torch.set_num_threads(1)
    platform.set_num_threads(1)
    out = []
    for name, (here, there, shape) in pairs().items():
        array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        x, y = torch.from_numpy(array), platform.from_numpy(array)
        session, feeds = bare(there, y)

        def eager(here: Any = here, x: Any = x) -> None:
            with torch.inference_mode():
                here(x)

        found = alternately(
            {
                "platform call": lambda there=there, y=y: there(y),
                "bare session": lambda session=session, feeds=feeds: session.run(None, feeds),
                "torch eager": eager,
            },
            rounds=3 if quick else 21,
        )
        out += rows(f"call {name}", found, against="bare session", goal="platform: 3 % and 0.3 ms over bare")
        ratio = found["platform call"] / found["torch eager"]
        out.append({"question": f"platform against torch eager, {name}", "side": "platform call",
                    "ms": round(found["platform call"], 3), "ratio": round(ratio, 3), "goal": "below 1"})  # fmt: skip
    return out


def bare(net: Any, x: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """An ONNX Runtime session of the same graph, with the options of ours, and its feeds."""
    import mcore.platform.session as sessions

    net(x)
    session = next(reversed(sessions.graphs.sessions.values()))
    return session.ort, {entry.name: x.numpy() for entry in session.ort.get_inputs()}
