"""Calls of modules on data: sessions that are shared and never stale, state that comes back, values read on the way."""

import copy
import threading

import numpy as np
import pytest
import torch

import mcore.platform as platform
from mcore.platform import session
from tests.platform.engines import assert_same, assert_same_state, tensor


@pytest.fixture
def built():
    """Counts sessions that calls of modules build."""
    session.clear()
    before = session.graphs.built
    return lambda: session.graphs.built - before


def ones(*shape):
    return tensor(np.ones(shape, "float32"))


def image(n, h, w, seed=0):
    return np.random.RandomState(seed).randn(n, 3, h, w).astype("float32")


def small(nn):
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2))


# --- sessions -------------------------------------------------------------------------------------


def test_the_same_call_builds_one_session(built):
    net = small(platform).eval()

    for _ in range(3):
        net(ones(1, 3, 8, 8))

    assert built() == 1


def test_alternating_shapes_build_two_sessions_at_most(built):
    net, theirs = small(platform).eval(), small(torch.nn).eval()
    net.load_state_dict(theirs.state_dict())

    for n, h, w in [(1, 8, 8), (2, 9, 12), (1, 8, 8), (3, 16, 7), (1, 8, 8), (2, 9, 12)]:
        x = image(n, h, w)
        assert_same(net(tensor(x)), theirs(torch.from_numpy(x)).detach())

    assert built() <= 2


def test_a_changed_weight_takes_effect_and_replaces_its_session(built):
    layer = platform.Linear(2, 1, bias=False)
    results = []
    for value in (1.0, 2.0, 3.0):
        platform.init.constant_(layer.weight, value)
        results.append(layer(ones(1, 2)).item())

    assert (results, len(session.graphs.sessions)) == ([2.0, 4.0, 6.0], 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: layer.load_state_dict({"weight": np.full((1, 2), 3.0)}),
        lambda layer: setattr(layer, "weight", platform.Parameter(tensor([[3.0, 3.0]]))),
        lambda layer: layer.weight.copy_(tensor([[3.0, 3.0]])),
        lambda layer: layer.weight.data.fill_(3.0),
        lambda layer: layer.state_dict()["weight"].fill_(3.0),
        lambda layer: layer.weight.__setitem__(slice(None), 3.0),
        lambda layer: setattr(layer.weight, "data", tensor([[3.0, 3.0]])),
    ],
    ids=["load", "assign", "copy", "data", "state", "index", "set data"],
)
def test_every_way_to_change_a_weight_takes_effect(change):
    layer = platform.Linear(2, 1, bias=False)
    layer(ones(1, 2))

    change(layer)

    assert layer(ones(1, 2)).item() == 6.0


def test_an_edited_attribute_takes_effect():
    layer = platform.LeakyReLU(0.5)
    first = layer(tensor([-1.0])).item()
    layer.negative_slope = 0.25

    assert (first, layer(tensor([-1.0])).item()) == (-0.5, -0.25)


def test_an_edited_convolution_takes_effect():
    layer = platform.Conv2d(1, 1, 1)
    layer(ones(1, 1, 4, 4))
    layer.stride = (2, 2)

    assert tuple(layer(ones(1, 1, 4, 4)).shape) == (1, 1, 2, 2)


def test_train_and_eval_take_effect():
    layer = platform.Dropout(1.0)

    modes = [layer.train(mode)(ones(2)).tolist() for mode in (True, False, True)]

    assert modes == [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


def test_sessions_are_bounded():
    for width in range(1, session.graphs.limit + 4):
        platform.Linear(width, 1)(ones(1, width))

    assert len(session.graphs.sessions) == session.graphs.limit


def test_two_threads_call_at_once():
    net, x = small(platform).eval(), ones(1, 3, 8, 8)
    wanted, got = net(x).numpy(), {}

    def work(k):
        for _ in range(20):
            got[k] = net(x).numpy()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(np.array_equal(got[k], wanted) for k in range(4))


# --- what comes in and goes out -------------------------------------------------------------------


class Anything(platform.Module):
    def forward(self, x, *rest, scale=1, **more):
        return {"sum": [x + r for r in rest], "scaled": (x * scale, more.get("note")), "same": x}


def test_arguments_and_results_may_be_nested():
    out = Anything()(ones(2), ones(2), tensor([3.0, 4.0]), scale=2, note="text")

    assert [t.tolist() for t in out["sum"]] == [[2.0, 2.0], [4.0, 5.0]]
    assert (out["scaled"][0].tolist(), out["scaled"][1], out["same"].tolist()) == (
        [2.0, 2.0],
        "text",
        [1.0, 1.0],
    )


def test_a_weight_may_be_returned_as_it_is():
    class Giving(platform.Module):
        def __init__(self):
            super().__init__()
            self.weight = platform.Parameter(ones(2))

        def forward(self):
            return self.weight

    net = Giving()

    assert net() is net.weight


def test_a_module_without_arguments_computes():
    class Constant(platform.Module):
        def __init__(self):
            super().__init__()
            self.weight = platform.Parameter(ones(2))

        def forward(self):
            return self.weight * 3

    assert Constant()().tolist() == [3.0, 3.0]


def test_the_callers_arrays_and_tensors_are_never_changed():
    array = -np.ones(3, "float32")
    x = platform.from_numpy(array)

    class Writing(platform.Module):
        def forward(self, x):
            x += 5
            x[0] = 9
            return x.relu_()

    out = Writing()(x)

    assert (out.tolist(), x.tolist(), array.tolist()) == ([9.0, 4.0, 4.0], [-1.0] * 3, [-1.0] * 3)


def test_what_comes_out_is_read_only():
    out = platform.ReLU()(ones(2))

    with pytest.raises(ValueError, match=r"read-only"):
        out.numpy()[0] = 5


def test_the_same_tensor_twice_is_one_tensor():
    class Adding(platform.Module):
        def forward(self, a, b):
            return a is b

    x = ones(1)
    assert Adding()(x, x) is True


# --- values read on the way -----------------------------------------------------------------------


class Branching(platform.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x * 2
        return x - x.min().item()


def test_a_value_decides_the_branch_at_each_call(built):
    net = Branching()

    results = [net(tensor(v)).tolist() for v in ([1.0, 2.0], [-1.0, -2.0], [3.0, 0.0], [-3.0, 0.0])]

    assert results == [[2.0, 4.0], [1.0, 0.0], [6.0, 0.0], [0.0, 3.0]]


def test_a_data_dependent_size_is_right_at_each_call():
    class Selecting(platform.Module):
        def forward(self, x):
            chosen = x[x > 0]
            return chosen, chosen.shape[0]

    results = [Selecting()(tensor(v)) for v in ([1.0, -2.0, 3.0], [-1.0, -2.0, 3.0])]

    assert [(r.tolist(), int(n)) for r, n in results] == [([1.0, 3.0], 2), ([3.0], 1)]


# --- state that forward writes --------------------------------------------------------------------


class Counting(platform.Module):
    def __init__(self, write):
        super().__init__()
        self.register_buffer("count", tensor(np.array(0)))
        self.write = write

    def forward(self, x):
        self.write(self)
        return x + self.count


def add_in_place(m):
    m.count += 1


def add_method(m):
    m.count.add_(1)


def assign(m):
    m.count = m.count + 1


@pytest.mark.parametrize("write", [add_in_place, add_method, assign])
def test_a_counter_is_kept_over_calls(write, built):
    net = Counting(write)

    results = [net(tensor([0.0])).item() for _ in range(4)]

    assert (results, net.count.item(), net.state_dict()["count"].item()) == ([1.0, 2.0, 3.0, 4.0], 4, 4)
    assert built() <= 2


@pytest.mark.parametrize("write", [add_in_place, add_method, assign])
def test_a_failing_call_leaves_the_counter_as_it_was(write):
    class Failing(Counting):
        def forward(self, x):
            super().forward(x)
            raise KeyError("mine")

    net = Failing(write)
    before = net.count

    with pytest.raises(KeyError, match=r"mine"):
        net(ones(1))

    assert (net.count is before, net.count.item()) == (True, 0)


def test_a_new_buffer_of_a_failing_call_is_gone():
    class Failing(platform.Module):
        def forward(self, x):
            self.register_buffer("seen", x * 2)
            raise KeyError("mine")

    net = Failing()
    with pytest.raises(KeyError):
        net(ones(1))

    assert not hasattr(net, "seen")


def test_a_buffer_that_forward_makes_is_state_afterwards():
    class Caching(platform.Module):
        def forward(self, x):
            if "grid" not in self._buffers:
                self.register_buffer("grid", x * 2)
            return self.grid + 1

    net = Caching()
    results = [net(ones(2)).tolist() for _ in range(2)]

    assert (results, net.state_dict()["grid"].tolist()) == ([[3.0, 3.0]] * 2, [2.0, 2.0])
    assert copy.deepcopy(net)(ones(2)).tolist() == [3.0, 3.0]


def test_a_plain_attribute_that_forward_makes_outlives_the_call():
    class Keeping(platform.Module):
        def forward(self, x):
            self.seen = x * 2
            return x

    net = Keeping()
    net(ones(2))

    assert net.seen.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
def test_batch_statistics_move_as_torchs_over_three_calls(momentum, built):
    theirs, ours = (nn.BatchNorm2d(3, momentum=momentum) for nn in (torch.nn, platform))

    for seed in range(3):
        x = image(2, 5, 4, seed)
        assert_same(ours(tensor(x)), theirs(torch.from_numpy(x)).detach(), rtol=1e-4, atol=1e-5)

    assert_same_state(ours, theirs)
    assert built() <= 2
    x = image(2, 5, 4, 9)
    assert_same(ours.eval()(tensor(x)), theirs.eval()(torch.from_numpy(x)).detach(), rtol=1e-4, atol=1e-5)


def test_one_value_a_channel_is_refused_in_training_in_torchs_words():
    with pytest.raises(ValueError, match=r"Expected more than 1 value per channel when training") as caught:
        platform.BatchNorm1d(3)(ones(1, 3))

    assert "torch.Size([1, 3])" in str(caught.value) or "mcore.Size([1, 3])" in str(caught.value)


def test_a_shared_weight_is_one_initializer_and_changes_in_both_places():
    body = platform.Sequential(platform.Linear(2, 2, bias=False), platform.Linear(2, 2, bias=False))
    body[1].weight = body[0].weight
    body[0].weight.copy_(tensor([[1.0, 0.0], [0.0, 2.0]]))

    assert body(ones(1, 2)).tolist() == [[1.0, 4.0]]
    (last,) = list(session.graphs.sessions.values())[-1:]
    assert len(last.versions) == 1


# --- randomness -----------------------------------------------------------------------------------


def test_dropout_is_fresh_at_each_call_and_builds_one_session(built):
    layer = platform.Dropout(0.5)

    first, second = (layer(ones(200)).numpy() for _ in range(2))

    assert not np.array_equal(first, second)
    assert built() == 1


def test_noise_in_forward_follows_the_seed():
    class Noisy(platform.Module):
        def forward(self, x):
            return x + platform.randn(3)

    def draw():
        platform.manual_seed(7)
        return [Noisy()(ones(3)).tolist() for _ in range(2)]

    first, again = draw(), draw()
    assert first == again
    assert first[0] != first[1]


# --- errors say where -----------------------------------------------------------------------------


class Wrong(platform.Module):
    def __init__(self):
        super().__init__()
        self.body = platform.Sequential(platform.ReLU(), platform.Linear(4, 2))

    def forward(self, x):
        return self.body(x)  # line of the call


def line_of(text):
    with open(__file__) as lines:
        return next(k for k, line in enumerate(lines, 1) if line.rstrip().endswith(text))


def test_an_error_names_the_word_the_module_and_the_users_line():
    with pytest.raises(RuntimeError) as caught:
        Wrong()(ones(3, 5))

    text = str(caught.value)
    assert "mat1 and mat2 shapes cannot be multiplied (3x5 and 4x2)" in text
    assert "linear" in text
    assert "body.1 (Linear)" in text
    assert f"{__file__}:{line_of('# line of the call')}" in text


def test_after_a_module_of_the_user_a_layer_is_put_down_to_its_own_caller():
    class Inner(platform.Module):
        def forward(self, x):
            return x * 2

    class Outer(platform.Module):
        def __init__(self):
            super().__init__()
            self.body = platform.Sequential(Inner(), platform.ReLU())

        def forward(self, x):
            return self.body(x)

    from mcore.platform.graph import Place, Recorder

    with Recorder() as recorder:
        Outer()._speak((tensor([1.0]),), {})

    places = [Place(*p) for p, node in zip(recorder.places, recorder.nodes, strict=True) if node[0] in ("Mul", "Relu")]
    assert [type(p.module).__name__ for p in places] == ["Inner", "ReLU"]
    assert [p.code.co_qualname.rpartition(".")[0].rpartition(".")[2] for p in places] == ["Inner", "Outer"]


def test_an_error_of_the_runtime_names_the_line(monkeypatch):
    net = Wrong()
    net(ones(3, 4))

    def broken(self, feeds):
        raise RuntimeError("Non-zero status code returned while running Gemm node. Name:'n4' Status Message: broken")

    monkeypatch.setattr(session.Session, "run", broken)
    with pytest.raises(RuntimeError, match=r"broken.*test_calls.py"):
        net(ones(3, 4))


# --- exporting leaves no trace --------------------------------------------------------------------


def test_a_recording_for_export_leaves_state_as_it_was():
    from mcore.platform.graph import Recorder

    net = Counting(assign)
    before = net.count
    with Recorder(exporting=True) as recorder:
        net._speak((tensor([1.0]),), {})
        recorder.release()

    assert (net.count is before, net(tensor([0.0])).item()) == (True, 1.0)


def test_reading_a_value_while_exporting_is_an_error_at_the_users_line():
    from mcore.platform.graph import Recorder

    kind = platform.float32
    with Recorder(exporting=True) as recorder:
        value = recorder.input(np.ones(2, "float32"), kind)
        x = platform.Tensor._recorded(recorder, value, kind, (2,))
        with pytest.raises(RuntimeError, match=r"test_calls.py:\d+"):
            Branching()._speak((x,), {})
