"""A plug-in whose networks do to their process what native code may do to it."""

import os
import signal
import time

from mcore import Linear, Module
from mcore.registry import register


class _Network(Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(3, 2)
        # Sketches, which only estimate memory, are spared.
        if self.linear.weight.device.type != "meta":
            self.misbehave()

    def forward(self, x):
        return self.linear(x)

    def misbehave(self):
        """Does nothing wrong."""


@register("network", "behaving")
class Behaving(_Network):
    pass


@register("network", "ending")
class Ending(_Network):
    def misbehave(self):
        os._exit(0)


@register("network", "killed")
class Killed(_Network):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


@register("network", "segfault")
class Segfault(_Network):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGSEGV)


class _Rash(Module):
    """Does harm whenever it is built, sketched too."""

    def __init__(self) -> None:
        super().__init__()
        self.misbehave()


@register("network", "dividing")
class Dividing(_Rash):
    def misbehave(self):
        return 1 / 0


@register("network", "leaving")
class Leaving(_Rash):
    def misbehave(self):
        raise SystemExit("bye")


@register("network", "vanishing")
class Vanishing(_Rash):
    def misbehave(self):
        os._exit(0)


@register("network", "hanging")
class Hanging(_Network):
    """Hangs while it is exported, with half of its folder written."""

    def forward(self, x):
        while os.environ.get("MCORE_TEST_HANG", "yes") == "yes":
            time.sleep(0.1)
        return super().forward(x)
