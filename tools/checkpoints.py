"""`mcore checkpoints`: finds, shows, compares, carries and keeps the checkpoints of a repository."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mcore.checkpoint import NotFound, Repository
from tools.options import add_plugin, import_plugins
from tools.support import checkpoint_texts as texts

EXAMPLE = """mcore checkpoints search 'task = "segmentation" and metrics.miou > 0.7' --order=-metrics.miou
  mcore checkpoints show networks/segmentation/UNet@best
  mcore checkpoints ACTION --help has an example of each"""
VARIABLE, DEFAULT = "MCORE_REPOSITORY", "checkpoints"
_REF = "an id or its beginning, or networks/TASK/NAME@VERSION, @ALIAS or @latest"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}

# Actions: what they do, and an example.
ACTIONS = {
    "list": ("all checkpoints, or those at an address, oldest first", "list 'networks/segmentation/*'"),
    "search": (
        "checkpoints that a question means",
        "search 'backbone = \"resnet50\" and metrics.miou > 0.7' --limit 5",
    ),
    "show": ("everything of a checkpoint, with the table of its layers", "show networks/segmentation/UNet@best"),
    "tree": ("trees by backbone, and by task and network", "tree --versions 3"),
    "tag": ("give tags, with values or without", "tag 01J5ZK3V em domain=brain"),
    "untag": ("take tags away", "untag 01J5ZK3V em"),
    "alias": ("let a word mean this checkpoint within its address", "alias 01J5ZK3V production"),
    "note": ("add a note", "note 01J5ZK3V 'trained on the second half alone'"),
    "diff": (
        "what differs in two checkpoints: configuration, metrics, tensors",
        "diff networks/segmentation/UNet@1 networks/segmentation/UNet@2",
    ),
    "export": ("write checkpoints to a folder that another repository imports", "export 01J5ZK3V --out bundle/"),
    "import": ("take checkpoints from such a folder, or weights from a tree of families", "import bundle/"),
    "verify": ("read every byte of checkpoints, or of all; ends with 1 if something is wrong", "verify"),
    "gc": ("free what nothing needs any more", "gc --dry-run"),
    "delete": ("take checkpoints out of sight; gc frees their room later", "delete 01J5ZK3V"),
    "restore": ("bring deleted checkpoints back", "restore 01J5ZK3V7Q8W9XTBYAZCDEFGHJ"),
    "card": ("a checkpoint as one HTML page", "card networks/segmentation/UNet@best --out unet.html"),
    "reindex": ("make the index of searches anew", "reindex"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    made = {}
    for name, (help_, example) in ACTIONS.items():
        made[name] = actions.add_parser(
            name,
            help=help_,
            description=f"{help_[0].upper()}{help_[1:]}.",
            epilog=f"example:\n  mcore checkpoints {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made[name].add_argument(
            "--repo", metavar="URL", help=f"a folder or s3://... (default: {VARIABLE}, or ./{DEFAULT})"
        )
    for name in ("show", "tag", "untag", "alias", "note", "card"):
        made[name].add_argument("ref", metavar="CHECKPOINT", help=_REF)
    for name in ("export", "verify", "delete", "restore"):
        made[name].add_argument("refs", metavar="CHECKPOINT", nargs="*" if name == "verify" else "+", help=_REF)
    for name in ("list", "search", "show", "diff", "verify", "gc"):
        made[name].add_argument("--json", action="store_true", help="for programs")
    for name in ("list", "search"):
        made[name].add_argument("--limit", type=_count, metavar="N", help="of these, at most")
    _add_finding(made)
    _add_changing(made)
    for name in ("show", "card", "import"):
        add_plugin(made[name])
    made["diff"].add_argument("old", metavar="OLD", help=_REF)
    made["diff"].add_argument("new", metavar="NEW", help=_REF)
    made["export"].add_argument("--out", required=True, metavar="FOLDER", help="a new one, or an empty one")
    made["import"].add_argument("folder", metavar="FOLDER", help="with a format.json, a bundle; else a tree of weights")
    made["import"].add_argument("--family", metavar="NAME", help="of a tree of weights: this one alone")
    made["card"].add_argument("--out", metavar="FILE", help="where to write it (default: ID.html)")


def _add_finding(made: dict[str, argparse.ArgumentParser]) -> None:
    made["list"].add_argument("pattern", nargs="?", metavar="GLOB", help="of addresses: 'networks/segmentation/*'")
    made["list"].add_argument("--deleted", action="store_true", help="those alone that are deleted and not yet freed")
    made["search"].add_argument("question", nargs="?", metavar="QUESTION", help="what shall hold; all, where left out")
    made["search"].add_argument(
        "--order", action="append", default=[], metavar="FIELD", help="to sort by; --order=-FIELD for the largest first"
    )
    made["search"].add_argument("--fields", action="store_true", help="tell what may be asked for")
    for name in ("show", "card"):
        made[name].add_argument("--build", action="store_true", help="build the network: the layers then have classes")
    made["show"].add_argument("--no-layers", action="store_true", help="without their table; no weights are read then")
    made["tree"].add_argument("--versions", type=_count, metavar="N", help="of each name, the newest")


def _add_changing(made: dict[str, argparse.ArgumentParser]) -> None:
    made["tag"].add_argument("names", nargs="+", metavar="NAME[=VALUE]")
    made["untag"].add_argument("names", nargs="+", metavar="NAME")
    made["alias"].add_argument("name", metavar="NAME", help="a word such as best or production")
    made["note"].add_argument("text", metavar="TEXT")
    made["gc"].add_argument(
        "--grace", type=_seconds, default="24h", metavar="TIME", help="what is younger stays: 30m, 24h, 7d (24h)"
    )
    made["gc"].add_argument("--dry-run", action="store_true", help="only tell what would go")


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "search" and arguments.fields:
        print(texts.fields())
        return 0
    import_plugins(getattr(arguments, "plugin", ()))
    repo = _opened(arguments)
    return _RUN[arguments.action](repo, arguments) or 0


def _opened(arguments: argparse.Namespace) -> Repository:
    url = arguments.repo or os.environ.get(VARIABLE) or DEFAULT
    try:
        return Repository(url, create=arguments.action == "import")
    except NotFound as error:
        hint = "" if arguments.repo else f" Name another with --repo or {VARIABLE}."
        raise NotFound(f"{error}{hint}") from None


# --- finding


def _list(repo: Repository, arguments: argparse.Namespace) -> None:
    if arguments.deleted:
        there = set(repo.ids())
        found = [repo.original(id) for id in repo.ids(deleted=True) if id not in there]
    else:
        found = list(repo.records())
    _show_all(repo, texts.matching(found, arguments.pattern)[: arguments.limit], arguments)


def _search(repo: Repository, arguments: argparse.Namespace) -> None:
    found = repo.search(arguments.question, order=arguments.order, limit=arguments.limit)
    _show_all(repo, found, arguments)


def _show_all(repo: Repository, found: Sequence[Any], arguments: argparse.Namespace) -> None:
    print(_json(texts.data_of(found, repo)) if arguments.json else texts.rows(found, repo))


def _show(repo: Repository, arguments: argparse.Namespace) -> None:
    record = repo.record(arguments.ref)
    if arguments.json:
        print(_json(texts.whole_data(record, repo)))
        return
    net = repo.load(record.id) if arguments.build else None
    print(texts.whole(record, repo, net=net, layers=not arguments.no_layers))


def _tree(repo: Repository, arguments: argparse.Namespace) -> None:
    from mcore.checkpoint.shown import trees

    print(texts.drawable(trees.tree(repo.records(), repo.history.aliases(), versions=arguments.versions)))


def _diff(repo: Repository, arguments: argparse.Namespace) -> None:
    import dataclasses

    from mcore.checkpoint.shown.diff import diff

    found = diff(repo.record(arguments.old), repo.record(arguments.new), repo.arrays)
    print(_json(dataclasses.asdict(found)) if arguments.json else found)


def _card(repo: Repository, arguments: argparse.Namespace) -> None:
    from mcore.checkpoint.shown.cards import card
    from mcore.exchange.atomic import atomic_file

    record = repo.record(arguments.ref)
    page = card(record, repo, net=repo.load(record.id) if arguments.build else None)
    out = Path(arguments.out or f"{record.id}.html")
    with atomic_file(out) as file:
        file.write(page.encode())
    print(out)


# --- what is said later


def _tag(repo: Repository, arguments: argparse.Namespace) -> None:
    id = repo.resolve(arguments.ref)
    for name in arguments.names:
        word, _, value = name.partition("=")
        repo.tag(id, word, value)
    print(texts.line(repo, id))


def _untag(repo: Repository, arguments: argparse.Namespace) -> None:
    id = repo.resolve(arguments.ref)
    for name in arguments.names:
        repo.untag(id, name)
    print(texts.line(repo, id))


def _alias(repo: Repository, arguments: argparse.Namespace) -> None:
    id = repo.resolve(arguments.ref)
    repo.alias(id, arguments.name)
    print(f"{repo.original(id).address}@{arguments.name} is {id}")


def _note(repo: Repository, arguments: argparse.Namespace) -> None:
    id = repo.resolve(arguments.ref)
    repo.note(id, arguments.text)
    print(texts.line(repo, id))


def _delete(repo: Repository, arguments: argparse.Namespace) -> None:
    # All are found before any goes.
    for id in [repo.resolve(ref) for ref in dict.fromkeys(arguments.refs)]:
        repo.delete(id)
        print(f"{id} is deleted; mcore checkpoints restore {id} brings it back until gc frees it")


def _restore(repo: Repository, arguments: argparse.Namespace) -> None:
    for id in arguments.refs:
        repo.restore(id)
        print(texts.line(repo, id))


# --- carrying and keeping


def _export(repo: Repository, arguments: argparse.Namespace) -> None:
    from mcore.checkpoint import bundle

    ids = [repo.resolve(ref) for ref in arguments.refs]
    written = bundle.export(repo, ids, arguments.out, watch=_watched("exported"))
    print(f"{len(written)} checkpoints in {arguments.out}; mcore checkpoints import {arguments.out} takes them")


def _import(repo: Repository, arguments: argparse.Namespace) -> int:
    from mcore.checkpoint import bundle

    folder = Path(arguments.folder)
    if folder.is_dir() and not (folder / bundle.FILE).exists():
        return _import_tree(repo, folder, arguments)
    if arguments.family:
        raise ValueError(f"--family: {folder} is a bundle of checkpoints, which has no families; leave it out")
    fresh = bundle.import_(repo, folder, watch=_watched("imported"))
    for id in fresh:
        print(texts.line(repo, id))
    print(f"{len(fresh)} new checkpoints in {repo.store.url}")
    return 0


def _import_tree(repo: Repository, folder: Path, arguments: argparse.Namespace) -> int:
    from mcore.checkpoint import foreign

    with _bar("imported", "file") as shown:
        report = foreign.import_tree(repo, folder, family=arguments.family, progress=shown)
    print(texts.lines_plain(str(report)))
    return 1 if report.of(foreign.FAILED) else 0


def _verify(repo: Repository, arguments: argparse.Namespace) -> int:
    from mcore.checkpoint import keeping

    ids = [repo.resolve(ref) for ref in arguments.refs] or repo.ids(deleted=True)
    watch: Any = _watched("verified")
    wrong = keeping.verify(repo, watch(ids))
    if arguments.json:
        print(_json({"checkpoints": len(ids), "problems": wrong}))
    else:
        print("\n".join(map(texts.plain, wrong)) or f"{len(ids)} checkpoints: every byte is as it was saved")
    return 1 if wrong else 0


def _gc(repo: Repository, arguments: argparse.Namespace) -> None:
    gone = repo.gc(grace=arguments.grace, dry_run=arguments.dry_run)
    if arguments.json:
        print(_json(gone))
        return
    print("\n".join([*gone, f"{len(gone)} files {'would go' if arguments.dry_run else 'are gone'}"]))


def _reindex(repo: Repository, arguments: argparse.Namespace) -> None:
    repo.reindex()
    print(f"{len(repo.ids())} checkpoints are indexed")


_RUN: dict[str, Callable[[Repository, argparse.Namespace], int | None]] = {
    "list": _list, "search": _search, "show": _show, "tree": _tree, "tag": _tag, "untag": _untag, "alias": _alias,
    "note": _note, "diff": _diff, "export": _export, "import": _import, "verify": _verify, "gc": _gc,
    "delete": _delete, "restore": _restore, "card": _card, "reindex": _reindex,
}  # fmt: skip


# --- words of the command line


def _watched(done: str) -> Callable[[Sequence[Any]], Iterable[Any]]:
    """What shows progress on a terminal; where tqdm isn't installed, nothing is shown."""
    if importlib.util.find_spec("tqdm") is None:
        return iter
    from tqdm import tqdm

    return lambda several: tqdm(
        several, desc=done, unit="checkpoint", disable=None, file=sys.stderr, dynamic_ncols=True
    )


@contextlib.contextmanager
def _bar(done: str, unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """The same for what tells a name, its number, and how many there are."""
    if importlib.util.find_spec("tqdm") is None:
        yield lambda name, number, total: None
        return
    from tqdm import tqdm

    with tqdm(desc=done, unit=unit, disable=None, file=sys.stderr, dynamic_ncols=True) as bar:

        def shown(name: str, number: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(texts.plain(name), refresh=False)
            bar.update(number - bar.n)

        yield shown


def _json(data: Any) -> str:
    return json.dumps(data, indent=1)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 30m, 24h or 7d")
    return float(found[1]) * _UNITS[found[2]]
