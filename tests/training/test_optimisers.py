"""Optimisers by name, learning rates by part, and parts that stand still."""

import pytest
import torch

from mcore.training.errors import TrainingError
from mcore.training.optimisers import freeze, optimiser_of
from mcore.training.settings import Part, Typed
from tests.training import tiny


def made(parts=None, **given):
    net = tiny.net()
    return net, optimiser_of(net, Typed.model_validate({"type": "SGD", "lr": 0.1, **given}), parts or {})


def by_name(optimiser):
    return {group["name"]: group for group in optimiser.param_groups}


def test_each_part_has_its_own_rate_and_the_rest_has_the_optimisers():
    _, optimiser = made({"encoder": Part(lr=0.01), "head": Part(weight_decay=0.5)})

    groups = by_name(optimiser)
    assert {name: group["lr"] for name, group in groups.items()} == {"encoder": 0.01, "head": 0.1, "rest": 0.1}
    assert groups["head"]["weight_decay"] == 0.5


def test_every_parameter_is_in_one_group():
    net, optimiser = made({"encoder": Part(lr=0.01), "encoder.0": Part(lr=0.001)})

    held = [id(parameter) for group in optimiser.param_groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in net.parameters())
    assert len(by_name(optimiser)["encoder.0"]["params"]) == 2


def test_what_is_frozen_for_good_is_no_business_of_the_optimiser():
    _, optimiser = made({"encoder": Part(frozen=True)})

    assert "encoder" not in by_name(optimiser)


def test_a_frozen_part_stands_still_with_its_norms_and_moves_later():
    net, parts = tiny.net(), {"encoder": Part(frozen=2)}

    still = freeze(net.train(), parts, 1)

    assert still == ["encoder"]
    assert not any(parameter.requires_grad for parameter in net.encoder.parameters())
    assert not net.encoder[1].training
    assert freeze(net.train(), parts, 2) == []
    assert all(parameter.requires_grad for parameter in net.encoder.parameters())


def test_what_somebody_else_froze_is_left_as_it_is():
    net = tiny.net().train()
    net.encoder.requires_grad_(False)

    freeze(net, {"encoder": Part(lr=0.1), "head": Part(frozen=1)}, 1)

    assert not any(parameter.requires_grad for parameter in net.encoder.parameters())


def test_a_part_within_a_frozen_one_goes_its_own_way_with_its_norm():
    net = tiny.net().train()

    freeze(net, {"encoder": Part(frozen=True), "encoder.1": Part(lr=0.1)}, 0)

    assert net.encoder[1].training
    assert net.encoder[1].weight.requires_grad
    assert not net.encoder[0].weight.requires_grad


@pytest.mark.parametrize(
    ("parts", "given", "words"),
    [
        ({"encodr": Part(lr=1.0)}, {}, "the network has no part 'encodr'; there are encoder"),
        ({}, {"type": "AdamX"}, "no optimiser 'AdamX' \\(did you mean 'Adam"),
        ({}, {"momentm": 0.9}, "SGD.*momentm"),
        ({}, {"type": "LBFGS"}, "LBFGS computes the loss several times a step.*there are .*AdamW"),
        ({}, {"lr": -1.0}, "SGD: Invalid learning rate"),
        ({name: Part(frozen=True) for name in ("encoder", "decoder", "head")}, {}, "every part is frozen"),
    ],
)
def test_what_no_optimiser_can_do_is_refused_by_name(parts, given, words):
    with pytest.raises(TrainingError, match=words):
        made(parts, **given)


def test_torchs_own_class_is_made():
    assert isinstance(made(momentum=0.9)[1], torch.optim.SGD)
