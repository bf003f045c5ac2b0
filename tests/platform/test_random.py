"""Random words: reproducible, fresh at each call, never in an exported graph."""

import numpy as np
import pytest

import mcore.platform as engine
from mcore.exchange.export import to_onnx
from mcore.platform import functional as F
from mcore.platform.word import WORDS
from mcore.platform.words import random


def word(name, *args, **kwargs):
    return WORDS[f"torch.{name}"](*args, **kwargs)


@pytest.fixture
def ones():
    return word("ones", 4000)


def test_a_seed_makes_numbers_come_again():
    word("manual_seed", 7)
    first = word("randn", 5).tolist()

    word("manual_seed", 7)

    assert word("randn", 5).tolist() == first
    assert word("randn", 5).tolist() != first
    assert word("initial_seed") == 7


def test_a_state_goes_back_to_where_it_was_taken():
    state = word("get_rng_state")
    first = word("rand", 5).tolist()

    word("set_rng_state", state)

    assert word("rand", 5).tolist() == first


def test_a_state_from_a_file_may_name_no_other_function():
    import os
    import pickle

    class Hostile:
        def __reduce__(self):
            return os.system, ("true",)

    forged = engine.Tensor._of(np.frombuffer(pickle.dumps(Hostile()), np.uint8).copy())

    with pytest.raises(RuntimeError, match="RNG state names"):
        word("set_rng_state", forged)


def test_a_generator_of_ones_own_leaves_the_default_one_alone():
    word("manual_seed", 1)
    plain = word("rand", 3).tolist()
    word("manual_seed", 1)

    own = word("rand", 3, generator=random.Generator().manual_seed(5)).tolist()

    assert word("rand", 3).tolist() == plain
    assert own == word("rand", 3, generator=random.Generator().manual_seed(5)).tolist()


def test_streams_can_be_read_late_and_again():
    source = random.Generator().manual_seed(3)
    first, second = source.next_stream(), source.next_stream()

    late = random.stream(*second).random(4)

    np.testing.assert_array_equal(random.stream(*second).random(4), late)
    assert not np.array_equal(random.stream(*first).random(4), late)


def test_a_module_draws_fresh_numbers_at_each_call_from_one_session():
    from mcore.platform import session

    class Noisy(engine.Module):
        def forward(self, x):
            return x + word("randn_like", x)

    net, x = Noisy(), word("zeros", 4)
    word("manual_seed", 3)
    first = net(x).tolist()
    built = session.graphs.built

    second = net(x).tolist()
    word("manual_seed", 3)

    assert second != first
    assert net(x).tolist() == first
    assert session.graphs.built == built


@pytest.mark.parametrize("speak", [
    lambda x: F.dropout(x, 0.5, True), lambda x: x + word("rand", 4), lambda x: word("bernoulli", x.sigmoid()),
    lambda x: x.clone().normal_(), lambda x: F.gumbel_softmax(x), lambda x: F.rrelu(x, training=True),
])  # fmt: skip
def test_an_exported_graph_refuses_random_words_with_the_line_and_the_remedy(speak):
    class Noisy(engine.Module):
        def forward(self, x):
            return speak(x)

    with pytest.raises(
        RuntimeError, match=r"random numbers can't stand in an exported graph.*eval\(\).*test_random.py"
    ):
        to_onnx(Noisy(), (word("zeros", 4),))


@pytest.mark.parametrize(("make", "mean", "std"), [
    (lambda: word("rand", 20000), 0.5, 12**-0.5),
    (lambda: word("randn", 20000), 0, 1),
    (lambda: word("randint", 2, 5, (20000,)).float(), 3, (2 / 3) ** 0.5),
    (lambda: word("normal", 3.0, 0.5, (20000,)), 3, 0.5),
    (lambda: word("normal", word("full", (20000,), 3.0), 0.5), 3, 0.5),
    (lambda: word("zeros", 20000).uniform_(-1, 3), 1, 4 * 12**-0.5),
    (lambda: word("zeros", 20000).uniform_(**{"from": 0, "to": 2}), 1, 2 * 12**-0.5),
    (lambda: word("zeros", 20000).normal_(2, 0.1), 2, 0.1),
    (lambda: word("zeros", 20000).bernoulli_(0.3), 0.3, 0.21**0.5),
    (lambda: word("bernoulli", word("full", (20000,), 0.3)), 0.3, 0.21**0.5),
    (lambda: word("zeros", 20000).exponential_(2.0), 0.5, 0.5),
    (lambda: word("zeros", 20000).log_normal_(0.0, 0.25), 1.0317, 0.262),
    (lambda: word("zeros", 20000).geometric_(0.5), 2, 2**0.5),
    (lambda: word("zeros", 20000).random_(10), 4.5, 8.25**0.5),
    (lambda: word("rand", 20000, dtype=engine.float16).float(), 0.5, 12**-0.5),
])  # fmt: skip
def test_distributions_have_their_mean_and_deviation(make, mean, std):
    word("manual_seed", 0)

    numbers = make().numpy()

    assert numbers.mean() == pytest.approx(mean, abs=5 * std / len(numbers) ** 0.5 + 2e-3)
    assert numbers.std() == pytest.approx(std, rel=0.06)


def test_choices_without_replacement_are_a_permutation_and_never_the_impossible():
    chances = word("tensor", [0.1, 0.0, 0.6, 0.3])

    drawn = [sorted(word("multinomial", chances, 3).tolist()) for _ in range(20)]

    assert drawn == [[0, 2, 3]] * 20


def test_choices_with_replacement_come_as_often_as_they_should():
    word("manual_seed", 0)
    drawn = word("multinomial", word("tensor", [[0.1, 0.0, 0.6, 0.3]]), 20000, True).numpy()

    np.testing.assert_allclose(np.bincount(drawn[0], minlength=4) / 20000, [0.1, 0, 0.6, 0.3], atol=0.02)


def test_dropout_drops_its_share_and_scales_the_rest(ones):
    y = F.dropout(ones, 0.25).numpy()

    assert set(np.unique(y).round(4)) == {np.float32(0), np.float32(1.3333)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize(("name", "shape", "axes"), [
    ("dropout1d", (6, 50, 4), (2,)), ("dropout2d", (6, 50, 4, 4), (2, 3)), ("dropout3d", (6, 50, 2, 2, 2), (2, 3, 4)),
    ("feature_alpha_dropout", (6, 50, 4), (2,)),
])  # fmt: skip
def test_dropout_of_channels_treats_a_channel_alike(name, shape, axes):
    y = WORDS[f"F.{name}"](word("ones", *shape), 0.5, training=True).numpy()

    assert (y.min(axes) == y.max(axes)).all()
    assert len(np.unique(y)) == 2


def test_alpha_dropout_keeps_mean_and_variance():
    word("manual_seed", 0)
    x = word("randn", 40000)

    y = F.alpha_dropout(x, 0.3, training=True).numpy()

    assert y.mean() == pytest.approx(0, abs=0.03)
    assert y.std() == pytest.approx(1, abs=0.03)


def test_hard_gumbel_softmax_chooses_one():
    y = F.gumbel_softmax(word("randn", 5, 4, 3), hard=True, dim=1).numpy()

    assert (y.sum(1) == 1).all()
    assert set(np.unique(y)) == {0, 1}


def test_random_slopes_lie_between_their_bounds(ones):
    y = F.rrelu(-ones, 0.1, 0.3, training=True).numpy()

    assert -0.3 <= y.min() < -0.29
    assert -0.11 < y.max() <= -0.1
