"""What a network is made of: its parts by name and role, and the entries of its state that each of them holds.

Nothing here knows the classes of the zoo: an assembly tells its parts, any network has children by name, and layers
that see the image or score classes are told by the attributes `first_conv` and `classifier`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mcore.exchange import bridge
from mcore.registry import UnknownComponent, kinds_of, lookup

# What torch puts around a network, and under which name it holds it.
_WRAPPERS = {"DistributedDataParallel": "module", "DataParallel": "module", "OptimizedModule": "_orig_mod"}
ROLES = ("backbone", "neck", "head")


@dataclass(frozen=True)
class Part:
    """A part of a network.

    Attributes:
        name: below which name its entries stand: "backbone", "heads.mask"; "" for the whole network, or, with the
            role "part", for what no other part holds.
        role: backbone, neck, head; "network" where it is whole, "part" of a graph's other parts.
        module: what computes it.
        prefix: `name` with a dot, "" where there is none.
        entries: names of the whole state that are its own.
    """

    name: str
    role: str
    module: Any
    prefix: str
    entries: tuple[str, ...]


def components_of(net: Any) -> list[Part]:
    """The parts of a network, in order: those of an assembly, or of any network that has a child named `backbone`.

    A network without such parts is one of its own. Every entry of the state belongs to exactly one.

    Raises:
        TypeError: `net` is no module of a loaded engine.
    """
    bridge.of_module(net)
    net = unwrapped(net)
    names = list(state_of(net))
    found = _named_parts(net)
    if not found:
        return [Part("", role_of(net) or "network", net, "", tuple(names))]
    parts: list[Part] = []
    taken: set[str] = set()
    for name, role, module in found:
        own = tuple(key for key in names if key.startswith(f"{name}.") and key not in taken)
        taken.update(own)
        parts.append(Part(name, role, module, f"{name}.", own))
    rest = tuple(key for key in names if key not in taken)
    return [*parts, Part("", "part", net, "", rest)] if rest else parts


def unwrapped(net: Any) -> Any:
    """The network itself, where torch.compile or data parallelism stands around it."""
    while (step := _step_of(net)) is not None:
        net = getattr(net, step)
    return net


def state_of(net: Any) -> dict[str, Any]:
    """The state by name: parameters and buffers themselves, no copies. Wrappers leave no step in the names."""
    return {name: value for name, (_, value) in named_state(net).items()}


def named_state(net: Any) -> dict[str, tuple[str, Any]]:
    """As `state_of`, with the name that `unwrapped(net).load_state_dict` knows."""
    net = unwrapped(net)
    inner = [
        (f"{name}.{step}.", f"{name}.")
        for name, module in net.named_modules(remove_duplicate=False)
        if (step := _step_of(module)) is not None
    ]
    # The longest first: what stands before it is still there then.
    inner.sort(key=lambda pair: -len(pair[0]))
    return {_plain(key, inner): (key, value) for key, value in net.state_dict(keep_vars=True).items()}


def layers_of(module: Any, role: str) -> tuple[str, ...]:
    """The layers that a module, or else its children, name as their `first_conv` or `classifier`.

    A layer that is itself called so is meant, too; timm's networks tell it in `pretrained_cfg`.
    """
    module = unwrapped(module)
    own = _own(module, role)
    if own is not None:
        return tuple(own)
    return tuple(f"{name}.{layer}" for name, child in module.named_children() for layer in layers_of(child, role))


def role_of(module: Any) -> str:
    """Backbone, neck, head or network, as the registry has the class; "" of others."""
    kind = kind_of(module)
    return kind if kind in (*ROLES, "network") else ""


def kind_of(module: Any) -> str:
    """The kind under which the registry has the class of a module; "" where it has not."""
    name = type_of(module)
    for kind in kinds_of(name):
        try:
            known = lookup(name, kind).load()
        except (UnknownComponent, ValueError):
            continue  # its versions differ: none of them is this project's own
        # A size's constructor has the module of its class; another class of the same name hasn't.
        if getattr(known, "__module__", None) == type(module).__module__:
            return kind
    return ""


def type_of(module: Any) -> str:
    """The name of a component, as specs have it, or of a class."""
    return str(spec_of(module).get("type") or type(module).__name__)


def spec_of(module: Any) -> dict[str, Any]:
    """What a component tells of itself; {} where it is none, or was given something that is no data."""
    told = getattr(type(module), "spec", None)
    if not callable(told) or not callable(getattr(type(module), "config", None)) or not hasattr(module, "_arguments"):
        return {}
    try:
        spec = module.spec()
    except ValueError:
        return {}
    return dict(spec) if isinstance(spec, Mapping) else {}


def _named_parts(net: Any) -> list[tuple[str, str, Any]]:
    nodes = getattr(net, "_nodes", None)
    if nodes and callable(getattr(net, "part", None)):
        return [_named(node.name, net.part(node.name)) for node in nodes]
    children = dict(net.named_children())
    if "backbone" not in children or role_of(net) == "backbone":
        return []
    several = children.get("heads")
    heads = {f"heads.{name}": head for name, head in several.named_children()} if several is not None else {}
    return [_named(name, child) for name, child in {**children, **heads}.items() if _place(name)]


def _named(name: str, module: Any) -> tuple[str, str, Any]:
    module = unwrapped(module)
    kind = kind_of(module)
    return name, _place(name) or (kind if kind in ROLES else "part"), module


def _place(name: str) -> str:
    """The role that a name says by itself."""
    return name if name in ROLES else "head" if name.startswith("heads.") else ""


def _step_of(module: Any) -> str | None:
    kind = type(module)
    return _WRAPPERS.get(kind.__name__) if kind.__module__.startswith("torch.") else None


def _plain(key: str, inner: Iterable[tuple[str, str]]) -> str:
    for long, short in inner:
        if key.startswith(long):
            key = short + key.removeprefix(long)
    return key


def _own(module: Any, role: str) -> list[str] | None:
    told = getattr(module, role, None)
    if told is None:
        config = getattr(module, "pretrained_cfg", None)
        told = config.get(role) if isinstance(config, Mapping) else None
    if told is None:
        return None
    if hasattr(told, "state_dict"):
        return [role] if hasattr(told, "weight") else None
    if isinstance(told, str):
        return [told] if told else []
    return [str(layer) for layer in told] if isinstance(told, list | tuple) else None


__all__ = [
    "ROLES",
    "Part",
    "components_of",
    "kind_of",
    "layers_of",
    "named_state",
    "role_of",
    "spec_of",
    "state_of",
    "type_of",
    "unwrapped",
]
