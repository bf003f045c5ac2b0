"""Support tables to show: real names, everything else drawn at random."""

import random

import models

DEVICES = {
    "torch-cpu": "torch, CPU",
    "onnxruntime-cpu": "ONNX Runtime, CPU",
    "openvino-cpu": "OpenVINO, CPU",
    "onnx-reference": "onnx's reference evaluator",
    "torch-cuda": "torch, CUDA",
    "onnxruntime-cuda": "ONNX Runtime, CUDA",
    "onnxruntime-tensorrt": "ONNX Runtime, TensorRT",
    "onnxruntime-openvino": "ONNX Runtime, OpenVINO",
}
LAYERS = (
    *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Linear", "DoubleConv", "BasicBlock", "Bottleneck", "GELU"),
    *("LayerNorm", "TransformerBlock", "WindowAttention", "SE", "CBAM", "GroupNorm", "ConvTranspose2d", "Conv3d"),
    *("InstanceNorm3d", "ConvNormAct", "InvertedResidual", "SiLU", "Dropout", "CARAFE", "SCSE", "GhostModule"),
)
DETAILS = {
    "mismatch": "output 0 differs: relative difference 3.1e-02, allowed 1e-04",
    "unsupported": "GridSample, NonMaxSuppression",
    "failed": "RuntimeError: the node Resize_14 has no kernel for float16 on this provider",
    "too slow": "41.2 s a sample; the limit is 30 s",
    "stale": "models.basicblocks.double_conv:DoubleConv.forward changed",
    "not tested": "no GPU here",
}
WHY = ["models.networks.unet:UNet", "models.basicblocks.double_conv:DoubleConv", "DoubleConv.forward"]
PARTLY = {"backbone": "backbone", "neck": "neck", "head": "head"}


def support_table(rows=6, *, devices=4, seed=0):
    """A table of as many rows and devices; the first row is ok everywhere, the second mismatches somewhere."""
    draw = random.Random(seed)
    names = list(DEVICES)[:devices]
    made = [_row(kind, parts, names, draw=draw) for kind, parts in _named(rows, draw)]
    for name, cell in made[0]["cells"].items():
        made[0]["cells"][name] = _cell("ok" if cell["status"] != "not tested" else "not tested", draw)
    if rows > 1:
        made[1]["cells"][names[-1]] = _cell("mismatch", draw)
    return {
        "format": 1,
        "project": "mcore",
        "version": "0.1.0",
        "date": "2026-11-28T17:00:00Z",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "engine": "torch",
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 2, "python": "3.11.2"},
        "devices": [_device(name) for name in names],
        "rows": made,
        "excluded": [{"kind": "network", "name": "Coordinate", "reason": "a tuple of numbers, no network"}],
    }


def _named(rows, draw):
    """Kinds and parts: the public names in turn, and assemblies when there are no more."""
    kinds = ("network", "backbone", "neck", "head", "attention", "block")
    left = {kind: list(models.available(kind)) for kind in kinds}
    whole = {kind: tuple(names) for kind, names in left.items()}
    for number in range(rows):
        kind = kinds[number % len(kinds)]
        if left[kind]:
            yield kind, {kind: left[kind].pop(0)}
        else:
            yield "assembly", {part: draw.choice(whole[part]) for part in PARTLY}


def _row(kind, parts, names, *, draw):
    name = "-".join(parts.values())
    sizes = [[[1, 3, 64, 64]], [[2, 3, 80, 96]], [[1, 3, 33, 47]]]
    return {
        "kind": kind,
        "name": name,
        "parts": parts,
        "arguments": {"in_channels": 3, "num_classes": draw.randrange(2, 20)} if kind != "block" else {},
        "folder": f"{name}-{draw.randrange(1 << 32):08x}",
        "sizes": sizes,
        "layers": {layer: draw.randrange(1, 60) for layer in draw.sample(LAYERS, draw.randrange(3, 12))},
        "parameters": int(10 ** draw.uniform(2, 8.3)),
        "multiply_adds": None if draw.random() < 0.05 else int(10 ** draw.uniform(5, 11)),
        "code": f"{draw.randrange(1 << 128):032x}",
        "own": f"{draw.randrange(1 << 128):032x}",
        "request": f"{draw.randrange(1 << 128):032x}",
        "changed": {
            "date": f"2026-{draw.randrange(1, 12):02d}-{draw.randrange(1, 29):02d}T12:00:00Z",
            "commit": f"{draw.randrange(1 << 160):040x}",
            "why": WHY,
        },
        "error": "",
        "excluded": "",
        "excused": {},
        "cells": {device: _cell(_status(device, draw), draw, sizes) for device in names},
    }


def _status(device, draw):
    if "cuda" in device or "tensorrt" in device:
        return "not tested"
    return draw.choices(["ok", *DETAILS], weights=[90, 2, 3, 2, 1, 1, 1])[0]


def _cell(status, draw, sizes=([[1, 3, 64, 64]],)):
    ran = status in ("ok", "mismatch", "stale")
    return {
        "status": status,
        "detail": DETAILS.get(status, ""),
        "sizes": [
            {"shapes": shapes, "difference": 10 ** draw.uniform(-7.5, -5), "seconds": 10 ** draw.uniform(-4, 0)}
            for shapes in (sizes if ran else ())
        ],
        "peak_bytes": draw.randrange(10**6, 10**9) if ran else None,
        "version": "1.31.1",
        "date": "2026-11-28T17:00:00Z",
        "commit": "fedcba9876543210",
    }


def _device(name):
    here = "cuda" not in name and "tensorrt" not in name
    return {
        "name": name,
        "title": DEVICES[name],
        "available": here,
        "reason": "" if here else "no CUDA device; see `nvidia-smi`",
        "version": "1.31.1" if here else "",
    }
