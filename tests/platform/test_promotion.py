"""Result types and values of mixed operands: every pair of types, as tensors, 0-d tensors and numbers."""

import itertools
import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mcore.platform as engine
from mcore.platform import dtypes
from mcore.platform.word import WORDS

KINDS = tuple(dtypes.NAMES[k.name] for k in dtypes.ALL)
PAIRS = list(itertools.product(KINDS, KINDS))
NUMBERS = (True, 3, 2.5)
WORDS_OF_TWO = ("add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "eq", "lt", "ge", "maximum")
# bfloat16 keeps 8 bits; a result in it may differ in the last one, where the two round in another order.
TOLERANCE = {"float16": 2e-3, "bfloat16": 2e-2}
CONTENT = np.array([1, 2, 3, 1, 4, 2])


@pytest.fixture(autouse=True)
def _without_warnings_of_detours():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def name_of(kind) -> str:
    return str(kind).rpartition(".")[2]


def torch_tensor(kind, shape, *, back: bool = False) -> torch.Tensor:
    content = CONTENT[::-1].copy() if back else CONTENT
    content = content.reshape(shape) if shape else content[2]
    return torch.tensor(content).to(getattr(torch, kind.name))


def platform_tensor(kind, shape, *, back: bool = False):
    content = CONTENT[::-1] if back else CONTENT
    content = content.reshape(shape) if shape else content[2]
    return engine.Tensor._of(np.asarray(content).astype(kind.numpy), kind)


def assert_alike(word: str, ours: tuple, theirs: tuple) -> None:
    """The same type and values from both engines, or an error of the same class."""
    try:
        want = getattr(torch, word)(*theirs)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        with pytest.raises(type(error)):
            WORDS[f"torch.{word}"](*ours)
        return

    got = WORDS[f"torch.{word}"](*ours)

    assert name_of(got.dtype) == name_of(want.dtype)
    assert tuple(got.shape) == tuple(want.shape)
    limit = TOLERANCE.get(name_of(got.dtype), 1e-5)
    array = got.numpy()
    np.testing.assert_allclose(
        array.astype(np.float64), want.double().numpy(), rtol=limit, atol=limit, err_msg=f"{word} of {ours}"
    )


@pytest.mark.parametrize("word", WORDS_OF_TWO)
@pytest.mark.parametrize("left", KINDS, ids=name_of)
def test_types_of_two_tensors(word, left):
    for right in KINDS:
        for shape in ((2, 3), ()):
            ours = (platform_tensor(left, (2, 3)), platform_tensor(right, shape, back=True))
            theirs = (torch_tensor(left, (2, 3)), torch_tensor(right, shape, back=True))

            assert_alike(word, ours, theirs)


@pytest.mark.parametrize("word", WORDS_OF_TWO)
@pytest.mark.parametrize("left", KINDS, ids=name_of)
def test_types_of_two_tensors_without_axes(word, left):
    for right in KINDS:
        assert_alike(
            word,
            (platform_tensor(left, ()), platform_tensor(right, (), back=True)),
            (torch_tensor(left, ()), torch_tensor(right, (), back=True)),
        )


@pytest.mark.parametrize("word", [w for w in WORDS_OF_TWO if w != "maximum"])
@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_types_of_a_tensor_and_a_number(word, kind):
    for number, shape in itertools.product(NUMBERS, ((2, 3), ())):
        assert_alike(word, (platform_tensor(kind, shape), number), (torch_tensor(kind, shape), number))


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_types_of_a_number_and_a_tensor(kind):
    for number, word in itertools.product(NUMBERS, ("pow", "remainder")):
        assert_alike(word, (number, platform_tensor(kind, (2, 3))), (number, torch_tensor(kind, (2, 3))))


@pytest.mark.parametrize("left", KINDS, ids=name_of)
def test_types_of_where(left):
    condition = CONTENT.reshape(2, 3) > 2
    ours, theirs = engine.Tensor._of(condition), torch.tensor(condition)
    for right in KINDS:
        for shape in ((2, 3), ()):
            assert_alike(
                "where",
                (ours, platform_tensor(left, (2, 3)), platform_tensor(right, shape, back=True)),
                (theirs, torch_tensor(left, (2, 3)), torch_tensor(right, shape, back=True)),
            )
    for number in NUMBERS:
        mine, other = platform_tensor(left, (2, 3)), torch_tensor(left, (2, 3))
        assert_alike("where", (ours, mine, number), (theirs, other, number))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1].name}")
def test_promotion_and_casting_of_two_types(pair):
    one, two = pair
    theirs = [getattr(torch, kind.name) for kind in pair]

    assert name_of(WORDS["torch.promote_types"](one, two)) == name_of(torch.promote_types(*theirs))
    assert WORDS["torch.can_cast"](one, two) == torch.can_cast(*theirs)
    for shapes in itertools.product(((2,), ()), repeat=2):
        ours = [engine.Tensor._of(np.zeros(s, k.numpy), k) for s, k in zip(shapes, pair, strict=True)]
        torchs = [torch.zeros(s, dtype=k) for s, k in zip(shapes, theirs, strict=True)]
        assert name_of(WORDS["torch.result_type"](*ours)) == name_of(torch.result_type(*torchs))


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_results_are_written_in_place_only_into_types_that_hold_them(kind):
    for other in (*KINDS, *NUMBERS):
        number = not isinstance(other, dtypes.dtype)
        theirs, ours = torch_tensor(kind, (2, 3)), platform_tensor(kind, (2, 3))
        their_other = other if number else torch_tensor(other, (2, 3), back=True)
        our_other = other if number else platform_tensor(other, (2, 3), back=True)
        try:
            theirs.mul_(their_other)
        except RuntimeError as error:
            with pytest.raises(RuntimeError, match=str(error).split(" can't")[0]):
                ours.mul_(our_other)
            continue

        ours *= our_other

        assert ours.dtype is kind
        np.testing.assert_allclose(ours.numpy().astype(np.float64), theirs.double().numpy(), rtol=2e-2)


SIZES = st.lists(st.integers(1, 4), max_size=4)


@st.composite
def fitting_shapes(draw):
    """Two shapes that broadcast, some axes 1 and some missing."""
    whole = draw(SIZES)
    shapes = []
    for _ in range(2):
        kept = [size if draw(st.booleans()) else 1 for size in whole]
        shapes.append(tuple(kept[draw(st.integers(0, len(kept))) :]))
    return shapes


@given(shapes=fitting_shapes(), word=st.sampled_from(("add", "mul", "lt", "maximum")))
def test_shapes_broadcast_as_in_torch(shapes, word):
    arrays = [np.arange(int(np.prod(s)), dtype=np.float32).reshape(s) for s in shapes]

    got = WORDS[f"torch.{word}"](*[engine.Tensor._of(a) for a in arrays])

    want = getattr(torch, word)(*[torch.from_numpy(a) for a in arrays])
    assert tuple(got.shape) == tuple(want.shape)
    np.testing.assert_array_equal(got.numpy(), want.numpy())


@settings(max_examples=60)
@given(left=SIZES, right=SIZES)
def test_shapes_that_do_not_broadcast_are_refused_in_the_words_of_torch(left, right):
    ours = [engine.Tensor._of(np.zeros(s, np.float32)) for s in (left, right)]
    try:
        want = (torch.zeros(left) + torch.zeros(right)).shape
    except RuntimeError as error:
        with pytest.raises(RuntimeError, match=re.escape(str(error))):
            ours[0] + ours[1]
    else:
        assert (ours[0] + ours[1]).shape == want
