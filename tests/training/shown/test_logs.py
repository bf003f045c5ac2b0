"""The log of a run: its lines, what a kill leaves, going on, and TensorBoard's files."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mcore.training.shown.logs import Log, events


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def board(folder):
    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def test_an_event_is_a_json_line_that_begins_with_its_name(tmp_path):
    with Log(tmp_path / "new" / "run") as log:
        log.write(event="step", step=1, loss=0.5, losses={"mask.dice": 0.25})

    text = (tmp_path / "new" / "run" / "log.jsonl").read_text()
    assert text == '{"event": "step", "step": 1, "loss": 0.5, "losses": {"mask.dice": 0.25}}\n'


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    log = Log(tmp_path)

    log.write(event="step", step=1)

    assert lines(tmp_path) == [{"event": "step", "step": 1}]


def test_tensors_numbers_of_numpy_and_paths_are_written_as_data(tmp_path):
    with Log(tmp_path) as log:
        log.write(event="step", step=np.int64(3), loss=torch.tensor(0.5), lr=np.float32(0.25), file=tmp_path)

    assert lines(tmp_path) == [{"event": "step", "step": 3, "loss": 0.5, "lr": 0.25, "file": tmp_path.as_posix()}]


def test_a_number_that_is_not_finite_is_null_and_named(tmp_path):
    with Log(tmp_path) as log:
        log.write(event="step", step=1, loss=float("nan"), losses={"dice": torch.tensor(float("inf")), "ce": 1.0})

    assert lines(tmp_path) == [
        {
            **{"event": "step", "step": 1, "loss": None, "losses": {"dice": None, "ce": 1.0}},
            "not_finite": ["loss", "losses.dice"],
        }
    ]


def test_what_is_no_data_is_refused_by_name(tmp_path):
    with Log(tmp_path) as log, pytest.raises(TypeError, match=r"losses\.dice is a Tensor; an event takes numbers"):
        log.write(event="step", step=1, losses={"dice": torch.zeros(2)})


def test_a_refused_event_writes_nothing(tmp_path):
    with Log(tmp_path) as log, pytest.raises(TypeError):
        log.write(event="step", step=1, net=object())

    assert lines(tmp_path) == []


def test_a_run_that_goes_on_cuts_what_came_behind_its_step(tmp_path):
    with Log(tmp_path) as log:
        log.write(event="start", step=0)
        for step in (1, 2, 3, 4):
            log.write(event="step", step=step)

    with Log(tmp_path, resume_step=2) as log:
        log.write(event="start", step=2)
        log.write(event="step", step=3)

    assert [(line["event"], line["step"]) for line in lines(tmp_path)] == [
        ("start", 0),
        ("step", 1),
        ("step", 2),
        ("start", 2),
        ("step", 3),
    ]


def test_a_torn_last_line_is_cut_and_said(tmp_path):
    with Log(tmp_path) as log:
        log.write(event="step", step=1)
        log.write(event="step", step=2)
    path, said = tmp_path / "log.jsonl", []
    path.write_bytes(path.read_bytes()[:-7])

    Log(tmp_path, resume_step=5, say=said.append).close()

    assert lines(tmp_path) == [{"event": "step", "step": 1}]
    assert said == [f"{path}: line 2 can't be read, as after a kill or a power cut, and was cut off."]


def test_a_whole_line_without_its_end_counts_as_torn(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"event": "step", "step": 12}')

    Log(tmp_path, resume_step=100, say=[].append).close()

    assert lines(tmp_path) == []


def test_zeros_that_a_power_cut_left_are_cut_and_said(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b'{"event": "step", "step": 1}\n' + bytes(100) + b'\n[1]\n{"step": 2}\n')
    said = []

    Log(tmp_path, resume_step=5, say=said.append).close()

    assert lines(tmp_path) == [{"event": "step", "step": 1}]
    assert "3 lines, the first of them 2, can't be read" in said[0]


def test_a_run_from_the_start_has_a_log_of_its_own(tmp_path):
    with Log(tmp_path) as log:
        log.write(event="step", step=1)

    with Log(tmp_path) as log:
        log.write(event="start", step=0)

    assert lines(tmp_path) == [{"event": "start", "step": 0}]


def test_a_run_can_go_on_without_a_log(tmp_path):
    with Log(tmp_path, resume_step=7) as log:
        log.write(event="start", step=7)

    assert lines(tmp_path) == [{"event": "start", "step": 7}]


def test_a_kill_while_the_log_is_cut_leaves_the_old_one(tmp_path, monkeypatch):
    with Log(tmp_path) as log:
        log.write(event="step", step=1)
        log.write(event="step", step=2)
    monkeypatch.setattr("os.replace", _killed)

    with pytest.raises(KeyboardInterrupt):
        Log(tmp_path, resume_step=1)

    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def _killed(*paths):
    raise KeyboardInterrupt


def test_reading_leaves_out_a_line_that_is_being_written(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"event": "start", "step": 0}\n{"event": "st')

    assert list(events(tmp_path)) == [{"event": "start", "step": 0}]


def test_the_board_has_the_numbers_by_the_names_of_the_log(tmp_path):
    with Log(tmp_path, tensorboard=True) as log:
        log.write(event="step", step=3, epoch=1, loss=0.5, losses={"mask.dice": 0.25}, lrs={"backbone": 1e-4})
        log.write(event="validation", step=4, epoch=1, metrics={"iou": 0.75}, seconds=2.0)
        log.write(event="step", step=5, epoch=1, loss=float("nan"))

    found = board(tmp_path)
    names = {"train/loss", "train/losses/mask.dice", "train/lrs/backbone", "validation/iou"}
    assert set(found.Tags()["scalars"]) == names
    assert [(point.step, point.value) for point in found.Scalars("train/loss")] == [(3, 0.5)]
    assert [(point.step, point.value) for point in found.Scalars("validation/iou")] == [(4, 0.75)]


def test_the_board_has_the_pictures(tmp_path):
    Image.fromarray(np.full((4, 6, 3), 200, np.uint8)).save(tmp_path / "epoch-0000.png")

    with Log(tmp_path, tensorboard=True) as log:
        log.write(event="pictures", step=4, epoch=0, file="epoch-0000.png")

    (image,) = board(tmp_path).Images("pictures")
    assert (image.step, image.height, image.width) == (4, 4, 6)


def test_a_run_that_goes_on_takes_later_points_off_the_board(tmp_path):
    with Log(tmp_path, tensorboard=True) as log:
        for step in range(1, 6):
            log.write(event="step", step=step, loss=1.0)

    with Log(tmp_path, tensorboard=True, resume_step=2) as log:
        log.write(event="step", step=3, loss=2.0)

    points = board(tmp_path).Scalars("train/loss")
    assert [(point.step, point.value) for point in points] == [(1, 1.0), (2, 1.0), (3, 2.0)]


def test_a_run_from_the_start_has_a_board_of_its_own(tmp_path):
    with Log(tmp_path, tensorboard=True) as log:
        log.write(event="step", step=9, loss=1.0)

    with Log(tmp_path, tensorboard=True) as log:
        log.write(event="step", step=1, loss=2.0)

    assert [point.step for point in board(tmp_path).Scalars("train/loss")] == [1]


def test_without_tensorboard_the_message_has_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)

    with pytest.raises(ImportError, match=r'tensorboard is not installed.*pip install "\.\[train\]"'):
        Log(tmp_path, tensorboard=True)
