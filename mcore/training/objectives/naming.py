"""Losses by name: ours, torch's, those of libraries, and any by an import path."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from mcore.checkpoint.extras import needed
from mcore.signatures import check_arguments, signature
from mcore.training.objectives import basic, latent, overlap, similarity
from mcore.training.objectives.criterion import Adapted, Criterion, Relation
from mcore.training.settings import Loss
from mcore.vocabulary import nearest

OWN: dict[str, type[Criterion]] = {
    "cross_entropy": basic.CrossEntropy,
    "binary_cross_entropy": basic.BinaryCrossEntropy,
    "dice": overlap.Dice,
    "focal": overlap.Focal,
    "l1": basic.L1,
    "l2": basic.L2,
    "mse": basic.L2,
    "huber": basic.Huber,
    "charbonnier": basic.Charbonnier,
    "cosine": basic.Cosine,
    "ssim": similarity.SSIM,
    "Perceptual": similarity.Perceptual,
    "InformationBottleneck": latent.InformationBottleneck,
}
_SMP = "segmentation_models_pytorch"
# How outputs and targets of torch's classes fit, where it isn't "same".
_RELATIONS: dict[str, Relation] = {
    **dict.fromkeys(("CrossEntropyLoss", "NLLLoss", "NLLLoss2d", "MultiMarginLoss"), "classes"),
    **dict.fromkeys(("BCELoss", "BCEWithLogitsLoss", "SoftMarginLoss", "MultiLabelSoftMarginLoss"), "scores"),
    "MultiLabelMarginLoss": "free",
}


class NamingError(ValueError):
    """A name that nothing has, or arguments that don't fit it."""


def short(typed: str) -> str:
    """What logs call something by default.

    >>> short("monai.DiceCELoss"), short("InformationBottleneck"), short("own.losses:edge"), short("L1Loss")
    ('dice_ce_loss', 'information_bottleneck', 'edge', 'l1_loss')
    """
    name = re.split(r"[.:]", typed)[-1]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def loss_of(loss: Loss) -> Criterion:
    """The loss of this name with these arguments.

    Raises:
        NamingError: there is none, or its arguments don't fit.
        ImportError: it is of a library that isn't installed; the message has the command.
    """
    name = loss.type
    if name in OWN:
        return made(OWN[name], loss.arguments, title=name)
    if ":" in name:
        return _of_path(name, loss.arguments)
    if name.startswith("monai."):
        library = needed("monai.losses", "losses", what=f"the loss {name}")
        return _adapted(_member(library, name), loss, relation="free", channel=True)
    if name.startswith("smp."):
        return _adapted(_member(_smp(name), name), loss, relation="free")
    if name in torch_losses():
        return _of_torch(name, loss)
    known = [*OWN, *torch_losses()]
    raise NamingError(
        f"there is no loss {name!r}; {meant(name, known)}; or one of a library, as 'monai.DiceCELoss' or "
        "'smp.DiceLoss', or your own, as 'package.module:name'"
    )


def torch_losses() -> list[str]:
    """Names of torch.nn's losses that compare an output with a target, and nothing else."""
    found = {name: getattr(torch.nn, name, None) for name in torch.nn.modules.loss.__all__}
    return [name for name, kind in found.items() if kind is not None and len(inputs_of(kind.forward)) == 3]


def inputs_of(function: Callable[..., Any]) -> list[str]:
    """Names of the arguments that have to be given, in order, `self` among them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [one.name for one in found if one.kind in kinds and one.default is one.empty]


def made(kind: Callable[..., Any], arguments: Mapping[str, Any], *, title: str) -> Any:
    """`kind(**arguments)`.

    Raises:
        NamingError: an argument that it doesn't have, or a value that it refuses.
    """
    problems = check_arguments(kind, arguments, title=title)
    if problems:
        raise NamingError("; ".join(problem.message for problem in problems))
    try:
        return kind(**arguments)
    # What a constructor refuses is the configuration's mistake, whatever class of error it has for that.
    except (TypeError, ValueError, LookupError, OSError) as error:
        raise NamingError(f"{title}: {str(error).rstrip('.')}") from error


def by_path(path: str) -> Any:
    """What stands at "package.module:name".

    Raises:
        NamingError: there is no such module, or nothing of this name in it.
    """
    module, _, attribute = path.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module that is there, and asks for another one, says so itself.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise NamingError(
            f"{path!r}: there is no module {error.name!r}; a path is 'package.module:name', of a package that is "
            "installed or stands where Python looks (PYTHONPATH)"
        ) from None
    if not attribute or not hasattr(found, attribute):
        public = [name for name in vars(found) if not name.startswith("_")]
        raise NamingError(f"{path!r}: {module} has no {attribute!r}; {meant(attribute, public)}")
    return getattr(found, attribute)


def meant(name: str, known: Sequence[str]) -> str:
    """The nearest name, and those that there are."""
    likely = nearest(name, known, least=0.5, most=1)
    listed = ", ".join(known[:40])
    return f"did you mean {likely[0]!r}? There are {listed}" if likely else f"there are {listed}"


def _of_torch(name: str, loss: Loss) -> Criterion:
    kind = getattr(torch.nn, name)
    parameters = signature(kind).parameters
    given = {key: _tensor(value, parameters.get(key)) for key, value in loss.arguments.items()}
    return Adapted(made(kind, given, title=name), relation=_RELATIONS.get(name, "same"))


def _tensor(value: Any, parameter: inspect.Parameter | None) -> Any:
    """A list of numbers as the tensor that an argument asks for."""
    wants = parameter is not None and "Tensor" in str(parameter.annotation)
    return torch.tensor([float(one) for one in value]) if wants and isinstance(value, list | tuple) else value


def _adapted(kind: Any, loss: Loss, *, relation: Relation, channel: bool = False) -> Criterion:
    return Adapted(made(kind, loss.arguments, title=loss.type), relation=relation, channel=channel)


def _of_path(path: str, arguments: Mapping[str, Any]) -> Criterion:
    found = by_path(path)
    if isinstance(found, type):
        loss = made(found, arguments, title=path)
        if isinstance(loss, Criterion):
            return loss
        called = loss.forward if isinstance(loss, torch.nn.Module) else loss.__call__
    else:
        loss, called = _bound(found, arguments, path), found
    count = len([name for name in inputs_of(called) if name not in arguments])
    if count not in (1, 2):
        raise NamingError(f"{path!r} takes {count} inputs; a loss takes an output and its target, or an output alone")
    return Adapted(loss, relation="free", compares=count == 2)


def _bound(function: Any, arguments: Mapping[str, Any], path: str) -> Callable[..., Any]:
    if not callable(function):
        raise NamingError(f"{path!r} is {function!r}; a loss is a class or a function")
    problems = check_arguments(function, arguments, title=path, partial=True)
    if problems:
        raise NamingError("; ".join(problem.message for problem in problems))
    return lambda *inputs: function(*inputs, **arguments)


def _member(library: Any, name: str) -> Any:
    wanted = name.partition(".")[2]
    known = [one for one in vars(library) if isinstance(getattr(library, one), type) and one[0].isupper()]
    if wanted not in known:
        raise NamingError(f"there is no {name!r}; {meant(wanted, sorted(known))}")
    return getattr(library, wanted)


def _smp(name: str) -> Any:
    try:
        return importlib.import_module(f"{_SMP}.losses")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"the loss {name} is one of {_SMP}, which is not installed ({error}). No extra brings it, as it needs "
            "torchvision: pip install segmentation-models-pytorch"
        ) from error


__all__ = ["OWN", "NamingError", "by_path", "inputs_of", "loss_of", "made", "meant", "short"]
