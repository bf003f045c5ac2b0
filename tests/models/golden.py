"""Golden files of networks: weights and inputs by their rule, outputs compared with what the originals gave.

The rule and the tolerances are in tests/golden/zoo/README.md.
"""

import hashlib
import json
import math
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "golden" / "zoo"

# README, section 4: relative to the largest value of an output.
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}


def read(name):
    """A golden file."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def fill(key, shape, gain):
    """The value of a state entry: README, section 1."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    normal, uniform = random.standard_normal(shape), random.uniform(size=shape)
    leaf = key.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf == "running_var":
        value = 0.5 + uniform
    elif leaf == "running_mean":
        value = 0.1 * normal
    elif len(shape) >= 2:
        value = normal * gain / math.sqrt(math.prod(shape[1:]))
    elif leaf in ("weight", "gamma", "scale"):
        value = 0.5 + uniform
    else:
        value = 0.1 * normal
    return np.asarray(value, np.float32)


def weights(golden):
    """The state of the original network, by its names; checked against the hash in the file."""
    state = {key: fill(key, shape, golden["gain"]) for key, shape in golden["keys"]}
    digest = hashlib.sha256()
    for key in sorted(state):
        if not key.endswith("num_batches_tracked"):
            digest.update(key.encode() + state[key].astype("<f4").tobytes())
    assert digest.hexdigest() == golden["weights_sha256"]
    return state


def inputs(golden):
    """The arguments of the original network: README, section 2."""
    return [_input(entry["name"], entry["shape"]) for entry in golden["inputs"]]


def _input(name, shape):
    random = np.random.RandomState(zlib.crc32(f"input:{name}".encode()))
    coarse = random.standard_normal((*shape[:2], *(-(-size // 8) for size in shape[2:])))
    for axis in range(2, len(shape)):
        coarse = np.repeat(coarse, 8, axis=axis)
    coarse = coarse[tuple(slice(0, size) for size in shape)]
    return (coarse + 0.25 * random.standard_normal(shape)).astype(np.float32)


def assert_equal(got, expected, dtype):
    """Compares an output with what a golden file stores of it: README, section 3.

    Raises:
        AssertionError: the shape, a value or the checksum over all values differs.
    """
    assert list(got.shape) == expected["shape"]
    flat, tolerance = np.asarray(got, np.float64).ravel(), TOLERANCES[dtype] * expected["absmax"]
    np.testing.assert_allclose(flat[expected["index"]], expected["values"], rtol=0, atol=tolerance)
    # A sum of n errors of random sign grows as the root of n.
    probe = np.random.RandomState(12345).standard_normal(flat.size)
    assert abs(flat @ probe - expected["dot"]) < tolerance * math.sqrt(flat.size) * 4
