"""What the platform engine promises, tried where it is easiest to break: aliasing, errors midway, threads, nothing."""

import copy
import gc
import threading
import weakref

import numpy as np
import pytest
import torch

import mcore.platform as platform
from mcore.platform import Module, session
from mcore.platform import functional as F


def drawn(*shape, seed=0):
    return platform.from_numpy(np.random.RandomState(seed).randn(*shape).astype("float32"))


class Counting(Module):
    """Writes two kinds of state, and fails where told."""

    def __init__(self, failing=False):
        super().__init__()
        self.norm, self.failing = platform.BatchNorm2d(3), failing
        self.register_buffer("count", platform.zeros(()))

    def forward(self, x):
        self.count += 1
        x = self.norm(x)
        if self.failing:
            raise ValueError("midway")
        return x


# --- the caller's arrays ---------------------------------------------------------------------------------


class Cloning(Module):
    def forward(self, x):
        return x.clone()


def loaded(x):
    layer = platform.Linear(3, 2, bias=False)
    layer.load_state_dict({"weight": x})
    return layer.weight


def with_data(x):
    layer = platform.Linear(3, 2, bias=False)
    layer.weight.data = x
    return layer.weight


@pytest.mark.parametrize(
    "copying",
    [
        lambda x: x.clone(), lambda x: platform.zeros(2, 3).copy_(x), lambda x: platform.cat([x]),
        lambda x: x.repeat(1, 1),
        lambda x: x.to(platform.float32, copy=True), copy.deepcopy, platform.Parameter, loaded, with_data, Cloning(),
        lambda x: F.pad(x, (0, 0)), lambda x: x.flip([]),
    ],
    ids="clone copy_ cat repeat to deepcopy Parameter load_state_dict data module pad flip".split(),
)  # fmt: skip
def test_what_torch_copies_does_not_follow_a_later_edit_of_the_callers_array(copying):
    array = np.ones((2, 3), "float32")

    result = copying(platform.from_numpy(array))
    array[:] = 7

    assert result.tolist() == [[1.0] * 3] * 2


def test_an_input_that_is_edited_between_calls_is_read_anew():
    array, layer = np.ones(2, "float32"), platform.ReLU()
    x = platform.from_numpy(array)

    first = layer(x).tolist()
    array[:] = 5

    assert (first, layer(x).tolist()) == ([1.0, 1.0], [5.0, 5.0])


def test_the_engines_own_arrays_are_not_copied():
    x = drawn(2, 3) + 1

    assert x.clone().numpy().base is x.numpy().base


# --- errors midway ---------------------------------------------------------------------------------------


def test_an_exception_midway_leaves_every_buffer_as_it_was_however_often():
    net = Counting(failing=True)
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}

    for _ in range(2):
        with pytest.raises(ValueError, match="midway"):
            net(drawn(2, 3, 4, 4))

    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    net.failing = False
    net(drawn(2, 3, 4, 4))
    assert (net.count.item(), net.norm.num_batches_tracked.item()) == (1, 1)


def test_an_error_of_the_runtime_leaves_the_buffers_and_names_the_line():
    class Looking(Module):
        def __init__(self):
            super().__init__()
            self.norm, self.table = platform.BatchNorm2d(3), platform.Embedding(4, 2)

        def forward(self, x, ids):
            return self.norm(x).sum() + self.table(ids * 1).sum()

    net = Looking()

    with pytest.raises(Exception, match=r"test_promises\.py:\d+"):
        net(drawn(2, 3, 4, 4), platform.tensor([9]))

    assert net.norm.num_batches_tracked.item() == 0
    net(drawn(2, 3, 4, 4), platform.tensor([1]))
    assert net.norm.num_batches_tracked.item() == 1


# --- threads ---------------------------------------------------------------------------------------------


def at_once(work, count=4):
    failed = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_threads_that_count_in_one_module_lose_no_count():
    net = Counting()

    at_once(lambda number: [net(drawn(2, 3, 4, 4)) for _ in range(10)])

    assert (net.count.item(), net.norm.num_batches_tracked.item()) == (40, 40)


def test_threads_that_call_one_module_at_many_sizes_get_their_own_results():
    net = platform.Sequential(platform.Conv2d(3, 4, 3), platform.BatchNorm2d(4), platform.ReLU()).eval()
    given = [drawn(1 + k % 3, 3, 8 + k, 8, seed=k) for k in range(6)]
    wanted = [net(x).numpy() for x in given]
    session.clear()

    def work(number):
        for turn in range(12):
            k = (number + turn) % 6
            np.testing.assert_array_equal(net(given[k]).numpy(), wanted[k])

    at_once(work)


# --- nothing, and very much ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("LSTM", (4, 3, 2), (5, 0, 4)), ("GRU", (4, 3), (5, 0, 4)), ("RNN", (4, 3), (5, 0, 4)),
        ("MultiheadAttention", (4, 2), (3, 0, 4)), ("TransformerEncoderLayer", (4, 2, 8), (3, 0, 4)),
        ("Conv3d", (4, 2, 3), (0, 4, 4, 4, 4)), ("GroupNorm", (2, 4), (0, 4, 3, 3)),
        ("Upsample", (None, 2), (0, 4, 3, 3)),
        ("Linear", (4, 3), (0, 2, 4)), ("ConvTranspose2d", (4, 2, 2), (0, 4, 3, 3)),
    ],
)  # fmt: skip
def test_an_empty_batch_gives_an_empty_result_of_torchs_shape(name, arguments, shape):
    ours, theirs = getattr(platform, name)(*arguments).eval(), getattr(torch.nn, name)(*arguments).eval()
    repeats = 3 if name == "MultiheadAttention" else 1

    got = ours(*[platform.zeros(*shape)] * repeats)
    with torch.no_grad():
        want = theirs(*[torch.zeros(*shape)] * repeats)

    first = (got[0], want[0]) if isinstance(want, tuple) else (got, want)
    assert tuple(first[0].shape) == tuple(first[1].shape)


def test_a_sum_over_an_empty_recurrent_batch_is_zero():
    class Summing(Module):
        def __init__(self):
            super().__init__()
            self.layer = platform.LSTM(4, 3)

        def forward(self, x):
            return self.layer(x)[0].sum()

    net = Summing()

    assert net(platform.zeros(5, 0, 4)).item() == 0
    assert net(platform.ones(5, 2, 4)).item() != 0


def test_sizes_that_depend_on_data_are_read_also_beside_an_empty_axis():
    x = platform.zeros(3, 0)

    assert tuple(x[platform.tensor([True, False, True])].shape) == (2, 0)


def test_a_chain_of_three_thousand_words_runs():
    class Long(Module):
        def forward(self, x):
            for _ in range(3000):
                x = x + 1
            return x

    assert Long()(platform.zeros(2)).tolist() == [3000.0, 3000.0]


# --- what outlives a call --------------------------------------------------------------------------------


def test_a_recorded_tensor_kept_by_the_module_is_data_in_the_next_call():
    class Remembering(Module):
        def __init__(self):
            super().__init__()
            self.past, self.recent = None, []

        def forward(self, x):
            self.past = x if self.past is None else self.past * 0.5 + x
            self.recent = [*self.recent, x.mean()][-3:]
            return self.past * 1, platform.stack(self.recent).mean()

    net = Remembering()
    results = [tuple(t.item() for t in net(platform.ones(1))) for _ in range(4)]

    assert results == [(1.0, 1.0), (1.5, 1.0), (1.75, 1.0), (1.875, 1.0)]
    assert net.past.tolist() == [1.875]


def test_keeping_what_the_last_call_made_does_not_build_sessions_without_end():
    class Keeping(Module):
        def __init__(self):
            super().__init__()
            self.past = platform.zeros(1)

        def forward(self, x):
            self.past = self.past * 0.5 + x
            return x * 2

    net = Keeping()
    for _ in range(5):
        net(platform.ones(1))
    before = session.graphs.built + session.words.built
    for _ in range(20):
        net(platform.ones(1))

    assert session.graphs.built + session.words.built - before <= 1
    assert net.past.item() == pytest.approx(2.0)


def test_a_module_that_was_called_can_be_collected():
    net = platform.Sequential(platform.Linear(2, 2))
    net(platform.ones(1, 2))
    seen = weakref.ref(net)

    del net
    gc.collect()

    assert seen() is None
