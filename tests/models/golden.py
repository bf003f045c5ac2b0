"""Golden files of networks: weights and inputs by their rule, outputs compared with what the originals gave.

The rule and the tolerances are in tests/golden/zoo/README.md.
"""

import hashlib
import json
import math
import zlib
from pathlib import Path

import numpy as np
import pytest

import mcore
from models.utils.weights import renamed

FOLDER = Path(__file__).parents[1] / "golden" / "zoo"

# Both precisions; the platform computes float64 in detours, which is slow and tested elsewhere.
DTYPES = [
    "float32",
    pytest.param("float64", marks=pytest.mark.skipif(mcore.backend() != "torch", reason="slow")),
]

# README, section 4: relative to the largest value of an output.
TOLERANCES = {"float64": 1e-9, "float32": 1e-4}


def read(name, folder=FOLDER):
    """A golden file."""
    return json.loads((folder / f"{name}.json").read_text())


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


def load(net, state, dtype, rename=None):
    """`net` in eval mode with the original's weights, all of them, under the names that `rename` gives."""
    found = renamed({key: mcore.from_numpy(value) for key, value in state.items()}, rename=rename)
    net.load_state_dict(found)
    return net.to(getattr(mcore, dtype)).eval()


def run(net, arrays, dtype):
    """What `net` gives, as arrays; several inputs are maps for a neck."""
    tensors = [mcore.from_numpy(array.astype(dtype)) for array in arrays]
    with mcore.no_grad():
        out = net(tensors if len(tensors) > 1 else tensors[0])
    return [x.numpy() for x in out] if isinstance(out, tuple) else out.numpy()


def assert_classifier_reproduced(name, make, dtype, *, rename=None, levels=None):
    """A golden file of timm's: the classifier's keys, logits and maps.

    `make(**arguments)` builds it. `levels` are our out_indices for the maps stored, all by default; a map
    that is stored in another layout or from another place is left out with None.

    Raises:
        AssertionError: keys or a value differ.
    """
    stored = read(name)
    state = weights(stored)
    *maps, logits = stored["outputs"].values()
    classifier = make(num_classes=logits["shape"][1])
    if rename is None:
        assert [[key, list(map(int, value.shape))] for key, value in classifier.state_dict().items()] == stored["keys"]
    assert_equal(run(load(classifier, state, dtype, rename), inputs(stored), dtype), logits, dtype)

    levels = [level.index for level in classifier.levels] if levels is None else levels
    chosen = [index for index in levels if index is not None]
    backbone = make(out_indices=chosen)
    names = backbone.state_dict()
    found = renamed({key: mcore.from_numpy(value) for key, value in state.items()}, rename=rename)
    backbone.load_state_dict({key: found[key] for key in names})
    features = run(backbone.to(getattr(mcore, dtype)).eval(), inputs(stored), dtype)
    expected = [stored for stored, index in zip(maps, levels, strict=True) if index is not None]
    for feature, one in zip(features, expected, strict=True):
        assert_equal(feature, one, dtype)


def assert_reproduced(name, net, dtype, *, rename=None):
    """A golden file of a whole network or part: every output, in order, with all weights of the file.

    Raises:
        AssertionError: a value differs.
    """
    stored = read(name)
    got = run(load(net, weights(stored), dtype, rename), inputs(stored), dtype)
    for array, expected in zip(got if isinstance(got, list) else [got], stored["outputs"].values(), strict=True):
        assert_equal(array, expected, dtype)
