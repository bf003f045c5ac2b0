"""What is no tensor is refused by a word with its name and the line, never by an AttributeError."""

import numpy as np
import pytest

import mcore.platform as engine


@pytest.mark.parametrize("given", [np.zeros((1, 3, 8, 8), np.float32), "an image", None])
def test_a_layer_that_is_given_no_tensor_names_what_came_and_the_line(given):
    net = engine.Sequential(engine.Conv2d(3, 4, 3))

    words = rf"conv2d\(\): expected a Tensor, not {type(given).__name__}.*test_wrong_inputs"

    with pytest.raises(TypeError, match=words):
        net(given)


def test_an_array_is_told_how_to_become_a_tensor():
    with pytest.raises(TypeError, match=r"make it one with mcore\.from_numpy"):
        engine.functional.relu(np.zeros(3, np.float32))


@pytest.mark.parametrize("make", [lambda: engine.zeros(2, device="cuda"), lambda: engine.tensor([1.0]).to("cuda:0")])
def test_a_device_that_this_machine_lacks_is_refused_at_once_with_those_it_has(make):
    with pytest.raises(RuntimeError, match=r"device 'cuda(:0)?' is not available: it needs .*devices: cpu"):
        make()
