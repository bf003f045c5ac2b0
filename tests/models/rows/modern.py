"""ConvNeXt, HRNet and transformers."""

from models.backbones import convnext, hrnet, mit, swin, vit
from tests.models.entry import BLOCK, IMAGE, ODD, ODD_BLOCK, row, sizes

LINE, ODD_LINE = ((1, 2, 64),), ((2, 2, 77),)
VOLUME, ODD_VOLUME = ((1, 1, 32, 48, 32),), ((2, 1, 33, 39, 47),)

ROWS = [
    row("block", "GRN", BLOCK, ODD_BLOCK, channels=8),
    row("block", "MLP", BLOCK, ODD_BLOCK, channels=8, hidden=12),
    row("block", "MLP", BLOCK, ODD_BLOCK, "conv", channels=8, dims=2),
    row("block", "ConvNeXtBlock", BLOCK, ODD_BLOCK, channels=8),
    row("block", "ConvNeXtBlock", BLOCK, ODD_BLOCK, "v2", channels=8, grn=True, conv_mlp=True, layer_scale=None),
    *sizes("backbone", convnext.SIZES, IMAGE, ODD),
    row("backbone", "convnextv2_atto", IMAGE, ODD, "classifier", num_classes=7),
    row("backbone", "convnext_atto", IMAGE, ODD, "levels", out_indices=[1, 2]),
    row("backbone", "convnext_atto", IMAGE, ODD, "dilated", output_stride=8),
    row("backbone", "convnext_atto", LINE, ODD_LINE, "1d", in_channels=2, dims=1),
    row("backbone", "convnextv2_tiny", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[1, 2]),
    *sizes("backbone", hrnet.SIZES, IMAGE, ODD),
    row("backbone", "hrnet_w18_small", IMAGE, ODD, "classifier", num_classes=7),
    row("backbone", "hrnet_w18_small", IMAGE, ODD, "branches", taps="branches", out_indices=[1, 2, 4]),
    row("backbone", "hrnet_w18_small", IMAGE, ODD, "stem", out_indices=[0]),
    row("backbone", "hrnet_w18_small", LINE, ODD_LINE, "1d", in_channels=2, dims=1, out_indices=[0, 3]),
    row("backbone", "hrnet_w18_small", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, taps="branches"),
    row("attention", "MultiHeadSelfAttention", BLOCK, ODD_BLOCK, channels=8, heads=2),
    row("attention", "SpatialReductionAttention", BLOCK, ODD_BLOCK, channels=8, heads=2, reduction=4),
    row("attention", "WindowAttention", BLOCK, ODD_BLOCK, channels=8, heads=2, window=4),
    row("attention", "WindowAttention", BLOCK, ODD_BLOCK, "shifted", channels=8, heads=2, window=5, shifted=True),
    row("block", "LayerScale", BLOCK, ODD_BLOCK, channels=8),
    row("block", "TransformerBlock", BLOCK, ODD_BLOCK, channels=8, heads=2, layer_scale=0.1),
    *sizes("backbone", vit.SIZES, IMAGE, ODD),
    row("backbone", "vit_tiny_patch16_224", IMAGE, ODD, "classifier", num_classes=7),
    row("backbone", "vit_tiny_patch16_224", IMAGE, ODD, "levels", out_indices=[0, 2], image_size=64),
    row("backbone", "vit_tiny_patch16_224", LINE, ODD_LINE, "1d", in_channels=2, dims=1, out_indices=[1]),
    row("backbone", "vit_tiny_patch16_224", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[1]),
    *sizes("backbone", swin.SIZES, IMAGE, ODD),
    row("backbone", "swin_tiny_patch4_window7_224", IMAGE, ODD, "classifier", num_classes=7),
    row("backbone", "swin_tiny_patch4_window7_224", IMAGE, ODD, "levels", out_indices=[1, 2], window=4),
    row("backbone", "swin_tiny_patch4_window7_224", LINE, ODD_LINE, "1d", in_channels=2, dims=1),
    row(
        "backbone",
        "swin_tiny_patch4_window7_224",
        VOLUME,
        ODD_VOLUME,
        "3d",
        in_channels=1,
        dims=3,
        window=3,
        out_indices=[1, 2],
    ),
    *sizes("backbone", mit.SIZES, IMAGE, ODD),
    row("backbone", "mit_b0", IMAGE, ODD, "classifier", num_classes=7),
    row("backbone", "mit_b0", IMAGE, ODD, "levels", out_indices=[1, 3]),
    row("backbone", "mit_b0", LINE, ODD_LINE, "1d", in_channels=2, dims=1),
    row("backbone", "mit_b0", VOLUME, ODD_VOLUME, "3d", in_channels=1, dims=3, out_indices=[1, 2]),
]

EXEMPT = {
    "models.backbones.convnext.ConvNeXt": "its sizes are the rows",
    "models.backbones.convnext.Row": "a record",
    "models.backbones.hrnet.HRNet": "its sizes are the rows",
    "models.backbones.hrnet.Row": "a record",
    "models.backbones.vit.VisionTransformer": "its sizes are the rows",
    "models.backbones.vit.Row": "a record",
    "models.backbones.swin.SwinTransformer": "its sizes are the rows",
    "models.backbones.swin.PatchMerging": "a step of SwinTransformer",
    "models.backbones.swin.Row": "a record",
    "models.backbones.mit.MixVisionTransformer": "its sizes are the rows",
    "models.backbones.mit.MixMLP": "a step of MixVisionTransformer",
    "models.backbones.mit.Row": "a record",
}
