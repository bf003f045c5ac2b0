"""The end of a published classifier."""

from mcore import Linear, Sequential


def fc_head(channels: int, num_classes: int) -> Sequential:
    """The linear map of a classifier under the name that most of timm's have: `head.fc`."""
    head = Sequential()
    head.add_module("fc", Linear(channels, num_classes))
    return head
