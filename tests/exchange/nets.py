"""Networks that the tests of exchange export; speaks mcore's vocabulary, so it runs on either engine."""

import mcore
from mcore import BatchNorm2d, Conv2d, Linear, Module, ReLU, Sequential
from mcore import functional as F


class Net(Module):
    """A convolution, a norm and a classifier, with a head that no graph needs."""

    def __init__(self, width=4, *blocks, act=ReLU, names=("a", "b"), dtype=None, **options):
        super().__init__()
        self.backbone = Sequential(Conv2d(3, width, 3, stride=2, padding=1), BatchNorm2d(width), act(), *blocks)
        self.head = Linear(width, options.get("classes", 2))
        self.unused = Linear(2, 2)

    def forward(self, x):
        return self.head(self.backbone(x).mean(dim=(2, 3)))


class Other(Module):
    """Of another kind than Net, with a part of the same name."""

    def __init__(self, width=4):
        super().__init__()
        self.backbone = Sequential(Conv2d(3, width, 3, stride=2, padding=1), BatchNorm2d(width))
        self.neck = Linear(width, width)

    def forward(self, x):
        return self.neck(self.backbone(x).mean(dim=(2, 3)))


class Two(Module):
    """Two inputs of different types, two outputs."""

    def __init__(self):
        super().__init__()
        self.table = mcore.Embedding(10, 4)

    def forward(self, x, ids):
        found = self.table(ids)
        return {"sum": F.relu(x) + found.sum(dim=1), "found": found}


class Wrong(Module):
    """Tells a recording from a call, so that no graph gives what it gives."""

    def forward(self, x):
        return x + (1.0 if type(x) is mcore.Tensor else 0.0)


class Dropping(Module):
    def __init__(self):
        super().__init__()
        self.drop = mcore.Dropout(0.5)

    def forward(self, x):
        return self.drop(x)


class Plain(Module):
    def forward(self, x):
        return x * 2.0


def filled(net):
    """The same numbers on both engines, whatever the order of random draws; norms with statistics of their own."""
    state = net.state_dict()
    for place, name in enumerate(state):
        size = state[name].numel()
        if name.endswith("num_batches_tracked"):
            state[name] = mcore.tensor(7)
        else:
            ramp = mcore.arange(size, dtype=mcore.float32) / max(size, 1) + 0.1 * (place + 1)
            state[name] = ramp.reshape(tuple(state[name].shape))
    net.load_state_dict(state)
    return net.eval()
