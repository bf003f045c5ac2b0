"""`state_dict` and `load_state_dict`: torch's messages all at once, and nothing changed where anything is wrong."""

from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest
import torch

import mcore.platform as platform
from tests.platform.engines import assert_same, tensor


def build(nn):
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), head=nn.Sequential(nn.Linear(4, 2)))
    )


@pytest.fixture
def net():
    return build(platform)


def numbers(module):
    return {name: t.numpy().copy() for name, t in module.state_dict().items()}


def assert_unchanged(module, before):
    after = numbers(module)
    assert list(after) == list(before)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])


def spoilt(state):
    """A state with everything wrong that can be."""
    state = OrderedDict(state)
    state["conv.weight"] = state["conv.weight"][:2]
    state["norm.running_mean"] = state["norm.running_mean"][:1]
    del state["head.0.bias"], state["norm.bias"]
    state["head.1.weight"] = state["extra"] = state["norm.more"] = state["conv.bias"]
    return state


def test_every_mismatch_is_listed_at_once_in_torchs_words(net):
    theirs = build(torch.nn)
    with pytest.raises(RuntimeError) as wanted:
        theirs.load_state_dict(spoilt(theirs.state_dict()))

    with pytest.raises(RuntimeError) as got:
        net.load_state_dict(spoilt(theirs.state_dict()))

    assert str(got.value) == str(wanted.value)


def test_nothing_is_changed_where_anything_is_wrong(net):
    before = numbers(net)
    wrong = {name: array + 1 for name, array in before.items()}
    wrong["head.0.bias"] = wrong["head.0.bias"][:1]

    with pytest.raises(RuntimeError, match=r"size mismatch for head.0.bias"):
        net.load_state_dict(wrong)

    assert_unchanged(net, before)


def test_nothing_is_changed_where_assignment_goes_wrong(net):
    before, weight = numbers(net), net.conv.weight
    wrong = {name: tensor(array + 1) for name, array in before.items()}
    del wrong["head.0.bias"]

    with pytest.raises(RuntimeError, match=r"Missing key"):
        net.load_state_dict(wrong, assign=True)

    assert net.conv.weight is weight
    assert_unchanged(net, before)


def test_a_call_after_a_refused_load_uses_the_old_weights(net):
    x = tensor(np.ones((1, 3, 6, 6), "float32"))
    wanted = net.eval()[:2](x).numpy()
    wrong = {name: array + 1 for name, array in numbers(net).items()} | {"more": np.zeros(1)}

    with pytest.raises(RuntimeError, match=r'Unexpected key.s. in state_dict: "more"'):
        net.load_state_dict(wrong)

    np.testing.assert_array_equal(net[:2](x).numpy(), wanted)


def test_without_strictness_names_are_told_and_the_rest_is_loaded(net):
    given = {"conv.bias": np.full(4, 7.0, "float32"), "more": np.zeros(1)}

    keys = net.load_state_dict(given, strict=False)

    assert keys.unexpected_keys == ["more"]
    # Without metadata, as in files of before 0.4.1, a missing counter is forgiven.
    found = ("conv.bias", "norm.num_batches_tracked")
    assert keys.missing_keys == [name for name in net.state_dict() if name not in found]
    assert net.conv.bias.tolist() == [7.0] * 4


def test_shapes_must_fit_without_strictness_too(net):
    with pytest.raises(RuntimeError, match=r"size mismatch for conv.bias"):
        net.load_state_dict({"conv.bias": np.zeros(3)}, strict=False)


def test_success_prints_as_torchs(net):
    assert repr(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"


@pytest.mark.parametrize("wrong", [None, [1], "text"])
def test_what_is_no_mapping_is_refused(net, wrong):
    with pytest.raises(TypeError, match=r"Expected state_dict to be dict-like, got"):
        net.load_state_dict(wrong)


def test_what_is_no_tensor_is_refused(net):
    state = dict(net.state_dict()) | {"conv.bias": "text"}

    with pytest.raises(RuntimeError, match=r'parameter named "conv.bias", expected torch.Tensor'):
        net.load_state_dict(state)


# --- what is read ---------------------------------------------------------------------------------

KINDS = {
    "numpy": lambda a: a,
    "torch": torch.from_numpy,
    "torch parameter": lambda a: torch.nn.Parameter(torch.from_numpy(a)),
    "torch transposed": lambda a: torch.from_numpy(np.ascontiguousarray(a.T)).T,
    "torch bfloat16": lambda a: torch.from_numpy(a).bfloat16(),
    "mcore": tensor,
    "list of numpy's float64": lambda a: a.astype("float64"),
    "bfloat16": lambda a: a.astype(ml_dtypes.bfloat16),
    "big endian": lambda a: a.astype(">f4"),
    "integers": lambda a: a.astype("int64"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_reads_any_kind_of_tensor_in_the_parameters_own_type(kind):
    layer = platform.Linear(3, 2, bias=False)
    array = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0]], "float32")

    layer.load_state_dict({"weight": KINDS[kind](array)})

    assert layer.weight.dtype is platform.float32
    np.testing.assert_array_equal(layer.weight.numpy(), array)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_later_edits_of_what_was_given_are_not_seen(kind):
    layer, array = platform.Linear(2, 1, bias=False), np.ones((1, 2), "float32")
    layer.load_state_dict({"weight": KINDS[kind](array)})

    array[:] = 5

    assert layer.weight.tolist() == [[1.0, 1.0]]


def test_a_read_only_file_is_not_copied(tmp_path):
    np.save(tmp_path / "w.npy", np.ones((1, 2), "float32"))
    mapped = np.load(tmp_path / "w.npy", mmap_mode="r")
    layer = platform.Linear(2, 1, bias=False)

    layer.load_state_dict({"weight": mapped})

    assert np.shares_memory(layer.weight.numpy(), mapped)


def test_weights_go_both_ways(net):
    theirs = build(torch.nn)

    theirs.load_state_dict({name: torch.from_numpy(t.numpy().copy()) for name, t in net.state_dict().items()})

    for name, value in theirs.state_dict().items():
        assert_same(net.state_dict()[name], value, rtol=0, atol=0)


def test_a_scalar_is_read_from_an_old_file_with_one_element():
    layer = platform.Module()
    layer.scale = platform.Parameter(tensor(3.0))

    layer.load_state_dict({"scale": np.array([2.0], "float32")})

    assert layer.scale.item() == 2.0


def test_norms_without_a_counter_are_read_as_files_before_0_4_1():
    layer = platform.BatchNorm1d(2)
    state = {name: t.numpy() for name, t in layer.state_dict().items() if name != "num_batches_tracked"}

    assert layer.load_state_dict(state).missing_keys == []


def test_assignment_takes_the_tensor_with_its_type(net):
    state = {name: tensor(a, "float64") for name, a in numbers(net).items() if "num" not in name}
    state["norm.num_batches_tracked"] = tensor(np.array(3))
    net.conv.bias.requires_grad = False

    net.load_state_dict(state, assign=True)

    assert (net.conv.bias.dtype, net.conv.bias.requires_grad, type(net.conv.bias)) == (
        platform.float64,
        False,
        platform.Parameter,
    )


# --- sharing --------------------------------------------------------------------------------------


def test_the_state_shares_its_data_with_the_module(net):
    state = net.state_dict()

    state["conv.bias"].fill_(3.0)
    net.norm.bias.fill_(4.0)

    assert net.conv.bias.tolist() == [3.0] * 4
    assert state["norm.bias"].tolist() == [4.0] * 4


def test_kept_variables_are_the_parameters_themselves(net):
    assert net.state_dict(keep_vars=True)["conv.bias"] is net.conv.bias


def test_a_tied_weight_stands_twice_in_the_state_and_once_among_the_parameters():
    body = platform.Sequential(platform.Linear(2, 2, bias=False), platform.Linear(2, 2, bias=False))
    body[1].weight = body[0].weight

    body.load_state_dict({"0.weight": np.zeros((2, 2)), "1.weight": np.ones((2, 2))})

    assert (list(body.state_dict()), len(list(body.parameters()))) == (["0.weight", "1.weight"], 1)
    assert body[0].weight.tolist() == [[1.0, 1.0], [1.0, 1.0]]


# --- what classes and hooks add -------------------------------------------------------------------


class Counting(platform.Module):
    def __init__(self):
        super().__init__()
        self.count = 0

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state_is_carried_along():
    first, second = Counting(), Counting()
    first.count = 5

    second.load_state_dict(first.state_dict())

    assert (list(first.state_dict()), second.count) == (["_extra_state"], 5)
    with pytest.raises(RuntimeError, match=r"Missing key.*_extra_state"):
        second.load_state_dict({})


def test_a_class_renames_keys_as_it_loads():
    class Renamed(platform.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *rest):
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "kernel")
            super()._load_from_state_dict(state_dict, prefix, *rest)

    body = platform.Sequential(Renamed(2, 1, bias=False))

    body.load_state_dict({"0.kernel": np.ones((1, 2))})

    assert body[0].weight.tolist() == [[1.0, 1.0]]


def test_hooks_see_and_change_what_torchs_see():
    log = []
    layer = platform.Linear(1, 1, bias=False)
    layer.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("before saving", prefix, keep)))
    layer.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update({f"{prefix}note": 1}))
    layer.register_load_state_dict_pre_hook(lambda m, state, prefix, *rest: state.pop(f"{prefix}note", None))
    layer.register_load_state_dict_post_hook(lambda m, keys: log.append(keys.missing_keys[:]))

    state = platform.Sequential(layer).state_dict()
    platform.Sequential(layer).load_state_dict({"0.weight": np.zeros((1, 1))})

    assert (list(state), log) == (["0.weight", "0.note"], [("before saving", "0.", False), []])


# --- random numbers are drawn only when wanted ----------------------------------------------------


def test_weights_that_are_overwritten_are_never_drawn(monkeypatch):
    from mcore.platform import init

    monkeypatch.setattr(init.streams, "stream", lambda *key: pytest.fail("random numbers were drawn"))
    net = build(platform)
    state = {name: np.ones(tuple(t.shape), "float32") for name, t in net.state_dict().items()}

    net.double().float().load_state_dict(state)

    assert net.conv.weight.numpy().min() == 1


def test_weights_depend_on_the_seed_and_not_on_the_order_of_reading():
    def read(order):
        platform.manual_seed(3)
        net = build(platform)
        found = {name: net.state_dict()[name].numpy() for name in order(list(net.state_dict()))}
        return {name: found[name].tobytes() for name in sorted(found)}

    assert read(lambda names: names) == read(lambda names: names[::-1])


def test_a_view_of_the_state_is_read_only(net):
    with pytest.raises(ValueError, match=r"read-only"):
        net.conv.weight.numpy()[:] = 0
