"""`Saver`: saves a network in training when a rule on its metrics says so, and keeps the best few."""

from __future__ import annotations

import contextlib
import math
import re
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcore.checkpoint.errors import LimitExceeded, NotFound, SchemaError
from mcore.checkpoint.records import Record, address_of
from mcore.checkpoint.rules import Rule, check_has, flat, rules_of
from mcore.checkpoint.store.base import VERSIONS

if TYPE_CHECKING:
    from mcore.checkpoint.repository import Repository

# A checkpoint with this tag is never pruned.
SPARED = "keep"
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,49}")


@dataclass(frozen=True)
class _Held:
    """A checkpoint of this saver: why it was saved, and its numbers."""

    id: str
    rules: frozenset[str]
    values: Mapping[str, float]
    step: int | None


class Saver:
    """Called after each validation, saves when a rule is met, and prunes what falls out of the best.

    >>> saver = Saver(repo, rule="max:val.miou", keep=3)                          # doctest: +SKIP
    >>> saver(net, metrics={"val": {"miou": 0.71}}, step=1000)                    # doctest: +SKIP
    '01J5ZK3V7Q8W9XTBYAZCDEFGHJ'

    The best is `networks/segmentation/UNet@best`; of several rules each has its own, as `@best-val.loss`, and the
    first is `@best` too; what was saved last is `@last`. What is pruned is deleted as `Repository.delete` does, so that
    `restore` brings it back until `gc` frees it. What has the tag "keep", or an alias of somebody else's, stays.

    Nothing is kept beside the repository: a saver in a new process goes on where the last one stopped, also where that
    one was killed between saving and pruning.

    Args:
        repo: where to save.
        rule: "max:val.miou", "min:val.loss", or several; without max or min the metric's name says which.
        keep: how many of the best stay, for each rule; None for all.
        every: also save each time that so many steps went by; these stay.
        min_delta: by how much a checkpoint must be better than the worst of the `keep` to take its place.
        keep_last: save at each call; the one before goes, unless a rule keeps it.
        run: which training it is: savers of one network, task, rule and run go on with each other's checkpoints, so
            give each training a name of its own where several save to one repository. Aliases have it behind them:
            `@best-RUN`.
        given: what is told of every checkpoint, as `Repository.save` takes it.

    Raises:
        ValueError: a rule can't be read, or nothing says when to save.
    """

    def __init__(
        self,
        repo: Repository,
        rule: str | Iterable[str] = (),
        *,
        keep: int | None = 3,
        every: int | None = None,
        min_delta: float = 0.0,
        keep_last: bool = False,
        run: str = "",
        **given: Any,
    ) -> None:
        self.rules = rules_of(rule)
        _check(self.rules, keep, every, min_delta, keep_last, run)
        self.repo, self.keep, self.every, self.min_delta = repo, keep, every, min_delta
        self.keep_last, self.run, self.given = keep_last, run, given
        self._at: dict[str, list[_Held]] = {}
        self._addresses: weakref.WeakKeyDictionary[Any, dict[Any, str]] = weakref.WeakKeyDictionary()

    def __call__(self, net: Any, metrics: Any = None, *, step: int | None = None, **more: Any) -> str | None:
        """Saves `net` if a rule says so; the id of the checkpoint, or None.

        Args:
            net: the network.
            metrics: as `Repository.save` takes them; a number that isn't finite never wins. Without any, only `every`
                and `keep_last` are asked.
            step: of the training; the record has it among its facts.
            more: what else is told of this checkpoint, as `Repository.save` takes it.

        Raises:
            ValueError: a rule's metric isn't among them; with the nearest that are.
        """
        values = flat(metrics)
        if values:
            check_has(self.rules, values)
        self._warn(values)
        told = {**self.given, **more}
        address = self._address(net, told)
        held = self._held(address)
        why = self._why(values, step, held)
        if not why:
            return None
        # A training that was killed after this was saved, and goes on from before it, comes here again.
        again = [one.id for one in held if values and step is not None and (one.step, one.values) == (step, values)]
        if again:
            return again[-1]
        try:
            id = self.repo.save(
                net, metrics=self._metrics(metrics, values), rule=", ".join(why), **self._told(told, step)
            )
            held.append(_Held(id, frozenset(why), values, step))
            self._settle(address, held)
        except BaseException:
            # Ctrl-C may come between any two lines: the next call looks at what there is.
            self._at.pop(address, None)
            raise
        return id

    def best(self, metric: str | None = None) -> str | None:
        """The id of the best checkpoint so far, by a rule's metric, or by the first rule.

        Raises:
            ValueError: no rule goes by that metric.
        """
        rules = [rule for rule in self.rules if metric in (None, rule.metric)]
        if not rules:
            there = ", ".join(rule.metric for rule in self.rules) or "none"
            raise ValueError(f"Saver: no rule goes by {metric!r}; there are {there}.")
        ranked = self._ranked(rules[0], [one for held in self._at.values() for one in held])
        return ranked[0].id if ranked else None

    # --- deciding

    def _why(self, values: Mapping[str, float], step: int | None, held: list[_Held]) -> list[str]:
        """The rules that say to save."""
        why = [str(rule) for rule in self.rules if self._enters(rule, rule.value(values), held)]
        if self.every is not None and self._due(step, held):
            why.append(f"every:{self.every}")
        return why + ["last"] * self.keep_last

    def _enters(self, rule: Rule, value: float | None, held: list[_Held]) -> bool:
        if value is None:
            return False
        ranked = self._ranked(rule, held)
        if self.keep is None or len(ranked) < self.keep:
            return True
        # A tie leaves the older.
        return rule.gain(value, than=rule.value(ranked[self.keep - 1].values) or 0.0) > self.min_delta

    def _due(self, step: int | None, held: list[_Held]) -> bool:
        if step is None:
            raise ValueError(f"Saver: every={self.every} counts steps; call it with step=.")
        assert self.every is not None
        label = f"every:{self.every}"
        before = [one.step for one in held if label in one.rules and one.step is not None and one.step <= step]
        return step // self.every > max(before, default=0) // self.every

    def _ranked(self, rule: Rule, held: Iterable[_Held]) -> list[_Held]:
        """Those that have the rule's metric, the best first, of equal ones the older."""
        having = [(value, one) for one in held if (value := rule.value(one.values)) is not None]
        return [one for _, one in sorted(having, key=lambda pair: (-rule.gain(pair[0], than=0.0), pair[1].id))]

    # --- what the repository has

    def _held(self, address: str) -> list[_Held]:
        """What this saver has at an address: read once, and put in order, in case another was killed there."""
        if address not in self._at:
            held = [_of(record) for record in self._there(address) if self._is_ours(record)]
            if held:
                self._settle(address, held)
            self._at[address] = held
        return self._at[address]

    def _there(self, address: str) -> Iterator[Record]:
        gone = self.repo.history.deleted()
        for kept in self.repo.store.files(f"{VERSIONS}{address}/"):
            id = self.repo.store.read(kept.key, most=100).decode().strip()
            if id in gone:
                continue
            try:
                # As it was saved: what was said of it later is asked for when it is to go.
                yield self.repo.original(id)
            except NotFound:
                continue  # a save that never ended, or what gc took
            except (SchemaError, LimitExceeded) as error:
                # A training goes on; `verify` is there to find these.
                warnings.warn(f"Saver: {error} It is left alone.", stacklevel=5)

    def _is_ours(self, record: Record) -> bool:
        return bool(_rules_of(record) & self._labels()) and record.tags.get("run", "") == self.run

    def _labels(self) -> set[str]:
        every = {f"every:{self.every}"} if self.every is not None else set()
        return {*map(str, self.rules), *every, *(["last"] if self.keep_last else [])}

    def _settle(self, address: str, held: list[_Held]) -> None:
        """Moves aliases to where they belong, then prunes: whatever is left undone, the next call does."""
        gone = self.repo.history.deleted()
        held[:] = sorted((one for one in held if one.id not in gone), key=lambda one: one.id)
        now = self.repo.history.aliases()
        wanted = self._aliases(held)
        for name, id in wanted.items():
            if now.get((address, name)) != id:
                self.repo.alias(id, name)
        others = {id for (where, name), id in now.items() if where == address and name not in wanted}
        stays = self._stays(held) | others
        for one in [one for one in held if one.id not in stays]:
            with contextlib.suppress(NotFound):  # somebody else deleted it meanwhile
                # Asked at the last moment: the tag may have come from another process.
                if SPARED not in self.repo.record(one.id).tags:
                    self.repo.delete(one.id)
            held.remove(one)

    def _aliases(self, held: list[_Held]) -> dict[str, str]:
        if not held:
            return {}
        behind = f"-{self.run}" if self.run else ""
        found = {f"last{behind}": held[-1].id}
        for number, rule in enumerate(self.rules):
            ranked = self._ranked(rule, held)
            if ranked and number == 0:
                found[f"best{behind}"] = ranked[0].id
            if ranked and len(self.rules) > 1:
                found[f"best-{rule.metric.replace('@', '-')}{behind}"] = ranked[0].id
        return found

    def _stays(self, held: list[_Held]) -> set[str]:
        best = [one for rule in self.rules for one in self._ranked(rule, held)[: self.keep]]
        steps = [one for one in held if any(rule.startswith("every:") for rule in one.rules)]
        return {one.id for one in (*best, *steps, *(held[-1:] if self.keep_last else ()))}

    # --- what is told of a checkpoint

    def _address(self, net: Any, told: Mapping[str, Any]) -> str:
        """Where it will stand, as `Repository.save` decides it."""
        from mcore.checkpoint.parts import facts

        task, network = told.get("task"), told.get("network")
        if task and network:
            return address_of("network", task, network)
        # Once for a network: to describe it, its weights are looked at.
        known = self._addresses.setdefault(net, {})
        if (task, network) not in known:
            described = facts.described(net, {})
            kind = "backbone" if described.kind == "backbone" and not task else "network"
            known[task, network] = address_of(kind, task or described.task, network or described.network)
        return known[task, network]

    def _told(self, told: Mapping[str, Any], step: int | None) -> dict[str, Any]:
        from mcore.checkpoint import given

        out = dict(told)
        if self.run:
            out["tags"] = {**given.tags_of(out.get("tags")), "run": self.run}
        if step is not None:
            out["facts"] = {**(out.get("facts") or {}), "step": step}
        return out

    def _metrics(self, metrics: Any, values: Mapping[str, float]) -> list[Any]:
        """As records have them: finite, and with the better side where a rule says it."""
        better = {rule.metric: "lower" if rule.lower else "higher" for rule in self.rules}
        if not isinstance(metrics, Mapping):
            return [one.model_copy(update={"better": better.get(one.key, one.better)}) for one in metrics or ()]
        out = []
        for key, value in values.items():
            split, _, name = key.rpartition(".")
            if math.isfinite(value):
                out.append({"name": name, "split": split, "value": value, "better": better.get(key, "")})
        return out

    def _warn(self, values: Mapping[str, float]) -> None:
        wrong = [f"{key} is {value}" for key, value in values.items() if not math.isfinite(value)]
        if wrong:
            warnings.warn(f"Saver: {', '.join(wrong)}; it never wins, and isn't recorded.", stacklevel=3)


def _of(record: Record) -> _Held:
    step = record.facts.get("step")
    whole = step if isinstance(step, int) else None
    return _Held(record.id, _rules_of(record), record.values, whole)


def _rules_of(record: Record) -> frozenset[str]:
    return frozenset(text for text in record.rule.split(", ") if text)


def _check(
    rules: tuple[Rule, ...], keep: int | None, every: int | None, min_delta: float, keep_last: bool, run: str
) -> None:
    if not rules and every is None and not keep_last:
        raise ValueError('Saver: nothing says when to save; give rule="max:val.miou", every=1000 or keep_last=True.')
    for name, value in (("keep", keep), ("every", every)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"Saver: {name} is a whole number of at least 1, or None; got {value!r}.")
    if not (math.isfinite(min_delta) and min_delta >= 0):
        raise ValueError(f"Saver: min_delta is a number of at least 0, got {min_delta!r}.")
    if run and not _RUN.fullmatch(run):
        raise ValueError(f"Saver: run is a name of at most 50 letters, digits and '._+-', got {run!r:.80}.")
    if len(", ".join(map(str, rules))) > 150:
        raise ValueError(f"Saver: {len(rules)} rules are too many for one saver; a record's rule has 200 characters.")


__all__ = ["Saver"]
