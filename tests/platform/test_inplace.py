"""In-place words, operators and `out=`, copies and views, and what there is instead of gradients."""

import numpy as np
import pytest
import torch

import mcore.platform as engine
from mcore.platform import dtypes
from mcore.platform.word import WORDS

X = np.array([[-1.5, 0.25, 2.0], [0.5, -0.75, 3.0]], np.float32)
Y = np.array([[0.5, 2.0, 1.5], [1.0, 0.5, 2.0]], np.float32)
ARGUMENTS = {
    "lerp_": (Y, 0.3), "addcmul_": (Y, Y), "addcdiv_": (Y, Y), "clamp_": (-0.5, 0.5),
    "clip_": (-0.5, 0.5),
    "clamp_min_": (0.0,), "clamp_max_": (0.0,), "masked_fill_": (X > 0, 7.0), "fill_": (3.0,), "copy_": (Y[:1],),
    "nan_to_num_": (0.0,), "logit_": (0.1,), "celu_": (), "threshold_": (0.1, 20.0),
}  # fmt: skip
RANDOM = (
    "normal_", "uniform_", "bernoulli_", "random_", "exponential_", "log_normal_", "cauchy_", "geometric_", "rrelu_",
)  # fmt: skip
BITS = ("bitwise", "__iand", "__ior", "__ixor", "__ilshift", "__irshift")
MINE = ("arithmetic", "comparison", "pointwise", "activation", "creation", "casting", "random")


def names_in_place() -> list[str]:
    """The in-place methods of these files, and those that only torch's functions have."""
    found = [n for n, word in WORDS.items() if getattr(word, "__module__", "").rpartition(".")[2] in MINE]
    ends = [n for n in found if (n.endswith("_") and not n.endswith("__")) or n.startswith("Tensor.__i")]
    skipped = (*RANDOM, "requires_grad_", "detach_", "__invert__", "__idiv__", "dropout_")
    return [n for n in ends if not n.endswith(skipped)]


def engines_of(value):
    if isinstance(value, np.ndarray):
        return engine.Tensor._of(value.copy()), torch.from_numpy(value.copy())
    return value, value


def of_torch(name):
    place, _, method = name.partition(".")
    return getattr({"Tensor": torch.Tensor, "torch": torch, "F": torch.nn.functional}[place], method)


@pytest.mark.parametrize("name", names_in_place())
def test_a_word_in_place_changes_its_tensor_as_in_torch(name):
    method = name.partition(".")[2]
    base = np.abs(X) if "pow" in name else X
    if any(b in name for b in BITS):
        base = np.array([[6, 1, 3], [2, 5, 4]])
    if method in ARGUMENTS:
        arguments = ARGUMENTS[method]
    else:
        arguments = (np.array([[1, 2, 1], [3, 1, 2]]) if base.dtype == np.int64 else Y,)
    base = base.astype(np.float64) if "float_power" in name else base
    ours, theirs = engines_of(base)
    pairs = [engines_of(a) for a in arguments]
    try:
        want = of_torch(name)(theirs, *[p[1] for p in pairs])
    except TypeError:
        pairs = []  # a word of one operand
        want = of_torch(name)(theirs)

    got = WORDS[name](ours, *[p[0] for p in pairs])

    assert got is ours
    assert want is theirs
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6, equal_nan=True)


def test_a_word_in_place_refuses_results_that_do_not_fit():
    x = engine.Tensor._of(np.array([1, 2]))

    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        x.add_(1.5)
    with pytest.raises(RuntimeError, match=r"output with shape \[2\] doesn't match the broadcast shape \[2, 2\]"):
        x += engine.Tensor._of(np.ones((2, 2), np.int64))


def test_a_sum_in_place_leaves_the_array_of_the_caller_alone():
    array = np.ones(3, np.float32)
    x = WORDS["torch.from_numpy"](array)

    x += 1

    assert array.tolist() == [1, 1, 1]
    assert x.tolist() == [2, 2, 2]


@pytest.mark.parametrize("method", ["detach", "contiguous", "clone"])
def test_what_is_written_to_a_copy_shows_as_in_torch(method):
    ours, theirs = engines_of(X)

    getattr(ours, method)().add_(1)
    getattr(theirs, method)().add_(1)

    np.testing.assert_allclose(ours.numpy(), theirs.numpy())


def test_a_result_that_equals_its_operand_is_a_tensor_of_its_own():
    for word, arguments in (("pow", (1,)), ("floor", ()), ("trunc", ()), ("clone", ()), ("sign", ())):
        x = engine.Tensor._of(np.array([1, 2, 3]) if word != "sign" else np.array([True, False]))
        before = x.tolist()

        getattr(x, word)(*arguments).zero_()

        assert x.tolist() == before


def test_in_place_words_inside_a_module_act_on_the_recording_alone():
    class Net(engine.Module):
        def forward(self, x):
            y = x.relu()
            y += 1
            y.mul_(2).clamp_(max=5)
            return engine.functional.relu(y - 3, inplace=True)

    x = engine.Tensor._of(X)

    got = Net()(x)

    y = ((torch.from_numpy(X).relu() + 1) * 2).clamp(max=5)
    np.testing.assert_allclose(got.numpy(), torch.relu(y - 3).numpy())
    np.testing.assert_array_equal(x.numpy(), X)


def test_activations_with_inplace_write_onto_their_argument():
    for word in ("relu", "relu6", "elu", "silu", "mish", "hardswish", "hardtanh", "leaky_relu", "selu", "celu"):
        ours, theirs = engines_of(X)

        got = WORDS[f"F.{word}"](ours, inplace=True)

        getattr(torch.nn.functional, word)(theirs, inplace=True)
        assert got is ours
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)


def test_out_takes_the_result():
    out = engine.Tensor._of(np.zeros(3, np.float64))

    got = WORDS["torch.add"](engine.Tensor._of(X[0]), engine.Tensor._of(X[1]), out=out)

    assert got is out
    assert out.dtype is dtypes.float64
    np.testing.assert_allclose(out.numpy(), X[0] + X[1])
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        WORDS["torch.add"](engine.Tensor._of(X[0]), 1.5, out=engine.Tensor._of(np.zeros(3, np.int64)))


def test_operators_leave_what_they_do_not_know_to_python():
    x = engine.Tensor._of(X)

    assert (x == None) is False  # noqa: E711 - the operator is what is tested
    assert (x != "a") is True
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: 'Tensor' and 'NoneType'"):
        x + None
    with pytest.raises(TypeError, match="'<' not supported between instances of 'Tensor' and 'str'"):
        bool(x < "a")


def test_numpy_numbers_on_either_side_are_numbers():
    x = engine.Tensor._of(X)
    for got in (np.float64(2) * x, x * np.float64(2), np.float32(2) * x):
        assert isinstance(got, engine.Tensor)
        assert got.dtype is dtypes.float32
        np.testing.assert_allclose(got.numpy(), 2 * X)


# --- gradients


def test_gradients_are_refused_in_one_clear_error():
    x = engine.Tensor._of(X)
    spoken = (
        lambda: x.backward(),
        lambda: x.requires_grad_(),
        lambda: setattr(x, "requires_grad", True),
        lambda: WORDS["torch.zeros"](2, requires_grad=True),
        lambda: WORDS["torch.tensor"]([1.0], requires_grad=True),
        lambda: x.register_hook(print),
    )
    for speak in spoken:
        with pytest.raises(RuntimeError, match=r"computes no gradients\. Train with MCORE_BACKEND=torch and load"):
            speak()


def test_tensors_answer_questions_about_gradients():
    x = engine.Tensor._of(X)
    x.requires_grad = False

    assert (x.requires_grad, x.grad, x.grad_fn, x.is_leaf) == (False, None, None, True)
    assert x.requires_grad_(False) is x
    assert WORDS["torch.is_grad_enabled"]() is False


@pytest.mark.parametrize("name", ["no_grad", "enable_grad", "inference_mode"])
def test_gradient_settings_are_contexts_and_decorators_that_change_nothing(name):
    setting = WORDS[f"torch.{name}"]

    @setting()
    def with_parentheses(a):
        return a + 1

    @setting
    def without(a):
        return a + 2

    with setting():
        inside = engine.Tensor._of(X) + 1

    assert (with_parentheses(1), without(1)) == (2, 3)
    np.testing.assert_allclose(inside.numpy(), X + 1)
    with WORDS["torch.set_grad_enabled"](True):
        assert WORDS["torch.is_grad_enabled"]() is False


# --- types and devices


@pytest.mark.parametrize("kind", [k for k in dtypes.ALL if k.is_floating_point], ids=str)
def test_limits_of_float_types_are_those_of_torch(kind):
    ours, theirs = WORDS["torch.finfo"](kind), torch.finfo(getattr(torch, kind.name))
    for name in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-6), name
    assert ours.dtype == theirs.dtype


@pytest.mark.parametrize("kind", [k for k in dtypes.ALL if k.category == dtypes.INTEGER], ids=str)
def test_limits_of_integer_types_are_those_of_torch(kind):
    ours, theirs = WORDS["torch.iinfo"](kind), torch.iinfo(getattr(torch, kind.name))
    assert (ours.bits, ours.max, ours.min, ours.dtype) == (theirs.bits, theirs.max, theirs.min, theirs.dtype)


def test_a_tensor_tells_the_name_of_its_type():
    for kind in dtypes.ALL:
        assert engine.Tensor._of(np.zeros(1, kind.numpy), kind).type() == torch.zeros(
            1, dtype=getattr(torch, kind.name)).type()  # fmt: skip


def test_a_device_that_is_not_there_is_refused_with_those_that_are():
    for speak in (lambda: engine.Tensor._of(X).to("rocm"), lambda: engine.Tensor._of(X).to(device="meta")):
        with pytest.raises(RuntimeError, match=r"is not available.*devices: .*cpu"):
            speak()


def test_a_tensor_that_is_so_already_is_given_back_itself():
    x = engine.Tensor._of(X)

    assert x.to("cpu") is x
    assert x.to(dtypes.float32) is x
    assert x.float() is x
    assert x.to(dtypes.float32, copy=True) is not x
    assert x.contiguous() is x
