"""Networks written from memory as their authors publish them, in plain torch: what people will try to export."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class ViT(nn.Module):
    """Class token, and a position embedding resized to the patches."""

    def __init__(self, width=16):
        super().__init__()
        self.patch, self.heads = nn.Conv2d(3, width, 4, 4), 4
        self.cls, self.pos = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.randn(1, 17, width))
        self.norm, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def position(self, h, w):
        count = self.pos.shape[1] - 1
        if h * w == count and h == w:
            return self.pos
        side = int(math.sqrt(count))
        grid = self.pos[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(h, w), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
        return torch.cat([self.pos[:, :1], grid.view(1, -1, grid.shape[-1])], dim=1)

    def forward(self, x):
        x = self.patch(x)
        n, c, h, w = x.shape
        x = torch.cat((self.cls.expand(n, -1, -1), x.flatten(2).transpose(1, 2)), dim=1) + self.position(h, w)
        n, length, c = x.shape
        qkv = self.qkv(self.norm(x)).reshape(n, length, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attention = ((q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
        return (x + self.proj((attention @ v).transpose(1, 2).reshape(n, length, c)))[:, 0]


class Swin(nn.Module):
    """Windows, a cyclic shift, and its mask painted with slices."""

    def __init__(self, width=8, window=4, shift=2, heads=2):
        super().__init__()
        self.window, self.shift, self.heads = window, shift, heads
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads))
        where = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        apart = (where[:, :, None] - where[:, None, :]).permute(1, 2, 0).contiguous() + window - 1
        apart[:, :, 0] *= 2 * window - 1
        self.register_buffer("index", apart.sum(-1))
        self.stem, self.norm = nn.Conv2d(3, width, 1), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def parted(self, x):
        n, h, w, c = x.shape
        x = x.view(n, h // self.window, self.window, w // self.window, self.window, c)
        return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.window**2, c)

    def mask(self, h, w):
        image, count = torch.zeros((1, h, w, 1)), 0
        slices = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for rows in slices:
            for columns in slices:
                image[:, rows, columns, :] = count
                count += 1
        parts = self.parted(image).squeeze(-1)
        apart = parts.unsqueeze(1) - parts.unsqueeze(2)
        return apart.masked_fill(apart != 0, -100.0).masked_fill(apart == 0, 0.0)

    def forward(self, x):
        x = self.stem(x).permute(0, 2, 3, 1)
        height, width = x.shape[1:3]
        below, right = ((self.window - size % self.window) % self.window for size in (height, width))
        short = x = F.pad(x, (0, 0, 0, right, 0, below))
        _, h, w, c = x.shape
        parts = self.parted(torch.roll(self.norm(x), shifts=(-self.shift, -self.shift), dims=(1, 2)))
        count, length, _ = parts.shape
        q, k, v = self.qkv(parts).reshape(count, length, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index.view(-1)].view(length, length, -1).permute(2, 0, 1).contiguous()
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1) + bias.unsqueeze(0)
        mask = self.mask(h, w)
        scores = scores.view(count // mask.shape[0], mask.shape[0], self.heads, length, length) + mask[None, :, None]
        scores = scores.view(-1, self.heads, length, length).softmax(-1)
        x = self.proj((scores @ v).transpose(1, 2).reshape(count, length, c))
        x = x.view(-1, h // self.window, w // self.window, self.window, self.window, c)
        x = x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, h, w, c)
        x = short + torch.roll(x, shifts=(self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width, :].contiguous().permute(0, 3, 1, 2)


class Halo(nn.Module):
    """Blocks that look a little beyond their borders, by `unfold`."""

    def __init__(self, block=4, halo=1):
        super().__init__()
        self.q, self.kv = nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(3, 16, 1, bias=False)
        self.block, self.halo = block, halo

    def forward(self, x):
        n, _, h, w = x.shape
        b, rows, columns, seen = self.block, h // self.block, w // self.block, self.block + 2 * self.halo
        q = self.q(x).reshape(-1, 4, rows, b, columns, b).permute(0, 1, 3, 5, 2, 4)
        q = q.reshape(n * 2, 4, -1, rows * columns).transpose(1, 3)
        kv = F.pad(self.kv(x), [self.halo] * 4).unfold(2, seen, b).unfold(3, seen, b)
        k, v = torch.split(kv.reshape(n * 2, 8, rows * columns, -1).permute(0, 2, 3, 1), [4, 4], dim=-1)
        out = ((q @ k.transpose(-1, -2)).softmax(-1) @ v).transpose(1, 3)
        return out.reshape(-1, b, b, rows, columns).permute(0, 3, 1, 4, 2).contiguous().view(n, 8, h, w)


class SplitAttention(nn.Module):
    """ResNeSt's."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.fc1, self.fc2 = nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 16, 1, groups=2)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        n, channels = x.shape[:2]
        parts = torch.split(x, channels // 2, dim=1)
        gap = self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(sum(parts), 1))))
        gap = F.softmax(gap.view(n, 2, 2, -1).transpose(1, 2), dim=1).reshape(n, -1).view(n, -1, 1, 1)
        return sum(a * p for a, p in zip(torch.split(gap, channels // 2, dim=1), parts, strict=True)).contiguous()


class Detector(nn.Module):
    """Anchors from the sizes of the features, boxes cut to the image, the best ten."""

    def __init__(self):
        super().__init__()
        self.body, self.more = nn.Conv2d(3, 8, 3, 4, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.boxes, self.classes = nn.Conv2d(8, 12, 1), nn.Conv2d(8, 6, 1)

    def forward(self, x):
        fine = self.body(x)
        found = []
        for stride, level in zip((4, 8), (fine, self.more(fine)), strict=True):
            n, _, h, w = level.shape
            y, z = torch.arange(h, dtype=torch.float32) + 0.5, torch.arange(0, w, dtype=level.dtype) + 0.5
            rows, columns = torch.meshgrid(y, z, indexing="ij")
            grid = torch.stack((columns, rows), dim=-1).view(1, 1, h, w, 2) * stride
            box = self.boxes(level).view(n, 3, 4, h, w).permute(0, 1, 3, 4, 2).contiguous()
            centre, size = box[..., :2] * stride + grid, box[..., 2:].exp().clamp(max=1000.0) * stride
            box = torch.cat((centre - size / 2, centre + size / 2), -1)
            box[..., 0::2].clamp_(0, x.shape[3])
            box[..., 1::2].clamp_(0, x.shape[2])
            score = self.classes(level).view(n, 3, 2, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            found.append(torch.cat((box, score), -1).view(n, -1, 6))
        found = torch.cat(found, 1)
        score, label = found[..., 4:].max(-1)
        best, order = score.topk(min(10, score.shape[1]), dim=1)
        return torch.gather(found[..., :4], 1, order.unsqueeze(-1).expand(-1, -1, 4)), best, label.gather(1, order)


class PaddedUNet(nn.Module):
    """Pads to a multiple of four by an amount that may be nothing, and crops back."""

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.deep, self.up = nn.Conv2d(8, 8, 3, padding=1), nn.ConvTranspose2d(8, 8, 2, 2)
        self.join, self.out = nn.Conv2d(16, 4, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        height, width = x.size()[-2:]
        more, wider = math.ceil(height / 4) * 4 - height, math.ceil(width / 4) * 4 - width
        top, left = more // 2, wider // 2
        x = F.pad(x, [left, wider - left, top, more - top], mode="reflect")
        fine = F.relu(self.fine(x))
        coarse = F.relu(self.coarse(F.max_pool2d(fine, 2)))
        x = self.join(torch.cat([self.up(F.relu(self.deep(F.max_pool2d(coarse, 2)))), coarse], 1))
        x = self.out(torch.cat((F.interpolate(x, scale_factor=2, mode="bilinear"), fine), dim=1))
        return x[:, :, top : top + height, left : left + width]


class Flow(nn.Module):
    """RAFT's warp and correlation, and a spatial transformer."""

    def __init__(self):
        super().__init__()
        self.features, self.flow = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1)
        self.place = nn.Linear(3, 6)

    def forward(self, x):
        n, _, h, w = x.shape
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        where = torch.stack([columns, rows], dim=0).float()[None].repeat(n, 1, 1, 1) + self.flow(x)
        right, down = where.permute(0, 2, 3, 1).split([1, 1], dim=-1)
        grid = torch.cat([2 * right / (w - 1) - 1, 2 * down / (h - 1) - 1], -1)
        warped = F.grid_sample(self.features(x), grid, align_corners=True)
        turned = F.affine_grid(self.place(x.mean((2, 3))).view(-1, 2, 3), x.size(), align_corners=False)
        turned = F.grid_sample(x, turned, padding_mode="border", align_corners=False)
        flat = self.features(x).flatten(2)
        pairs = torch.matmul(flat.transpose(1, 2), flat) / torch.sqrt(torch.tensor(4).float())
        pairs = F.avg_pool2d(pairs.view(n, h, w, 1, h, w).reshape(n * h * w, 1, h, w), 2, stride=2)
        return warped, turned, pairs.mean((2, 3)).view(n, h, w)


class Same(nn.Module):
    """EfficientNet's padding, as the ports from TensorFlow compute it."""

    def __init__(self):
        super().__init__()
        self.weight, self.deep = nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.randn(8, 1, 5, 5))

    def same(self, x, weight, stride, groups):
        pads = []
        for size, kernel in zip(reversed(x.size()[-2:]), reversed(weight.size()[-2:]), strict=True):
            missing = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) + 1 - size, 0)
            pads += [missing // 2, missing - missing // 2]
        if any(pad > 0 for pad in pads):
            x = F.pad(x, pads)
        return F.conv2d(x, weight, None, stride, 0, 1, groups)

    def forward(self, x):
        x = self.same(x, self.weight, 2, 1)
        return F.hardswish(self.same(x * torch.sigmoid(x), self.deep, 2, 8))


class Rows(nn.Module):
    """An LSTM along the rows of an image, a GRU along its columns, with states given."""

    def __init__(self):
        super().__init__()
        self.rows = nn.LSTM(3, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.columns, self.out = nn.GRU(12, 5), nn.Linear(5, 2)

    def forward(self, x):
        n, c, h, w = x.shape
        start = torch.zeros(4, n * h, 6, device=x.device, dtype=x.dtype), x.new_zeros(4, n * h, 6)
        found, _ = self.rows(x.permute(0, 2, 3, 1).reshape(n * h, w, c), start)
        found, last = self.columns(found[:, -1].view(n, h, -1).permute(1, 0, 2))
        return self.out(found[-1]), last.squeeze(0)


class Encoder(nn.Module):
    """Tokens with a padding mask and sines that are painted with slices."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.embed, self.layers = nn.Embedding(20, 16), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, ids):
        padding, length = ids == 3, ids.size(1)
        place, scale = torch.arange(length).unsqueeze(1), torch.exp(torch.arange(0, 16, 2) * (-math.log(1e4) / 16))
        sines = torch.zeros(length, 16)
        sines[:, 0::2] = torch.sin(place * scale)
        sines[:, 1::2] = torch.cos(place * scale)
        x = self.layers(self.embed(ids) * 4 + sines, src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1).to(x.dtype)
        return (x * kept).sum(1) / kept.sum(1).clamp(min=1)


class Translator(nn.Module):
    """torch.nn.Transformer with its causal mask, whose values torch reads."""

    def __init__(self):
        super().__init__()
        self.net, self.embed = nn.Transformer(16, 4, 1, 1, 32, batch_first=True), nn.Embedding(11, 16)

    def forward(self, source, target):
        mask = self.net.generate_square_subsequent_mask(target.size(1))
        return self.net(self.embed(source), self.embed(target), tgt_mask=mask)


class Cached(nn.Module):
    """One step of a decoder: keys and values of the past come in, and go out longer."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x, keys, values):
        n, length, _ = x.shape
        past = keys.shape[2]
        q, k, v = (t.view(n, length, 2, 4).transpose(1, 2) for t in self.qkv(x).chunk(3, dim=-1))
        keys, values = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        mask = torch.tril(torch.ones(past + length, past + length, dtype=torch.bool))[past : past + length]
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        return out.transpose(1, 2).reshape(n, length, 8), keys, values


class Focal(nn.Module):
    """A loss as part of the graph: numbers of classes next to scores."""

    def forward(self, x, target):
        loss = F.cross_entropy(x, target, reduction="none", ignore_index=-100)
        focal = 0.25 * (1 - torch.exp(-loss)) ** 2 * loss
        wanted = F.one_hot(target, 3).permute(0, 3, 1, 2).float()
        return focal.mean(), F.binary_cross_entropy_with_logits(x, wanted, reduction="none").sum() / wanted.sum()


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        result = x * torch.sigmoid(x)
        ctx.save_for_backward(x)
        return result


class Own(nn.Module):
    """An autograd function of its own, norms by hooks, a forward hook, writes to views."""

    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))
        self.head = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
        self.head.register_forward_hook(lambda module, given, out: out * 2)

    def forward(self, x):
        x = self.head(Swish.apply(self.conv(x)))
        x = x.clone()
        x[:, ::2] *= 2
        x[:, 1].add_(1)
        x.transpose(2, 3)[:, :, 0] = 7
        x[x > 5] = 0.5
        return x


@dataclass
class Stranger:
    """A network with the sizes it is tried at: shapes, or lists [limit, *shape] of whole numbers below a limit."""

    build: Any
    sizes: tuple
    fixed: bool = False  # whether some axes can't be open


IMAGES = (((1, 3, 16, 24),), ((2, 3, 19, 16),), ((3, 3, 32, 21),))
WHOLE = (((1, 3, 16, 24),), ((2, 3, 20, 16),), ((3, 3, 32, 12),))
STRANGERS = [
    *[Stranger(kind, IMAGES) for kind in (Swin, SplitAttention, Detector, PaddedUNet, Flow, Same, Rows, Own)],
    Stranger(ViT, WHOLE),
    Stranger(Halo, WHOLE),
    Stranger(Encoder, (([20, 2, 7],), ([20, 3, 5],), ([20, 1, 9],))),
    Stranger(Translator, (([11, 2, 7], [11, 2, 5]), ([11, 3, 5], [11, 3, 8]), ([11, 1, 9], [11, 1, 4]))),
    Stranger(
        Cached,
        tuple(((n, t, 8), (n, 2, p, 4), (n, 2, p, 4)) for n, t, p in ((1, 3, 5), (2, 4, 2), (2, 1, 7))),
        fixed=True,
    ),
    Stranger(Focal, tuple(((n, 3, h, w), [3, n, h, w]) for n, h, w in ((2, 4, 5), (1, 6, 2)))),
]
