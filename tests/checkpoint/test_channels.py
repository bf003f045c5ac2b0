"""First convolutions for other channels: what each means decides, and nothing is guessed in silence."""

import numpy as np
import pytest

from mcore.checkpoint.parts.channels import by_number, mixed, mixing

RGB = ("R", "G", "B")


def weight(channels=3, dtype=np.float32):
    return np.random.default_rng(0).standard_normal((5, channels, 3, 3)).astype(dtype)


def response(kernel, image):
    """What a convolution gives where its kernel lies on the image."""
    return np.einsum("oihw,ihw->o", kernel.astype(np.float64), image)


def test_bgr_is_a_permutation_bit_for_bit():
    there = weight()

    np.testing.assert_array_equal(mixed(there, mixing(RGB, "BGR")), there[:, ::-1])


def test_each_channel_comes_from_its_own_where_all_three_move():
    there = weight()

    np.testing.assert_array_equal(mixed(there, mixing(RGB, "GBR")), there[:, [1, 2, 0]])


def test_a_channel_that_is_not_finite_spoils_no_other():
    there = weight()
    there[:, 1] = np.nan

    made = mixed(there, mixing(RGB, "RB+mask"))

    np.testing.assert_array_equal(made[:, :2], there[:, [0, 2]])
    assert not made[:, 2].any()


def test_the_same_channels_in_words_change_nothing():
    assert mixing(RGB, ["red", "Green", "b"]).same


def test_a_new_channel_is_zero_and_the_others_stay_bitwise():
    there = weight()

    made = mixed(there, mixing(RGB, "RGB+mask"))

    np.testing.assert_array_equal(made[:, :3], there)
    assert not made[:, 3].any()


def test_a_new_channel_is_fed_by_what_is_said():
    there = weight()

    made = mixed(there, mixing(RGB, {"mask": "mean"}))

    np.testing.assert_array_equal(made[:, :3], there)
    np.testing.assert_allclose(made[:, 3], there.mean(axis=1), rtol=1e-6)


def test_a_mapping_that_names_all_gives_the_order_too():
    there = weight()

    made = mixed(there, mixing(RGB, {"I": "R", "R": "R", "G": "G"}))

    np.testing.assert_array_equal(made, there[:, [0, 0, 1]])


@pytest.mark.parametrize("grey", ["L", "grey", "gray"])
def test_a_grey_image_gives_what_it_gave_as_rgb(grey):
    there, image = weight(), np.random.default_rng(1).standard_normal((1, 3, 3))

    made = mixed(there, mixing(RGB, [grey]))

    np.testing.assert_allclose(response(made, image), response(there, np.repeat(image, 3, axis=0)), rtol=1e-5)


def test_a_grey_checkpoint_gives_what_it_gave_on_grey_rgb():
    there, image = weight(1), np.random.default_rng(1).standard_normal((1, 3, 3))

    made = mixed(there, mixing(["L"], "RGB"))

    np.testing.assert_allclose(response(made, np.repeat(image, 3, axis=0)), response(there, image), rtol=1e-5)


def test_what_ours_lacks_is_left_out_and_told():
    mix = mixing(("R", "G", "B", "mask"), "RGB")

    np.testing.assert_array_equal(mixed(weight(4), mix), weight(4)[:, :3])
    assert str(mix) == "R: R, G: G, B: B; left out: mask"


def test_the_type_of_the_weight_stays():
    assert mixed(weight(dtype=np.float16), mixing(RGB, "L")).dtype == np.float16


def test_by_number_new_ones_are_zero_and_one_is_the_sum():
    there = weight()

    np.testing.assert_array_equal(mixed(there, by_number(3, 5))[:, :3], there)
    assert not mixed(there, by_number(3, 5))[:, 3:].any()
    np.testing.assert_allclose(mixed(there, by_number(3, 1))[:, 0], there.sum(axis=1), rtol=1e-5, atol=1e-6)


def test_fewer_channels_without_meanings_are_nobodys_guess():
    assert by_number(3, 2) is None


@pytest.mark.parametrize(
    ("theirs", "ours", "match"),
    [
        (RGB, "em", r'none of em is among those that the checkpoint saw \(R, G, B\).*channels=\{"em": "sum"\}'),
        (RGB, ["R", "red", "B"], "'red' is there twice among the network's channels"),
        (("em", "em"), ["em"], "'em' is there twice among the checkpoint's channels"),
        (RGB, {"mask": "meen"}, "'mask' is fed by 'meen', which is none of theirs .*the nearest is 'mean'"),
    ],
)
def test_channels_that_say_nothing_are_refused(theirs, ours, match):
    with pytest.raises(ValueError, match=match):
        mixing(theirs, ours)


def test_what_is_no_name_is_refused():
    with pytest.raises(TypeError, match=r"names of channels, as in .*, got 3"):
        mixing(RGB, 3)


def test_one_new_channel_may_be_the_sum_of_all():
    there = weight()

    np.testing.assert_allclose(mixed(there, mixing(RGB, {"em": "sum"}))[:, 0], there.sum(axis=1), rtol=1e-5, atol=1e-6)
