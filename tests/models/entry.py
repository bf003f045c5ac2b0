"""One row for each public constructor: how to build it small, and what to call it with.

What holds for all is tested once, over these rows, which stand by family in tests/models/rows: each file has
`ROWS`, and `EXEMPT` for public classes without one.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A name of the registry with small arguments, and shapes of its inputs at two sizes, the second odd.

    `shapes` has one shape for each input; a neck or head takes several maps. `again` are the shapes at
    another size that the same network must take. What is `long` is tested by `make test-all` alone. A name of a
    namespace is written behind it ("convnet/UNet"), with a `version` where these differ.
    """

    kind: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    again: tuple[tuple[int, ...], ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    long: bool = False
    version: str | None = None

    @property
    def id(self):
        return f"{self.kind}-{self.name}" + (f"-{self.note}" if self.note else "")

    @property
    def by_maps(self):
        """Whether it takes a tuple of maps."""
        return self.kind in ("neck", "head")


def pyramid(*channels, n=1, size=(16, 12)):
    """Shapes of maps, finest first, each half the size of the one before, rounded up."""
    shapes = []
    for count in channels:
        shapes.append((n, count, *size))
        size = tuple(-(-pixels // 2) for pixels in size)
    return tuple(shapes)


def row(kind, name, shapes, again, note="", *, long=False, version=None, **arguments):
    """An `Entry`, with the arguments of its constructor written as such."""
    return Entry(kind, name, shapes, again, arguments, note, long, version)


def sizes(kind, names, shapes, again, **arguments):
    """Rows of a family's sizes; all but the first, which is the smallest, are long."""
    return [row(kind, name, shapes, again, long=number > 0, **arguments) for number, name in enumerate(names)]


IMAGE, ODD = ((1, 3, 64, 48),), ((2, 3, 65, 79),)
MAPS, ODD_MAPS = pyramid(8, 16, 32), pyramid(8, 16, 32, n=2, size=(17, 23))
LEVEL, ODD_LEVEL = pyramid(8, 8, 8), pyramid(8, 8, 8, n=2, size=(17, 23))
BLOCK, ODD_BLOCK = ((1, 8, 12, 10),), ((2, 8, 13, 9),)
