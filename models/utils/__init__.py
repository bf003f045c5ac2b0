"""What people do with models besides running them: counting, summaries, foreign weights, sizes of patches."""

from models import lazy

# EMVision's, which its users import from one place.
_OF_THREE = {name: f"models.utils.triples:{name}" for name in "sum3 sub3 mul3 div3 pad_size crop_margin".split()}
_PATCHES = {
    name: f"models.utils.patches:{name}" for name in "patch_size_pairs input_patch_sizes output_patch_sizes".split()
}

__getattr__, __dir__ = lazy.names(__name__, _OF_THREE | _PATCHES)
__all__ = [*_OF_THREE, *_PATCHES]
