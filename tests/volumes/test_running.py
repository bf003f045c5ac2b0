"""load_and_run_model: the caller's kind of data, the network's numbers, its mode put back."""

import re
import threading

import numpy as np
import pytest

import mcore
from mcore import Conv2d, Module, Parameter, Sequential, checkpoint
from mcore.checkpoint import clear_model_cache, load_model
from mcore.volumes import load_and_run_model
from mcore.volumes.evaluating import evaluating
from tests.checkpoint.tiny import Tiny, write

TORCH = mcore.backend() == "torch"
X = np.linspace(-1, 1, 20, dtype="float32").reshape(1, 1, 4, 5)


class Shares(Module):
    """Shares of a whole, of any number: what an image of bytes would be cut to zeros by."""

    def __init__(self):
        super().__init__()
        self.weight = Parameter(mcore.ones(1))

    def forward(self, x):
        return x.to(mcore.float32) / 255 * self.weight


class Several(Tiny):
    def forward(self, x):
        y = super().forward(x)
        return {"mask": y, "labels": (y.argmax(dim=1), [y > 0])}


class Writes(Tiny):
    def forward(self, x):
        x += 1
        return x


class Fails(Tiny):
    def forward(self, x):
        raise RuntimeError("broken")


@pytest.fixture(autouse=True)
def _registered():
    register, entries = mcore.register, mcore.registry._registry.entries
    names = [register("block", cls.__name__, namespace="convnet")(cls).__name__ for cls in (Tiny, *PARTS)]
    clear_model_cache()
    yield
    clear_model_cache()
    for name in names:
        del entries["convnet", name]


PARTS = (Shares, Several, Writes, Fails)


@pytest.fixture
def path(tmp_path):
    def make(name="Tiny"):
        file = tmp_path / f"{name}.json"
        return file if file.exists() else write(file, {"@type": name})

    return make


def plain(data):
    return data if isinstance(data, np.ndarray) else data.numpy()


def expected(path, x=X):
    net = load_model(path, use_cache=True)
    with evaluating(net):
        return net(mcore.from_numpy(x)).detach().numpy()


def test_an_array_comes_back_as_an_array_that_may_be_written(path):
    found = load_and_run_model(path(), X)

    assert type(found) is np.ndarray
    assert found.flags.writeable
    np.testing.assert_array_equal(found, expected(path()))


def test_a_tensor_comes_back_as_a_tensor_on_its_device(path):
    given = mcore.from_numpy(X)

    found = load_and_run_model(path(), given, device="cpu")

    assert type(found) is type(given)
    assert str(found.device) == "cpu"
    np.testing.assert_array_equal(found.numpy(), expected(path()))


@pytest.mark.parametrize("layout", [lambda x: x[..., ::-1], lambda x: x.swapaxes(2, 3), lambda x: x.astype(">f4")])
def test_arrays_of_any_layout_are_taken(path, layout):
    given = layout(X)

    found = load_and_run_model(path(), given)

    np.testing.assert_array_equal(found, expected(path(), np.array(given, "<f4", order="C")))


def test_shares_of_an_image_of_bytes_are_not_cut_to_whole_numbers(path):
    image = np.arange(0, 250, 25, dtype="uint8").reshape(1, 1, 2, 5)

    found = load_and_run_model(path("Shares"), image)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, image / 255, rtol=1e-6)


@pytest.mark.parametrize("kind", [np.array, lambda x: mcore.from_numpy(np.array(x))])
def test_the_originals_cast_to_the_datas_type_is_had_on_request(path, kind):
    image = np.array([[[[0, 100, 255]]]], "uint8")

    found = load_and_run_model(path("Shares"), kind(image), keep_dtype=True)

    np.testing.assert_array_equal(plain(found), [[[[0, 0, 1]]]])
    assert plain(found).dtype == np.uint8


def test_half_precision_is_widened_for_the_network_and_comes_back_as_it_was(path):
    given = X.astype("float16")

    found = load_and_run_model(path(), given)

    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, expected(path(), given.astype("float32")).astype("float16"))


def test_nothing_is_lost_in_between(path):
    np.testing.assert_array_equal(load_and_run_model(path(), X), expected(path()))


def test_several_outputs_come_back_as_the_network_gives_them(path):
    found = load_and_run_model(path("Several"), X)

    labels, (positive,) = found["labels"]
    assert list(found) == ["mask", "labels"]
    assert (found["mask"].dtype, labels.dtype, positive.dtype) == (np.float32, np.int64, np.bool_)


@pytest.mark.parametrize("kind", [np.array, lambda x: mcore.from_numpy(np.array(x))])
def test_the_callers_data_is_not_written(path, kind):
    given = kind(X)

    found = load_and_run_model(path("Writes"), given)

    np.testing.assert_array_equal(plain(given), X)
    np.testing.assert_array_equal(plain(found), X + 1)


def test_a_networks_mode_is_evaluation_meanwhile_and_what_it_was_afterwards(path):
    net = load_model(path(), use_cache=True)
    net.body[1].eval()
    before = [part.training for part in net.modules()]
    seen = []
    net.register_forward_pre_hook(lambda module, _: seen.extend(part.training for part in module.modules()))

    load_and_run_model(path(), X)

    assert seen
    assert not any(seen)
    assert [part.training for part in net.modules()] == before
    assert True in before


def test_a_network_that_fails_gets_its_mode_back(path):
    net = load_model(path("Fails"), use_cache=True)

    with pytest.raises(RuntimeError, match="broken"):
        load_and_run_model(path("Fails"), X)

    assert net.training


def test_the_last_of_several_threads_puts_the_modes_back():
    net = Tiny()
    first, second, done = threading.Event(), threading.Event(), threading.Event()
    modes = []

    def early():
        with evaluating(net):
            first.set()
            second.wait(10)
        modes.append(net.training)
        done.set()

    thread = threading.Thread(target=early)
    thread.start()
    first.wait(10)
    with evaluating(net):
        second.set()
        done.wait(10)
        modes.append(net.training)
    thread.join()

    assert modes == [False, False]
    assert net.training


def test_the_same_network_serves_every_shape(path, monkeypatch):
    loads = []
    real = checkpoint.spec_files.build
    monkeypatch.setattr(checkpoint.spec_files, "build", lambda *a, **k: loads.append(1) or real(*a, **k))

    for size in (3, 4, 5):
        load_and_run_model(path(), np.ones((1, 1, size, size), "float32"))

    assert len(loads) == 1


def test_no_gradients_are_kept(path):
    found = load_and_run_model(path(), mcore.from_numpy(X))

    assert not found.requires_grad


@pytest.mark.skipif(not TORCH, reason="the runtime computes in the graph's types")
def test_half_precision_is_computed_in_where_it_is_asked_for(path):
    found = load_and_run_model(path(), X, precision="bfloat16")

    np.testing.assert_allclose(found, expected(path()), atol=0.05)
    assert not np.array_equal(found, expected(path()))


@pytest.mark.skipif(TORCH, reason="torch has it")
def test_half_precision_says_where_it_is_had(path):
    with pytest.raises(NotImplementedError, match="MCORE_BACKEND=torch"):
        load_and_run_model(path(), X, precision="bfloat16")


@pytest.mark.parametrize(
    ("data", "options", "error", "match"),
    [
        ([[1.0]], {}, TypeError, "takes a numpy array or a tensor, got list"),
        (np.array(["a"]), {}, TypeError, "takes numbers, got an array of <U1"),
        (X, {"precision": "float8"}, ValueError, "precision='float8' is not one of 'bfloat16', 'float16' or None"),
        (X, {"device": "nonsense"}, RuntimeError, "device 'nonsense' is not available"),
        (X, {"tensorrt_enabled": True}, ValueError, "requires an ONNX model"),
    ],
)
def test_wrong_arguments_are_told(path, data, options, error, match):
    with pytest.raises(error, match=match):
        load_and_run_model(path(), data, **options)


@pytest.mark.parametrize("kind", ["float64", "uint8"])
def test_data_of_another_type_than_the_network_takes_is_told_with_both(path, kind):
    with pytest.raises(RuntimeError) as caught:
        load_and_run_model(path(), X.astype(kind))

    assert re.search(rf"the data is \w+\.{kind} and the network \w+\.float32", "".join(caught.value.__notes__))


def test_an_artifact_runs_on_arrays(tmp_path):
    net = Sequential(Conv2d(1, 2, 3, padding=1)).eval()
    net.toplatform(tmp_path / "net", sizes=[(1, 1, 4, 5)])

    found = load_and_run_model(tmp_path / "net", X)

    np.testing.assert_allclose(found, net(mcore.from_numpy(X)).detach().numpy(), rtol=1e-5, atol=1e-6)
