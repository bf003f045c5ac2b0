"""The check of an artifact on a device: what each thing that can go wrong makes of a cell."""

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper

from mcore import verify
from mcore.devices import Device, UnsupportedOperator, check, checking, find, memory
from mcore.exchange.errors import ModelFileError
from tests.devices import graphs
from tests.devices.graphs import Fake, here
from tests.isolation import run

KEYS = ["status", "detail", "sizes", "peak_bytes", "version"]
HERE = ["torch-cpu", "onnxruntime-cpu", "openvino-cpu", "reference"]


@pytest.fixture
def folder(tmp_path):
    return graphs.negation(tmp_path / "negation")


def cell_of(folder, device, **options):
    """The cell, after a journey through strict JSON."""
    cell = check(folder, device, **options)
    assert list(cell) == KEYS
    return json.loads(json.dumps(cell, allow_nan=False))


# --- what is right


@pytest.mark.parametrize("name", HERE)
def test_a_device_that_gives_what_stands_there_is_ok_at_every_size(folder, name):
    device = here(name)

    cell = cell_of(folder, device)

    assert (cell["status"], cell["detail"], cell["version"]) == ("ok", "", device.version())
    assert [size["shapes"] for size in cell["sizes"]] == [[list(shape)] for shape in graphs.SHAPES]
    assert [size["difference"] for size in cell["sizes"]] == [0.0] * 3
    assert all(0 < size["seconds"] < 5 for size in cell["sizes"])


@pytest.mark.parametrize("engine", ["torch", "platform"])
def test_artifacts_of_several_inputs_and_outputs_are_checked_on_either_engine(tmp_path, engine):
    said = run(
        f"""
        import mcore
        from mcore.devices import check, devices
        from tests.exchange.nets import Two, filled
        sets = [(mcore.randn(n, 4), mcore.zeros(n, k, dtype=mcore.int64)) for n, k in ((1, 3), (2, 5), (3, 2))]
        filled(Two()).toplatform("{tmp_path}/two", inputs=sets)
        for name, device in devices().items():
            cell = check("{tmp_path}/two", device)
            print(name, cell["status"].replace(" ", "-"), [size["shapes"] for size in cell["sizes"]][1:2])
        """,
        engine=engine,
    )

    found = dict(line.split(maxsplit=1) for line in said.splitlines())
    right = "ok [[[2, 4], [2, 5]]]"
    assert [found["onnxruntime-cpu"], found["reference"]] == [right] * 2
    assert found["openvino-cpu"] == (right if find("openvino-cpu").available() else "not-tested []")
    assert found["torch-cpu"] == (right if engine == "torch" else "not-tested []")
    assert found["onnxruntime-cuda"] == found["torch-cuda"] == "not-tested []"


@pytest.mark.parametrize("name", HERE)
def test_bfloat16_is_checked_as_it_is(tmp_path, name):
    kind, x = TensorProto.BFLOAT16, graphs.ramp((2, 3, 2, 2))
    graph = graphs.model(
        [helper.make_node("Identity", ["x"], ["y"])], [graphs.value("x", kind)], [graphs.value("y", kind)]
    )  # fmt: skip
    narrow = x.astype(ml_dtypes.bfloat16)
    graphs.write(tmp_path, graph, [([narrow], [narrow])])

    cell = cell_of(tmp_path, here(name))

    assert (cell["status"], cell["sizes"][0]["difference"]) == ("ok", 0.0)


# --- what is wrong


def test_another_number_is_a_mismatch_that_names_output_and_distance(folder):
    cell = cell_of(folder, Fake(lambda inputs: [-inputs[0] + 0.3]))

    assert cell["status"] == "mismatch"
    assert cell["detail"] == "test_data_set_0: output y differs: relative difference 1.0e-01, allowed 1e-04"
    assert len(cell["sizes"]) == 3
    assert cell["sizes"][0]["difference"] == pytest.approx(0.1)


def test_a_larger_tolerance_lets_it_pass(folder):
    assert cell_of(folder, Fake(lambda inputs: [-inputs[0] + 0.3]), tolerance=0.2)["status"] == "ok"


def test_one_wrong_size_of_several_is_a_mismatch(folder):
    graphs.output_of(folder, 1, lambda array: array + 1)

    cell = cell_of(folder, Fake())

    assert cell["status"] == "mismatch"
    assert cell["detail"].startswith("test_data_set_1: output y differs")
    assert [size["difference"] == 0.0 for size in cell["sizes"]] == [True, False, True]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: [-x[..., :1]], "output y has shape (1, 3, 8, 1) instead of (1, 3, 8, 6)"),
        (lambda x: [(-x).astype(np.float64)], "output y has type float64 instead of float32"),
        (lambda x: [-x, x], "2 outputs instead of the 1 that stand there"),
        (lambda x: [], "0 outputs instead of the 1 that stand there"),
        (lambda x: [x * np.nan], "output y differs: relative difference inf, allowed 1e-04"),
        (lambda x: [x + np.inf], "output y differs: relative difference inf, allowed 1e-04"),
    ],
)
def test_what_no_number_measures_has_no_difference_and_says_why(folder, answer, words):
    cell = cell_of(folder, Fake(lambda inputs: answer(inputs[0])))

    assert (cell["status"], cell["detail"]) == ("mismatch", f"test_data_set_0: {words}")
    assert [size["difference"] for size in cell["sizes"]] == [None] * 3


def test_an_operator_that_is_lacking_makes_it_unsupported(tmp_path):
    graphs.write(tmp_path, graphs.custom(), [([graphs.ramp(graphs.SHAPES[0])], [graphs.ramp(graphs.SHAPES[0])])])

    cell = cell_of(tmp_path, find("onnxruntime-cpu"))

    assert (cell["status"], cell["detail"], cell["sizes"]) == ("unsupported", "my.ops:Fold", [])


def test_of_an_operator_that_is_taken_in_part_the_reason_is_told(folder):
    error = UnsupportedOperator("no", ["GridSample", "Pad", "Pad"], "only images")

    assert cell_of(folder, Fake(load=error))["detail"] == "GridSample, Pad (only images)"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("the engine\nstopped"), "the engine"),
        (KeyError("x"), "KeyError: 'x'"),
        (MemoryError(), "MemoryError"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_whatever_loading_raises_is_a_failure_with_its_first_line(folder, error, words):
    cell = cell_of(folder, Fake(load=error))

    assert (cell["status"], cell["detail"], cell["version"]) == ("failed", words, "1.2")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda x: None, "NoneType"),
        (lambda x: -x, "ndarray"),
        (lambda x: [(-x).tolist()], "list"),
        (lambda x: [None], "NoneType"),
    ],
)
def test_a_device_that_gives_no_list_of_arrays_is_told_so(folder, answer, kind):
    cell = cell_of(folder, Fake(lambda inputs: answer(inputs[0])))

    assert cell["status"] == "failed"
    assert cell["detail"].startswith(f"test_data_set_0: TypeError: run of {Fake.name} gives {kind} where a list of")


def failing_at(shape, error):
    def answer(inputs):
        if inputs[0].shape == shape:
            raise error
        return [-inputs[0]]

    return answer


def test_a_failure_while_running_names_the_data_set_and_keeps_what_came_before(folder):
    cell = cell_of(folder, Fake(failing_at(graphs.SHAPES[1], ValueError("odd sizes"))))

    assert (cell["status"], cell["detail"]) == ("failed", "test_data_set_1: ValueError: odd sizes")
    assert len(cell["sizes"]) == 1


def test_a_failure_is_worse_than_a_mismatch_before_it(folder):
    graphs.output_of(folder, 0, lambda array: array + 1)

    cell = cell_of(folder, Fake(failing_at(graphs.SHAPES[1], ValueError("odd sizes"))))

    assert cell["status"] == "failed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_stops_the_program_is_obeyed(folder, error):
    with pytest.raises(error):
        check(folder, Fake(load=error()))


def test_the_path_of_this_machine_stays_out_of_the_cell(folder):
    error = RuntimeError(f"Load model from {folder}/model.onnx failed, in {folder}")

    assert cell_of(folder, Fake(load=error))["detail"] == "Load model from model.onnx failed, in negation"


# --- time and memory


class Clock:
    """Time that passes when a device says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def lasting(self, *seconds):
        """An answer that takes these times, run by run; the last one from then on."""
        left = list(seconds)

        def answer(inputs):
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return [-inputs[0]]

        return answer


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(checking, "time", clock)
    return clock


def test_a_run_beyond_the_limit_is_too_slow_and_the_last(folder, clock):
    cell = cell_of(folder, Fake(clock.lasting(31.0)))

    assert (cell["status"], cell["detail"]) == ("too slow", "test_data_set_0 took 31.0 s, allowed 30 s")
    assert len(cell["sizes"]) == 1


def test_the_limit_can_be_moved(folder, clock):
    assert cell_of(folder, Fake(clock.lasting(31.0)), slow=40)["status"] == "ok"


def test_a_wrong_answer_is_worse_than_a_late_one(folder, clock):
    graphs.output_of(folder, 0, lambda array: array + 1)

    assert cell_of(folder, Fake(clock.lasting(31.0)))["status"] == "mismatch"


def test_the_time_is_that_of_a_sample_of_the_batch(folder, clock):
    cell = cell_of(folder, Fake(clock.lasting(0.06)))

    assert [size["seconds"] for size in cell["sizes"]] == pytest.approx([0.06, 0.03, 0.02])


def test_of_quick_runs_the_median_counts_without_the_first_which_prepares_things(folder, clock):
    cell = cell_of(folder, Fake(clock.lasting(0.15, 0.01, 0.03, 0.02)))

    assert cell["sizes"][0]["seconds"] == pytest.approx(0.02)


@pytest.mark.parametrize(("seconds", "runs"), [(0.01, 4), (0.09, 4), (0.15, 3), (0.2, 1)])
def test_repeating_ends_after_three_times_or_when_it_took_long_enough(folder, clock, seconds, runs):
    device = Fake(clock.lasting(seconds))

    check(folder, device)

    assert device.calls == 3 * runs


class Hungry(Device):
    """Holds memory while it loads, and gives it back."""

    name, title = "hungry", "Hungry"

    def __init__(self, count):
        self.count = count

    def load(self, artifact):
        bytearray(b"x") * self.count

    def run(self, inputs):
        return [-inputs[0]]


@pytest.mark.skipif(memory.Peak().above() is None, reason="this system does not tell its memory")
def test_the_peak_is_what_loading_and_running_took_at_most(folder):
    small, large = (check(folder, Hungry(count))["peak_bytes"] for count in (1, 150 << 20))

    assert small < 20 << 20
    # The kernel counts pages by processor and adds them up now and then.
    assert 148 << 20 <= large < 190 << 20


@pytest.mark.parametrize("files", [{}, {"status": "Name: x\n"}])
def test_a_system_that_does_not_tell_gives_no_peak(folder, monkeypatch, tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / "clear_refs").touch()
    monkeypatch.setattr(memory, "_PROCESS", tmp_path)

    assert cell_of(folder, Fake())["peak_bytes"] is None


# --- what cannot be checked


class Absent(Fake):
    def missing(self):
        return "there is no chip: buy one"


class Boasting(Fake):
    def available(self):
        raise OSError("the bus is gone")


class Silent(Fake):
    def available(self):
        return False


@pytest.mark.parametrize(
    ("device", "why"),
    [
        (Absent(), "there is no chip: buy one"),
        (Boasting(), "fake cannot tell whether it is available: OSError: the bus is gone"),
        (Silent(), "fake is not available"),
    ],
)
def test_a_device_that_is_not_there_is_not_tested_and_says_why(folder, device, why):
    cell = cell_of(folder, device)

    assert (cell["status"], cell["detail"], cell["sizes"]) == ("not tested", why, [])


def test_a_device_whose_own_question_fails_is_not_available():
    class Broken(Fake):
        def missing(self):
            raise OSError("the bus is gone")

    device = Broken()

    assert (device.available(), device.reason) == (False, "OSError: the bus is gone")


def damaged(folder):
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])


def damaged_set(folder):
    (folder / "test_data_set_2" / "output_0.pb").write_bytes(b"garbage")


def no_sets(folder):
    for place in folder.glob("test_data_set_*"):
        shutil.rmtree(place)


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (shutil.rmtree, FileNotFoundError, "there is no such folder"),
        (lambda folder: (folder / "model.onnx").unlink(), FileNotFoundError, r"there is no model\.onnx in it"),
        (damaged, ModelFileError, r"model\.onnx"),
        (no_sets, FileNotFoundError, "there are no data sets"),
        (damaged_set, ModelFileError, r"output_0\.pb"),
    ],
)
def test_an_artifact_that_nothing_can_be_checked_with_is_an_error_and_no_cell(folder, damage, error, words):
    device = Fake()
    damage(folder)

    with pytest.raises(error, match=words):
        check(folder, device)

    assert device.calls == 0


def test_a_file_that_was_replaced_is_looked_at_again(folder):
    device = find("reference")
    check(folder, device)
    damaged(folder)

    with pytest.raises(ModelFileError):
        device.load(folder)


def test_one_artifact_is_looked_over_once_for_all_its_devices(folder, monkeypatch):
    seen = []
    monkeypatch.setattr(verify, "look_over", counted(verify.look_over, seen))

    for _ in range(3):
        cell_of(folder, Fake())

    assert len(seen) == 1


def counted(function, calls):
    """The function, which notes in `calls` what it was called with."""

    def wrapper(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return wrapper
