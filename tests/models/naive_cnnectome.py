"""CNNectome's U-Net written plainly, call by call, from what the original does: sizes are looked up on the way."""

import math

import torch
from torch.nn import functional as F

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
RAISE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class Naive:
    """The weights of a network by name, and what the original does with them."""

    def __init__(self, state, arguments, prefix=""):
        self.state, self.arguments, self.prefix = state, arguments, prefix

    def weights(self, name):
        return self.state[f"{self.prefix}{name}.weight"], self.state[f"{self.prefix}{name}.bias"]

    def conv(self, name, x, padding=0):
        weight, bias = self.weights(name)
        return CONV[x.ndim - 2](x, weight, bias, padding=padding)

    def time_conv(self, name, x, span):
        """A convolution of a film, frame by frame and tap by tap."""
        frames = [
            sum(self.conv(f"{name}.conv3d_layers.{tap}", x[:, :, t + tap]) for tap in range(span))
            for t in range(x.shape[2] - span + 1)
        ]
        return torch.stack(frames, 2)

    def norm(self, name, x):
        weight, bias = self.weights(name)
        state = [self.state[f"{self.prefix}{name}.{key}"] for key in ("running_mean", "running_var")]
        return F.batch_norm(x, *state, weight, bias)

    def conv_pass(self, name, x, kernels, activation, padding="valid"):
        place = 0
        for kernel in kernels:
            around = [k // 2 for k in kernel] if padding == "same" else 0
            here = f"{name}.conv_pass.{place}"
            x = self.time_conv(here, x, kernel[0]) if len(kernel) == 4 else self.conv(here, x, around)
            place += 1
            if self.arguments["batch_norm"]:
                x = self.norm(f"{name}.conv_pass.{place}", x)
                place += 1
            if activation is not None:
                x = activation(x)
                place += 1
            if x.ndim == 6 and x.shape[2] == 1:
                x = x[:, :, 0]
        return x

    def raised(self, name, x, factor):
        constant, behind = self.arguments["constant_upsample"], self.arguments["activation_on_upsample"]
        if constant:
            x = self.conv(f"{name}.up.1", F.interpolate(x, scale_factor=factor, mode="nearest"))
        else:
            weight, bias = self.weights(f"{name}.up.0" if behind else f"{name}.up")
            x = RAISE[x.ndim - 2](x, weight, bias, stride=factor)
        return self.arguments["activation"](x) if behind else x

    def gate(self, name, g, x, factor):
        ones = [(1,) * len(factor)] * 2
        g1 = self.conv_pass(f"{name}.W_g", g, ones, None)
        x1 = POOL[len(factor)](self.conv_pass(f"{name}.W_x.0", x, ones, None), factor)
        around = []
        for have, want in zip(reversed(g1.shape[2:]), reversed(x1.shape[2:]), strict=True):
            around += [want - have - (want - have) // 2, (want - have) // 2]
        a = self.conv_pass(f"{name}.psi", F.relu(F.pad(g1, around) + x1), ones, torch.sigmoid)
        scale = tuple(map(float, factor))
        return x * F.interpolate(a, scale_factor=scale, mode=LINEAR[len(factor)], align_corners=True)

    def unet(self, x, level=0):
        down, up, factors = (self.arguments[key] for key in ("down", "up", "factors"))
        padding, heads = self.arguments["padding"], self.arguments["num_heads"]
        activation = self.arguments["activation"]
        left = self.conv_pass(f"l_conv.{level}", x, down[level], activation, padding)
        if level == len(factors):
            return [left] * heads
        factor = factors[level]
        below = self.unet(lowered(left, factor), level + 1)
        if left.ndim == 6:
            left = left[:, :, (left.shape[2] - 1) // 2]
        return [self.joined(h, level, left, g, up[level], factor, padding, activation) for h, g in enumerate(below)]

    def joined(self, head, level, left, g, kernels, factor, padding, activation):
        if self.arguments["use_attention"]:
            left = self.gate(f"attention.{head}.{level}", g, left, factor)
        x = self.raised(f"r_up.{head}.{level}", g, factor)
        steps = [math.prod(axis) for axis in zip(*self.arguments["factors"][level:], strict=True)]
        x = cropped_to_steps(x, steps, kernels)
        x = torch.cat((centre(left, x.shape[2:]), x), 1)
        return self.conv_pass(f"r_conv.{head}.{level}", x, kernels, activation, padding)


def lowered(x, factor):
    """The maxima of every `factor` pixels in space; sizes that don't divide are an error."""
    for axis in reversed(range(len(factor))):
        if x.shape[x.ndim - len(factor) + axis] % factor[axis]:
            raise RuntimeError(f"mismatch in spatial dimension {axis}")
    if x.ndim < 6:
        return POOL[len(factor)](x, factor)
    return F.max_pool3d(x.flatten(1, 2), factor).unflatten(1, x.shape[1:3])


def cropped_to_steps(x, steps, kernels):
    """The middle of `x`, whose pixels without the context of the kernels are whole steps."""
    context = [sum(kernel[axis] - 1 for kernel in kernels) for axis in range(len(steps))]
    sizes = [(s - c) // f * f + c for s, c, f in zip(x.shape[2:], context, steps, strict=True)]
    if list(x.shape[2:]) == sizes:
        return x
    if not all(t > c for t, c in zip(sizes, context, strict=True)):
        raise AssertionError("too small")
    return centre(x, sizes)


def centre(x, sizes):
    for axis, size in enumerate(sizes, start=2):
        if x.shape[axis] < size:
            raise RuntimeError("larger than what it joins")
        x = x.narrow(axis, (x.shape[axis] - size) // 2, size)
    return x
