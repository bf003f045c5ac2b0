"""DaCapo's names for its U-Net since September 2025, when the network stood no longer in an attribute `unet`.

Its `Model` calls the network `architecture`, and holds it a second time in `chain`.
"""

_LEVELS = r"(?:l_conv|r_up|attention|r_conv)\."
# With a super-resolution tail, the U-Net is the first of a sequence.
_TAIL = r"\d+\.(?:up|conv_pass)\."

TABLES: dict[str, dict[str, str]] = {
    "dacapo": {rf"^((?:architecture\.|chain\.0\.)?)(?=(?:0\.)?{_LEVELS}|{_TAIL})": r"\1unet."},
}
