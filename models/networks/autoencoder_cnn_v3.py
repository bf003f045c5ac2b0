"""AutoEncoder CNN V3: grey images of any size to latents of a chosen size, and back from these alone.

Source: the guide "AutoEncoder CNN V3", whose names and signatures these are.
Differs: blocks are the backbones' own; the decoder's interpolation ends at the size of the image, whatever that is.
Of the guide's table, parameters and latent sizes are kept: see `PRESETS`.
"""

import importlib
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import mcore
from mcore import Tensor
from mcore.signatures import check_arguments, refuse
from models.networks.autoencoder_parts import (
    CELLS,
    CHANNELS,
    STRATEGIES,
    Decoder,
    Encoder,
    InceptionBlock,
    ResNetBasicBlock,
    ResNeXtBlock,
    SEBlock,
    Strategy,
    cell_channels,
    check_latent,
    check_stages,
    inspecting,
)
from models.networks.autoencoder_shown import visualize_attention
from models.sizing import Sized
from models.utils.arguments import one_of, whole_numbers
from models.utils.layouts import unwrapped

# Near the guide's 0.5, 2, 8 and 32 million parameters, with its latent sizes: 492,689, 2,077,056, 7,964,932 and
# 31,359,476 with the latent "conv"; 230,489, 508,416, 649,972 and 2,104,676 with "spatial", which has no linear layers.
# Those have 32 * channels * latent_size weights, for the channels of the last stage, so what the guide's table asks of
# medium and large leaves 112 channels there: 1,792 features stand behind the 2,048 and 8,192 elements of the latent,
# which so fill no more dimensions than these. A wider last stage (`channel_config`) costs as many more parameters.
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "latent_size": 128,
        "block_config": ["resnet", "resnet", "resnet", "resnet"],
        "channel_config": [16, 32, 48, 64],
        "stride_config": [2, 2, 2, 2],
    },
    "small": {
        "latent_size": 512,
        "block_config": ["resnet", "se", "resnet", "se"],
        "channel_config": [32, 48, 64, 96],
        "stride_config": [2, 2, 2, 2],
    },
    "medium": {
        "latent_size": 2048,
        "block_config": ["resnet", "se", "resnext", "se"],
        "channel_config": [32, 64, 96, 112],
        "stride_config": [2, 2, 2, 2],
    },
    "large": {
        "latent_size": 8192,
        "block_config": ["resnet", "se", "resnext", "se"],
        "channel_config": [64, 128, 256, 112],
        "stride_config": [2, 2, 2, 2],
    },
}


class AutoEncoder_CNNV3(Sized):
    """Grey images to latents, and back from these alone: nothing of the image reaches the decoder but the latent.

    Shapes:
        x: (n, 1, h, w); h and w are the product of all strides or more
        returns: (n, 1, h, w), the reconstruction

    The size of the image is no part of the latent: `forward` gives it to the decoder, `decode` takes `input_size`.

    Args:
        latent_size: elements of the latent, 128 to 8192; of a spatial one, `actual_latent_size` is the nearest number
            that 4x4 cells can have.
        block_config: the block of each stage: "resnet", "resnext", "se", "inception".
        channel_config: the channels of each stage.
        stride_config: the stride of each stage.
        latent_strategy: "conv": a linear layer gives a vector; "spatial": a 1x1 convolution gives 4x4 cells.
        use_attention: whether the patches behind the encoder's last stage attend to each other.
        input_size: height and width of what `decode` gives, unless it is told another size.
        DropOut: an argument of V1, stored and not used.
        embedding_dim: an argument of V1, in place of `latent_size` where it is given.

    Raises:
        ValueError: a latent's size out of range, stages that can't be built, an image too small for their strides.
    """

    #: Channels of the image.
    num_in_channels = CHANNELS
    dims = 2

    def __init__(
        self,
        latent_size: int = 512,
        block_config: Sequence[str] = ("resnet", "se", "resnet"),
        channel_config: Sequence[int] = (64, 128, 256),
        stride_config: Sequence[int] = (2, 2, 2),
        latent_strategy: Strategy = "conv",
        use_attention: bool = True,
        input_size: Sequence[int] = (201, 201),
        DropOut: bool = False,
        embedding_dim: int | None = None,
    ) -> None:
        title = "AutoEncoder_CNNV3"
        check_latent(title, latent_size=latent_size)
        if embedding_dim is not None:
            check_latent(title, embedding_dim=embedding_dim)
        check_stages(title, block_config, channel_config, stride_config)
        one_of(STRATEGIES, of=title, latent_strategy=latent_strategy)
        whole_numbers(of=title, least=1, input_size=input_size)
        super().__init__()
        self.latent_size = latent_size if embedding_dim is None else embedding_dim
        self.block_config, self.channel_config = [*block_config], [*channel_config]
        self.stride_config, self.latent_strategy = [*stride_config], latent_strategy
        self.use_attention, self.input_size = use_attention, tuple(input_size)
        self.DropOut, self.embedding_dim = DropOut, embedding_dim
        stages: dict[str, Any] = {
            "block_config": self.block_config,
            "channel_config": self.channel_config,
            "stride_config": self.stride_config,
            "latent_strategy": latent_strategy,
        }
        self.encoder = Encoder(self.latent_size, **stages, use_attention=use_attention)
        self.decoder = Decoder(self.latent_size, **stages, input_size=self.input_size)
        #: Height and width of the least image that there are strides for.
        self.least_size = math.prod(self.stride_config)
        self._check(self.input_size)

    @property
    def actual_latent_size(self) -> int:
        """Elements that a latent has."""
        return self.latent_size if self.latent_strategy == "conv" else CELLS * cell_channels(self.latent_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.Embedding(x), x.shape[2:])

    def Embedding(self, x: Tensor) -> Tensor:
        """The latent as the encoder gives it: (n, latent_size), or (n, channels, 4, 4) if it is spatial."""
        return self.encoder(self._checked(x))

    def encode(self, x: Tensor) -> Tensor:
        """The latent as a vector, (n, actual_latent_size), for an LSTM, say."""
        return self.Embedding(x).flatten(1)

    def decode(self, latent: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """The image of a latent, flat or spatial: (n, 1, *size); `input_size`, where `size` is left out."""
        if size is not None:
            self._check(size)
        return self.decoder(latent, size)

    def decode_from_latent(self, latent: Tensor, size: Sequence[int] | None = None) -> Tensor:
        """The same as `decode`."""
        return self.decode(latent, size)

    def get_attention_matrix(self, x: Tensor) -> Tensor | None:
        """How much each patch attends to each: (n, patches, patches), rows add up to 1; None without attention.

        Patches are the pixels of the encoder's last map, row by row. It runs in eval mode and without gradients.
        """
        with inspecting(self), mcore.no_grad():
            return self.encoder.attention_matrix(self._checked(x))

    def get_attention_map(self, x: Tensor) -> Tensor:
        """How much each pixel matters to the mean squared error of its image's reconstruction: (n, 1, h, w), 0 or more.

        It is the size of the error's gradient by this pixel, in eval mode. Gradients of parameters stay as they are.

        Raises:
            RuntimeError: the engine has no gradients.
        """
        with inspecting(self), mcore.inference_mode(False), mcore.enable_grad():
            image = self._checked(x).detach().clone().requires_grad_()
            error = (self(image) - image).square().mean((1, 2, 3)).sum()
            return mcore.autograd.grad(error, image)[0].abs()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data: `AutoEncoder_CNNV3(**config)` builds the same again."""
        return {
            "latent_size": self.latent_size,
            "block_config": [*self.block_config],
            "channel_config": [*self.channel_config],
            "stride_config": [*self.stride_config],
            "latent_strategy": self.latent_strategy,
            "use_attention": self.use_attention,
            "input_size": [*self.input_size],
            "DropOut": self.DropOut,
            "embedding_dim": self.embedding_dim,
        }

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the reconstruction along an axis of `pixels`; None where that is less than the strides."""
        return pixels if pixels >= self.least_size else None

    def _checked(self, x: Tensor) -> Tensor:
        self._check(x.shape[2:])
        if int(x.shape[1]) != CHANNELS:
            raise ValueError(f"AutoEncoder_CNNV3: images of {int(x.shape[1])} channels came; it takes grey ones.")
        return x

    def _check(self, size: Sequence[int]) -> None:
        self.check_size(size, f"; {self.least_size} is the least, the product of stride_config")


def create_autoencoder(
    preset: str = "small", input_size: Sequence[int] = (201, 201), **overrides: Any
) -> AutoEncoder_CNNV3:
    """An autoencoder of one of four sizes.

    >>> net = create_autoencoder("tiny", input_size=(1280, 152), latent_strategy="spatial")
    >>> net.actual_latent_size, sum(p.numel() for p in net.parameters())
    (128, 230489)

    Args:
        preset: a row of `PRESETS`: "tiny", "small", "medium", "large".
        input_size: height and width of what `decode` gives.
        overrides: other arguments of AutoEncoder_CNNV3, in place of the preset's.

    Raises:
        ValueError: no such preset; or as AutoEncoder_CNNV3.
        TypeError: an argument that AutoEncoder_CNNV3 doesn't have, or of another type.
    """
    one_of((*PRESETS,), of="create_autoencoder", preset=preset)
    given = {**PRESETS[preset], "input_size": input_size, **overrides}
    refuse(check_arguments(AutoEncoder_CNNV3, given))
    return AutoEncoder_CNNV3(**given)


def load_autoencoder(path: str | os.PathLike[str]) -> AutoEncoder_CNNV3:
    """The autoencoder of a checkpoint dictionary, in eval mode; on either engine, and nothing in the file runs.

    Args:
        path: what `torch.save` wrote of `{"model_state_dict": ..., "config": model.get_config()}`; other entries
            ("optimizer_state_dict", "epoch") may stand beside. The state of a model that torch.compile or
            DistributedDataParallel wrapped is read, too.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is damaged, or holds other objects than tensors and plain data.
        ValueError: it has no such entries, its configuration builds nothing, or the state is of another network.
    """
    content = mcore.load(path)
    absent = [key for key in ("config", "model_state_dict") if not isinstance(content.get(key), Mapping)]
    if absent:
        raise ValueError(f"{path} has no {' and no '.join(absent)}, as a checkpoint has; it has {_some(content)}.")
    config, state = dict(content["config"]), unwrapped(content["model_state_dict"])
    try:
        refuse(check_arguments(AutoEncoder_CNNV3, config))
        net = AutoEncoder_CNNV3(**config)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: its config builds no AutoEncoder_CNNV3: {error}") from error
    ours = net.state_dict()
    alien = [key for key in {**ours, **state} if _shape(ours.get(key)) != _shape(state.get(key))]
    if alien:
        raise ValueError(
            f"{path} is the checkpoint of another network than its config tells of: {len(alien)} entries differ, "
            f"such as {alien[0]} of {_shape(state.get(alien[0]))}, here of {_shape(ours.get(alien[0]))}."
        )
    net.load_state_dict(state)
    return net.eval()


def _shape(value: Any) -> Any:
    return "no shape" if value is None else tuple(map(int, value.shape))


def _some(content: Mapping[str, Any]) -> str:
    return ", ".join([*map(str, content)][:5]) or "nothing"


def self_test() -> None:
    """Builds every preset, takes images of several sizes through it and prints what was checked.

    Raises:
        RuntimeError: something isn't as it should be.
    """
    for preset, strategy in itertools.product(PRESETS, STRATEGIES):
        net = create_autoencoder(preset, latent_strategy=strategy).eval()
        count = sum(parameter.numel() for parameter in net.parameters())
        for size in ((201, 201), (1280, 152), (97, 152)):
            with mcore.no_grad():
                x = mcore.rand(1, CHANNELS, *size)
                latent = net.encode(x)
                same = mcore.allclose(net(x), net.decode(latent, size), atol=1e-5)
                told = tuple(net.decode(latent).shape), tuple(net(x).shape), tuple(latent.shape)
            if not same or told != ((1, 1, 201, 201), tuple(x.shape), (1, net.actual_latent_size)):
                raise RuntimeError(f"{preset}, {strategy}, {size}: {told}; decode(encode(x)) is forward(x): {same}.")
        print(f"{preset:7} {strategy:8} {count:>11,} parameters, a latent of {net.actual_latent_size}: ok")


if __name__ == "__main__":
    # Not the class of this file, which has another name when it is run.
    importlib.import_module("models.networks.autoencoder_cnn_v3").self_test()


__all__ = [
    "PRESETS",
    "AutoEncoder_CNNV3",
    "Decoder",
    "Encoder",
    "InceptionBlock",
    "ResNeXtBlock",
    "ResNetBasicBlock",
    "SEBlock",
    "create_autoencoder",
    "load_autoencoder",
    "self_test",
    "visualize_attention",
]
