"""The ways to put a network together from parts.

1. A network is whole by itself: `UNet(in_channels=1, num_classes=2)`.
2. `assemble(backbone, head=...)`, 3. `assemble(backbone, neck, head)`: objects, names or mappings.
4. `from_config`: any of these, and any graph of parts, from a file or a mapping.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import mcore
from mcore import Module, config, specs
from mcore.config import FORMAT, ConfigError
from mcore.registry import kinds_of
from mcore.signatures import Problem
from models.component import plain
from models.composite import Composite, Maker, spec_of
from models.graph import PLACES, plan_of
from models.wiring import refusal, sketch


class Assembly(Composite):
    """A network of named parts: `backbone`, `neck`, `head` or `heads`, or those that `parts` names.

    Shapes:
        x: (n, in_channels, *size), the image; as many images as `inputs` names
        returns: what the head gives; a dict by name of several; without a head, maps, finest first

    Channels, strides and dimensions of a part come from what feeds it; results of dense heads are brought to
    the size of the image.

    Args:
        model: the mapping that stands under `model` in a configuration; its values may be objects too.

    Raises:
        ConfigError: everything that doesn't fit, before anything is allocated.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        super().__init__(model)
        # What was received may be objects; kept is the data that builds the same again.
        self._arguments = {"model": as_data(model)}

    def spec(self) -> dict[str, Any]:
        """What stands under `model` in the configuration that builds this again."""
        return self._arguments["model"]


def assemble(
    backbone: Maker,
    neck: Maker | None = None,
    head: Maker | None = None,
    *,
    heads: Mapping[str, Maker] | None = None,
) -> Assembly:
    """A network of a backbone, a neck where there is one, and one head or several by name.

    Where there is no neck, the head may stand second: `assemble(backbone, head)`.

    Each is an object, a name, or a mapping with `type`. Objects that know their channels are used as they
    are, with their weights; of unbuilt ones, a copy is built.

    >>> from models.backbones import resnet18
    >>> from models.heads import Classification
    >>> assemble(resnet18(in_channels=1), head=Classification(10)).head.fc.in_features
    512

    Raises:
        ConfigError: parts that don't exist, arguments or channels that don't fit; all at once.
    """
    if head is None and heads is None and neck is not None and _is_head(neck):
        neck, head = None, neck
    given = {"backbone": backbone, "neck": neck, "head": head, "heads": heads}
    return Assembly({name: maker for name, maker in given.items() if maker is not None})


def _is_head(maker: Maker) -> bool:
    """Whether what stands in the neck's place can only be a head."""
    try:
        return kinds_of(str(spec_of({"type": maker} if isinstance(maker, str) else maker, "neck")["type"])) == ["head"]
    except (ValueError, KeyError):
        # It is no component, or has no type: what checks it as a neck says so.
        return False


def from_config(source: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> Any:
    """The network that a configuration describes under `model`, checked whole before anything is built.

    Args:
        source: a YAML or JSON file, or what one would hold.
        overrides: `path=value`, for example "head.num_classes=5"; see `mcore.config.read`.

    Raises:
        ConfigError: every mistake in the file, with file, line and column.
        FileNotFoundError: no such file.
    """
    return build(config.read(source, overrides))


def build(read: config.Config) -> Any:
    """The network under `model` of a configuration that was read already.

    Raises:
        ConfigError: every mistake in that section.
    """
    model = model_of(read)
    whole = specs.type_of(model) is not None
    if whole:
        read.refuse(read.located(check(model), ("model",)))
    try:
        return specs.build(model) if whole else Assembly(model)
    except ConfigError as error:
        read.refuse(read.located(_problems(error), ("model",)))
    # All but the weights was built before, without its numbers.
    except (ValueError, OSError) as error:
        raise ConfigError([read.mistake(("model", "weights"), str(error).rstrip("."))]) from error


def model_of(read: config.Config) -> Mapping[str, Any]:
    """What stands under `model`; a bare name is a type without arguments, and `architecture` another word for type.

    Raises:
        ConfigError: nothing, or no mapping; or both words.
    """
    model = read.data.get("model")
    # PyTorch Connectomics' word.
    if isinstance(model, Mapping) and "architecture" in model:
        if specs.type_of(model) is not None:
            raise ConfigError([read.mistake(("model", "architecture"), "a model has a type or an architecture; one")])
        model = {"type": model["architecture"], **{k: v for k, v in model.items() if k != "architecture"}}
    if isinstance(model, str):
        model = {"type": model}
    if not isinstance(model, Mapping):
        wrong = "no section 'model'" if model is None else f"a model is a mapping, not {model!r}"
        raise ConfigError([read.mistake(("model",), wrong)])
    return model


def check(model: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with what stands under `model`: names, arguments, wiring, channels; nothing is allocated."""
    if specs.type_of(model) is None:
        plan = plan_of(model)
        sketch(plan)
        return plan.problems
    problems = specs.check(model)
    if not problems:
        try:
            with mcore.device("meta"):
                made = specs.build({key: value for key, value in model.items() if key != "weights"})
        except ConfigError as error:
            return _problems(error)
        # What a constructor refuses is the configuration's mistake; it names its class and what fits.
        except (ValueError, TypeError, LookupError, NotImplementedError, RuntimeError) as error:
            return [Problem((), refusal(error), ValueError)]
        if not isinstance(made, Module):
            wrong = f"{made!r} is no network; give in_channels, or the parts that feed it"
            return [Problem((), wrong, ValueError)]
    return problems


def _problems(error: ConfigError) -> list[Problem]:
    return [Problem(mistake.path, mistake.message, ValueError) for mistake in error.mistakes]


def as_data(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model as data: parts as they were given, without what was computed and without weights."""
    data: dict[str, Any] = {}
    for key, value in model.items():
        if key in PLACES and value is not None:
            data[key] = _part(value, key)
        elif key in ("heads", "parts") and value is not None:
            data[key] = {name: _part(maker, f"{key}.{name}") for name, maker in value.items()}
        elif value is not None:
            data[key] = plain(value, key)
    return data


def _part(maker: Maker, name: str) -> dict[str, Any]:
    return {"type": maker} if isinstance(maker, str) else spec_of(maker, name)


__all__ = ["FORMAT", "Assembly", "Maker", "assemble", "build", "from_config"]
