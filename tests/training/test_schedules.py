"""Learning rates from step to step, and early stopping."""

import pytest
import torch

from mcore.training.errors import TrainingError
from mcore.training.schedules import Plan
from mcore.training.settings import EarlyStopping, Schedule
from mcore.training.stopping import Patience


def optimiser(lr=1.0):
    return torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "name": "rest"}], lr=lr)


def rates(total, **given):
    """The learning rate of each step."""
    of = optimiser()
    plan = Plan(of, Schedule.model_validate(given), total)
    found = []
    for _ in range(total):
        found.append(of.param_groups[0]["lr"])
        of.step()
        plan.step()
    return found


def test_a_constant_rate_stays():
    assert rates(3, type="constant") == [1.0] * 3


def test_a_cosine_begins_whole_and_is_halved_in_the_middle():
    found = rates(10, type="cosine")

    assert found[0] == 1.0
    assert found[5] == pytest.approx(0.5)
    assert found == sorted(found, reverse=True)


def test_a_polynomial_follows_its_power():
    assert rates(4, type="polynomial", power=2.0) == pytest.approx([1, 0.5625, 0.25, 0.0625])


def test_a_line_ends_at_its_share():
    assert rates(5, type="linear", end=0.5) == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6])


def test_warmup_rises_evenly_to_the_rate_and_the_shape_follows_it():
    assert rates(5, type="linear", warmup=3)[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_one_cycle_is_torchs():
    of = optimiser()
    theirs = torch.optim.lr_scheduler.OneCycleLR(of, 1.0, total_steps=101, cycle_momentum=False)
    expected = []
    for _ in range(101):
        expected.append(of.param_groups[0]["lr"])
        of.step()
        theirs.step()

    ours = rates(101, type="onecycle")

    # Theirs counts the last step as the end; ours, one later. Both peak at the rate itself.
    assert max(ours) == pytest.approx(max(expected), rel=1e-3)
    assert ours == pytest.approx(expected, abs=0.04)


def test_parts_keep_their_proportions():
    of = torch.optim.SGD(
        [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr, "name": str(lr)} for lr in (1.0, 0.1)]
    )
    plan = Plan(of, Schedule(type="cosine"), 10)
    of.step()
    plan.step()

    one, two = (group["lr"] for group in of.param_groups)
    assert one == pytest.approx(10 * two)


def test_torchs_schedules_are_there_by_their_names_also_behind_a_warmup():
    found = rates(6, type="StepLR", step_size=2, gamma=0.5, warmup=2)

    assert found[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert found[-1] == pytest.approx(0.5)


def test_a_plateau_goes_by_the_metric_of_validations():
    of = optimiser()
    plan = Plan(of, Schedule.model_validate({"type": "ReduceLROnPlateau", "patience": 0, "factor": 0.1}), 10)

    for loss in (1.0, 2.0):
        plan.judge({"validation.loss": loss})

    assert of.param_groups[0]["lr"] == pytest.approx(0.1)


def test_a_plateau_goes_up_or_down_as_its_rule_says():
    of = optimiser()
    given = {"type": "ReduceLROnPlateau", "patience": 0, "factor": 0.1, "metric": "max:validation.iou"}
    plan = Plan(of, Schedule.model_validate(given), 10)

    for iou in (0.1, 0.5, 0.9):
        plan.judge({"validation.iou": iou})

    assert plan.metric == "validation.iou"
    assert of.param_groups[0]["lr"] == 1.0


def test_a_plateau_without_its_metric_is_refused():
    plan = Plan(optimiser(), Schedule.model_validate({"type": "ReduceLROnPlateau", "metric": "validation.iou"}), 10)

    with pytest.raises(TrainingError, match=r"'validation\.iou', which isn't measured; there is validation\.loss"):
        plan.judge({"validation.loss": 1.0})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "cosin"}, "no schedule 'cosin' \\(did you mean 'cosine'"),
        ({"type": "cosine", "power": 2}, "cosine takes no 'power'; its arguments are end"),
        ({"type": "cosine", "metric": "validation.iou"}, "cosine takes no 'metric'"),
        ({"type": "StepLR"}, "StepLR: .*step_size"),
        ({"type": "cosine", "warmup": 10}, "warmup=10 steps, but training has 10 in all"),
    ],
)
def test_what_no_schedule_can_do_is_refused_by_name(given, words):
    with pytest.raises(TrainingError, match=words):
        Plan(optimiser(), Schedule.model_validate(given), 10)


def test_a_plan_goes_on_where_another_stopped():
    whole = rates(10, type="cosine", warmup=2)
    of = optimiser()
    plan = Plan(of, Schedule(type="cosine", warmup=2), 10)
    for _ in range(4):
        of.step()
        plan.step()
    later = optimiser()
    after = Plan(later, Schedule(type="cosine", warmup=2), 10)
    later.load_state_dict(of.state_dict())
    after.load_state_dict(plan.state_dict())

    later.step()
    after.step()

    assert later.param_groups[0]["lr"] == pytest.approx(whole[5])


# --- early stopping


def waits(values, **given):
    patience = Patience(EarlyStopping.model_validate(given))
    return [patience.ends({"validation.loss": value}) for value in values]


def test_patience_ends_after_so_many_validations_that_were_no_better():
    assert waits([1.0, 0.5, 0.6, 0.5], patience=2) == [False, False, False, True]


def test_what_is_better_by_too_little_is_no_better():
    assert waits([1.0, 0.95], patience=1, min_delta=0.1) == [False, True]


def test_a_number_that_is_none_is_no_better():
    assert waits([1.0, float("nan")], patience=1) == [False, True]


def test_a_count_by_another_rule_is_begun_anew():
    one = Patience(EarlyStopping(patience=2))
    one.ends({"validation.loss": 0.1})
    other = Patience(EarlyStopping(metric="max:validation.iou", patience=2))

    other.load_state_dict(one.state_dict())

    assert (other.best, other.waited) == (None, 0)


def test_a_count_goes_on_where_another_stopped():
    one = Patience(EarlyStopping(patience=2))
    for loss in (0.1, 0.2):
        one.ends({"validation.loss": loss})
    other = Patience(EarlyStopping(patience=2))

    other.load_state_dict(one.state_dict())

    assert other.ends({"validation.loss": 0.15})


def test_a_metric_that_is_not_measured_is_refused():
    with pytest.raises(TrainingError, match=r"goes by 'validation\.loss', but there is validation\.iou"):
        Patience(EarlyStopping()).ends({"validation.iou": 1.0})
