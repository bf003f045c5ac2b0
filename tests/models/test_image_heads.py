"""Heads of whole images and of pixels: what their numbers mean, and what is refused."""

import math

import numpy as np
import pytest

import mcore
import models
from models.functional.affinities import affinities, boundaries
from models.functional.margins import arcface
from models.functional.points import gaussian_maps, peaks, soft_argmax
from models.heads import (
    Affinity,
    CosineClassification,
    Depth,
    Embedding,
    Keypoints,
    MLPClassification,
    MultiLabel,
    Projection,
    Regression,
)

MAP = (2, 16, 5, 4)


def values(tensor):
    return tensor.detach().numpy()


def test_cosines_do_not_depend_on_lengths():
    head, x = CosineClassification(3, scale=7.0, in_channels=16).eval(), mcore.rand(*MAP)

    np.testing.assert_allclose(values(head(x)), values(head(x * 5)), rtol=1e-4, atol=1e-5)
    assert abs(values(head(x))).max() <= 7.0


def test_labels_begin_at_their_prior():
    head = MultiLabel(4, prior=0.01, in_channels=16).eval()

    probability = values(head(mcore.zeros(*MAP)).sigmoid())

    np.testing.assert_allclose(probability, 0.01, rtol=1e-5)


def test_numbers_stay_within_their_bounds():
    head = Regression(3, low=-2.0, high=5.0, in_channels=16).eval()

    result = values(head(mcore.randn(*MAP) * 1e4))

    assert result.min() >= -2.0
    assert result.max() <= 5.0


def test_embeddings_have_length_one():
    result = values(Embedding(8, in_channels=16).eval()(mcore.rand(*MAP)))

    np.testing.assert_allclose((result**2).sum(1), 1.0, rtol=1e-5)


def test_the_generalised_mean_is_the_mean_at_power_one_and_near_the_maximum_at_large_ones():
    x = mcore.rand(*MAP) + 0.1
    head = Embedding(8, power=1.0, in_channels=16)

    np.testing.assert_allclose(values(head.mean(x)), values(x).mean((2, 3)), rtol=1e-5)
    head = Embedding(8, power=60.0, in_channels=16)
    np.testing.assert_allclose(values(head.mean(x)), values(x).max((2, 3)), rtol=0.06)


def test_arcface_turns_the_true_class_away_by_its_margin():
    angles = np.array([[0.3, 1.0, 2.0]])
    cosine = mcore.from_numpy(np.cos(angles).astype(np.float32))

    scores = values(arcface(cosine, mcore.tensor([1]), margin=0.5, scale=10.0))

    np.testing.assert_allclose(scores, 10 * np.cos(np.add(angles, [0, 0.5, 0])), rtol=1e-4)


def test_arcface_falls_on_beyond_half_a_turn():
    cosine = mcore.from_numpy(np.cos(np.array([[3.0, 0.0]])).astype(np.float32))

    score = values(arcface(cosine, mcore.tensor([0]), margin=0.5, scale=1.0))[0, 0]

    assert score == pytest.approx(math.cos(3.0) - 0.5 * math.sin(0.5), abs=1e-5)


def test_a_projection_has_as_many_linear_maps_as_it_is_deep():
    head = Projection(4, hidden=8, depth=3, in_channels=16)

    assert [type(layer).__name__ for layer in head.layers].count("Linear") == 3


def test_depth_lies_between_its_bounds_and_at_the_size_of_the_image():
    result = values(Depth(0.5, 20.0, in_channels=16).eval()(mcore.randn(*MAP) * 1e3, size=(33, 47)))

    assert result.shape == (2, 1, 33, 47)
    assert result.min() >= 0.5 - 1e-4
    assert result.max() <= 20.0 + 1e-3


def test_key_points_have_maps_of_a_quarter_of_the_image():
    net = models.assemble("resnet18", head=Keypoints(17, 8)).eval()

    assert tuple(net(mcore.zeros(1, 3, 64, 96)).shape) == (1, 17, 16, 24)


@pytest.mark.parametrize("size", [(9,), (9, 14), (5, 7, 8)])
def test_points_are_found_in_the_maps_that_are_made_of_them(size):
    random = np.random.default_rng(0)
    points = np.stack([random.integers(0, pixels, (2, 3)) for pixels in size], axis=-1).astype(np.float32)

    maps = gaussian_maps(mcore.from_numpy(points), size, sigma=1.0)

    found, height = peaks(maps)
    np.testing.assert_array_equal(values(found), points)
    np.testing.assert_allclose(values(height), 1.0, rtol=1e-6)
    np.testing.assert_allclose(values(soft_argmax(maps, sharpness=200.0)), points, atol=0.01)


def brute_affinities(labels, offsets):
    same, known = (np.zeros((labels.shape[0], len(offsets), *labels.shape[1:]), np.float32) for _ in range(2))
    for place in np.ndindex(*labels.shape):
        for channel, offset in enumerate(offsets):
            other = tuple(p + o for p, o in zip(place[1:], offset, strict=True))
            if all(0 <= p < s for p, s in zip(other, labels.shape[1:], strict=True)):
                known[(place[0], channel, *place[1:])] = 1
                equal = labels[place] == labels[(place[0], *other)] and labels[place] > 0
                same[(place[0], channel, *place[1:])] = equal
    return same, known


@pytest.mark.parametrize("offsets", [[(-1, 0, 0), (0, -1, 0), (0, 0, -1)], [(2, -3, 0), (0, 0, 4)]])
def test_affinities_are_those_of_every_pair_of_pixels(offsets):
    labels = np.random.default_rng(1).integers(0, 3, (2, 4, 5, 6))

    same, known = affinities(mcore.from_numpy(labels), offsets)

    expected = brute_affinities(labels, offsets)
    np.testing.assert_array_equal(values(same), expected[0])
    np.testing.assert_array_equal(values(known), expected[1])


def test_boundaries_touch_another_label():
    labels = mcore.tensor([[[1, 1, 2], [1, 1, 2], [3, 3, 3]]])

    assert values(boundaries(labels))[0, 0].tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CosineClassification(3, scale=0, in_channels=4), "CosineClassification: scale=0 is not greater"),
        (lambda: MultiLabel(3, prior=1.0, in_channels=4), r"MultiLabel: prior=1\.0 is not in 0 < prior < 1"),
        (lambda: Regression(1, low=1.0, in_channels=4), r"Regression: low=1\.0 and high=None; give both"),
        (lambda: Embedding(8, power=0.0, in_channels=4), r"Embedding: power=0\.0 is not greater than 0"),
        (lambda: Projection(8, depth=0, in_channels=4), "Projection: depth=0 is less than one"),
        (lambda: Depth(0.0, 1.0, in_channels=4), r"Depth: low=0\.0 and high=1\.0 are not 0 < low < high"),
        (lambda: Affinity([[0, 1]], in_channels=4), r"Affinity: offset \(0, 1\) is no step in 3 dimensions"),
        (lambda: Affinity([[0, 1], [0, 1]], in_channels=4, dims=2), "Affinity: an offset stands there twice"),
        (lambda: MLPClassification(3, in_channels=4, norm="group"), "MLPClassification: norm='group' is not one of"),
        (lambda: Projection(in_channels=4, norm=True), "Projection: norm=True is not one of 'batch', None"),
        (lambda: MLPClassification(3, in_channels=[4, 8], merge="sum"), 'MLPClassification: merge="sum" needs maps'),
        (lambda: arcface(mcore.zeros(1, 2), mcore.tensor([0]), margin=4.0), r"arcface: margin=4\.0"),
        (lambda: gaussian_maps(mcore.zeros(1, 2, 2), (4,)), "points of 2 axes on a map of 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
