"""Other libraries' names for the parts of our networks, and finding out which of them a file speaks.

A table is a mapping from their names to ours: of prefixes, or, where the left side begins with `^`, of regular
expressions to what stands in their place. Tables stand as data in `models/utils/renames`, a library a file.
"""

import functools
import importlib
import json
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcore.config import parse
from mcore.vocabulary import nearest
from models.utils import renames

# Under what name training programs store the state, and what they put before each name.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "ema", "net")
PREFIXES = ("module.", "_orig_mod.", "model.")


@dataclass(frozen=True)
class Layout:
    """Names of one library for the parts of one network: rules from theirs to ours.

    `norm_eps` is that of the original's norms, where it isn't 1e-5: no state holds it, and with another the
    results are wrong by a thousandth, without a word.
    """

    name: str
    rules: Mapping[str, str] = field(default_factory=dict, repr=False)
    norm_eps: float | None = None

    def __call__(self, key: str) -> str:
        """Our name for `key`: by every expression that fits, then by the longest prefix; itself where none does."""
        for pattern, text in self._expressions:
            try:
                key = pattern.sub(text, key)
            except re.error as error:
                raise ValueError(f"weights: rename {pattern.pattern!r}: {text!r} can't be put in: {error}.") from error
        if not key.startswith(self._prefixes):
            return key
        # An empty prefix takes what no other does.
        prefix = next(prefix for prefix in self._prefixes if key.startswith(prefix))
        return self.rules[prefix] + key.removeprefix(prefix)

    @functools.cached_property
    def _expressions(self) -> list[tuple[re.Pattern[str], str]]:
        return [(re.compile(left), right) for left, right in self.rules.items() if left.startswith("^")]

    @functools.cached_property
    def _prefixes(self) -> tuple[str, ...]:
        return tuple(sorted((left for left in self.rules if not left.startswith("^")), key=len, reverse=True))


# Names as they are.
PLAIN = Layout("as they are")


@functools.cache
def layouts() -> dict[str, Layout]:
    """Every table of `models/utils/renames` by name."""
    found: dict[str, Layout] = {}
    for info in pkgutil.iter_modules(renames.__path__, f"{renames.__name__}."):
        module = importlib.import_module(info.name)
        eps: Mapping[str, float] = getattr(module, "NORM_EPS", {})
        found |= {name: Layout(name, rules, eps.get(name)) for name, rules in module.TABLES.items()}
    return found


def layout_of(rename: str | Mapping[str, str] | None) -> Layout:
    """The layout that `rename` means: a table's name, a file that holds one, or the rules themselves.

    Raises:
        ValueError: no such table, and no such file.
    """
    if rename is None:
        return PLAIN
    if isinstance(rename, Mapping):
        return _checked(Layout("rules given", rename))
    if rename in layouts():
        return layouts()[rename]
    if rename.endswith((".json", ".yaml", ".yml")):
        table, _ = parse(Path(rename).read_text(encoding="utf-8"), rename)
        if not isinstance(table, dict):
            raise ValueError(f"weights: {rename} holds no table of names; write their name: our name.")
        return _checked(Layout(rename, table))
    likely = nearest(rename, layouts(), least=0.0, most=3)
    raise ValueError(
        f"weights: rename={rename!r} is no table, nor a .json or .yaml file; the nearest are {', '.join(likely)}."
    )


def _checked(layout: Layout) -> Layout:
    for left, right in layout.rules.items():
        if not isinstance(left, str) or not isinstance(right, str):
            raise ValueError(f"weights: {layout.name}: {left!r}: {right!r} is no rule; write their name: our name.")
        if left.startswith("^"):
            try:
                re.compile(left)
            except re.error as error:
                raise ValueError(f"weights: {layout.name}: {left!r} is no regular expression: {error}.") from error
    return layout


def found_layout(theirs: Iterable[str], ours: Mapping[str, Any]) -> tuple[Layout, str]:
    """The layout, and the prefix to take off, with which most of `ours` are found among `theirs`.

    Names as they are come first: a table has to find more to be chosen. Where `theirs` has tensors, those that a
    file holds twice under two prefixes are no two that fit alike.
    """
    keys = list(theirs)
    best, most, rival = (PLAIN, ""), 0, ""
    for layout in (PLAIN, *layouts().values()):
        named = [layout(key) for key in keys]
        for prefix in _prefixes_of(named, ours):
            count = sum(key.startswith(prefix) and key.removeprefix(prefix) in ours for key in named)
            if count > most:
                best, most, rival = (layout, prefix), count, ""
            elif count == most > 0 and layout is best[0] and not _alike(theirs, named, ours, (best[1], prefix)):
                rival = prefix
        if most == len(ours):
            break
    if rival:
        raise ValueError(
            f"weights: the file holds two that fit alike, {best[1]!r} and {rival!r}; say which: take={best[1] + '*'!r}."
        )
    return best


def _alike(theirs: Iterable[str], named: list[str], ours: Iterable[str], prefixes: tuple[str, str]) -> bool:
    """Whether a file holds the same tensors under two prefixes, as a module does that has a part in two places."""
    if not isinstance(theirs, Mapping):
        return False
    tensors = dict(zip(named, theirs.values(), strict=True))
    pairs = [[tensors.get(f"{prefix}{key}") for prefix in prefixes] for key in ours]
    return all(a is b or (a is not None and b is not None and _equal(a, b)) for a, b in pairs)


def _equal(one: Any, other: Any) -> bool:
    return tuple(one.shape) == tuple(other.shape) and bool((one == other).all())


def _prefixes_of(theirs: Iterable[str], ours: Mapping[str, Any]) -> list[str]:
    """What may stand before our names in a file: "", "encoder.", "backbone."."""
    first = next((key for key in ours if not key.endswith("num_batches_tracked")), "")
    return ["", *dict.fromkeys(key.removesuffix(first) for key in theirs if first and key.endswith(f".{first}"))]


def unwrapped(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of a file by name, out of what training programs wrap around them."""
    if not isinstance(state, Mapping):
        raise ValueError(f"weights: a file holds a mapping of names to tensors, not one {type(state).__name__}.")
    while inner := next((state[key] for key in WRAPPERS if isinstance(state.get(key), Mapping)), None):
        state = inner
    tensors = {key: value for key, value in state.items() if isinstance(key, str) and hasattr(value, "shape")}
    while prefix := next((p for p in PREFIXES if tensors and all(key.startswith(p) for key in tensors)), None):
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def write_table(table: Mapping[str, str], path: Path) -> None:
    """Writes rules to a file that `rename=` reads."""
    path.write_text(json.dumps(dict(table), indent=1) + "\n", encoding="utf-8")
