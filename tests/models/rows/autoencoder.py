"""AutoEncoder CNN V3."""

from tests.models.entry import row

PICTURE, ODD = ((1, 1, 32, 24),), ((2, 1, 41, 27),)
SMALL = {"latent_size": 128, "block_config": ["resnet", "se"], "channel_config": [8, 16], "stride_config": [2, 2]}


def network(note="", **arguments):
    """A row with small arguments."""
    return row("network", "AutoEncoder_CNNV3", PICTURE, ODD, note, **{**SMALL, **arguments})


ROWS = [
    network(),
    network("spatial", latent_strategy="spatial", latent_size=200),
    network("mixed", block_config=["inception", "resnext"], stride_config=[3, 1], use_attention=False),
]

EXEMPT = {
    "models.networks.autoencoder_parts.Encoder": "the first half of AutoEncoder_CNNV3",
    "models.networks.autoencoder_parts.Decoder": "its second half, which takes a latent",
    "models.networks.autoencoder_parts.PatchAttention": "the end of its encoder, whose attention has a row",
}
