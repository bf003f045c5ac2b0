"""Golden files of the microscopy networks: inputs, weights and outputs that running the originals gave.

What they hold and the tolerances are in tests/golden/emvision/README.md and tests/golden/dacapo_convnet/README.md.
"""

import json
import re
from pathlib import Path

import numpy as np

import mcore

FOLDER = Path(__file__).parents[1] / "golden"


def read(family, name):
    """The arrays of a file, by name."""
    with np.load(FOLDER / family / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def said(file):
    """What a file says of itself: the constructor and its arguments."""
    return json.loads(str(file["meta_json" if "meta_json" in file else "config"]))


def state(file):
    """The original's state: names and arrays, by position."""
    entries = sorted(key for key in file if re.match(r"\d{3}\|", key))
    return {key.partition("|")[2]: file[key] for key in entries}


def tuples(value):
    """Lists as tuples, which the originals took."""
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def run(net, x, **options):
    """What `net` gives for an array, as arrays: one, or a list of them."""
    with mcore.no_grad():
        out = net(mcore.from_numpy(x.copy()), **options)
    return [y.numpy() for y in out] if isinstance(out, tuple | list) else out.numpy()


def assert_near(got, expected, *, tolerance=1e-5):
    """Compares an output; 1e-5 of its largest value, or of 1, is rounding in single precision.

    Raises:
        AssertionError: the shape or a value differs.
    """
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * max(1.0, float(np.abs(expected).max())))
