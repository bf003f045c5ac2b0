"""From what people write to the id of a checkpoint."""

from __future__ import annotations

from mcore.checkpoint.errors import NotFound
from mcore.checkpoint.history import History
from mcore.checkpoint.ids import is_beginning, is_id
from mcore.checkpoint.store.base import SHARD, VERSIONS, Store, record_key, version_key
from mcore.vocabulary import nearest

RECORDS = "records/"
LATEST = "latest"
# Characters of an id that tell it from others; the first ten are its time.
SHORTEST = 8
FORMS = (
    f"an id or its first {SHORTEST} characters, networks/TASK/NAME or backbones/NAME, and behind it @VERSION, "
    f"@ALIAS or @{LATEST}"
)


class Addresses:
    """Finds checkpoints by id, by the beginning of one, and by their place in the trees."""

    def __init__(self, store: Store, history: History) -> None:
        self.store, self.history = store, history

    def resolve(self, ref: str) -> str:
        """The id of the checkpoint that is meant.

        Raises:
            NotFound: there is none, several begin so, or it is deleted; with the nearest there are.
        """
        found = self._by_address(ref) if "/" in ref else self._by_id(ref.upper())
        moment = self.history.deleted().get(found)
        if moment:
            raise NotFound(
                f"{self.store.url}: {ref} was deleted at {moment}; restore({found!r}) brings it back until gc takes it."
            )
        return found

    def ids(self) -> list[str]:
        """The ids of all records, deleted ones too, oldest first."""
        return [id for kept in self.store.files(RECORDS) if is_id(id := kept.key.rpartition("/")[2][:26])]

    def claim(self, address: str, id: str) -> int:
        """The next version number of an address, for the checkpoint of this id alone."""
        number = self._last(address) + 1
        while not self.store.create(version_key(address, number), f"{id}\n".encode()):
            number += 1
        return number

    def _by_id(self, ref: str) -> str:
        if is_id(ref):
            if self.store.has(record_key(ref)):
                return ref
            raise NotFound(f"{self.store.url}: there is no checkpoint {ref}; it has {self._some()}.")
        if len(ref) < SHORTEST or not is_beginning(ref):
            raise NotFound(f"{self.store.url}: {ref!r:.100} is no checkpoint: {FORMS}.")
        folder = f"{RECORDS}{ref[:SHARD]}/"
        found = [kept.key.rpartition("/")[2][:26] for kept in self.store.files(folder)]
        found = [id for id in found if id.startswith(ref)]
        if len(found) != 1:
            several = f"{len(found)} checkpoints begin with {ref}: {', '.join(found[:5])}"
            raise NotFound(f"{self.store.url}: " + (several if found else f"no checkpoint begins with {ref}") + ".")
        return found[0]

    def _by_address(self, ref: str) -> str:
        address, _, chosen = ref.strip("/").partition("@")
        numbers = self._versions(address)
        if not numbers:
            raise self._unknown(address)
        if chosen.isdecimal():
            id = numbers.get(int(chosen))
        elif chosen in ("", LATEST):
            gone = self.history.deleted()
            ids = [numbers[number] for number in sorted(numbers, reverse=True)]
            id = next((id for id in ids if id not in gone and self.store.has(record_key(id))), None)
        else:
            id = self.history.alias(address, chosen)
        if id is None or not self.store.has(record_key(id)):
            aliases = sorted(name for where, name in self.history.aliases() if where == address)
            raise NotFound(
                f"{self.store.url}: {address} has no {chosen or LATEST!r}; it has versions "
                f"{', '.join(map(str, sorted(numbers)))}"
                + (f" and aliases {', '.join(aliases)}" if aliases else "")
                + "."
            )
        return id

    def _versions(self, address: str) -> dict[int, str]:
        """Ids by version number, those of saves that never ended too."""
        found = {}
        for kept in self._claims(address):
            found[int(kept.rpartition("/")[2])] = self.store.read(kept, most=100).decode().strip()
        return found

    def _last(self, address: str) -> int:
        return max((int(kept.rpartition("/")[2]) for kept in self._claims(address)), default=0)

    def _claims(self, address: str) -> list[str]:
        keys = [kept.key for kept in self.store.files(f"{VERSIONS}{address}/")]
        return [key for key in keys if key.rpartition("/")[2].isdecimal()]

    def _unknown(self, address: str) -> NotFound:
        there = sorted({kept.key[len(VERSIONS) :].rpartition("/")[0] for kept in self.store.files(VERSIONS)})
        likely = nearest(address, there)
        told = f"the nearest there are {', '.join(likely)}" if likely else f"it has {', '.join(there[:5]) or 'nothing'}"
        return NotFound(f"{self.store.url}: there is no {address!r:.100}; {told}. A checkpoint is {FORMS}.")

    def _some(self) -> str:
        ids = self.ids()
        return f"{len(ids)}, the last {', '.join(ids[-3:])}" if ids else "none yet"


__all__ = ["RECORDS", "Addresses"]
