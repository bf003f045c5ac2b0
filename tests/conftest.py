"""Settings of every test: one thread a process, the same random numbers each time."""

import os

# Two test processes share two cores; set before numpy, torch and ONNX Runtime read it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

import mcore

# Time varies with what else the machine does.
settings.register_profile("mcore", deadline=None)
settings.load_profile("mcore")


@pytest.fixture(autouse=True)
def _same_random_numbers():
    mcore.manual_seed(0)
