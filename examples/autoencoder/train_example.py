"""Trains an autoencoder: on the pictures of a folder, or on photographs that come with scikit-image.

python examples/autoencoder/train_example.py --preset small --data pictures --amp bf16 --compile

Started again with the same options, it goes on where it stopped.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from mcore.training import train
from models.networks.autoencoder_cnn_v3 import PRESETS, create_autoencoder


def main() -> None:
    """Trains, and saves checkpoint.pth for infer_and_visualize.py beside the run's report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=[*PRESETS], default="small")
    parser.add_argument("--data", type=Path, help="a folder of pictures; left out, photographs of scikit-image")
    parser.add_argument("--input_size", type=int, nargs=2, default=(128, 128), metavar=("H", "W"))
    parser.add_argument("--latent_strategy", choices=("conv", "spatial"), default="conv")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the folder, or 50 batches of photographs")
    parser.add_argument("--batch_size", type=int, default=16, help="pictures that a step of the optimiser sees")
    parser.add_argument("--accumulation_steps", type=int, default=1, help="parts that a batch is computed in")
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--amp", choices=("float32", "bf16", "fp16"), default="float32", help="mixed precision")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--out", type=Path, default=Path("runs/autoencoder"))
    options = parser.parse_args()

    result = train(configuration(options), out=options.out)
    # The dictionary of the guide; the optimiser's state is in the run's own.
    state = torch.load(options.out / "state.pt", map_location="cpu", weights_only=True)
    checkpoint = {
        "model_state_dict": result.net.state_dict(),
        "optimizer_state_dict": state["optimiser"],
        "config": result.net.get_config(),
        "epoch": options.epochs - 1,
    }
    torch.save(checkpoint, options.out / "checkpoint.pth")
    print(", ".join([result.reason, *(f"{name} {value:.4g}" for name, value in result.metrics.items())]))
    print(options.out / "checkpoint.pth", result.report, sep="\n")


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """What `mcore train --config` would read from a file."""
    with torch.device("meta"):
        net = create_autoencoder(options.preset, tuple(options.input_size), latent_strategy=options.latent_strategy)
    sources = data(options)
    settings = {
        "data": sources,
        "losses": "l1",
        "metrics": ["psnr", "ssim"] if "validation" in sources else [],
        "epochs": options.epochs,
        "batch": options.batch_size,
        "accumulate": options.accumulation_steps,
        "optimiser": {"type": "AdamW", "lr": options.learning_rate, "weight_decay": 1e-5},
        "schedule": "cosine",
        "precision": options.amp,
        "cudnn_benchmark": True,
        "log": {"pictures": 6},
        **({"compile": {"mode": "default"}} if options.compile else {}),
    }
    return {"mcore": 1, "model": {"type": "AutoEncoder_CNNV3", **net.get_config()}, "train": settings}


def data(options: argparse.Namespace) -> dict[str, Any]:
    """The section `train.data`."""
    size = list(options.input_size)
    if options.data is not None:
        return {"train": {"type": "folder", "path": str(options.data.absolute()), "color": "gray", "size": size}}
    photographs = {"type": "tools.demo.photographs:Photographs", "size": size}
    return {
        "train": {**photographs, "part": "train", "count": 50 * options.batch_size},
        "validation": {**photographs, "part": "held_out"},
    }


if __name__ == "__main__":
    main()
