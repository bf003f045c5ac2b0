"""EMVision's names: its networks call the same parts differently, ours have one name for each.

Source: measured on seung-lab/pytorch-emvision (0f24d06) and torms3/pytorch-emvision (4f8591f).
"""

TABLES: dict[str, dict[str, str]] = {
    "emvision": {
        r"^(.*)\.norm_relu\.": r"\1.norm_act.",
        # `dynamic_rsunet` has a list of norms at each place.
        r"^(.*\.norm_act|(?:.*\.)?final)\.bn\.": r"\1.norm.",
        # `rsunet_v3` has a norm beside its convolution.
        r"^(.*\.(?:pre|post|conv1|conv2))\.norm\.": r"\1.norm_act.norm.",
        r"^((?:.*\.)?dconvs\.\d+)\.1\.": r"\1.conv.",
        r"^((?:.*\.)?uconvs\.\d+\.up)\.up\.": r"\1.",
    },
}
