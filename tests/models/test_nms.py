"""Suppression: against a plain loop, on every engine; exports."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore
from mcore import functional as F
from models.functional.detections import detections
from models.functional.nms import batched_nms, nms, soft_nms


def crowd(seed, k):
    """Boxes of whole pixels around few places, scores (some equal) and labels."""
    random = np.random.RandomState(seed)
    corner = random.randint(0, 3, (k, 2)) * 20 + random.randint(-4, 5, (k, 2))
    boxes = np.concatenate((corner, corner + random.randint(1, 30, (k, 2))), axis=1).astype(np.float32)
    return boxes, random.randint(1, 40, k).astype(np.float32) / 40, random.randint(0, 3, k)


def overlap(a, b):
    """Intersection over union of two boxes, in float32, in the order of operations of everybody."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = np.float32(max(width, 0) * max(height, 0))
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def plain_nms(boxes, scores, threshold, labels=None):
    """Indices that stay, by the definition."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        near = [j for j in kept if labels is None or labels[i] == labels[j]]
        if all(overlap(boxes[i], boxes[j]) <= np.float32(threshold) for j in near):
            kept.append(i)
    return kept


def plain_soft_nms(boxes, scores, weigh, least):
    """Indices in order of choice and their scores, by the definition."""
    left, chosen = dict(enumerate(scores.astype(np.float64))), []
    while left:
        best = max(left, key=lambda i: (left[i], -i))
        score = left.pop(best)
        if score <= least:
            break
        chosen.append((best, score))
        left = {i: s * weigh(overlap(boxes[best], boxes[i])) for i, s in left.items()}
    return chosen


def tensors(*arrays):
    return [mcore.from_numpy(array) for array in arrays]


@given(seed=st.integers(0, 10_000), k=st.integers(0, 70), threshold=st.sampled_from((0.0, 0.3, 0.5, 1.0)))
@settings(max_examples=30, deadline=None)
def test_what_stays_is_what_a_plain_loop_keeps(seed, k, threshold):
    boxes, scores, _ = crowd(seed, k)

    got = nms(*tensors(boxes, scores), threshold)

    assert got.tolist() == plain_nms(boxes, scores, threshold)


@given(seed=st.integers(0, 10_000), k=st.integers(0, 70))
@settings(max_examples=20, deadline=None)
def test_boxes_of_different_labels_leave_each_other_alone(seed, k):
    boxes, scores, labels = crowd(seed, k)

    got = batched_nms(*tensors(boxes, scores, labels), 0.4)

    assert got.tolist() == plain_nms(boxes, scores, 0.4, labels)


def test_more_boxes_than_one_block_holds_are_kept_as_by_a_plain_loop():
    boxes, scores, _ = crowd(0, 3000)
    boxes += np.random.RandomState(1).randint(0, 60, (3000, 1)).astype(np.float32) * 25

    got = nms(*tensors(boxes, scores), 0.3)

    assert got.tolist() == plain_nms(boxes, scores, 0.3)


def test_coordinates_of_any_size_keep_labels_apart():
    boxes = mcore.tensor([[1e6, 1e6, 1e6 + 2, 1e6 + 2], [1e6, 1e6, 1e6 + 2, 1e6 + 2]])

    assert batched_nms(boxes, mcore.tensor([0.4, 0.6]), mcore.tensor([0, 90])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("method", "weigh"),
    [
        ("linear", lambda overlap: 1 - overlap if overlap > 0.3 else 1.0),
        ("gaussian", lambda overlap: np.exp(-(overlap**2) / 0.5)),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_soft_suppression_lowers_scores_as_a_plain_loop_does(method, weigh, seed):
    boxes, _, _ = crowd(seed, 30)
    scores = np.random.RandomState(seed).permutation(30).astype(np.float32) / 30
    expected = plain_soft_nms(boxes, scores, weigh, 0.01)

    chosen, left = soft_nms(*tensors(boxes, scores), method=method, score_threshold=0.01)

    assert chosen.tolist() == [index for index, _ in expected]
    np.testing.assert_allclose(left.numpy(), [score for _, score in expected], rtol=1e-4)


def test_soft_suppression_of_nothing_is_nothing():
    chosen, left = soft_nms(mcore.zeros(0, 4), mcore.zeros(0))

    assert (tuple(chosen.shape), tuple(left.shape)) == ((0,), (0,))


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="soft_nms: method='hard' is not 'linear' or 'gaussian'"):
        soft_nms(mcore.zeros(1, 4), mcore.zeros(1), method="hard")


# --- detections


def plain_detections(boxes, scores, *, threshold, overlap, top):
    """(class, score, box) of one image, by the definition: all candidates, class by class."""
    found = []
    for label in range(scores.shape[1]):
        places = np.flatnonzero(scores[:, label] > threshold)
        kept = plain_nms(boxes[places], scores[places, label], overlap)
        found += [(float(scores[places[i], label]), label, boxes[places[i]].tolist()) for i in kept]
    return sorted(found, key=lambda row: -row[0])[:top]


def scored(seed, n, k, classes):
    random = np.random.RandomState(seed)
    boxes = np.stack([crowd(seed + i, k)[0] for i in range(n)])
    # All different, so that the order is one.
    return boxes, (random.permutation(n * k * classes).reshape(n, k, classes) / (n * k * classes)).astype(np.float32)


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_detections_are_the_best_of_what_a_plain_loop_keeps(seed, by_class):
    boxes, scores = scored(seed, 2, 40, 3)

    got = detections(*tensors(boxes, scores), score_threshold=0.3, nms=0.4, top=20, by_class=by_class)

    for image in range(2):
        expected = plain_detections(boxes[image], scores[image], threshold=0.3, overlap=0.4, top=20)
        assert got["labels"][image].tolist() == [label for _, label, _ in expected]
        assert got["boxes"][image].tolist() == [box for _, _, box in expected]
        np.testing.assert_allclose(got["scores"][image].numpy(), [score for score, _, _ in expected])


def test_rows_without_a_detection_come_last_and_say_so():
    boxes = mcore.tensor([[[0.0, 0.0, 4.0, 4.0], [8.0, 8.0, 9.0, 9.0]]])
    scores = mcore.tensor([[[0.1, 0.04], [0.0, 0.2]]])

    got = detections(boxes, scores, top=4)

    assert got["labels"].tolist() == [[1, 0, -1, -1]]
    assert got["boxes"].tolist() == [[[8.0, 8.0, 9.0, 9.0], [0.0, 0.0, 4.0, 4.0], [0.0] * 4, [0.0] * 4]]
    np.testing.assert_allclose(got["scores"].numpy(), [[0.2, 0.1, 0.0, 0.0]])


def test_without_suppression_all_that_overlap_are_found():
    boxes = mcore.tensor([[[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 4.0]]])

    got = detections(boxes, mcore.tensor([[[0.3], [0.2]]]), nms=None, top=2)

    assert got["labels"].tolist() == [[0, 0]]


def test_of_each_level_only_the_best_candidates_take_part():
    boxes, scores = mcore.arange(6).reshape(1, 6, 1).expand(1, 6, 4).float(), mcore.arange(1, 7).reshape(1, 6, 1) / 10

    got = detections((boxes, boxes), (scores, scores / 10), nms=None, candidates=2, top=5, score_threshold=0.0)

    np.testing.assert_allclose(got["scores"].numpy(), [[0.6, 0.5, 0.06, 0.05, 0.0]], rtol=1e-5)


class Detects(mcore.Module):
    def __init__(self, by_class=False):
        super().__init__()
        self.by_class = by_class

    def forward(self, corners, likely):
        return detections(corners, likely, score_threshold=0.3, top=15, candidates=30, by_class=self.by_class)


@pytest.mark.parametrize("by_class", [False, True])
def test_detections_export_once_for_every_batch_and_number_of_boxes(by_class, tmp_path):
    sizes = [tuple(tensors(*scored(seed, n, k, 3))) for seed, n, k in ((0, 1, 40), (1, 3, 20), (2, 2, 77))]

    artifact = mcore.toplatform(
        Detects(by_class).eval(), tmp_path / "net", inputs=sizes, strict=True, description=False
    )

    assert "NonMaxSuppression" in {node.op_type for node in artifact.model.graph.node}
    assert artifact.report.largest < 1e-6
    assert all({0, 1} <= set(artifact.report.axes[value.name]) for value in artifact.model.graph.input)


class Keeps(mcore.Module):
    def forward(self, boxes, scores, labels):
        return F.nms_mask(boxes, scores, 0.4, labels), batched_nms(boxes[0], scores[0], labels[0], 0.4)


def test_suppression_exports_with_open_axes(tmp_path):
    sizes = []
    for seed, n, k in ((0, 2, 30), (3, 1, 47)):
        arrays = [np.stack(arrays) for arrays in zip(*(crowd(seed + i, k) for i in range(n)), strict=True)]
        sizes.append(tuple(tensors(*arrays)))

    artifact = mcore.toplatform(Keeps().eval(), tmp_path / "net", inputs=sizes, strict=True, description=False)

    assert artifact.report.largest == 0


@pytest.mark.skipif(mcore.backend() != "torch", reason="only the torch engine records torch modules")
def test_soft_suppression_does_not_export():
    class Softens(mcore.Module):
        def forward(self, boxes, scores):
            return soft_nms(boxes, scores)[0]

    boxes, scores, _ = crowd(0, 10)

    with pytest.raises(Exception, match="value"):
        mcore.to_onnx(Softens().eval(), tuple(tensors(boxes, scores)), strict=True)
