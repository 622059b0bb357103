"""Attention, and convolutions that came after it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Permute(nn.Module):
    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.permute(x, self.dims)


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(dim, eps=1e-6),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.rand(dim, 1, 1) / 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer_scale * self.block(x) + x


def convnext(
    dims: tuple[int, ...] = (16, 32), depths: tuple[int, ...] = (2, 1), classes: int = 10
) -> nn.Module:
    """Liu et al. 2022."""
    layers: list[nn.Module] = [nn.Conv2d(3, dims[0], 4, 4), LayerNorm2d(dims[0], 1e-6)]
    for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        if i:
            layers += [LayerNorm2d(dims[i - 1], 1e-6), nn.Conv2d(dims[i - 1], dim, 2, 2)]
        layers += [ConvNeXtBlock(dim) for _ in range(depth)]
    head = [LayerNorm2d(dims[-1], 1e-6), nn.Flatten(1), nn.Linear(dims[-1], classes)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), *head)


class MLP(nn.Sequential):
    def __init__(self, dim: int, wider: int = 2) -> None:
        inner = wider * dim
        super().__init__(
            nn.Linear(dim, inner), nn.GELU(), nn.Dropout(), nn.Linear(inner, dim), nn.Dropout()
        )


class EncoderBlock(nn.Module):
    def __init__(self, dim: int, heads: int, wider: int = 2) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.dropout, self.mlp = nn.Dropout(), MLP(dim, wider)

    def forward(self, input: Tensor) -> Tensor:
        torch._assert(input.dim() == 3, f"expected [N, L, C], got {input.shape}")
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.dropout(x) + input
        return x + self.mlp(self.ln_2(x))


class ViT(nn.Module):
    """Dosovitskiy et al. 2021."""

    def __init__(
        self,
        dim: int = 32,
        patch: int = 8,
        size: int = 32,
        layers: int = 2,
        heads: int = 4,
        wider: int = 2,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.patch, self.dim = patch, dim
        self.conv_proj = nn.Conv2d(3, dim, patch, patch)
        self.class_token = nn.Parameter(torch.randn(1, 1, dim) / 2)
        positions = (size // patch) ** 2 + 1
        self.pos_embedding = nn.Parameter(torch.randn(1, positions, dim) / 4)
        self.layers = nn.Sequential(*(EncoderBlock(dim, heads, wider) for _ in range(layers)))
        self.ln, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        torch._assert(h % self.patch == 0, "the image cannot be cut into patches")
        x = self.conv_proj(x).reshape(n, self.dim, (h // self.patch) * (w // self.patch))
        x = x.permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1)
        x = self.ln(self.layers(x + self.pos_embedding))
        return self.head(x[:, 0])


def vit() -> nn.Module:
    return ViT()


class WindowAttention(nn.Module):
    """In windows that are shifted by half of their size, with a bias for each relative place."""

    def __init__(self, dim: int, window: int, shift: int, heads: int) -> None:
        super().__init__()
        self.window, self.shift, self.heads = window, shift, heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        places = (2 * window - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.randn(places, heads) / 2)
        rows = torch.stack(torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij")).flatten(1)
        apart = (rows[:, :, None] - rows[:, None, :]).permute(1, 2, 0) + window - 1
        index = (apart[..., 0] * (2 * window - 1) + apart[..., 1]).flatten()
        self.register_buffer("relative_position_index", index)

    def forward(self, x: Tensor) -> Tensor:
        n, height, width, c = x.shape
        size = self.window
        x = F.pad(x, (0, 0, 0, (size - width % size) % size, 0, (size - height % size) % size))
        _, h, w, _ = x.shape
        if self.shift > 0:
            x = torch.roll(x, shifts=(-self.shift, -self.shift), dims=(1, 2))
        windows = (h // size) * (w // size)
        x = x.view(n, h // size, size, w // size, size, c)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(n * windows, size * size, c)
        qkv = self.qkv(x).reshape(x.size(0), x.size(1), 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q = q * (c // self.heads) ** -0.5
        attention = q.matmul(k.transpose(-2, -1))
        bias = self.relative_position_bias_table[self.relative_position_index]
        bias = bias.view(size * size, size * size, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        attention = attention + bias
        if self.shift > 0:
            mask = x.new_zeros((h, w))
            ends = [(0, -size), (-size, -self.shift), (-self.shift, None)]
            for i, (top, bottom) in enumerate(ends):
                for j, (left, right) in enumerate(ends):
                    mask[top:bottom, left:right] = 3 * i + j
            mask = mask.view(h // size, size, w // size, size).permute(0, 2, 1, 3)
            mask = mask.reshape(windows, size * size)
            mask = mask.unsqueeze(1) - mask.unsqueeze(2)
            mask = mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)
            attention = attention.view(n, windows, self.heads, size * size, size * size)
            attention = attention + mask.unsqueeze(1).unsqueeze(0)
            attention = attention.view(-1, self.heads, size * size, size * size)
        attention = F.dropout(F.softmax(attention, dim=-1), p=0.0, training=self.training)
        x = attention.matmul(v).transpose(1, 2).reshape(x.size(0), x.size(1), c)
        x = self.proj(x).view(n, h // size, w // size, size, size, c)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        if self.shift > 0:
            x = torch.roll(x, shifts=(self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width, :].contiguous()


class SwinBlock(nn.Module):
    def __init__(
        self, dim: int, shift: int, window: int = 4, heads: int = 2, wider: int = 2
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn, self.mlp = WindowAttention(dim, window, shift, heads), MLP(dim, wider)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h, w, _ = x.shape[-3:]
        x = F.pad(x, (0, 0, 0, w % 2, 0, h % 2))
        corners = [x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, -1)))


def swin(
    dim: int = 16,
    depths: tuple[int, ...] = (2, 1),
    heads: tuple[int, ...] = (2, 2),
    window: int = 4,
    wider: int = 2,
    classes: int = 10,
) -> nn.Module:
    """Liu et al. 2021."""
    layers: list[nn.Module] = [nn.Conv2d(3, dim, 4, 4), Permute(0, 2, 3, 1), nn.LayerNorm(dim)]
    for i, (depth, number) in enumerate(zip(depths, heads, strict=True)):
        if i:
            layers.append(PatchMerging(dim))
            dim *= 2
        shifts = [j % 2 * (window // 2) for j in range(depth)]
        layers += [SwinBlock(dim, shift, window, number, wider) for shift in shifts]
    head = [nn.LayerNorm(dim), Permute(0, 3, 1, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(1)]
    return nn.Sequential(*layers, *head, nn.Linear(dim, classes))
