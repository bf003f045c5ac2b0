"""Checkpoints without networks: records of a few words and arrays, put into a repository as `save` puts them."""

import numpy as np

from mcore.checkpoint import Repository, records
from mcore.checkpoint.ids import new_id
from mcore.checkpoint.store import blobs
from mcore.checkpoint.store.base import record_key, version_key


def repository(folder):
    return Repository(folder, author="ann")


def weights(seed=0, **more):
    """Arrays of a small layer, the same for the same seed."""
    random = np.random.default_rng(seed)
    return {
        "conv.weight": random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "conv.bias": random.standard_normal(4).astype(np.float32),
        **more,
    }


def record(id=None, *, components=(), **more):
    """A record of a segmentation network; what is given stands in it."""
    given = {
        "id": id or new_id(),
        "kind": "network",
        "network": "UNet",
        "task": "segmentation",
        "version": 1,
        "structure": {},
        "code": {"package": "mcore", "version": "0.1"},
        "components": list(components) or [{"role": "network"}],
        "created": "2026-11-28T17:00:00.000Z",
        "author": "ann",
        **more,
    }
    return records.checked(given, records.Record, "made")


def put(repo, parts=None, *, id=None, **more):
    """A checkpoint with these arrays by component; its id."""
    parts = {"": weights()} if parts is None else parts
    components = [
        {
            "role": name.partition(".")[0].removesuffix("s") if name else "network",
            "name": name,
            "blob": blobs.write(repo.store, arrays),
            "parameters": sum(array.size for array in arrays.values()),
            **more.pop(f"{name}_facts", {}),
        }
        for name, arrays in parts.items()
    ]
    made = record(id, components=components, **more)
    if "version" not in more:
        made = made.model_copy(update={"version": repo.addresses.claim(made.address, made.id)})
    else:
        repo.store.create(version_key(made.address, made.version), f"{made.id}\n".encode())
    assert repo.store.create(record_key(made.id), records.written(made))
    return made.id
