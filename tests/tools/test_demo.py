"""The demo: its data, and a quick run of all of it."""

import subprocess
import sys

import numpy as np
import pytest

import mcore
from tests.isolation import ROOT
from tools.demo import data

pytestmark = pytest.mark.skipif(mcore.backend() != "torch", reason="trains")


@pytest.mark.parametrize("name", ["coins", "digits"])
def test_the_images_to_train_with_and_their_truth_belong_together(name):
    found = data.load(name)

    images, truth = found.draw(np.random.default_rng(0), 3)

    assert images.dtype == np.float32
    assert truth.shape == (3, *images.shape[2:])[: truth.ndim]
    assert set(np.unique(truth)) <= set(range(len(found.classes)))


def test_the_truth_holds_the_six_coins_of_the_row_held_out():
    from scipy import ndimage

    assert ndimage.label(data.coins().truth[0])[1] == 6


def test_held_out_images_are_not_trained_with():
    found = data.digits()
    drawn, _ = found.draw(np.random.default_rng(0), 500)

    held = {image.tobytes() for image in found.images}

    assert not any(image.tobytes() in held for image in drawn)


def test_unknown_data_names_the_nearest():
    with pytest.raises(ValueError, match=r"data 'coin' is none of coins, digits; the nearest is 'coins'"):
        data.load("coin")


def test_a_quick_run_trains_exports_and_evaluates_without_torch(tmp_path):
    command = [sys.executable, "-m", "tools.demo", "--quick", "--out", str(tmp_path), "--only", "coins"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)

    assert done.returncode == 0, done.stderr
    assert "evaluated without torch, on the platform" in done.stdout
    made = {path.name for path in (tmp_path / "coins").iterdir()}
    assert {"artifact", "weights.safetensors", "report.html", "prediction.png"} <= made
