"""Every public part as it is shown and checked: its arguments, whole with random weights, and sizes that it takes."""

from typing import TYPE_CHECKING

from models import lazy

if TYPE_CHECKING:
    from models.examples.arguments import PACKAGES, constructor, declared, example, public
    from models.examples.building import built
    from models.examples.sizes import sizes_of

_ARGUMENTS = ("PACKAGES", "constructor", "declared", "example", "public")
_PLACES = {
    **{name: f"models.examples.arguments:{name}" for name in _ARGUMENTS},
    "built": "models.examples.building:built",
    "sizes_of": "models.examples.sizes:sizes_of",
}

__getattr__, __dir__ = lazy.names(__name__, _PLACES)
__all__ = ["PACKAGES", "built", "constructor", "declared", "example", "public", "sizes_of"]
