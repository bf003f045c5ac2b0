"""Names and shapes of states, recorded: `python -m tests.models.keys` records those of all rows anew."""

import functools
import hashlib
import json
from pathlib import Path

import mcore

FILE = Path(__file__).parents[1] / "golden" / "keys.json"


def digest(net):
    """How many entries a state has, and the start of the hash of their names and shapes in order."""
    lines = [f"{key} {tuple(map(int, value.shape))}" for key, value in net.state_dict().items()]
    return [len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]]


@functools.cache
def recorded():
    """Digests by the rows' ids."""
    return json.loads(FILE.read_text())


def record():
    """Writes the digests of all rows."""
    from tests.models.catalog import CATALOG
    from tests.models.running import build

    with mcore.device("meta"):
        found = {entry.id: digest(build(entry)) for entry in CATALOG}
    rows = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(found.items()))
    FILE.write_text(f"{{\n{rows}\n}}\n")


if __name__ == "__main__":
    record()
