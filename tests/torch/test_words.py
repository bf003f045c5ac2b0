"""Torch engine: its words are torch's own."""

import pytest
import torch

from mcore import torch as engine
from mcore import vocabulary
from tests.isolation import run

# The containers are more than torch's, and have tests of their own.
OWN = {"Module", "Sequential", "ModuleList", "ModuleDict"}


@pytest.mark.parametrize("word", sorted({*vocabulary.LAYERS, *vocabulary.CONTAINERS} - OWN))
def test_a_class_is_torchs_own(word):
    assert getattr(engine, word) is getattr(torch.nn, word)


def test_the_top_level_words_are_torchs_own():
    # In a fresh interpreter: torch puts another manual_seed in the first one's place when it first compiles.
    code = """
    import mcore.torch, torch
    from mcore.vocabulary import DTYPES, TOP
    print([word for word in TOP + DTYPES if getattr(mcore.torch, word) is not getattr(torch, word)])
    """

    assert run(code, engine="torch") == "[]"


@pytest.mark.parametrize(
    ("space", "source", "words"),
    [
        (engine.functional, torch.nn.functional, vocabulary.FUNCTIONAL),
        (engine.init, torch.nn.init, vocabulary.INIT),
        (engine.linalg, torch.linalg, vocabulary.LINALG),
    ],
    ids=["functional", "init", "linalg"],
)
def test_the_words_of_a_namespace_are_torchs_own(space, source, words):
    assert all(getattr(space, word) is getattr(source, word) for word in words)


def test_what_torch_has_beyond_the_vocabulary_is_given_through():
    code = "import mcore, torch; print(mcore.fft is torch.fft, mcore.CTCLoss is torch.nn.CTCLoss)"

    assert run(code, engine="torch") == "True True"


def test_a_name_that_torch_lacks_too_is_an_error_with_the_nearest():
    code = """
    import mcore
    try:
        mcore.functional.reluu
    except AttributeError as error:
        print(error)
    """

    said = run(code, engine="torch")

    assert said.startswith("mcore.functional.reluu: the torch engine has no such word; torch has no such name")
    assert "Nearest names: mcore.functional.relu" in said


def test_without_onnx_and_its_runtime_a_network_is_built_and_trained():
    code = """
    import mcore
    from mcore import Conv2d, Module, ReLU, Sequential
    from mcore import functional as F

    class Net(Module):
        def __init__(self):
            super().__init__()
            self.body = Sequential(Conv2d(1, 4, 3, padding=1), ReLU(), Conv2d(4, 1, 3, padding=1))

        def forward(self, x):
            return self.body(x)

    mcore.manual_seed(0)
    net, x = Net(), mcore.rand(4, 1, 8, 8)
    optimizer = mcore.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(mcore.backend(), losses[-1] < 0.5 * losses[0])
    """

    assert run(code, engine="torch", without=["onnx", "onnxruntime", "onnxscript"]) == "torch True"
