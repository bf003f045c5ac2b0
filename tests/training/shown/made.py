"""Folders of runs, made up: as the loop writes them, without a network being trained."""

import json
import math

import numpy as np
from PIL import Image

from mcore.training.shown.logs import Log

CONFIG = """\
mcore: 1
model:
  backbone: {type: resnet18, in_channels: 1}
  heads:
    mask: {type: Segmentation, num_classes: 3}
    label: {type: Classification, num_classes: 2}
train:
  data: {train: {type: folder, path: images/}}
  losses: {mask: [cross_entropy, dice], label: cross_entropy}
  checkpoints: {rule: "max:validation.mask.iou"}
  epochs: 10
  batch: 8
"""
VERSIONS = {"mcore": "0.1.0", "torch": "2.13.0", "python": "3.11.9"}


def start(**more):
    return {
        **{"event": "start", "time": "2026-11-28T20:00:00Z", "step": 0, "epoch": 0, "device": "cpu", "processes": 1},
        **{"strategy": "none", "precision": "float32", "parameters": 11_170_240, "trained": 11_170_240},
        **{"versions": VERSIONS, "resumed": False},
        **more,
    }


def step(number, *, every=10, loss=None, **more):
    """The event of a step of a run whose loss falls, and rises a little at times."""
    loss = 2.0 * math.exp(-number / 120) + 0.1 + 0.08 * math.sin(number * 1.7) if loss is None else loss
    return {
        **{"event": "step", "step": number, "epoch": (number - 1) // 40, "loss": loss},
        **{"losses": {"mask.cross_entropy": 0.5 * loss, "mask.dice": 0.3 * loss, "label.cross_entropy": 0.2 * loss}},
        **{"lr": 1e-3 * 0.5 * (1 + math.cos(number / 400 * math.pi)), "lrs": {"backbone": 1e-4}},
        **{"grad_norm": 1.5 + math.sin(number), "samples_per_second": 90 + 5 * math.cos(number)},
        **more,
    }


def validation(epoch, **metrics):
    metrics = metrics or {
        "loss": 1.8 * math.exp(-epoch / 2.5) + 0.25 + 0.02 * max(0, epoch - 6),
        "mask.iou": 0.8 - 0.6 * math.exp(-epoch / 3) - 0.01 * max(0, epoch - 7),
        "label.accuracy": 1 - 0.5 * math.exp(-epoch / 2),
    }
    place = {"event": "validation", "step": 40 * (epoch + 1), "epoch": epoch}
    return {**place, "metrics": metrics, "seconds": 1.25}


def folder(path, events, *, config=CONFIG, pictures=True, model=True):
    """A run's folder with these events."""
    with Log(path) as log:
        for event in events:
            log.write(**event)
    if config is not None:
        (path / "config.yaml").write_text(config)
    if pictures:
        (path / "pictures").mkdir()
        for event in events:
            if event["event"] == "pictures":
                shades = np.add.outer(np.arange(120), np.arange(300)) % 256
                Image.fromarray(shades.astype(np.uint8)).save(path / event["file"])
    if model:
        layers = [
            {"path": "backbone.conv1", "type": "Conv2d", "out": [1, 64, 32, 32], "parameters": 3136, "macs": 2_408_448},
            {"path": "backbone.relu", "type": "ReLU", "out": [1, 64, 32, 32], "parameters": 0, "macs": None},
        ]
        whole = {"layers": layers, "parameters": 11_170_240, "macs": 114_606_080}
        (path / "model.json").write_text(json.dumps(whole))
    return path


def events(epochs=10, *, reason="done"):
    """A whole run: 40 steps an epoch, validated after each."""
    found = [start()]
    for epoch in range(epochs):
        found += [step(40 * epoch + at) for at in range(10, 41, 10)]
        found.append(validation(epoch))
        place = {"step": 40 * (epoch + 1), "epoch": epoch}
        found.append({"event": "pictures", **place, "file": f"pictures/epoch-{epoch:04}.png"})
        found.append({"event": "checkpoint", **place, "id": f"01J5ZK3V7Q8W9XTBYAZCDEFG{epoch:02}"})
    if reason is not None:
        end = {"event": "end", "step": 40 * epochs, "epoch": epochs - 1, "reason": reason, "seconds": 372.4}
        found.append({**end, "metrics": validation(epochs - 1)["metrics"]})
    return found
