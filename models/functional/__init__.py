"""Functions on tensors that several models share."""

from models import lazy

# EMVision's, which its users import from one place.
_VOLUMES = {
    name: f"models.functional.volumes:{name}" for name in "crop3d crop3d_center pad3d_center residual_sum".split()
}

__getattr__, __dir__ = lazy.names(__name__, _VOLUMES)
__all__ = [*_VOLUMES]
