"""DaCapo's architectures: networks that tell the shapes and channels they work with, made from configurations.

Source: `dacapo.experiments.architectures` (github.com/janelia-cellmap/dacapo), by what running it showed.
Differs: an architecture is also built from a mapping of its configuration's fields, and gives it back in `config()`.
"""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, TypeVar

from mcore import Conv3d, Tensor
from mcore.vocabulary import nearest
from models.backbones.base import Weights
from models.component import plain
from models.sizing import Sized
from models.utils.coordinate import Coordinate
from models.utils.weights import load_weights

Config = TypeVar("Config", bound="ArchitectureConfig")


class Architecture(Sized):
    """Abstract: a network with an `input_shape`, `num_in_channels` and `num_out_channels` of its own.

    Raises:
        TypeError: a class that lacks one of the three is instantiated.
    """

    @property
    @abstractmethod
    def input_shape(self) -> Coordinate:
        """Pixels by axis of what it is trained with, without batch and channels."""

    @property
    def eval_shape_increase(self) -> Coordinate:
        """How many pixels more an image has when the network predicts; none, where a class doesn't tell."""
        return Coordinate(0 for _ in range(self.dims))

    @property
    @abstractmethod
    def num_in_channels(self) -> int:
        """Channels of the image."""

    @property
    @abstractmethod
    def num_out_channels(self) -> int:
        """Channels of the result."""

    @property
    def dims(self) -> int:  # type: ignore[override]  # told by the shape
        """How many axes an image has behind batch and channels."""
        return self.input_shape.dims

    def scale(self, input_voxel_size: Coordinate) -> Coordinate:
        """The size of the result's voxels, for those of an image; the same, where a class doesn't tell."""
        return input_voxel_size


@dataclass
class ArchitectureConfig:
    """What an architecture is made from: `architecture_type(config)` makes it.

    Nothing is checked before `verify`, or before the architecture is made.

    Args:
        name: of this configuration.
    """

    #: The class that is made from this.
    architecture_type: ClassVar[Any] = None

    name: str

    def verify(self) -> tuple[bool, str]:
        """Whether it makes an architecture, and why not, or what it gives.

        >>> ArchitectureConfig("mine").verify()
        (True, 'No validation for this Architecture')
        """
        return True, "No validation for this Architecture"

    def as_data(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as a configuration holds them.

        Raises:
            ValueError: one is no plain data.
        """
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is MISSING or value != field.default:
                found[field.name] = plain(value, f"{type(self).__name__}: {field.name}")
        return found


def config_of(kind: type[Config], given: Config | Mapping[str, Any], *, of: str) -> Config:
    """A copy of the configuration that an architecture got, or the one with the fields of a mapping.

    A mapping may be what DaCapo stores: `__type__` is the class, and private fields begin with an underscore.

    Raises:
        TypeError: it is neither, or its fields aren't those of `kind`.
    """
    if isinstance(given, kind):
        return copy.deepcopy(given)
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{of}: architecture_config is a {type(given).__name__}; give a {kind.__name__}, or its fields."
        )
    stored = {str(name).removeprefix("_"): value for name, value in given.items() if name != "__type__"}
    if given.get("__type__", kind.__name__) != kind.__name__:
        raise TypeError(f"{of}: architecture_config is stored as a {given['__type__']}; give a {kind.__name__}.")
    known = {field.name: field.default is MISSING for field in fields(kind)}
    for name in stored:
        if name not in known:
            likely = nearest(name, known, least=0.0, most=1)[0]
            raise TypeError(f"{of}: {kind.__name__} has no field {name!r} (did you mean {likely!r}?).")
    missing = [name for name, needed in known.items() if needed and name not in stored]
    if missing:
        raise TypeError(f"{of}: {kind.__name__} needs {', '.join(missing)}; give them in architecture_config.")
    return kind(**copy.deepcopy(stored))


@dataclass
class DummyArchitectureConfig(ArchitectureConfig):
    """What a `DummyArchitecture` is made from; never valid, since it serves tests.

    Args:
        name: of this configuration.
        num_in_channels: channels of the image.
        num_out_channels: channels of the result.
    """

    num_in_channels: int
    num_out_channels: int

    def verify(self) -> tuple[bool, str]:
        """That it is never valid."""
        return False, "This is a DummyArchitectureConfig and is never valid"


class DummyArchitecture(Architecture):
    """A single convolution of volumes, which stands for an architecture in tests.

    Shapes:
        x: (n, num_in_channels, d, h, w)
        returns: (n, num_out_channels, d - 2, h - 2, w - 2)

    Args:
        architecture_config: a `DummyArchitectureConfig`, or a mapping of its fields.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    >>> DummyArchitecture({"name": "dummy", "num_in_channels": 1, "num_out_channels": 2}).input_shape
    (40, 20, 20)

    Raises:
        TypeError: the mapping has other fields.
    """

    first_conv, classifier = "conv", ()

    def __init__(
        self, architecture_config: DummyArchitectureConfig | Mapping[str, Any], *, weights: Weights = None
    ) -> None:
        config = config_of(DummyArchitectureConfig, architecture_config, of="DummyArchitecture")
        super().__init__()
        keep_config(self, config)
        self.channels_in, self.channels_out = config.num_in_channels, config.num_out_channels
        self.conv = Conv3d(self.channels_in, self.channels_out, 3)
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)

    @property
    def input_shape(self) -> Coordinate:
        """Pixels by axis of what it is trained with."""
        return Coordinate(40, 20, 20)

    @property
    def num_in_channels(self) -> int:
        """Channels of the image."""
        return self.channels_in

    @property
    def num_out_channels(self) -> int:
        """Channels of the result."""
        return self.channels_out

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where it is smaller than the kernel."""
        return pixels - 2 if pixels > 2 else None


DummyArchitectureConfig.architecture_type = DummyArchitecture


def keep_config(net: Architecture, config: ArchitectureConfig) -> None:
    """Notes the configuration as plain data among what `net` was made with, which `net.config()` tells."""
    received: Any = net._arguments  # kept by the metaclass
    kept: Any = {**received, "architecture_config": config.as_data()}
    net._arguments = kept


__all__ = ["Architecture", "ArchitectureConfig", "DummyArchitecture", "DummyArchitectureConfig"]
