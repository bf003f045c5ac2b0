"""What is drawn of a sample: which panels, what stands above them, which colours."""

import numpy as np
import pytest

from mcore.training.shown.panels import RIGHT, WRONG, colour, legend, painted, panels

IMAGE = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 6, 8)


def drawn(outputs, *, targets=None, classes=None, image=IMAGE, name="a.png", **sample):
    return panels({"image": image, "name": name, **sample}, outputs, targets=targets or {}, classes=classes)


def texts(panel):
    return [text for text, _ in panel.captions]


def test_a_mask_is_drawn_beside_what_the_network_says_of_it():
    mask = np.zeros((6, 8), np.int64)
    mask[:, 4:] = 1
    scores = np.stack([np.full((6, 8), 0.5), np.linspace(0, 1, 48).reshape(6, 8)])

    image, truth, prediction = drawn({"output": scores}, targets={"output": "mask"}, mask=mask)

    assert [panel.header for panel in (image, truth, prediction)] == ["image", "truth", "prediction"]
    assert (truth.labels == mask).all()
    assert (prediction.labels == scores.argmax(0)).all()
    assert texts(prediction) == ["50.0 % wrong"]


def test_one_channel_of_scores_is_one_class_by_its_sign():
    scores = np.array([[[-1.0, 2.0]]])

    prediction = drawn({"output": scores}, targets={"output": "mask"}, mask=np.array([[0, 1]]))[-1]

    assert prediction.labels.tolist() == [[0, 1]]
    assert texts(prediction) == ["0.0 % wrong"]


def test_pixels_of_no_class_are_grey_and_do_not_count_as_wrong():
    mask = np.array([[-100, 255, 1, 0]])
    scores = np.stack([np.array([[9.0, 9.0, 0.0, 9.0]]), np.array([[0.0, 0.0, 9.0, 0.0]])])

    _, truth, prediction = drawn({"output": scores}, targets={"output": "mask"}, mask=mask)

    assert texts(prediction) == ["0.0 % wrong"]
    assert truth.ignored.tolist() == [[True, True, False, False]]
    assert painted(truth)[0, 0, :3] == pytest.approx(np.full(3, 128 / 255))
    assert ("#808080", "ignored") in list(legend([truth, prediction], None))


def test_the_legend_names_the_classes_that_are_seen_and_what_has_no_colour():
    mask = np.array([[0, 2]])

    found = drawn({}, mask=mask) + drawn({"output": np.zeros((3, 1, 2))}, targets={"output": "mask"}, mask=mask)

    assert list(legend(found, ["ground", "cell", "wall"])) == [("none", "no colour: ground"), (colour(2), "wall")]


def test_of_many_classes_the_legend_tells_how_many_more_there_are():
    mask = np.arange(30).reshape(5, 6)
    found = drawn({"output": np.zeros((30, 5, 6))}, targets={"output": "mask"}, mask=mask)

    assert list(legend(found, None))[-1] == ("none", "and 17 more classes")


def test_colours_of_a_hundred_classes_differ():
    assert len({colour(label) for label in range(1, 101)}) == 100


@pytest.mark.parametrize(
    ("label", "shade", "told"),
    [
        (1, RIGHT, ["a.png", "✓ dog (88 %)"]),
        (0, WRONG, ["a.png", "✗ dog (88 %)", "truth: cat"]),
    ],
)
def test_a_class_is_told_above_the_image(label, shade, told):
    (image,) = drawn(
        {"output": np.array([0.0, 2.0])}, targets={"output": "label"}, label=np.array(label), classes=["cat", "dog"]
    )

    assert texts(image) == told
    assert image.captions[-1][1] == shade


def test_one_score_tells_one_of_two_classes():
    (image,) = drawn({"output": np.array([-3.0])}, targets={"output": "label"}, label=np.array(0))

    assert texts(image)[1] == "✓ class 0 (95 %)"


def test_a_reconstruction_is_drawn_with_the_range_of_the_image_and_its_difference():
    again = IMAGE + np.float32(0.25)

    image, reconstruction, difference = drawn({"output": again}, targets={"output": "image"})

    assert reconstruction.scale == image.scale == (0.0, 1.0)
    assert np.allclose(difference.values, 0.25)
    assert texts(difference) == ["mean 0.25, up to 0.25"]


def test_numbers_for_each_pixel_are_drawn_with_their_ranges():
    depth = 3 * IMAGE

    _, truth, prediction = drawn({"depth": -IMAGE}, targets={"depth": "depth"}, depth=depth)

    assert (texts(truth), texts(prediction)) == (["0 to 3"], ["-1 to 0"])
    assert truth.colours == "viridis"


def test_numbers_for_each_pixel_need_no_axis_of_channels():
    _, truth, _ = drawn({"depth": IMAGE}, targets={"depth": "depth"}, depth=IMAGE[0])

    assert truth.values.shape == (6, 8)
    assert not truth.signal


def test_a_few_numbers_are_told_above_the_image():
    (image,) = drawn({"age": np.array([41.5])}, targets={"age": "age"}, age=np.array(40.0))

    assert texts(image) == ["a.png", "predicted 41.5", "truth 40"]


def test_several_heads_are_told_apart_by_their_names():
    outputs = {"mask": np.zeros((2, 6, 8)), "label": np.array([1.0, 0.0]), "again": IMAGE}
    targets = {"mask": "mask", "label": "label", "again": "image"}

    found = drawn(outputs, targets=targets, mask=np.zeros((6, 8), np.int64), label=np.array(0))

    headers = ["image", "mask: truth", "mask: prediction", "again: reconstruction", "again: difference"]
    assert [panel.header for panel in found] == headers
    assert texts(found[0])[1] == "label: ✓ class 0 (73 %)"


def test_of_a_volume_the_slice_in_the_middle_is_drawn():
    volume = np.zeros((1, 5, 4, 4), np.float32)
    volume[:, 2] = 7
    mask = np.zeros((5, 4, 4), np.int64)
    mask[2] = 1

    image, truth, _ = drawn(
        {"output": np.zeros((2, 5, 4, 4))}, targets={"output": "mask"}, image=volume, mask=mask, name="v"
    )

    assert texts(image) == ["v", "slice 3 of 5"]
    assert (image.values == 7).all()
    assert (truth.labels == 1).all()


def test_a_signal_is_drawn_as_lines():
    signal = np.zeros((2, 10), np.float32)

    image, truth, prediction = drawn(
        {"output": np.zeros((3, 10))}, targets={"output": "mask"}, image=signal, mask=np.zeros(10, np.int64)
    )

    assert image.signal
    assert truth.signal
    assert prediction.labels.shape == (10,)


@pytest.mark.parametrize(("channels", "note"), [(1, []), (2, ["channel 1 of 2"]), (3, []), (4, ["channel 1 of 4"])])
def test_images_of_other_channels_than_grey_and_colours_show_the_first(channels, note):
    (image,) = drawn({}, image=np.random.default_rng(0).random((channels, 4, 5)))

    assert texts(image) == ["a.png", *note]
    assert image.values.shape == ((4, 5, 3) if channels == 3 else (4, 5))


def test_an_image_that_is_not_finite_is_drawn():
    (image,) = drawn({}, image=np.full((1, 4, 4), np.nan))

    assert image.scale == (0.0, 1.0)


def test_a_constant_image_is_drawn():
    (image,) = drawn({}, image=np.full((1, 4, 4), 3.0))

    assert image.scale == (3.0, 4.0)


def test_an_output_without_a_target_is_drawn_alone():
    assert [panel.header for panel in drawn({"output": IMAGE})] == ["image", "prediction"]


def test_an_output_that_is_no_tensor_is_said_not_to_be_drawn():
    (image,) = drawn({"boxes": None})

    assert texts(image)[-1] == "the output isn't one tensor: not drawn"


def test_long_and_hostile_names_are_cut_and_escaped():
    (image,) = drawn({}, name="/very/long/folder/of/images/cell\x1b[2J_0001.png")

    assert texts(image) == ["…f/images/cell\\x1b[2J_0001.png"]
