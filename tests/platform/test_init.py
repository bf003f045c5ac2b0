"""Initialisations: torch's names, distributions and bounds, and those that layers draw by default."""

import inspect
import math
import warnings

import numpy as np
import pytest
import torch

import mcore.platform as platform
from mcore import vocabulary
from tests.platform.engines import on_platform, on_torch
from tests.platform.layer_cases import LAYER_CASES


@pytest.mark.parametrize("name", vocabulary.INIT)
def test_signature_is_torchs(name):
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(getattr(place, name)).parameters.values()]
        for place in (platform.init, torch.nn.init)
    )

    assert ours == theirs


KNOWN = {
    "constant_": ((3, 4), (2.5,)),
    "zeros_": ((3, 4), ()),
    "ones_": ((3,), ()),
    "eye_": ((3, 5), ()),
    "dirac_": ((6, 2, 3, 4), (2,)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_values_are_torchs(name):
    shape, args = KNOWN[name]

    ours = getattr(platform.init, name)(platform.empty(shape), *args)
    theirs = getattr(torch.nn.init, name)(torch.empty(shape), *args)

    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


DRAWN = {
    "uniform_": {"a": -1.0, "b": 3.0},
    "normal_": {"mean": 2.0, "std": 0.5},
    "trunc_normal_": {"mean": 0.1, "std": 1.0, "a": -0.5, "b": 2.0},
    "trunc_normal_ far out": {"mean": 0.0, "std": 1.0, "a": 1.5, "b": 4.0},
    "xavier_uniform_": {"gain": 2.0},
    "xavier_normal_": {},
    "kaiming_uniform_": {"a": 1.0, "mode": "fan_out"},
    "kaiming_normal_": {"nonlinearity": "relu"},
}


def moments(array):
    quantiles = np.quantile(array, [0.001, 0.1, 0.5, 0.9, 0.999])
    return np.array([array.mean(), array.std(), array.min(), array.max(), *quantiles])


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_values_are_distributed_as_torchs(name):
    shape, function = (200, 40, 3, 5), name.split()[0]

    ours = getattr(platform.init, function)(platform.empty(shape), **DRAWN[name]).numpy()
    theirs = getattr(torch.nn.init, function)(torch.empty(shape), **DRAWN[name]).numpy()

    # 120,000 numbers: a thousandth's quantile is known to some percent of the deviation.
    bounded = "normal" not in name or "trunc" in name
    kept = [0, 1, 4, 5, 6, 7, 8] + ([2, 3] if bounded else [])
    np.testing.assert_allclose(moments(ours)[kept], moments(theirs)[kept], atol=0.15 * theirs.std())
    np.testing.assert_allclose(moments(ours)[:2], moments(theirs)[:2], atol=0.02 * theirs.std())


def test_truncated_numbers_stay_inside():
    array = platform.init.trunc_normal_(platform.empty(10_000), std=3.0, a=-1.0, b=0.5).numpy()

    assert -1 <= array.min() < -0.99
    assert 0.49 < array.max() <= 0.5


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (4, 3, 2, 2)])
def test_orthogonal_rows_or_columns_are_orthogonal(shape):
    flat = platform.init.orthogonal_(platform.empty(shape), gain=2.0).numpy().reshape(shape[0], -1)
    small = flat if flat.shape[0] <= flat.shape[1] else flat.T

    np.testing.assert_allclose(small @ small.T, 4 * np.eye(len(small)), atol=1e-5)


def test_sparse_columns_have_their_share_of_zeros():
    array = platform.init.sparse_(platform.empty(10, 7), sparsity=0.35).numpy()

    assert ((array == 0).sum(0) == math.ceil(0.35 * 10)).all()


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv2d"])
def test_gains_are_torchs(name):
    assert platform.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


REFUSED = [
    ("calculate_gain", ("sine",), {}),
    ("calculate_gain", ("leaky_relu", True), {}),
    ("eye_", ((3,),), {}),
    ("dirac_", ((3, 3),), {}),
    ("dirac_", ((3, 3, 3), 2), {}),
    ("xavier_uniform_", ((3,),), {}),
    ("kaiming_normal_", ((3, 3),), {"mode": "fan"}),
    ("orthogonal_", ((3,),), {}),
    ("sparse_", ((3,), 0.1), {}),
    ("uniform_", ((3,), 2.0, 1.0), {}),
    ("normal_", ((3,), 0.0, -1.0), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), REFUSED)
def test_refusals_are_torchs(name, args, kwargs):
    def call(place, empty):
        given = [empty(a) if isinstance(a, tuple) else a for a in args]
        getattr(place, name)(*given, **kwargs)

    with pytest.raises(Exception) as theirs:  # noqa: PT011 - the class and words are compared below
        call(torch.nn.init, torch.empty)

    with pytest.raises(theirs.type) as ours:
        call(platform.init, platform.empty)

    assert str(ours.value) == str(theirs.value)


def test_no_elements_are_no_error():
    with pytest.warns(UserWarning, match=r"zero-element"):
        platform.init.kaiming_uniform_(platform.empty(0, 3))


def test_a_generator_gives_the_same_numbers_again():
    def draw():
        return platform.init.normal_(platform.empty(5), generator=platform.Generator().manual_seed(4)).tolist()

    assert draw() == draw()


def test_a_part_of_a_tensor_is_initialised_alone():
    weight = platform.Parameter(platform.zeros(2, 3))

    platform.init.ones_(weight[1])

    assert weight.tolist() == [[0.0] * 3, [1.0] * 3]


def test_initialising_a_weight_takes_effect_at_the_next_call():
    layer = platform.Linear(2, 1, bias=False)
    layer(platform.ones(1, 2))

    platform.init.constant_(layer.weight, 3.0)

    assert layer(platform.ones(1, 2)).item() == 6.0


# --- what layers draw -----------------------------------------------------------------------------

STATEFUL = {case.id: case for case in LAYER_CASES}


@pytest.mark.parametrize("case", STATEFUL.values(), ids=STATEFUL)
def test_a_layer_draws_within_torchs_bounds(case):
    def draws(build, count=60):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            states = [build().state_dict() for _ in range(count)]
        return {
            key: np.stack([np.asarray(s[key].numpy(), np.float64) for s in states]).reshape(-1) for key in states[0]
        }

    ours = draws(lambda: getattr(platform, case.name)(*on_platform(case.args), **on_platform(case.kwargs)))
    theirs = draws(lambda: getattr(torch.nn, case.name)(*on_torch(case.args), **on_torch(case.kwargs)))

    for key, wanted in theirs.items():
        got, spread = ours[key], wanted.std()
        # At least 60 numbers: the deviation of a mean is an eighth of their own.
        error = 5 * spread / math.sqrt(len(wanted))
        assert abs(got.mean() - wanted.mean()) <= 2 * error + 1e-12, key
        assert abs(got.std() - spread) <= 2 * error + 1e-12, key
        if spread and np.abs(wanted).max() < 2 * spread:  # uniform: the bounds show
            assert np.abs(got).max() <= np.abs(wanted).max() * (1 + 8 / len(wanted)), key


def test_the_padding_row_is_zero():
    assert platform.Embedding(5, 3, padding_idx=2).weight.numpy()[2].tolist() == [0, 0, 0]
