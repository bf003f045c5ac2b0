"""Necks."""

from tests.models.entry import MAPS, ODD_MAPS, pyramid, row

FED = {"in_channels": [8, 16, 32]}
LINES, ODD_LINES = pyramid(8, 16, 32, size=(16,)), pyramid(8, 16, 32, n=2, size=(23,))
VOLUMES, ODD_VOLUMES = pyramid(8, 16, 32, size=(8, 6, 4)), pyramid(8, 16, 32, n=2, size=(9, 5, 7))
# Two streams at two strides.
STREAMS = tuple(shape for shape in pyramid(8, 16) for _ in range(2))
ODD_STREAMS = tuple(shape for shape in pyramid(8, 16, n=2, size=(17, 23)) for _ in range(2))
# Of a dilated backbone.
FLAT, ODD_FLAT = (*MAPS[:2], (1, 32, *MAPS[1][2:])), (*ODD_MAPS[:2], (2, 32, *ODD_MAPS[1][2:]))

# Small arguments of each.
SMALL = {
    "ASPP": {"channels": 8, "rates": [1, 2]},
    "Attend": {"attention": "CBAM", "options": {"reduction": 1, "kernel_size": 3}},
    "BiFPN": {"channels": 8, "repeats": 2},
    "ChannelMapper": {"channels": 8},
    "Concat": {},
    "FPN": {"channels": 8},
    "HRNetFusion": {"channels": 8},
    "Identity": {},
    "NASFPN": {"channels": 8, "repeats": 2},
    "PAN": {"channels": 8},
    "PPM": {"channels": 8, "bins": [1, 2]},
    "SPP": {"channels": 8, "sizes": [3, 5]},
    "SPPF": {"channels": 8, "size": 3},
    "UPerNetFusion": {"channels": 8, "bins": [1, 2]},
}

# Sequences that pass unchanged may have any channels in an artifact, which isn't what its test asks for.
PASSING = ("ASPP", "Concat", "Identity", "PPM", "SPP", "SPPF")

ROWS = [
    *(row("neck", name, MAPS, ODD_MAPS, **FED, **small) for name, small in SMALL.items()),
    *(
        row("neck", name, LINES, ODD_LINES, "1d", **FED, dims=1, **small)
        for name, small in SMALL.items()
        if name not in PASSING
    ),
    *(
        row("neck", name, LINES[-1:], ODD_LINES[-1:], "1d", in_channels=[32], dims=1, **SMALL[name])
        for name in ("ASPP", "PPM", "SPP", "SPPF")
    ),
    *(row("neck", name, VOLUMES, ODD_VOLUMES, "3d", **FED, dims=3, **small) for name, small in SMALL.items()),
    *(
        row("neck", name, FLAT, ODD_FLAT, "dilated", **FED, in_strides=[8, 16, 16], **SMALL[name])
        for name in ("BiFPN", "FPN", "NASFPN", "PAN", "UPerNetFusion")
    ),
    *(
        row("neck", name, MAPS, ODD_MAPS, "levels", **FED, out_indices=[0, 2], **SMALL[name])
        for name in ("Attend", "ChannelMapper", "FPN", "Identity", "PAN", "SPP")
    ),
    row("neck", "SPP", MAPS, ODD_MAPS, "fine", **FED, out_indices=[0, 1]),
    row("neck", "BiFPN", MAPS, ODD_MAPS, "levels", **FED, channels=8, repeats=2, extra=2, out_indices=[0, 3]),
    row("neck", "BiFPN", MAPS, ODD_MAPS, "plain", **FED, channels=8, repeats=1, norm=None, activation="relu"),
    row("neck", "ChannelMapper", MAPS, ODD_MAPS, "extra", **FED, channels=8, kernel_size=1, extra=2, norm="batch"),
    row(
        "neck",
        "Concat",
        STREAMS,
        ODD_STREAMS,
        "streams",
        per_stride=True,
        in_channels=[8, 8, 16, 16],
        in_strides=[4, 4, 8, 8],
    ),
    row("neck", "FPN", MAPS, ODD_MAPS, "extra", **FED, channels=8, extra="pool"),
    row("neck", "FPN", MAPS, ODD_MAPS, "conv", **FED, channels=8, extra="conv", norm="batch", activation="relu"),
    row("neck", "FPN", MAPS, ODD_MAPS, "conv-levels", **FED, channels=8, extra="conv", out_indices=[0, 3]),
    row("neck", "FPN", MAPS, ODD_MAPS, "input", **FED, channels=8, extra="conv_on_input"),
    row("neck", "HRNetFusion", MAPS, ODD_MAPS, "wide", **FED),
    row("neck", "HRNetFusion", MAPS, ODD_MAPS, "pyramid", **FED, channels=8, levels=3, norm="batch", activation="relu"),
    row("neck", "HRNetFusion", MAPS, ODD_MAPS, "levels", **FED, channels=8, levels=3, out_indices=[0, 2]),
    row("neck", "NASFPN", MAPS, ODD_MAPS, "levels", **FED, channels=8, repeats=1, out_indices=[0, 2], norm=None),
]

EXEMPT = {
    "models.necks.base.Neck": "abstract",
    "models.necks.bifpn.Cell": "a part of BiFPN",
    "models.necks.bifpn.Combine": "a part of BiFPN",
    "models.necks.bifpn.Join": "a part of BiFPN",
    "models.necks.bifpn.Node": "a record",
    "models.necks.bifpn.Resample": "a part of BiFPN",
    "models.necks.fpn.P6P7": "a part of FPN",
    "models.necks.nas_fpn.Merge": "a record",
    "models.necks.nas_fpn.MergingCell": "a part of NASFPN",
}
