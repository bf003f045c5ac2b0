"""The zoo: backbones, necks, heads and networks in mcore's vocabulary, and the ways to put them together."""

from typing import TYPE_CHECKING

from models import lazy

if TYPE_CHECKING:
    from mcore.registry import available, create
    from models import backbones, basicblocks, heads, necks, networks
    from models.assembly import assemble, from_config

# Names that load when first asked for: where each one lives.
_PLACES = {
    "assemble": "models.assembly:assemble",
    "from_config": "models.assembly:from_config",
    "available": "mcore.registry:available",
    "create": "mcore.registry:create",
    "backbones": "models.backbones",
    "basicblocks": "models.basicblocks",
    "heads": "models.heads",
    "necks": "models.necks",
    "networks": "models.networks",
}

__getattr__, __dir__ = lazy.names(__name__, _PLACES)
__all__ = [
    "assemble",
    "available",
    "backbones",
    "basicblocks",
    "create",
    "from_config",
    "heads",
    "necks",
    "networks",
]
