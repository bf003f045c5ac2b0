"""Pictures of predictions: files that are whole, of a size that a page can bear, whatever is drawn."""

import warnings

import pytest
import torch
from PIL import Image

from mcore.training.shown.pictures import draw


def batch(count=2, size=(12, 16), channels=1, **more):
    names = [f"image-{at}.png" for at in range(count)]
    return {"image": torch.rand(count, channels, *size), "name": names, **more}


def size_of(path):
    with Image.open(path) as image:
        image.load()
        return image.size


def test_a_picture_is_a_png_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "pictures" / "epoch-0000.png"

    draw(path, batch(mask=torch.zeros(2, 12, 16).long()), torch.randn(2, 3, 12, 16), targets={"output": "mask"})

    width, height = size_of(path)
    # Three panels of two samples; at 150 dots an inch letters of 7 points can be read.
    assert 900 < width < 1000
    assert 400 < height < 900
    assert not list(path.parent.glob(".*"))


@pytest.mark.parametrize("count", [1, 7, 30])
def test_a_picture_of_many_samples_is_neither_too_wide_nor_too_tall(tmp_path, count):
    images = batch(count, size=(8, 8))

    draw(tmp_path / "a.png", images, images["image"], targets={"output": "image"})

    assert max(size_of(tmp_path / "a.png")) < 6000


def test_no_more_samples_are_drawn_than_asked_for(tmp_path):
    images = batch(5)

    draw(tmp_path / "two.png", images, images["image"], targets={"output": "image"}, most=2)
    draw(tmp_path / "five.png", images, images["image"], targets={"output": "image"})

    assert size_of(tmp_path / "two.png")[1] < 0.5 * size_of(tmp_path / "five.png")[1]


@pytest.mark.parametrize("size", [(40,), (12, 16), (4, 12, 16), (152, 1280), (1280, 152)])
def test_signals_images_and_volumes_of_any_shape_are_drawn(tmp_path, size):
    images = batch(2, size, mask=torch.randint(-1, 4, (2, *size)))
    outputs = {"mask": torch.randn(2, 3, *size), "again": images["image"].clone()}

    draw(tmp_path / "a.png", images, outputs, targets={"mask": "mask", "again": "image"})

    assert min(size_of(tmp_path / "a.png")) > 100


def test_a_smaller_prediction_is_drawn_over_the_whole_image(tmp_path):
    images = batch(1, (32, 32), mask=torch.ones(1, 32, 32).long())
    scores = torch.zeros(1, 2, 8, 8)
    scores[:, 1] = 1

    draw(tmp_path / "small.png", images, scores, targets={"output": "mask"})
    draw(tmp_path / "whole.png", images, scores.repeat(1, 1, 4, 4), targets={"output": "mask"})

    small, whole = (Image.open(tmp_path / name).convert("RGB") for name in ("small.png", "whole.png"))
    # The lines above the panels differ: pixels of a prediction of another size aren't compared.
    corner = (small.width - 100, small.height - 120, small.width - 40, small.height - 80)
    assert small.crop(corner).tobytes() == whole.crop(corner).tobytes()


def test_what_comes_out_of_mixed_precision_is_drawn(tmp_path):
    images = batch(1)

    draw(tmp_path / "a.png", images, images["image"].bfloat16().requires_grad_(), targets={"output": "image"})

    assert (tmp_path / "a.png").exists()


def test_of_deep_supervision_the_first_output_is_drawn(tmp_path):
    images = batch(1)

    draw(tmp_path / "list.png", images, [images["image"], torch.zeros(1)], targets={"output": "image"})
    draw(tmp_path / "one.png", images, images["image"], targets={"output": "image"})

    assert (tmp_path / "list.png").read_bytes() == (tmp_path / "one.png").read_bytes()


def test_names_are_no_formulas_and_letters_that_the_font_lacks_warn_nobody(tmp_path):
    images = batch(3)
    images["name"] = ["$x^{$", "日本", "a\u202eb"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path / "a.png", images, {}, targets={})

    assert (tmp_path / "a.png").exists()


def test_a_users_warnings_stay_as_they_were(tmp_path):
    before = list(warnings.filters)

    draw(tmp_path / "a.png", batch(1), {}, targets={})

    assert warnings.filters == before


def test_the_same_batch_gives_the_same_picture(tmp_path):
    images = batch(2)

    for name in ("a.png", "b.png"):
        draw(tmp_path / name, images, images["image"], targets={"output": "image"})

    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_kill_while_drawing_leaves_the_old_picture(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")
    monkeypatch.setattr("os.replace", _killed)

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "a.png", batch(1), {}, targets={})

    assert (tmp_path / "a.png").read_bytes() == b"old"


def _killed(*paths):
    raise KeyboardInterrupt


def test_without_matplotlib_the_message_has_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)

    with pytest.raises(ImportError, match=r'matplotlib is not installed.*pip install "\.\[train\]"'):
        draw(tmp_path / "a.png", batch(1), {}, targets={})
