"""The saver: what it saves by its rules, what it keeps, and that it goes on wherever it was stopped."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcore.checkpoint import NotFound, Repository, Saver
from mcore.checkpoint import given as told
from mcore.checkpoint.parts import facts
from mcore.checkpoint.rules import lower_is_better, rules_of
from mcore.checkpoint.store.base import record_key
from tests.checkpoint.made import put
from tests.checkpoint.tiny import Tiny

PLACE = {"task": "segmentation", "network": "UNet"}
ADDRESS = "networks/segmentation/UNet"


class Quick(Repository):
    """Saves a small array instead of a network."""

    def save(self, net, *, metrics=None, tags=(), **more):
        arrays = {"": {"w": np.array([len(self.ids(deleted=True))], np.float32)}}
        return put(self, arrays, metrics=told.metrics_of(metrics), tags=told.tags_of(tags), **more)


@pytest.fixture
def repo(tmp_path):
    return Quick(tmp_path, author="ann")


def saver(repo, rule="max:miou", **more):
    return Saver(repo, rule, **{**PLACE, **more})


def fed(saver, *values, name="miou"):
    """Whether each of these values was saved."""
    return [saver(None, metrics={name: value}) is not None for value in values]


def values(repo, name="miou"):
    return [record.values.get(name) for record in repo.records()]


# --- deciding


def test_only_what_is_better_than_the_worst_of_the_kept_is_saved(repo):
    assert fed(saver(repo, keep=2), 0.5, 0.4, 0.3, 0.45, 0.6) == [True, True, False, True, True]


def test_the_best_few_stay_and_the_others_are_deleted(repo):
    fed(saver(repo, keep=2), 0.5, 0.4, 0.45, 0.6)

    assert values(repo) == [0.5, 0.6]
    assert len(repo.ids(deleted=True)) == 4


def test_a_step_that_comes_again_after_a_kill_is_not_saved_twice(repo):
    first = saver(repo, keep=2)(None, metrics={"miou": 0.5}, step=10)

    again = saver(repo, keep=2)(None, metrics={"miou": 0.5}, step=10)

    assert again == first
    assert values(repo) == [0.5]


def test_a_rule_of_min_keeps_the_lowest(repo):
    assert fed(saver(repo, "min:loss", keep=1), 3, 2, 2.5, 1, name="loss") == [True, True, False, True]
    assert values(repo, "loss") == [1]


def test_a_tie_leaves_the_older(repo):
    one = saver(repo, keep=1)
    first = one(None, metrics={"miou": 0.5})

    assert one(None, metrics={"miou": 0.5}) is None
    assert repo.resolve(f"{ADDRESS}@best") == first


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_wins_and_is_told(repo, value):
    one = saver(repo)

    with pytest.warns(UserWarning, match="miou is -?(nan|inf); it never wins"):
        assert one(None, metrics={"miou": value}) is None

    assert repo.ids() == []


def test_a_metric_that_is_not_finite_does_not_hinder_another_rule(repo):
    one = saver(repo, ["max:miou", "min:loss"])

    with pytest.warns(UserWarning, match="miou is nan"):
        id = one(None, metrics={"miou": math.nan, "loss": 1.0})

    assert repo.record(id).rule == "min:loss"
    assert repo.record(id).values == {"loss": 1.0}
    with pytest.raises(NotFound, match="has no 'best'"):
        repo.resolve(f"{ADDRESS}@best")


def test_nothing_is_saved_for_less_than_min_delta_once_all_places_are_taken(repo):
    assert fed(saver(repo, keep=1, min_delta=0.1), 0.5, 0.59, 0.7) == [True, False, True]


def test_keep_of_none_keeps_all(repo):
    assert fed(saver(repo, keep=None), 0.5, 0.1, 0.3) == [True] * 3
    assert values(repo) == [0.5, 0.1, 0.3]


def test_each_of_several_rules_keeps_its_own_best(repo):
    one = saver(repo, ["max:miou", "min:loss"], keep=1)
    for miou, loss in [(0.5, 1.0), (0.6, 2.0), (0.4, 0.5), (0.55, 0.7)]:
        one(None, metrics={"miou": miou, "loss": loss})

    assert values(repo) == [0.6, 0.4]
    assert repo.record(f"{ADDRESS}@best").values["miou"] == 0.6
    assert repo.record(f"{ADDRESS}@best-loss").values["loss"] == 0.5
    assert repo.record(f"{ADDRESS}@best-miou").id == repo.resolve(f"{ADDRESS}@best")


def test_a_checkpoint_says_which_rules_saved_it_and_at_which_step(repo):
    one = saver(repo, ["max:val.miou", "val.loss"], every=10)

    record = repo.record(one(None, metrics={"val": {"miou": 0.5, "loss": 1}}, step=20, facts={"epoch": 2}))

    assert record.rule == "max:val.miou, min:val.loss, every:10"
    assert record.facts == {"epoch": 2, "step": 20}
    assert [(metric.key, metric.better) for metric in record.metrics] == [
        ("val.miou", "higher"),
        ("val.loss", "lower"),
    ]


def test_every_counts_steps_that_went_by_and_what_it_saved_stays(repo):
    one = saver(repo, (), every=100)

    saved = [one(None, step=step) is not None for step in (0, 60, 130, 190, 260, 400)]

    assert saved == [False, False, True, False, True, True]
    assert len(repo.ids()) == 3


def test_every_without_a_step_is_refused(repo):
    with pytest.raises(ValueError, match="every=100 counts steps; call it with step="):
        saver(repo, (), every=100)(None)


def test_keep_last_saves_at_each_call_and_keeps_the_last_and_the_best(repo):
    one = saver(repo, keep=1, keep_last=True)

    assert fed(one, 0.5, 0.9, 0.4, 0.3) == [True] * 4
    assert values(repo) == [0.9, 0.3]
    assert repo.record(f"{ADDRESS}@last").values == {"miou": 0.3}


def test_aliases_follow_the_best_and_the_last(repo):
    one, ids = saver(repo, keep=2), []
    for value in (0.5, 0.7, 0.6):
        ids.append(one(None, metrics={"miou": value}))

    assert repo.resolve(f"{ADDRESS}@best") == ids[1] == one.best()
    assert repo.resolve(f"{ADDRESS}@last") == ids[2]


def test_an_alias_that_stays_makes_no_event(repo):
    one = saver(repo)
    fed(one, 0.7, 0.6, 0.5)

    assert sum(event.name == "best" for event in repo.history.all()) == 1


# --- what it goes by


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        *(
            ("val.loss", True),
            ("train.error_rate", True),
            ("L1", True),
            ("mae", True),
            ("mse", True),
            ("dice_loss", True),
        ),
        *(("perplexity", True), ("valLoss", True), ("hd95", True), ("val.rmse@cremi", True), ("loss_cls", True)),
        *(("mIoU", False), ("val.mAP", False), ("acc", False), ("dice", False), ("brightness", False), ("f1", False)),
        *(("glossiness", False), ("classes", False)),
    ],
)
def test_the_better_side_is_told_by_the_words_of_the_name(metric, lower):
    assert lower_is_better(metric) is lower


def test_a_name_that_says_both_needs_max_or_min():
    with pytest.raises(ValueError, match=r'"loss_accuracy" or "max:loss_accuracy"|write "min:loss_accuracy" or'):
        rules_of("loss_accuracy")

    assert not rules_of("max:loss_accuracy")[0].lower


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("top:miou", 'begins with \'top\'; write "max:miou" or "min:miou"'),
        ("max:", "names no metric"),
        ("", "names no metric"),
        ("max:a b", "names no metric"),
        (["max:miou", "min:miou"], "miou is there twice"),
        ([3], "is no text"),
    ],
)
def test_a_rule_that_can_not_be_read_is_refused(repo, rule, message):
    with pytest.raises(ValueError, match=message):
        saver(repo, rule)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"rule": ()}, "nothing says when to save"),
        ({"keep": 0}, "keep is a whole number of at least 1, or None; got 0"),
        ({"keep": True}, "keep is a whole number"),
        ({"every": 0}, "every is a whole number of at least 1"),
        ({"min_delta": math.nan}, "min_delta is a number of at least 0"),
        ({"min_delta": -1}, "min_delta is a number of at least 0"),
        ({"run": "../x"}, "run is a name of at most 50"),
        ({"rule": [f"max:metric_{number:04}" for number in range(20)]}, "20 rules are too many"),
    ],
)
def test_options_that_make_no_sense_are_refused(repo, more, message):
    with pytest.raises(ValueError, match=message):
        saver(repo, **more)


def test_a_metric_that_is_missing_is_told_with_the_nearest(repo):
    with pytest.raises(ValueError, match=r"the rule max:val.miou goes by 'val.miou', .* there are val.mIoU"):
        saver(repo, "max:val.miou")(None, metrics={"val": {"mIoU": 0.5}, "loss": 1})

    assert repo.ids() == []


def test_a_metric_that_is_no_number_is_refused(repo):
    with pytest.raises(TypeError, match=r"val\.miou is str 'high'"):
        saver(repo, "max:val.miou")(None, metrics={"val": {"miou": "high"}})


# --- whose checkpoints are whose


def test_a_new_saver_goes_on_where_the_last_one_stopped(repo, tmp_path):
    fed(saver(repo, keep=2), 0.5, 0.7)

    later = saver(Quick(tmp_path), keep=2)

    assert fed(later, 0.4, 0.6) == [False, True]
    assert values(repo) == [0.7, 0.6]


def test_another_run_has_its_own_best(repo):
    one, other = saver(repo, keep=1, run="one"), saver(repo, keep=1, run="other")

    assert fed(one, 0.9) + fed(other, 0.5, 0.6) == [True, True, True]
    assert values(repo) == [0.9, 0.6]
    assert repo.record(f"{ADDRESS}@best-one").values == {"miou": 0.9}
    assert repo.record(f"{ADDRESS}@best-other").tags == {"run": "other"}


@pytest.mark.parametrize("more", [{"network": "UNet3"}, {"task": "depth"}, {"rule": "max:dice"}])
def test_checkpoints_of_other_networks_tasks_and_rules_are_left_alone(repo, more):
    fed(saver(repo, keep=1), 0.9)

    other = saver(repo, **{"keep": 1, **more})
    saved = [other(None, metrics={"miou": value, "dice": value}) for value in (0.1, 0.2)]

    assert all(saved)
    assert values(repo) == [0.9, 0.2]


def test_what_was_saved_by_hand_is_never_pruned(repo):
    byhand = put(repo, metrics=[{"name": "miou", "value": 0.1}])

    fed(saver(repo, keep=1), 0.5, 0.6)

    assert byhand in repo.ids()


def test_what_is_tagged_keep_or_has_an_alias_of_somebody_else_stays(repo, tmp_path):
    one, other = saver(repo, keep=1), Repository(tmp_path)
    other.tag(one(None, metrics={"miou": 0.1}), "keep")
    other.alias(one(None, metrics={"miou": 0.2}), "production")

    fed(one, 0.5, 0.6)

    assert values(repo) == [0.1, 0.2, 0.6]


def test_what_somebody_deleted_makes_room(repo):
    one = saver(repo, keep=1)
    repo.delete(one(None, metrics={"miou": 0.9}))

    assert fed(saver(repo, keep=1), 0.5) == [True]


def test_a_damaged_record_is_told_and_left_alone(repo):
    id = saver(repo)(None, metrics={"miou": 0.9})
    (repo.store.path / record_key(id)).write_text("{")

    with pytest.warns(UserWarning, match=f"record {id}: not the JSON of a record"):
        assert fed(saver(repo), 0.5) == [True]


@given(
    scores=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan]), max_size=12),
    keep=st.integers(1, 4),
    lower=st.booleans(),
    restarts=st.sets(st.integers(0, 11)),
)
@settings(max_examples=12, deadline=None)
@pytest.mark.filterwarnings("ignore:Saver")
def test_what_stays_is_the_best_few_the_older_of_equal_ones(scores, keep, lower, restarts):
    with tempfile.TemporaryDirectory() as folder:
        repo = Quick(folder)
        rule = "min:m" if lower else "max:m"
        one, ids = saver(repo, rule, keep=keep), {}
        for number, score in enumerate(scores):
            if number in restarts:
                one = saver(Quick(folder), rule, keep=keep)
            id = one(None, metrics={"m": score})
            if id:
                ids[id] = number
        finite = [(score, number) for number, score in enumerate(scores) if not math.isnan(score)]
        best = sorted(finite, key=lambda pair: (pair[0] if lower else -pair[0], pair[1]))[:keep]

        assert [ids[id] for id in repo.ids()] == sorted(number for _, number in best)
        if best:
            assert ids[repo.resolve(f"{ADDRESS}@best")] == best[0][1]


# --- networks, and faults


def test_a_network_finds_its_own_place_and_is_saved_with_its_weights(tmp_path):
    repo, net = Repository(tmp_path), Tiny()
    one = Saver(repo, "max:miou", task="segmentation", keep=1)

    ids = [one(net, metrics={"miou": value}, tags=["em"]) for value in (0.5, 0.6)]

    record = repo.record("networks/segmentation/Tiny@best")
    assert (record.id, record.tags) == (ids[1], {"em": ""})
    assert repo.verify() == []
    # The same weights are stored once.
    assert len([*repo.store.files("blobs/sha256/")]) == 1


def test_a_network_is_described_once_and_not_at_each_call(tmp_path, monkeypatch):
    one, net, asked = Saver(Repository(tmp_path), "max:miou", task="segmentation", keep=1), Tiny(), []
    one(net, metrics={"miou": 0.5})
    monkeypatch.setattr(facts, "described", lambda *args: asked.append(args))

    assert one(net, metrics={"miou": 0.4}) is None

    assert asked == []


def test_an_interrupted_call_is_made_good_by_the_next(repo, monkeypatch):
    one = saver(repo, keep=1)
    fed(one, 0.5)

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(repo, "alias", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one(None, metrics={"miou": 0.9})
    monkeypatch.undo()

    assert fed(one, 0.6) == [False]
    assert values(repo) == [0.9]
    assert repo.record(f"{ADDRESS}@best").values == {"miou": 0.9}


CHILD = """
import os, signal, sys
import numpy as np
from tests.checkpoint.test_saver import Quick, saver

repo = Quick({folder!r})

def killed(*args):
    os.kill(os.getpid(), signal.SIGKILL)

one = saver(repo, keep=2)
for number in range({first}, {last}):
    if number == {last} - 1:
        {fault}
    one(None, metrics={{"miou": float(number)}})
"""


def child(folder, fault="pass", first=0, last=3):
    code = textwrap.dedent(CHILD).format(folder=str(folder), fault=fault, first=first, last=last)
    environment = {**os.environ, "MCORE_BACKEND": "platform"}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=os.getcwd())


@pytest.mark.parametrize("fault", ["repo.delete = killed", "repo.alias = killed"])
def test_a_saver_that_was_killed_before_it_pruned_is_put_in_order_by_the_next(tmp_path, fault):
    assert child(tmp_path, fault).wait(60) == -signal.SIGKILL
    repo = Quick(tmp_path)
    assert values(repo) == [0.0, 1.0, 2.0]

    fed(saver(repo, keep=2), 0.5)

    assert values(repo) == [1.0, 2.0]
    assert repo.record(f"{ADDRESS}@best").values == {"miou": 2.0}


def records_of(folder):
    return sum(1 for _ in (folder / "records").rglob("*.json"))


@pytest.mark.long
def test_killed_at_any_moment_every_checkpoint_is_whole_and_the_best_is_there(tmp_path):
    chance = np.random.default_rng(0)
    first = 0
    for _ in range(20):
        before = records_of(tmp_path)
        process = child(tmp_path, first=first, last=first + 10_000)
        # However long it takes to start: nothing is written before.
        while process.poll() is None and records_of(tmp_path) == before:
            time.sleep(0.01)
        time.sleep(float(chance.uniform(0.0, 0.5)))
        process.kill()
        process.wait()
        repo = Quick(tmp_path)
        seen = values(repo)
        assert repo.verify() == []
        if seen:
            first = int(max(seen)) + 1
            saver(repo, keep=2)(None, metrics={"miou": -1.0})
            assert values(repo) == sorted(seen)[-2:]
            assert repo.record(f"{ADDRESS}@best").values == {"miou": max(seen)}
    assert first > 20
