"""Metrics: what torchmetrics and MONAI would say, by name, with what each needs to know taken from the batch."""

import os
import subprocess
import sys
import types

import pytest
import torch

from mcore.config import ConfigError
from mcore.training.errors import TrainingError
from mcore.training.objectives.metrics import Metrics
from tests.training.objectives.made import Heads, batch, objective, settings


def metrics(said, losses="cross_entropy", net=None):
    return Metrics(settings(metrics=said).metrics, objective(losses, net), device="cpu")


def told(said, outputs, samples, losses="cross_entropy", count=None):
    judged = metrics(said, losses)
    judged.update(outputs, samples, count)
    return judged.compute()


@pytest.fixture
def scores():
    return torch.randn(4, 3, 6, 6)


@pytest.fixture
def samples():
    return {key: value for key, value in batch(4).items() if key != "label"}


def intersections(labels, mask):
    return [float(((labels == one) & (mask == one)).sum()) for one in range(3)]


# --- numbers


def test_iou_is_the_mean_over_the_classes(scores, samples):
    labels, mask = scores.argmax(1), samples["mask"]
    unions = [float(((labels == one) | (mask == one)).sum()) for one in range(3)]
    wanted = sum(both / union for both, union in zip(intersections(labels, mask), unions, strict=True)) / 3

    assert told("iou", scores, samples) == {"iou": pytest.approx(wanted)}


@pytest.mark.parametrize("name", ["dice", "f1"])
def test_dice_is_the_mean_over_the_classes(scores, samples, name):
    labels, mask = scores.argmax(1), samples["mask"]
    sums = [float((labels == one).sum() + (mask == one).sum()) for one in range(3)]
    wanted = sum(2 * both / each for both, each in zip(intersections(labels, mask), sums, strict=True)) / 3

    assert told(name, scores, samples) == {name: pytest.approx(wanted)}


def test_accuracy_is_the_share_of_pixels_that_are_right(scores, samples):
    wanted = (scores.argmax(1) == samples["mask"]).float().mean()

    assert told("accuracy", scores, samples) == {"accuracy": pytest.approx(float(wanted))}


def test_scores_that_happen_to_be_from_0_to_1_are_no_probabilities(samples):
    scores = torch.full((4, 1, 6, 6), 0.3)

    got = told("accuracy", scores, {**samples, "mask": torch.ones(4, 6, 6).long()}, losses="binary_cross_entropy")

    assert got == {"accuracy": 1.0}


def test_a_binary_metric_of_two_classes_is_that_of_the_second(samples):
    scores, mask = torch.randn(4, 2, 6, 6), (samples["mask"] > 0).long()
    wanted = ((scores.argmax(1) == 1) == (mask == 1)).float().mean()

    got = told({"type": "Accuracy", "task": "binary"}, scores, {**samples, "mask": mask})

    assert got == {"accuracy": pytest.approx(float(wanted))}


def test_channels_that_are_labels_by_themselves_are_judged_so(samples):
    scores, mask = torch.randn(4, 3, 6, 6), torch.randint(0, 2, (4, 3, 6, 6)).float()
    wanted = ((scores > 0) == (mask > 0)).float().mean()

    got = told("accuracy", scores, {**samples, "mask": mask}, losses="binary_cross_entropy")

    assert got == {"accuracy": pytest.approx(float(wanted))}


@pytest.mark.parametrize("name", ["mae", "mse", "rmse", "psnr"])
def test_differences_are_what_they_are_called(name):
    x, y = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    mse = float((x - y).square().mean())
    wanted = {"mae": float((x - y).abs().mean()), "mse": mse, "rmse": mse**0.5, "psnr": -10 * torch.tensor(mse).log10()}

    assert told(name, x, {"image": y}, losses="l1") == {name: pytest.approx(float(wanted[name]), rel=1e-5)}


def test_the_metric_ssim_is_one_less_the_loss_ssim():
    x, y = torch.rand(1, 1, 12, 12), torch.rand(1, 1, 12, 12)
    loss, _ = objective("ssim")(x, {"image": y})

    assert told("ssim", x, {"image": y}, losses="l1") == {"ssim": pytest.approx(1 - float(loss), rel=1e-5)}


def test_a_metric_of_regions_is_given_classes(scores, samples):
    from torchmetrics.segmentation import MeanIoU

    wanted = MeanIoU(num_classes=3, input_format="index")
    wanted.update(scores.argmax(1), samples["mask"])

    assert told("MeanIoU", scores, samples) == {"mean_io_u": pytest.approx(float(wanted.compute()))}


def test_a_metric_of_regions_of_one_channel_knows_yes_and_no(samples):
    scores, mask = torch.randn(4, 1, 6, 6), (samples["mask"] > 0).long()
    both, sums = ((scores[:, 0] > 0) & (mask > 0)).sum((1, 2)), (scores[:, 0] > 0).sum((1, 2)) + mask.sum((1, 2))
    said = {"type": "DiceScore", "include_background": False}

    got = told(said, scores, {**samples, "mask": mask}, losses="dice")

    assert got == {"dice_score": pytest.approx(float((2 * both / sums).mean()))}


def test_a_metric_of_monai_is_given_one_hot_classes(scores, samples):
    monai = pytest.importorskip("monai.metrics")
    wanted, hot = monai.DiceMetric(), torch.nn.functional.one_hot
    wanted(*(hot(one, 3).movedim(-1, 1) for one in (scores.argmax(1), samples["mask"])))

    assert told("monai.DiceMetric", scores, samples) == {"dice_metric": pytest.approx(float(wanted.aggregate()))}


def test_a_metric_of_monai_of_values_is_given_values():
    pytest.importorskip("monai")
    x, y = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)

    got = told("monai.MAEMetric", x, {"image": y}, losses="l1")

    assert got == {"mae_metric": pytest.approx(float((x - y).abs().mean()), rel=1e-5)}


def test_a_metric_of_ones_own_is_given_both_as_they_are(monkeypatch, scores, samples):
    class Seen:
        def update(self, output, target):
            self.shapes = len(output.shape) + 10 * len(target.shape)

        def compute(self):
            return self.shapes

        def reset(self):
            self.shapes = 0

    module = types.ModuleType("own_metrics")
    module.Seen = Seen
    monkeypatch.setitem(sys.modules, "own_metrics", module)

    assert told("own_metrics:Seen", scores, samples) == {"seen": 34.0}


def test_a_metric_of_each_class_has_a_number_for_each(scores, samples):
    got = told({"type": "iou", "average": "none", "name": "of"}, scores, samples)

    assert list(got) == ["of.0", "of.1", "of.2"]


def test_what_a_loss_leaves_out_a_metric_leaves_out(scores, samples):
    samples["mask"][2:] = 255
    losses = {"type": "cross_entropy", "ignore_index": 255}
    wanted = (scores.argmax(1) == samples["mask"])[:2].float().mean()

    assert told("accuracy", scores, samples, losses=losses) == {"accuracy": pytest.approx(float(wanted))}


def test_a_metric_may_leave_out_another_label_than_the_loss(scores, samples):
    losses, mask = {"type": "cross_entropy", "ignore_index": 0}, samples["mask"]
    wanted = (scores.argmax(1) == mask)[mask != 1].float().mean()

    got = told({"type": "Accuracy", "ignore_index": 1}, scores, samples, losses=losses)

    assert got == {"accuracy": pytest.approx(float(wanted))}


def test_half_precise_outputs_are_judged_in_float32():
    x, y = torch.rand(1, 1, 8, 8).bfloat16(), torch.rand(1, 1, 8, 8)

    assert told("mse", x, {"image": y}, losses="l1") == told("mse", x.float(), {"image": y}, losses="l1")


def test_the_name_of_a_class_says_its_task(samples):
    scores, mask = torch.randn(4, 2, 6, 6), (samples["mask"] > 0).long()

    got = told("BinaryAccuracy", scores, {**samples, "mask": mask})

    assert got == {"binary_accuracy": told("accuracy", scores, {**samples, "mask": mask})["accuracy"]}


def test_regions_of_shares_of_classes_are_those_of_the_largest(scores, samples):
    shares = torch.nn.functional.one_hot(samples["mask"], 3).movedim(-1, 1) * 0.8 + 0.1

    assert told("MeanIoU", scores, {**samples, "mask": shares}) == told("MeanIoU", scores, samples)


def test_a_metric_of_monai_is_given_channels_that_are_labels_by_themselves():
    monai = pytest.importorskip("monai.metrics")
    scores, mask = torch.randn(2, 3, 6, 6), torch.randint(0, 2, (2, 3, 6, 6)).float()
    wanted = monai.DiceMetric()
    wanted((scores > 0).float(), mask)

    got = told("monai.DiceMetric", scores, {"image": scores, "mask": mask}, losses="binary_cross_entropy")

    assert got == {"dice_metric": pytest.approx(float(wanted.aggregate()))}


# --- batches, heads


def test_only_the_first_samples_of_a_batch_count(scores, samples):
    wanted = (scores.argmax(1) == samples["mask"])[:3].float().mean()

    assert told("accuracy", scores, samples, count=3) == {"accuracy": pytest.approx(float(wanted))}


def test_batches_count_together_until_they_are_forgotten(scores, samples):
    judged = metrics("accuracy")
    whole = (scores.argmax(1) == samples["mask"]).float()
    for part in (slice(0, 1), slice(1, 4)):
        judged.update(scores[part], {key: value[part] for key, value in samples.items()})
    assert judged.compute() == {"accuracy": pytest.approx(float(whole.mean()))}

    judged.reset()
    judged.update(scores, samples, 1)

    assert judged.compute() == {"accuracy": pytest.approx(float(whole[0].mean()))}


def test_metrics_of_several_heads_have_the_head_before_their_name():
    net, samples = Heads(), batch(4)
    judged = metrics({"mask": "iou", "label": "accuracy"}, {"mask": "dice", "label": "cross_entropy"}, net)

    judged.update(net(samples["image"]), samples)

    assert list(judged.compute()) == ["mask.iou", "label.accuracy"]


def test_a_head_that_validation_does_not_have_is_not_judged(scores, samples):
    net = torch.nn.Identity()
    losses = {"mask": "cross_entropy", "auxiliary": {"type": "cross_entropy", "target": "mask"}}
    judged = metrics({"mask": "iou", "auxiliary": "iou"}, losses, net)
    net.eval()

    judged.update({"mask": scores}, samples)

    assert list(judged.compute()) == ["mask.iou"]


def test_nothing_to_judge_by_gives_nothing(scores, samples):
    assert told({}, scores, samples) == {}


# --- refusals


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ("iuo", r"no metric 'iuo'; did you mean 'iou'\? Short names are iou, accuracy"),
        ("JacardIndex", r"did you mean 'JaccardIndex'\?"),
        ("MetricCollections", "there is no metric"),
        ({"type": "iou", "averge": "none"}, r"iou has no argument 'averge'; did you mean 'average'\?"),
        ({"type": "iou", "task": "multi"}, "iou: task='multi' is not one of binary, multiclass, multilabel"),
        ({"type": "monai.DiceMetric", "redction": "mean"}, r"no argument 'redction' \(did you mean 'reduction'\?\)"),
        ("monai.DiceMetrik", r"no 'monai.DiceMetrik'; did you mean 'DiceMetric'\?"),
        ("json:JSONDecoder", "is no class of a metric: it has update, compute, reset missing"),
        (["iou", "iou"], "two metrics are called 'iou'"),
        ({"outptu": "iou"}, r"no head 'outptu' \(did you mean 'output'\?\); losses are of output"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused_with_the_nearest_that_does(said, match):
    with pytest.raises(ConfigError, match=match):
        metrics(said)


def test_another_number_of_classes_than_the_head_has_is_refused(scores, samples):
    with pytest.raises(TrainingError, match="num_classes is 4, but the head gives 3 channels; leave it out"):
        told({"type": "iou", "num_classes": 4}, scores, samples)


def test_what_torchmetrics_refuses_is_told_with_the_metric_and_the_shapes(scores, samples):
    samples["mask"][0, 0, 0] = 9
    with pytest.raises(TrainingError, match=r"metric iou of head 'output': .*; it was given \(4, 3, 6, 6\)"):
        told("iou", scores, samples)


def test_a_value_that_torchmetrics_refuses_is_told(scores, samples):
    with pytest.raises(TrainingError, match=r"metric iou: JaccardIndex: .*average"):
        told({"type": "iou", "average": "mean"}, scores, samples)


def test_a_metric_that_is_a_table_is_refused(scores, samples):
    with pytest.raises(TrainingError, match=r"metric confusion_matrix gives a Tensor of shape \(3, 3\)"):
        told("ConfusionMatrix", scores, samples)


# --- several processes

TWO = """
import torch
torch.distributed.init_process_group("gloo")
from mcore.training.errors import TrainingError
from tests.training.objectives.test_metrics import metrics
rank = torch.distributed.get_rank()
scores = torch.eye(3).repeat(4, 1, 1)[:, :, :, None]
mask = torch.arange(3).repeat(4, 1)[:, :, None]
mask[0] = 2
for names in (["accuracy", "iou"], ["AUROC"], ["monai.DiceMetric"]):
    judged = metrics(names)
    for _ in range(rank):  # the first process has no sample
        judged.update(scores, {"image": scores, "mask": mask})
    try:
        line = f"told {judged.compute()}"
    except TrainingError as error:
        line = f"refused {error}"
    print(line + "\\n", end="", flush=True)  # in one piece, between those of the other process
"""


@pytest.mark.long
def test_a_process_without_samples_counts_with_the_others_or_all_are_told(tmp_path):
    pytest.importorskip("monai")
    (tmp_path / "two.py").write_text(TWO)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]

    done = subprocess.run(
        [*launcher, str(tmp_path / "two.py")], env=os.environ | {"PYTHONPATH": "."}, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("told {'accuracy': 0.8333") == 2
    assert done.stdout.count("refused metric auroc: of 2 processes 1 had no sample") == 2
    assert done.stdout.count("refused metric dice_metric: of 2 processes 1 had no sample") == 2


def test_the_label_that_torchs_losses_leave_out_by_themselves_is_left_out(scores, samples):
    mask = samples["mask"].clone()
    mask[:, :2] = -100
    right = (scores.argmax(1) == mask)[:, 2:].float().mean()

    assert told("accuracy", scores, {**samples, "mask": mask}) == {"accuracy": pytest.approx(float(right))}
    assert 0 < told("iou", scores, {**samples, "mask": mask})["iou"] < 1
