"""SimpleInferenceRunner: one network over many tiles, empty ones skipped; its old names, its faults mended."""

import copy
import pickle
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import mcore
from mcore import Conv2d, Conv3d, Module, Sequential, Sigmoid
from mcore.checkpoint import clear_model_cache, load_model
from mcore.exchange import bridge
from mcore.exchange.errors import ModelFileError
from mcore.volumes import SimpleInferenceRunner
from mcore.volumes.evaluating import evaluating
from tests.checkpoint.tiny import Tiny, tiny_is_registered, write

__all__ = ["tiny_is_registered"]
TORCH = mcore.backend() == "torch"
TILE = np.linspace(-1, 1, 42, dtype="float32").reshape(1, 1, 6, 7)
VOLUME = np.linspace(-1, 1, 120, dtype="float32").reshape(4, 5, 6)


def plain(data):
    return data if isinstance(data, np.ndarray) else data.detach().numpy()


def expected(net, tile):
    with evaluating(net):
        return plain(net(mcore.from_numpy(np.array(tile))))


class Counting(Module):
    """Counts how often `net` runs."""

    def __init__(self, net):
        super().__init__()
        self.net, self.runs = net, []

    def forward(self, x):
        self.runs.append(tuple(map(int, x.shape)))
        return self.net(x)


class Labels(Tiny):
    def forward(self, x):
        y = super().forward(x)
        return y, y.argmax(dim=1)


# --- what runs


def test_the_example_of_the_documentation_runs():
    model = Tiny()

    result = SimpleInferenceRunner(model=model, device="cpu", skip_0_tiles=True)(TILE)

    np.testing.assert_array_equal(result, expected(model, TILE))


@pytest.mark.usefixtures("tiny_is_registered")
@pytest.mark.parametrize("name", ["model", "model_path"])
def test_a_path_serves_by_either_name(tmp_path, name):
    path = write(tmp_path / "net.json", {"@type": "Tiny"})
    runner = SimpleInferenceRunner(**{name: str(path)}, default_version="0.0.2")

    result = runner(TILE)

    net = load_model(path, use_cache=True, default_version="0.0.2")
    np.testing.assert_array_equal(result, expected(net, TILE))
    clear_model_cache()


def test_a_tensor_comes_back_as_a_tensor():
    net = Tiny()
    given = mcore.from_numpy(np.array(TILE))

    found = [SimpleInferenceRunner(net)(tile) for tile in (given, given * 0)]

    assert [type(each) for each in found] == [type(given)] * 2
    np.testing.assert_array_equal(plain(found[0]), expected(net, TILE))


def test_the_sigmoid_is_applied_on_request():
    net = Tiny()

    result = SimpleInferenceRunner(net, apply_sigmoid=True)(TILE)

    np.testing.assert_allclose(result, expected(Sequential(net, Sigmoid()), TILE), rtol=1e-6)


@pytest.mark.parametrize(
    ("channels", "shape", "result"),
    [
        (1, (4, 5, 6), (4, 5, 6)),
        (2, (4, 5, 6), (2, 4, 5, 6)),
        (2, (1, 4, 5, 6), (2, 4, 5, 6)),
        (1, (1, 4, 5, 6), (1, 4, 5, 6)),
        (2, (1, 1, 4, 5, 6), (1, 2, 4, 5, 6)),
    ],
)
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("options", [{"is_3d": True}, {"unsqueeze_to": 5}])
def test_axes_are_put_before_a_volume_and_taken_away_again(channels, shape, result, zero, options):
    net = Conv3d(1, channels, 3, padding=1)
    tile = VOLUME.reshape(shape) * (not zero)

    found = SimpleInferenceRunner(net, **options)(tile)

    assert found.shape == result
    np.testing.assert_array_equal(found, expected(net, tile.reshape(1, 1, 4, 5, 6)).reshape(result) * (not zero))


@pytest.mark.parametrize("zero", [False, True])
def test_added_axes_stay_on_request(zero):
    runner = SimpleInferenceRunner(Conv3d(1, 1, 3, padding=1), is_3d=True, keep_axes=True)

    assert runner(VOLUME * (not zero)).shape == (1, 1, 4, 5, 6)


def test_the_network_is_in_evaluation_mode_meanwhile_and_as_it_was_afterwards():
    net = Counting(Tiny())
    net.net.body[1].eval()
    before = [part.training for part in net.modules()]

    found = [SimpleInferenceRunner(net)(TILE) for _ in range(2)]

    assert [part.training for part in net.modules()] == before
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(plain(net.net.body[1].running_mean), np.zeros(2))


# --- empty tiles


@pytest.mark.parametrize("make", [lambda: Tiny(3), lambda: Conv2d(1, 2, 3), lambda: Conv2d(1, 4, 2, stride=2), Labels])
@pytest.mark.parametrize("first", ["full", "empty"])
def test_the_result_of_an_empty_tile_looks_like_that_of_a_full_one(make, first):
    runner = SimpleInferenceRunner(make())
    tiles = {"full": TILE, "empty": TILE * 0}

    found = {name: runner(tiles[name]) for name in (first, *tiles)}

    full_ones, empty_ones = (each if isinstance(each, tuple) else (each,) for each in (found["full"], found["empty"]))
    for full, empty in zip(full_ones, empty_ones, strict=True):
        assert (empty.shape, empty.dtype) == (full.shape, full.dtype)
        assert not empty.any()
        assert empty.flags.writeable


def test_the_result_of_an_empty_tile_has_the_networks_type():
    runner = SimpleInferenceRunner(Conv2d(1, 2, 3).half() if TORCH else Conv2d(1, 2, 3))
    tile = TILE.astype("float16") if TORCH else TILE

    assert runner(tile * 0).dtype == runner(tile).dtype == tile.dtype


def test_empty_tiles_of_a_shape_are_run_at_most_once():
    net = Counting(Tiny())
    runner = SimpleInferenceRunner(net)

    for tile in (TILE * 0, TILE * 0, TILE, TILE[..., :5], TILE[..., :5] * 0):
        runner(tile)

    assert [shape[-1] for shape in net.runs] == [7, 7, 5]


@pytest.mark.parametrize("options", [{"skip_zeros": False}, {"skip_0_tiles": False}])
def test_empty_tiles_are_run_on_request(options):
    net = Tiny(bias=1.0)

    result = SimpleInferenceRunner(net, **options)(TILE * 0)

    np.testing.assert_array_equal(result, expected(net, TILE * 0))
    assert result.any()


def test_an_empty_tile_stays_zero_under_the_sigmoid():
    assert not SimpleInferenceRunner(Tiny(), apply_sigmoid=True)(TILE * 0).any()


@pytest.mark.parametrize("value", [np.nan, 1e-38])
def test_a_tile_with_one_number_is_not_empty(value):
    tile = TILE * 0
    tile[0, 0, 0, 0] = value
    net = Counting(Tiny())

    SimpleInferenceRunner(net)(tile)

    assert len(net.runs) == 1


@pytest.mark.usefixtures("tiny_is_registered")
def test_a_file_that_changed_is_learnt_anew(tmp_path):
    path = write(tmp_path / "net.json", {"@type": "Tiny", "@version": "0.0.2", "channels": 2})
    runner = SimpleInferenceRunner(path)
    before = runner(TILE * 0).shape
    write(path, {"@type": "Tiny", "@version": "0.0.2", "channels": 13})

    assert (before[1], runner(TILE * 0).shape[1], runner(TILE).shape[1]) == (2, 13, 13)
    clear_model_cache()


def test_what_is_remembered_of_shapes_has_an_end(monkeypatch):
    monkeypatch.setattr("mcore.volumes.runner.MOST_SHAPES", 3)
    runner = SimpleInferenceRunner(Tiny())

    for size in range(3, 8):
        assert runner(np.zeros((1, 1, size, 3), "float32")).shape == (1, 2, size, 3)

    assert len(runner._outlines) <= 3


@pytest.mark.parametrize("zero", [False, True])
def test_channels_that_the_network_does_not_give_are_told(zero):
    with pytest.raises(ValueError, match=r"output_channels=3, but the network gives a tensor of shape \(1, 2, 6, 7\)"):
        SimpleInferenceRunner(Tiny(2), output_channels=3)(TILE * (not zero))


def test_channels_that_the_network_gives_are_accepted():
    assert SimpleInferenceRunner(Tiny(2), output_channels=2)(TILE * 0).shape == (1, 2, 6, 7)


# --- memory, threads, processes


def freed(monkeypatch, runner):
    calls = []
    monkeypatch.setattr(bridge.this(), "free_memory", calls.append)
    return calls


def test_memory_is_freed_after_every_so_many_tiles_that_ran(monkeypatch):
    runner, other = (SimpleInferenceRunner(Tiny(), cleanup_frequency=3) for _ in range(2))
    calls = freed(monkeypatch, runner)

    for _ in range(7):
        runner(TILE)
        runner(TILE * 0)
    other(TILE)
    other(TILE)

    assert calls == ["cpu", "cpu"]
    assert (runner.call_count, other.call_count) == (7, 2)


@pytest.mark.skipif(TORCH, reason="torch keeps no memory of its own on a CPU")
def test_memory_that_a_large_tile_took_is_given_back():
    def resident():
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    net = Sequential(Conv3d(1, 16, 3, padding=1), Conv3d(16, 16, 3, padding=1), Conv3d(16, 1, 3, padding=1))
    runner = SimpleInferenceRunner(net, is_3d=True, cleanup_frequency=2)
    for _ in range(2):
        runner(np.ones((24, 96, 96), np.float32))
    held = resident()

    runner(np.ones((4, 8, 8), np.float32))

    # A map of 16 channels has 14 MB, of which several were held.
    assert resident() < held - 10


def test_what_another_thread_forgets_meanwhile_is_not_missed(monkeypatch):
    runner = SimpleInferenceRunner(Tiny())
    computed = runner._computed

    def forgetful(data):
        out = computed(data)
        runner._outlines = {}
        return out

    monkeypatch.setattr(runner, "_computed", forgetful)

    assert runner(TILE * 0).shape == runner(TILE).shape


def test_threads_count_every_tile_once(monkeypatch):
    runner = SimpleInferenceRunner(Tiny(), cleanup_frequency=5)
    calls = freed(monkeypatch, runner)
    wanted = runner(TILE)
    found = []

    def work():
        for _ in range(6):
            found.append(runner(TILE))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert (runner.call_count, len(calls)) == (25, 5)
    for result in found:
        np.testing.assert_array_equal(result, wanted)


class Sized(Module):
    """Uses a size as a plain number, so that each size has a session of its own."""

    def forward(self, x):
        return x + len(range(int(x.shape[3])))


@pytest.mark.skipif(TORCH, reason="the platform's sessions")
@pytest.mark.filterwarnings("error")
def test_sessions_dropped_on_purpose_are_not_taken_for_sizes_that_keep_changing():
    from mcore.platform import session

    runner, found = SimpleInferenceRunner(Sized()), []

    for k in range(24):
        found.append(float(runner(TILE[..., : 5 + k % 2])[0, 0, 0, 0]))
        session.clear()

    assert found == [float(TILE[0, 0, 0, 0]) + 5 + k % 2 for k in range(24)]


@pytest.mark.parametrize("way", [copy.deepcopy, lambda runner: pickle.loads(pickle.dumps(runner))])
def test_a_runner_is_copied_and_sent_to_other_processes(way):
    runner = SimpleInferenceRunner(Tiny(), apply_sigmoid=True)

    again = way(runner)

    np.testing.assert_array_equal(again(TILE), runner(TILE))
    assert not again(TILE * 0).any()


# --- refusals


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({}, ValueError, "give one network"),
        ({"model": Tiny, "model_path": "net.json"}, ValueError, "give one network"),
        ({"model": 3}, TypeError, "expected a Module, got int"),
        ({"model": "net.h5"}, ValueError, "Unsupported file format"),
        ({"is_3d": True, "unsqueeze_to": 4}, ValueError, "is_3d=True means unsqueeze_to=5, not 4"),
        ({"cleanup_frequency": 0}, ValueError, "cleanup_frequency is a positive whole number, got 0"),
        ({"output_channels": 1.5}, ValueError, "output_channels is a positive whole number, got 1.5"),
        ({"precision": "half"}, ValueError, "precision='half' is not one of"),
        ({"device": "nonsense"}, RuntimeError, "device 'nonsense' is not available: .* this (torch|onnxruntime) has"),
    ],
)
def test_wrong_arguments_are_refused_when_it_is_made(options, error, match):
    model = {} if {"model", "model_path"} & options.keys() or not options else {"model": Tiny()}

    with pytest.raises(error, match=match):
        SimpleInferenceRunner(**model, **options)


def test_a_program_that_is_not_trusted_is_refused_when_it_is_made():
    with pytest.raises(ModelFileError if TORCH else NotImplementedError, match="trust=True"):
        SimpleInferenceRunner("net.jit")


def test_a_missing_file_is_told_at_the_first_tile(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no net\.json"):
        SimpleInferenceRunner(tmp_path / "net.json")(TILE)


@pytest.mark.parametrize(
    ("tile", "error", "match"),
    [
        ([[0.0]], TypeError, "takes a numpy array or a tensor, got list"),
        (np.zeros((1,) * 6), ValueError, r"a tile of shape \(1, 1, 1, 1, 1, 1\) has 6 axes; at most 5 fit"),
    ],
)
def test_what_is_no_tile_is_told(tile, error, match):
    with pytest.raises(error, match=match):
        SimpleInferenceRunner(Conv3d(1, 1, 1), is_3d=True)(tile)


@pytest.mark.gpu
@pytest.mark.skipif(bridge.this().best_device() == "cpu", reason="no GPU")
@pytest.mark.parametrize("kind", [np.array, lambda tile: mcore.from_numpy(np.array(tile))])
def test_on_a_gpu_results_come_back_where_the_tile_was(kind):
    net = Tiny()
    wanted = expected(net, TILE)
    runner = SimpleInferenceRunner(model=net, device="cuda", cleanup_frequency=1)

    full, empty = runner(kind(TILE)), runner(kind(TILE * 0))

    np.testing.assert_allclose(plain(full), wanted, rtol=1e-4, atol=1e-5)
    assert (type(full), full.dtype, full.shape) == (type(empty), empty.dtype, empty.shape)
