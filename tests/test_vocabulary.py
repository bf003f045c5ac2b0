"""The list of words: torch's names, each once."""

import pytest
import torch

from mcore import vocabulary

LISTS = {
    "CONTAINERS": torch.nn,
    "LAYERS": torch.nn,
    "FUNCTIONAL": torch.nn.functional,
    "TOP": torch,
    "DTYPES": torch,
    "LINALG": torch.linalg,
    "INIT": torch.nn.init,
}


@pytest.mark.parametrize("name", LISTS)
def test_every_word_of_a_list_is_torchs(name):
    strangers = [word for word in getattr(vocabulary, name) if not hasattr(LISTS[name], word)]

    assert strangers == []


@pytest.mark.parametrize("name", LISTS)
def test_no_word_stands_twice_in_a_list(name):
    words = getattr(vocabulary, name)

    assert len(set(words)) == len(words)


@pytest.mark.parametrize("name", LISTS)
def test_no_word_is_both_spoken_and_refused(name):
    assert not set(getattr(vocabulary, name)) & set(vocabulary.REFUSED)


def test_words_of_mcores_own_are_none_of_torchs_and_both_engines_have_them():
    from mcore.platform import functional as platform
    from mcore.torch import functional as ours

    assert [word for word in vocabulary.OWN if hasattr(torch.nn.functional, word) or hasattr(torch, word)] == []
    assert [word for word in vocabulary.OWN if word not in platform.__all__ or word not in ours.__all__] == []


def test_every_class_of_torch_nn_is_spoken_or_left_out_on_purpose():
    # Parents of others, second names of others, and torch's own machinery.
    beyond = {"Container", "RNNBase", "RNNCellBase", "NLLLoss2d", "CrossMapLRN2d"}
    beyond |= {"LinearCrossEntropyOptions"}
    # Its targets are lists that end at the first -1: nobody's validation loop prints it.
    beyond |= {"MultiLabelMarginLoss"}
    spoken = {*vocabulary.CONTAINERS, *vocabulary.LAYERS, *vocabulary.REFUSED}

    assert {name for name in dir(torch.nn) if name[0].isupper()} - spoken == beyond
