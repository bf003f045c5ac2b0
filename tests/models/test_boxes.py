"""Boxes and anchors: against plain numpy, and codes that lead back."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
from models.functional import anchors, boxes

trains = pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine has gradients")
seeds = given(seed=st.integers(0, 10_000))
some = settings(max_examples=25, deadline=None)


def random_boxes(seed, *shape):
    """Boxes with an area, of -10 to 70 pixels."""
    random = np.random.RandomState(seed)
    corner = random.uniform(-10, 40, (*shape, 2))
    return np.concatenate((corner, corner + random.uniform(1, 30, (*shape, 2))), axis=-1).astype(np.float32)


def plain(a, b):
    """All four overlaps of two boxes, by the definitions, in Python's numbers."""
    a, b = [float(x) for x in a], [float(x) for x in b]
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    hull = (max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1]))
    across = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    distance = across / (hull[0] ** 2 + hull[1] ** 2)
    angles = [math.atan((x2 - x1) / (y2 - y1)) for x1, y1, x2, y2 in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    iou = both / union
    alpha = v / (1 - iou + v) if v else 0.0
    return {
        "iou": iou,
        "giou": iou - (hull[0] * hull[1] - union) / (hull[0] * hull[1]),
        "diou": iou - distance,
        "ciou": iou - distance - alpha * v,
    }


@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
@seeds
@some
def test_overlaps_of_all_pairs_are_those_of_the_definition(name, seed):
    a, b = random_boxes(seed, 2, 5), random_boxes(seed + 1, 2, 4)
    expected = [[[plain(p, q)[name] for q in qs] for p in ps] for ps, qs in zip(a, b, strict=True)]

    got = getattr(boxes, name)(mcore.from_numpy(a), mcore.from_numpy(b))

    np.testing.assert_allclose(got.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
def test_overlaps_box_by_box_are_the_diagonal_of_all_pairs(name):
    a, b = mcore.from_numpy(random_boxes(0, 6)), mcore.from_numpy(random_boxes(1, 6))
    overlap = getattr(boxes, name)

    got = overlap(a, b, pairwise=False)

    np.testing.assert_allclose(got.numpy(), np.diag(overlap(a, b).numpy()), atol=1e-6)


@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
def test_a_box_overlaps_itself_wholly_and_a_point_not_at_all(name):
    box = mcore.tensor([[2.0, 3.0, 12.0, 8.0]])
    point = mcore.tensor([[2.0, 3.0, 2.0, 3.0]])
    overlap = getattr(boxes, name)

    np.testing.assert_allclose(overlap(box, box).numpy(), [[1.0]], atol=1e-6)
    assert overlap(point, point).tolist() == [[0.0]]


@trains
@pytest.mark.parametrize("name", ["iou", "giou", "diou", "ciou"])
def test_gradients_of_overlaps_are_numbers_for_every_box(name):
    a = mcore.tensor([[0.0, 0.0, 5.0, 5.0], [1.0, 1.0, 1.0, 1.0], [9.0, 9.0, 12.0, 10.0]]).requires_grad_()

    getattr(boxes, name)(a, a.detach().flip(0)).sum().backward()

    assert bool(a.grad.isfinite().all())


@trains
def test_the_weight_of_the_penalty_on_proportions_gets_no_gradient():
    a = mcore.tensor([[0.0, 0.0, 8.0, 2.0]], dtype=mcore.float64).requires_grad_()
    b = mcore.tensor([[0.0, 0.0, 3.0, 6.0]], dtype=mcore.float64)
    boxes.ciou(a, b).sum().backward()
    got = a.grad.clone()
    v = 4 / math.pi**2 * (math.atan(8 / 2) - math.atan(3 / 6)) ** 2
    alpha = v / (1 - plain(a[0].detach(), b[0])["iou"] + v)

    def held(x):
        """With the weight as a number, whose derivative is nothing."""
        rest = boxes.diou(x, b)
        angle = mcore.atan((x[:, 2] - x[:, 0]) / (x[:, 3] - x[:, 1])) - math.atan(3 / 6)
        return rest - alpha * 4 / math.pi**2 * angle**2

    a.grad = None
    held(a).sum().backward()

    np.testing.assert_allclose(got.numpy(), a.grad.numpy(), atol=1e-9)


def test_areas_are_width_times_height():
    a = random_boxes(3, 2, 5)

    np.testing.assert_allclose(
        boxes.area(mcore.from_numpy(a)).numpy(), (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1]), rtol=1e-5
    )


# --- forms


@pytest.mark.parametrize("source", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("target", ["xyxy", "xywh", "cxcywh"])
@seeds
@some
def test_a_form_leads_to_another_and_back(source, target, seed):
    a = mcore.from_numpy(random_boxes(seed, 3))
    first = boxes.convert(a, "xyxy", source)

    there = boxes.convert(first, source, target)

    np.testing.assert_allclose(boxes.convert(there, target, source).numpy(), first.numpy(), atol=1e-4)
    np.testing.assert_allclose(boxes.convert(there, target, "xyxy").numpy(), a.numpy(), atol=1e-4)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="convert: 'yxyx' is not 'xyxy', 'xywh' or 'cxcywh'"):
        boxes.convert(mcore.zeros(1, 4), "xyxy", "yxyx")


@seeds
@some
def test_clipped_boxes_lie_in_the_image_and_those_inside_stay(seed):
    a = random_boxes(seed, 7)

    got = boxes.clip(mcore.from_numpy(a), (33, 50)).numpy()

    np.testing.assert_array_equal(got, np.clip(a, 0, [50, 33, 50, 33]))


# --- codes


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
@seeds
@some
def test_codes_relative_to_anchors_lead_back_to_the_boxes(weights, seed):
    a, near = random_boxes(seed, 2, 6), random_boxes(seed + 1, 2, 6)

    codes = boxes.encode(mcore.from_numpy(a), mcore.from_numpy(near), weights=weights)

    back = boxes.decode(codes, mcore.from_numpy(near), weights=weights)
    np.testing.assert_allclose(back.numpy(), a, atol=1e-3)


def test_codes_are_the_papers():
    anchor, box = mcore.tensor([[10.0, 10.0, 30.0, 20.0]]), mcore.tensor([[14.0, 5.0, 34.0, 45.0]])

    codes = boxes.encode(box, anchor, weights=(10.0, 10.0, 5.0, 5.0))

    np.testing.assert_allclose(codes.numpy(), [[10 * 4 / 20, 10 * 10 / 10, 0.0, 5 * math.log(4)]], rtol=1e-5)


def test_a_decoded_size_has_a_limit():
    got = boxes.decode(mcore.tensor([[0.0, 0.0, 50.0, 50.0]]), mcore.tensor([[0.0, 0.0, 16.0, 16.0]]))

    np.testing.assert_allclose(got.numpy(), [[-492, -492, 508, 508]], rtol=1e-5)


@seeds
@some
def test_distances_lead_back_to_the_boxes(seed):
    a = mcore.from_numpy(random_boxes(seed, 9))
    points = anchors.points((3, 3), 8, like=a)
    scale = mcore.full((9, 1), 8.0)

    codes = boxes.encode_distances(a, points, scale=scale)

    np.testing.assert_allclose(boxes.decode_distances(codes, points, scale=scale).numpy(), a.numpy(), atol=1e-4)


def test_a_point_is_central_by_its_distances():
    distances = mcore.tensor([[2.0, 3.0, 2.0, 3.0], [1.0, 2.0, 4.0, 8.0], [0.0, 1.0, 3.0, 1.0]])

    np.testing.assert_allclose(boxes.centerness(distances).numpy(), [1.0, 0.25, 0.0], atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1.05, 1.2])
@seeds
@some
def test_yolos_codes_lead_back_to_the_boxes(scale, seed):
    a = random_boxes(seed, 9)
    cells = np.floor((a[:, :2] + a[:, 2:]) / 2 / 16).astype(np.float32)
    sizes = np.random.RandomState(seed).uniform(5, 40, (9, 2)).astype(np.float32)
    given = mcore.from_numpy(cells), mcore.from_numpy(sizes)

    codes = boxes.encode_yolo(mcore.from_numpy(a), *given, stride=16, scale=scale)

    back = boxes.decode_yolo(codes, *given, stride=16, scale=scale)
    np.testing.assert_allclose(back.numpy(), a, atol=2e-2)


def test_yolos_boxes_are_darknets():
    codes, cells, sizes = (
        mcore.tensor([0.0, 0.0, 0.0, math.log(2)]),
        mcore.tensor([3.0, 1.0]),
        mcore.tensor([10.0, 13.0]),
    )

    got = boxes.decode_yolo(codes, cells, sizes, stride=32)

    np.testing.assert_allclose(got.numpy(), [112 - 5, 48 - 13, 112 + 5, 48 + 13], rtol=1e-5)


@seeds
@some
def test_centres_lead_back_to_the_boxes_and_lie_in_their_cells(seed):
    a = random_boxes(seed, 9)

    cells, offsets, sizes = boxes.encode_centers(mcore.from_numpy(a), stride=4)

    assert offsets.numpy().min() >= 0
    assert offsets.numpy().max() < 1
    np.testing.assert_array_equal(cells.numpy(), np.floor((a[:, :2] + a[:, 2:]) / 8))
    np.testing.assert_allclose(boxes.decode_centers(cells, offsets, sizes, stride=4).numpy(), a, atol=1e-3)


# --- anchors


def test_points_run_along_rows():
    got = anchors.points((2, 3), (8, 4), like=mcore.zeros(1), offset=0.5)

    assert got.tolist() == [[2.0, 4.0], [6.0, 4.0], [10.0, 4.0], [2.0, 12.0], [6.0, 12.0], [10.0, 12.0]]


def test_points_are_at_least_of_single_precision():
    assert anchors.points((1, 1), 8, like=mcore.zeros(1, dtype=mcore.float16)).dtype == mcore.float32
    assert anchors.points((1, 1), 8, like=mcore.zeros(1, dtype=mcore.float64)).dtype == mcore.float64


def test_shapes_are_those_that_published_weights_expect():
    # Ratio by ratio, size by size: measured at torchvision's AnchorGenerator for ((32, 40, 50), (0.5, 1, 2)).
    expected = [(23, 11), (28, 14), (35, 18), (16, 16), (20, 20), (25, 25), (11, 23), (14, 28), (18, 35)]

    assert anchors.shapes((32, 40, 50), (0.5, 1.0, 2.0)) == [(-x, -y, x, y) for x, y in expected]


def test_anchors_stand_around_every_point():
    got = anchors.grid((1, 2), 8, [(-1, -2, 1, 2), (-4, -4, 4, 4)], like=mcore.zeros(1))

    assert got.tolist() == [[-1, -2, 1, 2], [-4, -4, 4, 4], [7, -2, 9, 2], [4, -4, 12, 4]]


def test_default_boxes_are_parts_of_the_image_around_the_middle_of_each_place():
    parts = anchors.default_shapes(0.07, 0.15, (2,))

    got = anchors.default_boxes((38, 38), (300, 300), 8, parts, like=mcore.zeros(1))

    width, height = 0.07 * math.sqrt(2) * 300, 0.07 / math.sqrt(2) * 300
    assert tuple(got.shape) == (38 * 38 * 4, 4)
    np.testing.assert_allclose(got[0].numpy(), [4 - 10.5, 4 - 10.5, 4 + 10.5, 4 + 10.5], rtol=1e-5)
    np.testing.assert_allclose(
        got[-2].numpy(), [300 - width / 2, 300 - height / 2, 300 + width / 2, 300 + height / 2], rtol=1e-5
    )


class Codes(mcore.Module):
    """What a head computes of a map: anchors of its size, decoded, clipped, compared."""

    def forward(self, x):
        h, w = x.shape[2:]
        around = anchors.grid((h, w), (48 // h, 8), anchors.shapes((32,), (0.5, 2.0)), like=x)
        codes = x.unflatten(1, (2, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
        near = boxes.clip(boxes.decode(codes, around), (8 * h, 8 * w))
        far = boxes.decode_distances(codes, anchors.points((h, w), 8, like=x).repeat_interleave(2, 0), scale=8.0)
        fixed = anchors.default_boxes((h, w), (8 * h, 8 * w), 8, anchors.default_shapes(0.2, 0.3, ()), like=x)
        return near, boxes.ciou(near, far, pairwise=False), boxes.giou(near, fixed), boxes.encode(fixed, around)


def test_boxes_and_anchors_export_with_symbolic_sizes(tmp_path):
    sizes = [(1, 8, 4, 6), (2, 8, 5, 3), (3, 8, 2, 7)]

    artifact = mcore.toplatform(Codes().eval(), tmp_path / "net", sizes=sizes, strict=True, description=False)

    assert set(artifact.report.axes["x"]) == {0, 2, 3}
    assert artifact.report.largest < 1e-4
