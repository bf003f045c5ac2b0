"""The models kept by load_model(use_cache=True): two, until their files change."""

import os
import threading

import pytest

import mcore
from mcore.checkpoint import clear_model_cache, load_model, save_model
from mcore.checkpoint.model_cache import stamp
from tests.checkpoint.tiny import Tiny, tiny_is_registered, write

__all__ = ["tiny_is_registered"]
pytestmark = pytest.mark.usefixtures("tiny_is_registered", "empty_cache")


@pytest.fixture
def empty_cache():
    clear_model_cache()
    yield
    clear_model_cache()


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "net.json", {"@type": "Tiny", "@version": "0.0.2"})


def kept(path, device="cpu", **options):
    return load_model(path, device, use_cache=True, **options)


def test_the_same_file_gives_the_same_object(path):
    assert kept(path) is kept(path)


def test_without_the_cache_each_call_makes_its_own(path):
    assert load_model(path) is not load_model(path)


@pytest.mark.parametrize("spell", [str, os.path.relpath, lambda path: path.parent / "." / path.name])
def test_a_path_is_the_same_however_it_is_written(path, spell):
    assert kept(path) is kept(spell(path))


@pytest.mark.parametrize("device", [mcore.device("cpu"), "cpu"])
def test_a_device_is_the_same_as_text_and_as_an_object(path, device):
    assert kept(path) is kept(path, device)


@pytest.mark.parametrize("shape", [None, [1, 1, 4, 4], (1, 1, 8, 8)])
def test_the_shape_of_the_input_makes_no_other_model(path, shape):
    assert kept(path) is kept(path, input_shape=shape)


def test_another_default_version_makes_another_model(path):
    assert kept(path, default_version="0.0.1") is not kept(path, default_version="0.0.2")


@pytest.mark.parametrize("how", ["time", "size", "replaced"])
def test_a_file_that_changed_is_loaded_again(path, how):
    before, found = kept(path), os.stat(path)
    text = path.read_text() + " " * (how == "size")
    if how == "replaced":
        write(path.with_name("new.json"), text).replace(path)
    else:
        write(path, text)
    later = found.st_mtime_ns + (how == "time")
    os.utime(path, ns=(later, later))

    assert kept(path) is not before


def test_a_change_forgets_the_older_model_and_not_another_one(path):
    other = write(path.with_name("other.json"), path.read_text())
    first = kept(other)
    for _ in range(3):
        write(path, path.read_text() + " ")
        kept(path)

    assert kept(other) is first


def test_a_third_model_takes_the_place_of_the_one_used_longest_ago(path):
    names = [write(path.with_name(f"{name}.json"), path.read_text()) for name in "abc"]
    a, b = kept(names[0]), kept(names[1])
    kept(names[0])
    kept(names[2])

    assert kept(names[0]) is a
    assert kept(names[1]) is not b


def test_a_model_that_fails_to_load_leaves_the_others_kept(path):
    first = kept(path)
    with pytest.raises(ValueError, match="not JSON"):
        kept(write(path.with_name("bad.json"), "{"))

    assert kept(path) is first


def test_the_cache_can_be_cleared(path):
    before = kept(path)
    clear_model_cache()

    assert kept(path) is not before


def test_threads_that_ask_at_once_share_one_model(path):
    found, start = [], threading.Barrier(8)

    def ask():
        start.wait()
        found.append(kept(path))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_the_stamp_of_an_artifact_sees_its_weights_change(tmp_path):
    folder = tmp_path / "net"
    Tiny().eval().toplatform(folder, sizes=[(1, 1, 4, 4)], description=False)
    before = stamp(folder)
    save_model(Tiny(), folder / "state.safetensors")

    assert stamp(folder) != before
    assert stamp(folder / "model.onnx") == stamp(folder)


def test_the_stamp_of_a_graph_sees_its_external_data_change(tmp_path):
    path = write(tmp_path / "net.onnx", "graph")
    write(tmp_path / "net.onnx.data", "weights")
    before = stamp(path)
    write(tmp_path / "net.onnx.data", "other weights")

    assert stamp(path) != before


def test_other_files_in_a_models_folder_change_nothing(tmp_path):
    path = write(tmp_path / "model.onnx", "graph")
    before = stamp(path), stamp(tmp_path)
    write(tmp_path / "result.txt", "numbers")

    assert (stamp(path), stamp(tmp_path)) == before
