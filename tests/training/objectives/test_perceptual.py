"""The perceptual loss: features of a network of the zoo, which stays as it is."""

import pytest
import torch
import torch.nn.functional as F

import mcore
from mcore.config import ConfigError
from tests.training.objectives.made import objective

RANDOM = {"type": "Perceptual", "weights": "random", "levels": [-1, 0]}


@pytest.fixture
def images():
    return torch.rand(2, 1, 8, 8), {"image": torch.rand(2, 1, 8, 8)}


def test_it_compares_features_of_grey_images_given_three_times(images):
    whole = objective({**RANDOM, "norm": "l1"})
    net = whole.terms[0].criterion.network
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    ours, theirs = (
        net((one.repeat(1, 3, 1, 1) - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        for one in (images[0], images[1]["image"])
    )

    got, _ = whole(*images)

    torch.testing.assert_close(got, (F.l1_loss(ours[0], theirs[0]) + F.l1_loss(ours[1], theirs[1])) / 2)


def test_the_image_is_trained_by_it_and_the_features_are_not(images):
    whole, output = objective(RANDOM), images[0].requires_grad_()

    whole(output, images[1])[0].backward()

    assert output.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in whole.parameters())


def test_its_network_stays_in_eval_mode():
    criterion = objective(RANDOM).terms[0].criterion

    assert not criterion.train().network.training


def test_features_of_weights_in_a_file_are_those_of_the_file(tmp_path, images):
    from models.backbones import vgg16

    net = vgg16(out_indices=[-1, 0])
    file = tmp_path / "vgg.safetensors"
    mcore.save(net.state_dict(), file)

    taken = objective({**RANDOM, "weights": str(file)}).terms[0].criterion.network

    assert torch.equal(taken.state_dict()["features.0.weight"], net.state_dict()["features.0.weight"])


def test_random_features_are_the_same_in_every_run_and_take_no_random_number(images):
    first, _ = objective(RANDOM)(*images)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()

    second, _ = objective(RANDOM)(*images)

    assert first == second
    assert torch.equal(torch.random.get_rng_state(), before)


def test_another_backbone_of_the_zoo_gives_features_too(images):
    whole = objective({"type": "Perceptual", "network": "resnet18", "weights": "random", "levels": [0, 1]})

    assert whole(*images)[0] > 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "features of an untrained network say little: give weights, 'imagenet' .* or 'random'"),
        ({"weights": "random", "network": "vgg61"}, "the nearest names are .*vgg16"),
        ({"weights": "random", "levels": [9]}, r"out_indices=\[9\] aren't some of -1"),
        ({"weights": "no-such-file.pth"}, "no-such-file.pth"),
        ({"weights": "random", "norm": "l3"}, "norm='l3' is not one of 'l1', 'l2'"),
    ],
)
def test_what_gives_no_features_is_refused(arguments, match):
    with pytest.raises(ConfigError, match=match):
        objective({"type": "Perceptual", **arguments})
