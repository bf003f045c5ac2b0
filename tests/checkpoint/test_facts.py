"""What a network tells about itself: its parts, how it is built, its code, its optimiser."""

import importlib
import shutil
import subprocess

import numpy as np
import pytest

import mcore
import models
from mcore import Conv2d, Linear, Module, Sequential
from mcore.checkpoint.errors import SchemaError
from mcore.checkpoint.parts.facts import components_of, described, finite, optimiser_of
from tests.checkpoint.tiny import Tiny

TORCH = mcore.backend() == "torch"
needs_torch = pytest.mark.skipif(not TORCH, reason="torch's own objects are of the torch engine")


def assembly(classes=2):
    heads = {
        "mask": {"type": "Segmentation", "num_classes": classes},
        "kind": {"type": "Classification", "num_classes": 3},
    }
    return models.assemble("resnet18", "FPN", heads=heads)


class Own(Module):
    """A network of somebody's, with a backbone and entries of its own."""

    def __init__(self):
        super().__init__()
        self.backbone = Sequential(Conv2d(3, 4, 3))
        self.scale = Linear(4, 4)


class Tied(Module):
    """Two layers with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = Linear(3, 3), Linear(3, 3, bias=False)
        self.second.weight = self.first.weight


# --- parts


def test_an_assembly_has_its_parts_by_name_and_role():
    found = [(part.name, part.role) for part in components_of(assembly())]

    assert found == [("backbone", "backbone"), ("neck", "neck"), ("heads.mask", "head"), ("heads.kind", "head")]


@pytest.mark.parametrize(
    ("net", "role"),
    [
        (lambda: models.create("LeNet"), "network"),
        (lambda: models.create("resnet18"), "backbone"),
        (lambda: models.create("resnet18", num_classes=3), "backbone"),
        (lambda: Sequential(Conv2d(1, 2, 3)), "network"),
    ],
    ids=["a network", "a backbone", "a backbone with its classifier", "layers of anybody's"],
)
def test_what_stands_alone_is_one_part(net, role):
    assert [(part.name, part.role) for part in components_of(net())] == [("", role)]


def test_a_class_of_a_name_that_the_registry_has_for_another_is_none_of_its():
    class ResNet(Module):
        def __init__(self):
            super().__init__()
            self.conv1 = Conv2d(3, 4, 3)

    # "ResNet" isn't registered, but a name that is must not decide either.
    ResNet.__name__ = "resnet18"

    assert [part.role for part in components_of(ResNet())] == ["network"]


@pytest.mark.parametrize("net", [assembly, Own, Tied, lambda: models.create("LeNet")])
def test_every_entry_belongs_to_exactly_one_part(net):
    net = net()

    entries = [name for part in components_of(net) for name in part.entries]

    assert sorted(entries) == sorted(net.state_dict())


def test_what_no_part_holds_is_a_part_of_its_own():
    last = components_of(Own())[-1]

    assert (last.name, last.role, last.entries) == ("", "part", ("scale.weight", "scale.bias"))


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match="expected a Module, got int"):
        components_of(3)


@needs_torch
def test_wrappers_leave_no_step_in_names():
    import torch

    whole = torch.nn.DataParallel(torch.compile(assembly()))
    inner = assembly()
    inner.backbone = torch.compile(inner.backbone)

    for net in (whole, inner):
        assert [part.name for part in components_of(net)] == ["backbone", "neck", "heads.mask", "heads.kind"]
        assert components_of(net)[0].entries[0] == "backbone.conv1.weight"


# --- what a record has of them


def test_an_assembly_tells_channels_classes_tasks_and_resolutions():
    told = {one.name: one for one, _ in described(assembly(classes=5), {"channels": "RGB"}).components}

    assert (told["backbone"].in_channels, told["backbone"].channels) == (3, ("R", "G", "B"))
    assert (told["backbone"].resolution, told["neck"].resolution) == ("H/32", "H/4")
    assert (told["heads.mask"].task, told["heads.mask"].num_classes, told["heads.mask"].resolution) == (
        "segmentation",
        5,
        "H",
    )
    assert (told["heads.kind"].task, told["heads.kind"].resolution) == ("classification", "1")


def test_layers_that_see_the_image_and_that_score_are_named_below_their_part():
    told = {one.name: one for one, _ in described(assembly()).components}

    assert (told["backbone"].first_conv, told["backbone"].classifier) == (("conv1",), ())
    assert (told["heads.mask"].classifier, told["heads.kind"].classifier) == (("classifier",), ("fc",))


def test_parameters_are_counted_once():
    told = described(Tied())

    assert [one.parameters for one, _ in told.components] == [12]


def test_names_in_the_trees_are_those_of_the_parts():
    assert described(assembly()).network == "resnet18-FPN-Segmentation+Classification"
    assert described(models.create("LeNet")).network == "LeNet"
    assert (described(models.create("resnet18")).kind, described(models.create("LeNet")).kind) == (
        "backbone",
        "network",
    )


def test_the_arrays_are_the_state_below_each_part():
    net = assembly()

    told = described(net)

    names = {f"{one.name}.{key}" for one, arrays in told.components for key in arrays}
    assert names == set(net.state_dict())


def test_the_configuration_builds_the_network_again():
    told = described(models.create("LeNet", num_classes=3))

    assert told.structure.builder == "models"
    assert told.structure.config == {"mcore": 1, "model": {"type": "LeNet", "num_classes": 3}}


def test_a_class_of_nobodys_has_no_builder_but_its_name():
    structure = described(Own()).structure

    assert (structure.builder, structure.config, structure.title) == ("", {}, "tests.checkpoint.test_facts.Own")


def test_a_part_of_a_class_in_no_registry_makes_a_network_that_data_does_not_build():
    class Unknown(type(models.create("resnet18"))):
        pass

    net = models.assemble(Unknown("resnet18"), head={"type": "Segmentation", "num_classes": 2})

    with pytest.warns(UserWarning, match=r"Assembly can't be built again from the checkpoint alone \(Unknown is in no"):
        told = described(net)

    assert told.structure.builder == ""


def test_the_code_has_package_version_commit_and_hash():
    code = described(models.create("LeNet")).code

    assert (code.package, code.version, code.engine) == ("mcore", mcore.__version__, mcore.backend())
    assert len(code.hash) == 64
    assert code.commit is None or len(code.commit) == 40


def test_code_outside_of_a_repository_has_no_commit(tmp_path, monkeypatch):
    (tmp_path / "loose_network.py").write_text(LOOSE)
    monkeypatch.syspath_prepend(tmp_path)

    code = described(importlib.import_module("loose_network").Loose()).code

    assert (code.package, code.commit, code.dirty) == ("loose_network", None, None)


LOOSE = """
from mcore import Linear, Module


class Loose(Module):
    def __init__(self):
        super().__init__()
        self.layer = Linear(1, 1)
"""


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
@pytest.mark.parametrize("tracked", [True, False], ids=["of the repository", "installed below it"])
def test_the_commit_is_that_of_the_repository_which_has_the_file(tracked, tmp_path, monkeypatch):
    def git(*words):
        who = ("-c", "user.name=ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True).stdout

    name = f"loose_{'tracked' if tracked else 'installed'}"
    (tmp_path / f"{name}.py").write_text(LOOSE)
    (tmp_path / "other.txt").write_text("other")
    git("init", "-q")
    git("add", f"{name}.py" if tracked else "other.txt")
    git("commit", "-q", "-m", "first")
    monkeypatch.syspath_prepend(tmp_path)

    code = described(importlib.import_module(name).Loose()).code

    assert (code.commit, code.dirty) == ((git("rev-parse", "HEAD").strip(), False) if tracked else (None, None))


def test_tied_weights_are_kept_once():
    told = described(Tied())

    assert told.shared == {"second.weight": "first.weight"}
    assert [list(arrays) for _, arrays in told.components] == [["first.weight", "first.bias"]]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "bfloat16"])
def test_one_number_that_is_not_finite_is_found(bad, kind):
    import ml_dtypes

    array = np.ones(3_000_001, ml_dtypes.bfloat16 if kind == "bfloat16" else kind)
    assert finite(array)

    array[2_500_000] = bad

    assert not finite(array)


def test_a_sum_that_overflows_is_no_fault():
    assert finite(np.full(100, np.finfo(np.float32).max, np.float32))


def test_infinities_that_cancel_are_found():
    assert not finite(np.array([np.inf, -np.inf], np.float32))


def test_whole_numbers_are_always_finite():
    assert finite(np.array([2**63 - 1]))
    assert finite(np.zeros((0, 3), np.float32))


def test_a_network_with_nan_says_so():
    net = Tiny()
    state = net.state_dict()
    state["body.0.weight"] = mcore.full_like(state["body.0.weight"], float("nan"))
    net.load_state_dict(state)

    assert described(net).has_nan
    assert not described(Tiny()).has_nan


# --- what is given


def test_what_is_given_holds_for_the_parts_that_it_concerns():
    told = {
        one.name: one for one, _ in described(assembly(), {"channels": "BGR", "mean": [1, 2, 3], "std": 2}).components
    }

    assert (told["backbone"].mean, told["backbone"].std) == ((1.0, 2.0, 3.0), (2.0,))
    assert (told["neck"].channels, told["heads.mask"].mean) == ((), ())


def test_what_is_given_by_part_holds_for_that_part():
    given = {
        "num_classes": {"mask": 7},
        "part_facts": {"heads.mask": {"mean_size": 4.5}},
        "tasks": {"heads.kind": "triage"},
    }
    told = {one.name: one for one, _ in described(assembly(), given).components}

    assert (told["heads.mask"].num_classes, told["heads.kind"].num_classes) == (7, 3)
    assert told["heads.mask"].facts == {"mean_size": 4.5}
    assert told["heads.kind"].task == "triage"


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"chanels": "RGB"}, r"'chanels' is nothing that a checkpoint carries \(did you mean 'channels'\?\)"),
        ({"mean": {"bakbone": 1}}, "mean names the part 'bakbone'; there are backbone, neck, heads.mask, mask, head"),
        ({"channels": "RGB+mask"}, "component 'backbone': .*channels names 4, but in_channels is 3"),
        ({"part_facts": 3}, "part_facts are told by part, as in {'backbone': ...}, got 3"),
        ({"resolution": "half"}, "component 'heads.mask': resolution"),
    ],
)
def test_what_does_not_fit_is_refused(given, match):
    with pytest.raises(SchemaError, match=match):
        described(assembly(), given)


# --- optimisers


class Adam:
    """What an optimiser of any library has."""

    def __init__(self):
        weights = [mcore.zeros(2, 3)]
        self.param_groups = [
            {"params": weights, "lr": 0.01, "weight_decay": 0.1, "betas": (0.9, 0.99), "foreach": None},
            {"params": [], "lr": 0.001, "name": "head"},
        ]


def test_an_optimiser_tells_its_groups():
    told = optimiser_of(Adam(), 0.02)

    assert (told.name, told.max_start_lr) == ("Adam", 0.02)
    assert [(group.lr, group.weight_decay, group.name) for group in told.groups] == [
        (0.01, 0.1, ""),
        (0.001, 0.0, "head"),
    ]
    assert told.groups[0].facts == {"betas": [0.9, 0.99], "parameters": 6}


@needs_torch
def test_torchs_optimiser_is_read_as_it_is_now():
    from torch.optim import SGD
    from torch.optim.lr_scheduler import ExponentialLR

    optimiser = SGD(Tiny().parameters(), lr=1.0, momentum=0.9)
    scheduler = ExponentialLR(optimiser, 0.5)
    optimiser.step()
    scheduler.step()

    told = optimiser_of(optimiser, scheduler=scheduler)

    assert (told.name, told.scheduler, told.groups[0].lr, told.groups[0].facts["momentum"]) == (
        "SGD",
        "ExponentialLR",
        0.5,
        0.9,
    )


def test_an_optimiser_may_be_a_name_or_a_mapping():
    assert optimiser_of("AdamW").name == "AdamW"
    assert optimiser_of({"name": "AdamW", "lr": 0.1}).groups[0].lr == 0.1
    assert optimiser_of({"optimiser": Adam(), "scheduler": "cosine"}).scheduler == "cosine"
    assert optimiser_of(None) is None
    assert optimiser_of(None, 0.5).max_start_lr == 0.5


@pytest.mark.parametrize(
    ("said", "match"),
    [(3, "optimiser is a int; give the optimiser"), ({"lr": -1.0}, "groups.0.lr"), ({"lrs": 1}, "lrs")],
)
def test_what_is_no_optimiser_is_refused(said, match):
    with pytest.raises(SchemaError, match=match):
        optimiser_of(said)


@needs_torch
def test_a_user_s_torch_module_tells_what_it_can():
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2)

    told = described(Net(), {"channels": "RGB", "num_classes": 2})

    (component, arrays), *rest = told.components
    assert not rest
    assert (component.type, component.role, component.channels, component.num_classes) == (
        "Net",
        "network",
        ("R", "G", "B"),
        2,
    )
    assert list(arrays) == ["conv.weight", "conv.bias", "fc.weight", "fc.bias"]


@needs_torch
def test_an_entry_that_is_no_tensor_is_refused_by_name():
    import torch

    class Odd(torch.nn.Module):
        def get_extra_state(self):
            return {"step": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(SchemaError, match="the entry '_extra_state' of the state is a dict; tensors are kept"):
        described(Odd())


@needs_torch
def test_a_network_on_meta_has_nothing_to_save():
    import torch

    with torch.device("meta"):
        net = torch.nn.Linear(2, 2)

    with pytest.raises(SchemaError, match="the entry 'weight' has no plain array"):
        described(net)
