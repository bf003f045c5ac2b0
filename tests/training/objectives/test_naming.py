"""Losses by name: ours, torch's, MONAI's, any by an import path; and what is refused."""

import sys
import types

import pytest
import torch

from mcore.training.objectives.naming import OWN, NamingError, loss_of
from mcore.training.settings import Loss


def loss(type, **arguments):
    return loss_of(Loss.model_validate({"type": type, **arguments}))


@pytest.fixture
def own(monkeypatch):
    """A module of the user's."""
    module = types.ModuleType("own_losses")

    def gap(output, target, scale=1.0):
        return scale * (output - target).abs().max()

    def size(output):
        return output.abs().mean()

    class Gap(torch.nn.Module):
        def __init__(self, scale: float = 1.0):
            super().__init__()
            self.scale = scale

        def forward(self, output, target):
            return gap(output, target, self.scale)

    module.gap, module.size, module.Gap = gap, size, Gap
    module.three, module.number = (lambda a, b, c: a), 3
    monkeypatch.setitem(sys.modules, "own_losses", module)


x, y = torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 3.0]])


@pytest.mark.parametrize("name", [name for name in OWN if name != "Perceptual"])
def test_each_of_ours_can_be_made_by_its_name_alone(name):
    assert isinstance(loss(name), OWN[name])


def test_a_class_of_torch_is_made_by_its_name_with_its_arguments():
    assert loss("SmoothL1Loss", beta=2.0)(x, y) == torch.nn.functional.smooth_l1_loss(x, y, beta=2.0)


def test_numbers_in_a_list_become_the_tensor_that_a_class_of_torch_takes():
    assert torch.equal(loss("BCEWithLogitsLoss", pos_weight=[1, 2]).loss.pos_weight, torch.tensor([1.0, 2.0]))


def test_a_class_of_monai_gets_labels_with_the_channel_axis_that_it_wants():
    losses = pytest.importorskip("monai.losses")
    scores, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    kept = {"softmax": True, "to_onehot_y": True}

    got = loss("monai.DiceCELoss", **kept)(scores, labels)

    assert got == losses.DiceCELoss(**kept)(scores, labels.unsqueeze(1))


@pytest.mark.parametrize("name", ["gap", "Gap"])
def test_a_function_or_class_of_ones_own_is_found_by_its_path(own, name):
    assert loss(f"own_losses:{name}", scale=2.0)(x, y) == 4


def test_a_function_of_the_output_alone_has_no_target(own):
    assert not loss("own_losses:size").compares


def test_a_class_of_segmentation_models_is_found_where_that_is_installed(monkeypatch):
    package, losses = types.ModuleType("segmentation_models_pytorch"), types.ModuleType("losses")
    losses.JaccardLoss = type("JaccardLoss", (torch.nn.L1Loss,), {})
    monkeypatch.setitem(sys.modules, package.__name__, package)
    monkeypatch.setitem(sys.modules, f"{package.__name__}.losses", losses)

    assert isinstance(loss("smp.JaccardLoss").loss, losses.JaccardLoss)


def test_a_library_that_is_not_installed_is_told_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)

    with pytest.raises(ImportError, match="it needs torchvision: pip install segmentation-models-pytorch"):
        loss("smp.DiceLoss")


@pytest.mark.parametrize(
    ("name", "arguments", "match"),
    [
        ("cross_entrpy", {}, r"no loss 'cross_entrpy'; did you mean 'cross_entropy'\? There are .*L1Loss"),
        ("something", {}, "no loss 'something'; there are cross_entropy, .*'package.module:name'"),
        ("monai.DiceCeLos", {}, r"no 'monai.DiceCeLos'; did you mean 'DiceCELoss'\?"),
        ("dice", {"smoth": 1}, r"dice has no argument 'smoth' \(did you mean 'smooth'\?\)"),
        ("dice", {"smooth": "much"}, "dice: smooth='much' is text; float fits"),
        ("huber", {"delta": -1}, "huber: delta=-1 is not above 0"),
        ("SmoothL1Loss", {"bta": 1}, r"SmoothL1Loss has no argument 'bta' \(did you mean 'beta'\?\)"),
        ("monai.DiceLoss", {"sofmax": True}, r"monai.DiceLoss has no argument 'sofmax' \(did you mean 'softmax'\?\)"),
        ("GaussianNLLLoss", {}, "no loss 'GaussianNLLLoss'"),
        ("own_losses:Gap", {"scal": 2}, r"has no argument 'scal' \(did you mean 'scale'\?\)"),
        ("own_losses:gap", {"scal": 2}, r"has no argument 'scal' \(did you mean 'scale'\?\)"),
        ("own_losses:gab", {}, r"own_losses has no 'gab'; did you mean 'gap'\?"),
        ("own_losses:three", {}, "takes 3 inputs; a loss takes an output and its target, or an output alone"),
        ("own_losses:number", {}, "is 3; a loss is a class or a function"),
        ("no_such_package.losses:gap", {}, "there is no module 'no_such_package'"),
    ],
)
def test_what_does_not_exist_or_fit_is_told_with_the_nearest_that_does(own, name, arguments, match):
    with pytest.raises(NamingError, match=match):
        loss(name, **arguments)


def test_an_import_that_fails_inside_a_module_of_ones_own_is_told_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "own_broken.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_library'"):
        loss("own_broken:gap")
