"""The file that says what the support table begins with, leaves out and excuses: ours is right, mistakes are told."""

import pytest

from mcore.config import ConfigError
from mcore.registry import kinds_of
from tools.support import plan

GOOD = """
priority: [UNet, {backbone: resnet18, neck: FPN, head: {type: Segmentation, num_classes: 2}}]
exclusions:
  network: {Coordinate: "a tuple of numbers"}
cells:
  block: {Crop: {reference: "takes no such crop"}}
"""


@pytest.fixture
def written(tmp_path):
    """Writes a plan, and gives its path."""

    def write(text):
        path = tmp_path / "support.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_our_own_plan_is_right():
    found = plan.read()

    assert len(found.priority) >= 20
    assert sum(isinstance(target, dict) for target in found.priority) >= 6
    assert found.exclusions["network"]["Coordinate"] == "a tuple of numbers, no network"


def test_our_own_plan_begins_with_networks_and_assemblies():
    names = [target for target in plan.read().priority if isinstance(target, str)]

    assert {kinds_of(name)[0] for name in names if name != "ConvnetUNet"} == {"network", "backbone"}


def test_a_plan_is_read_as_it_is_written(written):
    found = plan.read(written(GOOD))

    assert found.priority[0] == "UNet"
    assert found.priority[1]["head"] == {"type": "Segmentation", "num_classes": 2}
    assert found.exclusions == {"network": {"Coordinate": "a tuple of numbers"}}
    assert found.cells == {"block": {"Crop": {"reference": "takes no such crop"}}}


def test_an_empty_plan_leaves_nothing_out(written):
    assert plan.read(written("")) == plan.Plan()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- UNet", r"a mapping of priority, exclusions, cells is needed"),
        ("priorities: []", r"support.yaml:1:1: priorities: no section 'priorities'; the nearest are priority"),
        ("priority: UNet", r":1:1: priority: a list of names"),
        ("priority:\n- Unett", r":2:3: priority\[0\]: no public name 'Unett'; the nearest are .*UNet"),
        ("priority: [UNet, VNet, UNet]", r"priority\[2\]: 'UNet' stands here twice"),
        (
            "priority: [{backbone: resnet18, head: FCN}, {backbone: resnet18, head: {type: FCN, num_classes: 2}}]",
            r"priority\[1\]: resnet18-FCN stands here twice, and the table has one row of a name",
        ),
        ("priority: [4]", r"priority\[0\]: a public name, or a mapping of backbone"),
        ("priority: [{backbone: resnet18}]", r"priority\[0\]: a public name, or a mapping of backbone"),
        ("priority: [{backbone: resnet18, head: FCNN}]", r"priority\[0\]\.head: no public head 'FCNN'; the nearest"),
        ("priority: [{backbone: resnet18, head: 3}]", r"priority\[0\]\.head: a name, or a mapping with a type"),
        ("priority: [{backbone: resnet18, head: FCN, tail: x}]", r"priority\[0\]\.tail: no part 'tail'"),
        ("priority: [View]\nexclusions: {block: {View: x}, network: {View: x}}", r"View is excluded below"),
        ("exclusions: [Coordinate]", r"exclusions: a mapping of kinds \(network, backbone"),
        ("exclusions: {networks: {}}", r"exclusions\.networks: no kind 'networks'; the nearest are network"),
        ("exclusions: {network: [Coordinate]}", r"exclusions\.network: a mapping of names is needed"),
        ("exclusions:\n  network:\n    Coordinat: x", r":3:5: .*no public network 'Coordinat'; the nearest are Coord"),
        ("exclusions: {head: {FCN: ' '}}", r"exclusions\.head\.FCN: a reason in words is needed, not ' '"),
        ("exclusions: {head: {FCN: }}", r"exclusions\.head\.FCN: a reason in words is needed, not None"),
        ("cells: {block: {Crop: broken}}", r"cells\.block\.Crop: a mapping of devices, each with its reason"),
        ("cells: {block: {Crop: {}}}", r"cells\.block\.Crop: a mapping of devices, each with its reason"),
        ("cells: {block: {Crop: {toaster: x}}}", r"cells\.block\.Crop\.toaster: no device 'toaster'"),
        (
            "cells: {block: {Crop: {torch-cpu: 1}}}",
            r"cells\.block\.Crop\.torch-cpu: a reason in words is needed, not 1",
        ),
        ("exclusions: {head: {FCN: x, FCN: y}}", r"FCN"),
    ],
)
def test_a_mistake_is_told_with_its_place(written, text, said):
    with pytest.raises(ConfigError, match=said):
        plan.read(written(text))


def test_a_part_of_another_package_may_stand_in_the_plan(written, monkeypatch):
    monkeypatch.setattr(plan, "available", lambda kind: ["own_block"] if kind == "block" else [])

    told = plan.read(written("priority: [own_block]\ncells: {block: {own_block: {reference: for now}}}"))

    assert told.priority == ("own_block",)


def test_all_mistakes_are_told_at_once(written):
    with pytest.raises(ConfigError) as caught:
        plan.read(written("priority: [Unett]\nexclusions: {head: {FCN: ''}}\nmore: 1"))

    assert [mistake.origin.line for mistake in caught.value.mistakes] == [1, 2, 3]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"support\.yaml"):
        plan.read(tmp_path / "support.yaml")
