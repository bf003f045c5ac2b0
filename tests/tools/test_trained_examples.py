"""What the trained examples are judged by."""

import importlib.util

import numpy as np
import pytest

import mcore
from mcore import config
from tests.isolation import ROOT

pytestmark = pytest.mark.skipif(mcore.backend() != "torch", reason="trains")


@pytest.fixture
def nuclei():
    """Two squares that touch, and one apart."""
    truth = np.zeros((32, 32), np.int64)
    truth[4:14, 4:14], truth[4:14, 14:24], truth[20:30, 20:30] = 1, 2, 3
    return truth


def test_nuclei_that_touch_are_told_apart_by_their_outlines(nuclei):
    from tools.demo.nuclei import classes_of, found, told_apart

    seen = told_apart(classes_of(nuclei))

    assert seen.max() == 3
    assert found(seen, nuclei) == 3


def test_a_nucleus_that_two_became_is_not_found(nuclei):
    from tools.demo.nuclei import found

    merged = np.where(nuclei == 2, 1, nuclei)

    assert found(merged, nuclei) == 1  # half of both is not more than half


def test_noise_of_twice_the_tenth_is_twenty_decibels():
    from tools.demo.photographs import psnr

    assert psnr(np.full((1, 1, 4, 4), 0.1), np.zeros((1, 1, 4, 4))) == pytest.approx(20.0)


@pytest.mark.parametrize("name", ["coins", "digits", "photographs", "nuclei"])
def test_an_example_fits_its_data_and_its_network(name):
    from mcore.training import check

    if name == "nuclei" and importlib.util.find_spec("stardist") is None:
        pytest.skip("the image of nuclei isn't installed: pip install --no-deps stardist")

    told = check(ROOT / "examples" / f"{name}.yaml", ["train.batch=2"])

    assert np.isfinite(told["loss"])
    assert told["validation"] >= 1


def test_the_image_of_nuclei_is_asked_for_by_the_command_that_brings_it(monkeypatch):
    from tools.demo import nuclei

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ImportError, match="pip install --no-deps stardist"):
        nuclei.Nuclei("train")


def test_every_example_is_a_configuration_without_mistakes():
    from mcore.training import settings_of

    files = sorted((ROOT / "examples").glob("*.yaml"))

    assert [settings_of(config.read(file)).batch > 0 for file in files] == [True] * 4
