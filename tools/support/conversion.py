"""Targets to folders: one in this process, several in processes apart; see `mcore convert`."""

import importlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tools.support.extras import needed
from tools.support.targets import Maker, Target

# Seconds for one of several targets; the largest of the zoo takes two minutes on one core.
TIMEOUT = 1800.0


@dataclass(frozen=True)
class Result:
    """What became of a target.

    Attributes:
        name: of its folder; of a target that couldn't be read, what was asked for.
        folder: None where the target couldn't be read.
        status: "current" was there already, as it should be.
        error: what is wrong, where it failed.
        report: what `toplatform` found out, as in `model.json`.
        notes: what else there is to say, for example why it was made again.
    """

    name: str
    folder: Path | None
    status: Literal["made", "updated", "current", "failed"]
    error: str = ""
    report: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    seconds: float = 0.0


def convert(
    network: str | Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    backbone: Maker | Sequence[Maker] | None = None,
    neck: Maker | None = None,
    head: Maker | None = None,
    config: str | Path | Sequence[str | Path] | None = None,
    overrides: Sequence[str] = (),
    targets: Sequence[Target] | None = None,
    out: str | Path = "exports",
    overwrite: bool = False,
    sizes: Sequence[Any] | None = None,
    opset: int | None = None,
    half: bool = False,
    device: str = "cpu",
    weights: Any = None,
    jobs: int | None = None,
    memory: int | None = None,
    timeout: float | None = None,
    plugins: Sequence[str] = (),
    progress: bool = False,
) -> list[Result]:
    """Makes or updates a folder for each target: its artifact, data to test it with, and its history.

    One target is made in this process, unless it has a timeout; several in processes apart, of which one that fails
    doesn't stop the others. Folders that are there and current stay, so an interrupted call is continued by another.

    Args:
        network: a name, or several.
        parameters: of networks, by name; of backbone, neck and head, by part: `{"head": {"num_classes": 10}}`.
        backbone: names, or mappings with `type`; several are each converted with the same neck and head.
        neck: a name, or a mapping with `type`.
        head: likewise.
        config: configuration files.
        overrides: of configurations, as in `models.from_config`.
        targets: targets that were made otherwise, instead of all these.
        out: the folder that theirs stand in.
        overwrite: makes again what is current, too.
        sizes: shapes to record and verify with: `[(1, 3, 64, 48), ...]`, or `[[shape of each input], ...]`; by
            default three that the network takes.
        opset: version of ONNX's operators.
        half: in numbers of 16 bits.
        device: where the network runs: "cpu", "cuda:0".
        weights: a file, or a mapping as `models.load_weights` takes it.
        jobs: processes at a time; by default one for each processor.
        memory: bytes that they may need; by default half of what is available.
        timeout: seconds for each target.
        plugins: modules to import first, which register components.
        progress: shows a bar, on a terminal.

    Returns:
        a result for each target, in their order; none is raised that concerns one of them alone.

    Raises:
        ValueError: no target, or several ways to name them; two of them would share a folder; jobs, memory or timeout
            of nothing; no such device.
        ImportError: a plug-in can't be imported, or the extra `tools` isn't installed.
    """
    for name, given in (("jobs", jobs), ("memory", memory), ("timeout", timeout)):
        if given is not None and not given > 0:
            raise ValueError(f"convert: {name}={given} is to be more than 0.")
    for plugin in plugins:
        _import(plugin)
    _check_device(device)
    made = {"sizes": sizes, "opset": opset, "half": half, "device": device, "weights": weights}
    asked = _asked(_listed(network), parameters or {}, _listed(backbone), neck, head, _listed(config), overrides, made)
    read = [_read(title, maker) for title, maker in asked]
    read += [_read(target.title, lambda target=target: target) for target in targets or ()]  # type: ignore[misc]
    ways = [network, backbone, config, targets]
    if sum(way is not None for way in ways) != 1 or not read:
        raise ValueError("convert: give one of network, backbone, config and targets, and at least one of it.")
    wanted = _distinct(one for one in read if isinstance(one, Target))
    place = Path(out)
    if len(wanted) == 1 and timeout is None:
        results = {name: one(target, str(place), overwrite) for name, target in wanted.items()}
    else:
        limits = {"workers": jobs, "memory": memory, "modules": tuple(plugins)}
        results = _all(wanted, place, overwrite, limits, TIMEOUT if timeout is None else timeout, progress=progress)
    return [item if isinstance(item, Result) else results[item.name] for item in read]


def _check_device(name: str) -> None:
    """Refuses what is no device of this engine, also where nothing will be made."""
    import mcore

    try:
        mcore.device(name)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"convert: device={name!r} is no device: {error}") from error


def one(target: Target, out: str, overwrite: bool) -> Result:
    """The result of one target, made in this process; whatever goes wrong with it is told there."""
    from tools.support import folder
    from tools.support.building import TargetError

    begun, place = time.monotonic(), Path(out, target.name)
    try:
        made = folder.make(place, target, overwrite=overwrite)
    # One target that fails, in whatever way, doesn't stop the others; a constructor may even end the program.
    except (Exception, SystemExit) as error:
        text = (
            _said(error)
            if isinstance(error, TargetError | OSError | ImportError)
            else f"{target.title}: {_said(error)}"
        )
        if target.half and "half" in text.lower():
            text = f"{text.rstrip('.')}. It was asked for in numbers of 16 bits (half); without, it may go."
        return Result(target.name, place, "failed", text, seconds=time.monotonic() - begun)
    return Result(target.name, place, made.status, "", made.report, made.notes, time.monotonic() - begun)


def needs(target: Target) -> int:
    """Bytes that making a target will need, roughly. Not told in the process that waits for the others: a constructor
    may do to its process whatever it likes.
    """
    from tools.support.building import memory, memory_of

    try:
        return memory_of(target)
    # What is wrong with it is told where it is made.
    except (Exception, SystemExit):
        return memory(0)


def _all(
    wanted: Mapping[str, Target],
    out: Path,
    overwrite: bool,
    limits: Mapping[str, Any],
    timeout: float,
    *,
    progress: bool,
) -> dict[str, Result]:
    """The results of all targets, by name, made in processes apart."""
    import mcore
    from tools.support import folder
    from tools.support.building import memory
    from tools.support.crew import Crew, Job

    results = {} if overwrite else dict(_standing(wanted, out))
    left: list[str] = []
    tqdm = needed("tqdm").tqdm
    to_make = {name: target for name, target in wanted.items() if name not in results}
    if not to_make:
        return results
    bar = tqdm(total=len(to_make), unit="folder", disable=None if progress else True, file=sys.stderr)
    try:
        with bar, Crew(environment={"MCORE_BACKEND": mcore.backend()}, **limits) as crew:
            try:
                for name, target in to_make.items():
                    crew.add(Job(name, needs, (target,), memory(0), timeout))
                for outcome in crew.outcomes():
                    name = outcome.job.name
                    if outcome.job.function is needs and outcome.kind == "done":
                        # The first are made while those behind them are still being looked at.
                        arguments = (to_make[name], str(out), overwrite)
                        crew.add(Job(name, one, arguments, outcome.value, timeout), first=True)
                        continue
                    results[name] = outcome.value or Result(
                        name, out / name, "failed", outcome.error, seconds=outcome.seconds
                    )
                    if outcome.kind != "done":
                        folder.clean(out / name)
                    bar.set_postfix_str(name, refresh=False)
                    bar.update()
            finally:
                left += [job.name for job in crew.running]
    finally:
        # They were killed with their crew, each with half a folder beside its own.
        for name in left:
            folder.clean(out / name)
    return results


def _standing(wanted: Mapping[str, Target], out: Path) -> Iterator[tuple[str, Result]]:
    """Results of targets for which no process is needed: those that are there, and those that have no room."""
    from tools.support import folder

    for name, target in wanted.items():
        begun = time.monotonic()
        try:
            if folder.state_of(out / name, target).kind != "current":
                continue
            report, error = folder.report_of(out / name), ""
        except (OSError, ValueError) as wrong:
            report, error = {}, _said(wrong)
        yield (
            name,
            Result(name, out / name, "failed" if error else "current", error, report, (), time.monotonic() - begun),
        )


# --- what is asked for


def _asked(
    networks: Sequence[str],
    parameters: Mapping[str, Any],
    backbones: Sequence[Maker],
    neck: Maker | None,
    head: Maker | None,
    files: Sequence[str | Path],
    overrides: Sequence[str],
    made: Mapping[str, Any],
) -> Iterator[tuple[str, Callable[[], Target]]]:
    """What each target is called in messages, and what makes it."""
    if (neck or head) and not backbones:
        raise ValueError("convert: a neck or a head needs a backbone.")
    if files and parameters:
        raise ValueError("convert: a configuration takes overrides, as in ['head.num_classes=5'], and no parameters.")
    if overrides and not files:
        raise ValueError("convert: overrides are for configurations; others take parameters.")
    for name in networks:
        yield name, lambda name=name: Target.network(name, parameters, **made)  # type: ignore[misc]
    for maker in backbones:
        parts = {"backbone": maker, "neck": neck, "head": head}
        title = "-".join(_name(part) for part in parts.values() if part)
        yield title, lambda parts=parts: Target.assembly(**_with(parts, parameters), **made)  # type: ignore[misc]
    for file in files:
        yield str(file), lambda file=file: Target.configured(file, overrides, **made)  # type: ignore[misc]


def _import(plugin: str) -> None:
    try:
        importlib.import_module(plugin)
    # Whatever a module does while it is imported.
    except (Exception, SystemExit) as error:
        raise ImportError(
            f"plug-in {plugin} can't be imported: {_said(error)}. Give the name of a module that Python finds: of an "
            "installed package, or in a folder of PYTHONPATH."
        ) from error


def _read(title: str, maker: Callable[[], Target]) -> Target | Result:
    """A target, or what is wrong with what was asked for."""
    try:
        target = maker()
        _ = target.name  # which files of weights, and arguments that are no data, may spoil
    except (ValueError, TypeError, LookupError, OSError) as error:
        return Result(title, None, "failed", _said(error))
    return target


def _distinct(targets: Iterable[Target]) -> dict[str, Target]:
    """Targets by the name of their folder; what is asked for twice is made once.

    Raises:
        ValueError: two that aren't the same would share a folder.
    """
    found: dict[str, Target] = {}
    for target in targets:
        other = found.setdefault(target.name, target)
        if other.request != target.request:
            raise ValueError(f"convert: {target.title} is asked for twice, with other sizes; one folder holds one.")
    return found


def _with(parts: Mapping[str, Maker | None], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parts with their parameters."""
    wrong = [key for key, value in parameters.items() if not parts.get(key) or not isinstance(value, Mapping)]
    if wrong:
        there = ", ".join(f"{key}.{'num_classes' if key == 'head' else 'ARGUMENT'}=..." for key in parts if parts[key])
        raise ValueError(f"{wrong[0]!r} is no part that has parameters here; write {there}")
    return {
        key: {**({"type": maker} if isinstance(maker, str) else maker), **parameters.get(key, {})} if maker else None
        for key, maker in parts.items()
    }


def _name(maker: Maker) -> str:
    return maker if isinstance(maker, str) else str(maker.get("type"))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str | Path | Mapping) else list(value)


def _said(error: BaseException) -> str:
    """An error in words; with its class, where it is no mistake in what was given."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    expected = isinstance(error, ValueError | TypeError | LookupError | OSError | RuntimeError | ImportError)
    return text if text and expected else f"{type(error).__name__}: {text}".rstrip(": ")


__all__ = ["TIMEOUT", "Result", "convert", "one"]
