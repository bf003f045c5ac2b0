"""The zoo: backbones, necks, heads and networks in mcore's vocabulary, and the ways to put them together."""

from typing import TYPE_CHECKING

from models import lazy

if TYPE_CHECKING:
    from mcore.registry import available, create
    from models import attention, backbones, basicblocks, functional, heads, necks, networks, utils
    from models.assembly import assemble, from_config
    from models.sizing import valid_sizes
    from models.utils.weights import load_weights
    from models.writing.describe import describe
    from models.writing.source import to_source

# Names that load when first asked for: where each one lives.
_PLACES = {
    "assemble": "models.assembly:assemble",
    "from_config": "models.assembly:from_config",
    "available": "mcore.registry:available",
    "create": "mcore.registry:create",
    "describe": "models.writing.describe:describe",
    "to_source": "models.writing.source:to_source",
    "load_weights": "models.utils.weights:load_weights",
    "valid_sizes": "models.sizing:valid_sizes",
    "attention": "models.attention",
    "backbones": "models.backbones",
    "basicblocks": "models.basicblocks",
    "functional": "models.functional",
    "heads": "models.heads",
    "necks": "models.necks",
    "networks": "models.networks",
    "utils": "models.utils",
}

__getattr__, __dir__ = lazy.names(__name__, _PLACES)
__all__ = [
    "assemble",
    "attention",
    "available",
    "backbones",
    "basicblocks",
    "create",
    "describe",
    "from_config",
    "functional",
    "heads",
    "load_weights",
    "necks",
    "networks",
    "to_source",
    "utils",
    "valid_sizes",
]
