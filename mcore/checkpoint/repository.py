"""`Repository`: checkpoints of a team, in a folder or an object store, that can be found, trusted and partly loaded.

    <root>/format.json               what this is
    <root>/blobs/sha256/ab/cdef...   weights, a file for each component, by what is in it
    <root>/records/01J5/<id>.json    what each checkpoint carries; once it is there, the checkpoint is
    <root>/events/01J5/<id>-<checkpoint>.json   what happened to it later: tags, aliases, deleting
    <root>/versions/<address>/<n>    whose the n-th version of an address is

Every file is made once, whole, and never changed. Whatever becomes of a process that saves, there is either the whole
checkpoint or nothing that anybody sees. The index that searches is made from these files and may go at any time.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from mcore.checkpoint import given, records
from mcore.checkpoint.addresses import RECORDS, Addresses
from mcore.checkpoint.errors import NotFound, SchemaError
from mcore.checkpoint.history import EVENTS, History
from mcore.checkpoint.ids import first_id, is_id, new_id
from mcore.checkpoint.moments import now
from mcore.checkpoint.records import LARGEST, Component, Event, Record
from mcore.checkpoint.store import blobs
from mcore.checkpoint.store.base import Store, blob_key, event_key, record_key
from mcore.checkpoint.store.opening import open_store

FORMAT = 1
FILE = "format.json"
# A placeholder, while what was given is checked and nothing is written yet.
_NOBODY = first_id(0)


class Repository:
    """Checkpoints below `url`; several processes and machines may use it at once.

    Args:
        url: a folder, or "s3://bucket/prefix" (extra `s3`).
        create: make it where there is none.
        index: where searching keeps its index: None for a file in the user's cache, or "postgresql+psycopg://..."
            (extra `postgres`) for a team.
        author: who saves; the user's name where it is left out.

    Raises:
        NotFound: there is no repository, and `create` is false.
        SchemaError: what is there is none, or of a later format.
        StorageError: it can't be made there.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        create: bool = True,
        index: str | None = None,
        author: str | None = None,
    ) -> None:
        self._begin(open_store(os.fspath(url), create=create), create=create, index=index, author=author)

    @classmethod
    def of_store(cls, store: Store, *, index: str | None = None, author: str | None = None) -> Self:
        """The repository in a store that is open already, for example with credentials of its own."""
        made = cls.__new__(cls)
        made._begin(store, create=True, index=index, author=author)
        return made

    def _begin(self, store: Store, *, create: bool, index: str | None, author: str | None) -> None:
        self.store = store
        self.author = _user() if author is None else author
        self.id = self._opened(create)
        self.history = History(self.store)
        self.addresses = Addresses(self.store, self.history)
        self._index_url = index
        self._indexed: Any = None
        self._newest = ""

    def __repr__(self) -> str:
        return f"Repository({self.store.url!r})"

    # --- saving

    def save(
        self,
        net: Any,
        *,
        task: str | None = None,
        network: str | None = None,
        metrics: Any = None,
        tags: Any = (),
        loss: Any = None,
        dataset: Any = None,
        optimiser: Any = None,
        max_start_lr: float | None = None,
        precision: str = "",
        batch_size: int | None = None,
        resolutions: Any = (),
        costs: Sequence[records.Cost] = (),
        parent: str | None = None,
        notes: str = "",
        facts: Mapping[str, Any] | None = None,
        rule: str = "",
        author: str | None = None,
        **components: Any,
    ) -> str:
        """Saves a network with its weights and all that is told of it, whole or not at all; the id of the checkpoint.

        Args:
            net: a module of either engine.
            task: "segmentation", "detection", ...; needed by networks, unless their head tells it. A backbone has none.
            network: its name in the trees; its type, where it is left out.
            metrics: numbers by name, by "split.name", or by split and name; those that aren't finite are left out.
            tags: words, or values by word.
            loss: its name, its parameters, or what computes it.
            dataset: a name, or a mapping of `records.Dataset`; several in a list.
            optimiser: the optimiser itself, or a mapping of `records.Optimiser`.
            max_start_lr: the largest learning rate to start from that doesn't spoil the weights.
            precision: "fp32", "fp16", "bf16" or "mixed".
            batch_size: images in a step of training.
            resolutions: sizes it was trained at, in pixels: (L), (H, W) or (D, H, W), one or several.
            costs: what `mcore.checkpoint.measure` found.
            parent: the checkpoint that it was fine-tuned from, as `resolve` takes it.
            facts: of the task: real sizes of anchors, mean size of objects, names of classes.
            notes: anything for people to read.
            rule: why it was saved, as a saver tells.
            author: another than the repository's.
            components: what is told of parts, by part where there are several: channels="RGB+mask", mean, std,
                value_range, resolution, num_classes; see `mcore.checkpoint.parts.facts.described`.

        Raises:
            SchemaError: something of it doesn't fit; every mistake is told, and nothing was written.
            NotFound: no such parent.
            StorageError: it can't be written; nothing that anybody sees has changed.
        """
        from mcore.checkpoint.parts import facts as facts_of

        described = facts_of.described(net, components)
        backbone = described.kind == "backbone" and not task
        data = {
            "kind": "backbone" if backbone else "network",
            "network": network or described.network,
            "task": "" if backbone else task or described.task,
            "structure": described.structure,
            "code": described.code,
            "training": described.training,
            "resolutions": given.resolutions_of(resolutions),
            "loss": given.plain(given.loss_of(loss)),
            "metrics": given.metrics_of(metrics),
            "dataset": given.plain(given.datasets_of(dataset)),
            "optimiser": facts_of.optimiser_of(optimiser, max_start_lr),
            "precision": precision,
            "batch_size": batch_size,
            "costs": list(costs),
            "facts": given.plain(facts or {}),
            "tags": given.tags_of(tags),
            "notes": notes,
            "author": self.author if author is None else author,
            "created": now(),
            "parent": None if parent is None else self.resolve(parent),
            "rule": rule,
            "has_nan": described.has_nan,
            "shared": described.shared,
        }
        parts = [component for component, _ in described.components]
        # All is checked before anything is written.
        records.written(self._record(data, parts, _NOBODY, 1))
        kept = [(self._kept(component, arrays), arrays) for component, arrays in described.components]
        return self._commit(data, kept)

    def _kept(self, component: Component, arrays: Mapping[str, Any]) -> Component:
        blob = blobs.write(self.store, arrays) if arrays else None
        return component.model_copy(update={"blob": blob})

    def _commit(self, data: dict[str, Any], kept: Sequence[tuple[Component, Mapping[str, Any]]]) -> str:
        parts = [component for component, _ in kept]
        address = records.address_of(data["kind"], data["task"], data["network"])
        while True:
            id = self._new_id(RECORDS)
            record = self._record(data, parts, id, self.addresses.claim(address, id))
            if self.store.create(record_key(id), records.written(record)):
                break
        # Blobs that were there before, of a deleted checkpoint, may have been collected while this was written.
        for component, arrays in kept:
            if component.blob is not None and not self.store.has(blob_key(component.blob.sha256)):
                blobs.write(self.store, arrays)
        return id

    def _record(self, data: Mapping[str, Any], parts: Sequence[Component], id: str, version: int) -> Record:
        return records.checked({**data, "components": list(parts), "id": id, "version": version}, Record, "save")

    # --- finding

    def resolve(self, ref: str) -> str:
        """The id of a checkpoint: from an id or its beginning, or from its place in the trees and a version or alias.

        "01J5ZK3V", "networks/segmentation/UNet@3", "networks/segmentation/UNet@best", "backbones/resnet50".

        Raises:
            NotFound: there is none, or it is deleted; the message has the nearest.
        """
        if not isinstance(ref, str):
            raise TypeError(f"resolve: a checkpoint is named by text, got a {type(ref).__name__}.")
        return self.addresses.resolve(ref)

    def ids(self, *, deleted: bool = False) -> list[str]:
        """The ids of all checkpoints, oldest first; with `deleted`, those too that are, and aren't collected yet."""
        gone = {} if deleted else self.history.deleted()
        return [id for id in self.addresses.ids() if id not in gone]

    def record(self, ref: str) -> Record:
        """What a checkpoint carries, with its tags and notes as they are now.

        Raises:
            NotFound: as `resolve`.
            SchemaError: its record is damaged.
        """
        return self._told(self.original(self.resolve(ref)))

    def records(self) -> Iterator[Record]:
        """All checkpoints as `record` gives them, oldest first; those whose record is damaged raise."""
        events = self.history.grouped()
        return (self._told(self.original(id), events.get(id, ())) for id in self.ids())

    def original(self, id: str) -> Record:
        """A record as it was written.

        Raises:
            NotFound: no such record.
            SchemaError: it is damaged, or another's.
        """
        where = f"{self.store.url}: record {id}"
        record = records.read(self.store.read(record_key(id), most=LARGEST), Record, where)
        if record.id != id:
            raise SchemaError(f"{where}: it says that it is {record.id}.")
        return record

    def _told(self, record: Record, events: Iterable[Event] | None = None) -> Record:
        state = self.history.state(record, events)
        return record.model_copy(update={"tags": state.tags, "notes": state.notes})

    def search(
        self,
        question: str | None = None,
        *,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        **equals: Any,
    ) -> list[Record]:
        """The checkpoints that a question means; see `mcore.checkpoint.search.query` for what it may say.

        `repo.search('task = "segmentation" and metrics.miou > 0.7 and tags in ("em")', order="-metrics.miou")`, or the
        same by keywords: `repo.search(task="segmentation", metrics__miou__gt=0.7, tags="em")`.

        Args:
            question: what shall hold; without one, and without keywords, all are meant.
            order: fields to sort by, with "-" before it the largest first; the newest first where nothing else decides.
            limit: of these, at most.
            equals: fields and their values, all of which shall hold too.

        Raises:
            QueryError: it can't be read, or asks for a field that there isn't; the message points at the word.
            ImportError: the extra `checkpoints` isn't installed.
        """
        from mcore.checkpoint.search import query

        node = query.joined(None if question is None else query.parse(question), query.of_keywords(**equals))
        wanted = [order] if isinstance(order, str) else list(order)
        index = self.index
        index.update()
        ids = index.search(node, order=wanted, limit=limit)
        # By the index's list of events: the store's would be looked through for each.
        events = index.events(ids)
        return [self._told(self.original(id), map(self.history.at, events[id])) for id in ids]

    @property
    def index(self) -> Any:
        """What searches; made from the store where it isn't there, or isn't whole."""
        if self._indexed is None:
            from mcore.checkpoint.search.index import Index

            self._indexed = Index(self._index_url, self.store, self.id)
        return self._indexed

    def reindex(self) -> None:
        """Makes the index anew."""
        self.index.rebuild()

    def tree(self) -> str:
        """All checkpoints as two trees: backbones by name, networks by task and name."""
        from mcore.checkpoint.shown import trees

        return trees.tree(self.records(), self.history.aliases())

    def card(self, ref: str) -> str:
        """A checkpoint as one HTML page that needs nothing else; ImportError without the extra `checkpoints`."""
        from mcore.checkpoint.shown import cards

        return cards.card(self.record(ref), self)

    # --- loading

    def load(self, ref: str, *, strict: bool = True) -> Any:
        """The network of a checkpoint, built anew with its weights, in the mode in which it was saved.

        Raises:
            NotFound: as `resolve`; or one of its files is gone.
            CorruptCheckpoint: bytes aren't those that were saved.
            SchemaError: its record is damaged, or nothing that is installed builds it.
            Incompatible: today's code makes another network of its configuration, which these weights don't fit.
        """
        from mcore.checkpoint.parts import loading as parts

        record = self.record(ref)
        return parts.rebuilt(record, self.arrays, strict=strict)

    def load_into(self, net: Any, ref: str, **options: Any) -> Any:
        """Takes a checkpoint's weights into a network that stands; a report of what became of each entry.

        Args:
            net: the network, on either engine.
            ref: the checkpoint, as `resolve` takes it.
            options: `parts`, `strict`, `resize`, `channels`: see `mcore.checkpoint.parts.loading.load_into`.

        Raises:
            NotFound, CorruptCheckpoint, SchemaError: as `load`.
            Incompatible: something doesn't fit; every entry is told, and nothing was changed.
        """
        from mcore.checkpoint.parts import loading as parts

        return parts.load_into(net, self.record(ref), self.arrays, **options)

    def arrays(self, component: Component) -> dict[str, Any]:
        """The entries of a component by name, as numpy arrays of which every byte was hashed."""
        if component.blob is None:
            return {}
        return blobs.read(
            self.store, component.blob, f"{self.store.url}: component {component.name or component.role!r}"
        )

    # --- what is said later

    def tag(self, ref: str, name: str, value: str = "") -> None:
        """Gives a checkpoint a tag, or the tag another value."""
        self._happened(ref, "tag", name=name, value=value)

    def untag(self, ref: str, name: str) -> None:
        """Takes a tag away.

        Raises:
            NotFound: it has no such tag.
        """
        tags = self.record(ref).tags
        if name not in tags:
            raise NotFound(f"{ref} has no tag {name!r}; it has {', '.join(sorted(tags)) or 'none'}.")
        self._happened(ref, "untag", name=name)

    def alias(self, ref: str, name: str) -> None:
        """Lets `name` mean this checkpoint within its address: "networks/segmentation/UNet@best".

        Raises:
            SchemaError: it is the word "latest", or a number, which mean something already.
        """
        if name == "latest" or name.isdecimal():
            raise SchemaError(f"alias: {name!r} means a version already; take a word such as 'best'.")
        self._happened(ref, "alias", name=name, value=self.record(ref).address)

    def note(self, ref: str, text: str) -> None:
        """Adds a note."""
        self._happened(ref, "note", value=text)

    def delete(self, ref: str) -> None:
        """Takes a checkpoint out of sight; `gc` frees its room later, and until then `restore` brings it back."""
        self._happened(ref, "delete")

    def restore(self, id: str) -> None:
        """Brings a deleted checkpoint back.

        Raises:
            NotFound: it isn't deleted, or is collected already.
        """
        if not is_id(id) or id not in self.history.deleted() or not self.store.has(record_key(id)):
            raise NotFound(f"{self.store.url}: no deleted checkpoint {id!r:.50}; give its whole id.")
        self._add(id, "restore")

    def _happened(self, ref: str, do: str, **told: str) -> None:
        self._add(self.resolve(ref), do, **told)

    def _add(self, checkpoint: str, do: str, **told: str) -> None:
        while True:
            id = self._new_id(EVENTS)
            data = {"id": id, "checkpoint": checkpoint, "do": do, "author": self.author, "created": now(), **told}
            event = records.checked(data, Event, do)
            if self.store.create(event_key(id, checkpoint), records.written(event)):
                return

    # --- keeping it

    def verify(self, ref: str | None = None) -> list[str]:
        """Reads every byte of a checkpoint, or of all; what is wrong, a line each."""
        from mcore.checkpoint import keeping

        return keeping.verify(self, None if ref is None else [self.resolve(ref)])

    def gc(self, *, grace: float = 86_400.0, dry_run: bool = False) -> list[str]:
        """Frees what nothing needs any more; its keys.

        That are blobs that no record names, what killed writers left behind, and checkpoints that are deleted: all of
        it only `grace` seconds after it was made or deleted, since another process may be about to name it.
        """
        from mcore.checkpoint import keeping

        return keeping.collect(self, grace=grace, dry_run=dry_run)

    def export(self, refs: Sequence[str], folder: str | os.PathLike[str]) -> list[str]:
        """Writes checkpoints to a folder that another repository imports; their ids."""
        from mcore.checkpoint import bundle

        return bundle.export(self, [self.resolve(ref) for ref in refs], folder)

    def import_(self, folder: str | os.PathLike[str]) -> list[str]:
        """Takes the checkpoints that `export` wrote, checked whole; the ids of those that weren't here yet."""
        from mcore.checkpoint import bundle

        return bundle.import_(self, folder)

    # --- itself

    def _new_id(self, folder: str) -> str:
        """An id behind all that are there: the clock of this machine may be behind another's."""
        this = new_id()
        for kept in self.store.files(folder, after=record_key(this) if folder == RECORDS else event_key(this, this)):
            self._newest = max(self._newest, kept.key.rpartition("/")[2][:26])
        self._newest = new_id(self._newest)
        return self._newest

    def _opened(self, create: bool) -> str:
        """The id of the repository, out of its format file, which is made where there is none."""
        try:
            content = self.store.read(FILE, most=10_000)
        except NotFound:
            if not create:
                raise NotFound(f"{self.store.url}: there is no checkpoint repository (no {FILE}).") from None
            self.store.create(FILE, (json.dumps({"format": FORMAT, "id": new_id()}) + "\n").encode())
            content = self.store.read(FILE, most=10_000)
        try:
            said = json.loads(content)
            version, id = said["format"], said["id"]
        except (ValueError, KeyError, TypeError):
            raise SchemaError(f"{self.store.url}: {FILE} isn't that of a checkpoint repository.") from None
        if version != FORMAT:
            raise SchemaError(f"{self.store.url}: a repository of format {version!r}; this mcore reads {FORMAT}.")
        if not isinstance(id, str) or not is_id(id):
            raise SchemaError(f"{self.store.url}: {FILE} has no id of a repository.")
        return id


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's user without a name


__all__ = ["Repository"]
