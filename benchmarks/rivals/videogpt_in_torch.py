"""The study's models as compact PyTorch modules: the same layers, sizes and losses as VideoGPT (Yan
et al. 2021) and as ours, with scaled_dot_product_attention for its attention. Parameter counts are
those of the study's tables, which `python3 videogpt_in_torch.py` checks."""

import math

import torch
from torch import nn
from torch.nn import functional


def pads(kernel, stride):
    """VideoGPT's same padding, last axis first, the larger half before."""
    result = []
    for k, s in zip(kernel[::-1], stride[::-1]):
        result += [(k - s) // 2 + (k - s) % 2, (k - s) // 2]
    return result


class SamePadConv3d(nn.Module):
    """VideoGPT pads in a pass of its own. Where both ends of every axis get as many zeros, the
    convolution can do that itself, which is faster."""

    def __init__(self, c_in, c_out, kernel, stride=1, bias=True):
        super().__init__()
        kernel = (kernel,) * 3
        stride = (stride,) * 3 if isinstance(stride, int) else stride
        self.pad = pads(kernel, stride)
        symmetric = self.pad[0::2] == self.pad[1::2]
        padding = tuple(self.pad[0::2][::-1]) if symmetric else 0
        if symmetric:
            self.pad = None
        self.conv = nn.Conv3d(c_in, c_out, kernel, stride, padding, bias=bias)

    def forward(self, x):
        return self.conv(x if self.pad is None else functional.pad(x, self.pad))


class SamePadConvTranspose3d(nn.Module):
    """VideoGPT pads the input with zeros; leaving out as much at the output's start, and what is
    beyond its end, is the same and faster."""

    def __init__(self, c_in, c_out, kernel, stride):
        super().__init__()
        self.stride = stride
        before = pads((kernel,) * 3, stride)[0::2][::-1]
        padding = tuple(kernel - 1 - b * s for b, s in zip(before, stride))
        self.convt = nn.ConvTranspose3d(c_in, c_out, kernel, stride, padding)

    def forward(self, x):
        t, h, w = (n * s for n, s in zip(x.shape[2:], self.stride))
        return self.convt(x)[:, :, :t, :h, :w]


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


class Settings:
    """Which of two ways attention is computed in; "sdpa" needs PyTorch 2."""

    attention = "sdpa" if hasattr(functional, "scaled_dot_product_attention") else "explicit"


def attend(q, k, v, causal, dropout):
    """q, k, v: [sequences, heads, length, width]."""
    if Settings.attention == "explicit":
        weights = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
        if causal:
            hidden = torch.ones(weights.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
            weights = weights.masked_fill(hidden, -math.inf)
        weights = functional.dropout(torch.softmax(weights, dim=-1), dropout, dropout > 0)
        return weights @ v
    step = 65535 // q.shape[1]  # SDPA fails beyond, on a GPU
    parts = [functional.scaled_dot_product_attention(a, b, c, is_causal=causal, dropout_p=dropout)
             for a, b, c in zip(q.split(step), k.split(step), v.split(step))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class MultiHeadAttention(nn.Module):
    """Projections, attention over the last but one axis, output projection."""

    def __init__(self, dim, memory_dim, heads, causal=False, dropout=0.0):
        super().__init__()
        self.heads, self.causal, self.dropout = heads, causal, dropout
        self.w_qs = nn.Linear(dim, dim, bias=False)
        self.w_ks = nn.Linear(memory_dim, dim, bias=False)
        self.w_vs = nn.Linear(memory_dim, memory_dim, bias=False)
        self.fc = nn.Linear(memory_dim, dim)

    def keys_and_values(self, memory):
        return tuple(split_heads(f(memory), self.heads) for f in (self.w_ks, self.w_vs))

    def forward(self, x, memory):
        q = split_heads(self.w_qs(x), self.heads)
        k, v = self.keys_and_values(memory)
        outer = q.shape[:-3]
        q, k, v = (y.reshape(-1, *y.shape[-3:]) for y in (q, k, v))
        out = attend(q, k, v, self.causal, self.dropout if self.training else 0.0)
        return self.fc(out.transpose(-2, -3).flatten(-2).unflatten(0, outer))

    def decode(self, x, k, v):
        """One token: x [b, 1, dim], k and v [b, heads, tokens so far, width]."""
        out = attend(split_heads(self.w_qs(x), self.heads), k, v, False, 0.0)
        return self.fc(out.transpose(-2, -3).flatten(-2))


class AxialBlock(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.attention = nn.ModuleList(MultiHeadAttention(channels, channels, heads)
                                       for _ in range(3))

    def forward(self, x):  # [b, c, t, h, w]
        x = x.movedim(1, -1)
        total = 0
        for axis, attention in zip((3, 2, 1), self.attention):
            moved = x.movedim(axis, -2)
            total = total + attention(moved, moved).movedim(-2, axis)
        return total.movedim(-1, 1)


class AttentionResidualBlock(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.block = nn.Sequential(
            nn.BatchNorm3d(channels), nn.ReLU(),
            SamePadConv3d(channels, channels // 2, 3, bias=False),
            nn.BatchNorm3d(channels // 2), nn.ReLU(),
            SamePadConv3d(channels // 2, channels, 1, bias=False),
            nn.BatchNorm3d(channels), nn.ReLU(), AxialBlock(channels, heads))

    def forward(self, x):
        return x + self.block(x)


def res_stack(channels, layers, heads):
    return nn.Sequential(*(AttentionResidualBlock(channels, heads) for _ in range(layers)),
                         nn.BatchNorm3d(channels), nn.ReLU())


class Codebook(nn.Module):
    """Nearest codes, and the moving averages of VideoGPT with one-hot rows (no restarts)."""

    def __init__(self, codes, dim):
        super().__init__()
        self.register_buffer("embeddings", torch.randn(codes, dim))
        self.register_buffer("n", torch.ones(codes))
        self.register_buffer("average", self.embeddings.clone())

    def nearest(self, z):
        """Rows [b t h w, dim] of z [b, dim, t, h, w], and their codes."""
        rows = z.movedim(1, -1).flatten(0, -2).float()
        with torch.autocast(rows.device.type, enabled=False):
            embeddings = self.embeddings.float()
            distances = ((rows**2).sum(1, keepdim=True) - 2 * rows @ embeddings.t()
                         + (embeddings**2).sum(1))
            return rows, distances.argmin(1)

    def look_up(self, index, z):
        return self.embeddings[index].view(z.shape[0], *z.shape[2:], -1).movedim(-1, 1)

    def forward(self, z):  # [b, dim, t, h, w]
        rows, index = self.nearest(z)
        with torch.autocast(rows.device.type, enabled=False):
            if self.training:
                with torch.no_grad():
                    one_hot = functional.one_hot(index, len(self.n)).type_as(rows)
                    self.n.mul_(0.99).add_(one_hot.sum(0), alpha=0.01)
                    self.average.mul_(0.99).add_(one_hot.t() @ rows.detach(), alpha=0.01)
                    total = self.n.sum()
                    weights = (self.n + 1e-7) / (total + len(self.n) * 1e-7) * total
                    self.embeddings.copy_(self.average / weights.unsqueeze(1))
        e = self.look_up(index, z)
        commitment = 0.25 * functional.mse_loss(z.float(), e.detach())
        return z + (e - z).detach(), commitment


class Vqvae(nn.Module):
    def __init__(self, downsample, hidden, layers, heads, dim, codes):
        super().__init__()
        halvings = [int(math.log2(d)) for d in downsample]
        strides = [tuple(2 if n > i else 1 for n in halvings) for i in range(max(halvings))]
        down, up = [], []
        for i, stride in enumerate(strides):
            down += [SamePadConv3d(3 if i == 0 else hidden, hidden, 4, stride), nn.ReLU()]
            last = i + 1 == len(strides)
            up += [SamePadConvTranspose3d(hidden, 3 if last else hidden, 4, stride)]
            up += [] if last else [nn.ReLU()]
        self.encoder = nn.Sequential(*down, SamePadConv3d(hidden, hidden, 3),
                                     res_stack(hidden, layers, heads))
        self.pre_vq = SamePadConv3d(hidden, dim, 1)
        self.codebook = Codebook(codes, dim)
        self.post_vq = SamePadConv3d(dim, hidden, 1)
        self.decoder = nn.Sequential(res_stack(hidden, layers, heads), *up)

    def forward(self, clips):
        z, commitment = self.codebook(self.pre_vq(self.encoder(clips)))
        reconstruction = self.decoder(self.post_vq(z))
        return functional.mse_loss(reconstruction.float(), clips) / 0.06 + commitment

    def encode(self, clips):
        """The codes, [b t h w]."""
        return self.codebook.nearest(self.pre_vq(self.encoder(clips)))[1]

    def reconstruct(self, clips):
        z = self.pre_vq(self.encoder(clips))
        return self.decoder(self.post_vq(self.codebook.look_up(self.codebook.nearest(z)[1], z)))


class PositionEmbedding(nn.Module):
    """One table an axis, concatenated."""

    def __init__(self, grid, channels):
        super().__init__()
        self.tables = nn.ParameterList(nn.Parameter(0.01 * torch.randn(n, channels // 3))
                                       for n in grid)
        self.grid = grid

    def forward(self, x):  # [b, t, h, w, c]
        t, h, w = self.grid
        parts = [table.view(*shape, -1).expand(t, h, w, -1)
                 for table, shape in zip(self.tables, [(t, 1, 1), (1, h, 1), (1, 1, w)])]
        return x + torch.cat(parts, dim=-1)


class LayerNorm(nn.LayerNorm):
    """nn.LayerNorm is faster than VideoGPT's own formula, whose epsilon stands elsewhere. In float32,
    as autocast does it on a GPU."""

    def forward(self, x):
        return super().forward(x.to(torch.promote_types(self.weight.dtype, torch.bfloat16)))


class GptBlock(nn.Module):
    def __init__(self, dim, memory_dim, heads, dropout, attention_dropout):
        super().__init__()
        self.norms = nn.ModuleList(LayerNorm(dim) for _ in range(3))
        self.attention = MultiHeadAttention(dim, dim, heads, True, attention_dropout)
        self.cross = MultiHeadAttention(dim, memory_dim, heads)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory):
        y = self.norms[0](x)
        x = x + self.dropout(self.attention(y, y))
        x = x + self.dropout(self.cross(self.norms[1](x), memory))
        return x + self.dropout(self.mlp(x))

    def mlp(self, x):
        y = self.up(self.norms[2](x))
        return self.down(y * torch.sigmoid(1.702 * y))

    def decode(self, x, cache, position, memory_kv):
        """One token, x [b, 1, dim]; cache: keys and values [b, heads, all tokens, width]."""
        y = self.norms[0](x)
        for kept, new in zip(cache, self.attention.keys_and_values(y)):
            kept[:, :, position:position + 1] = new
        x = x + self.attention.decode(y, *(kept[:, :, :position + 1] for kept in cache))
        x = x + self.cross.decode(self.norms[1](x), *memory_kv)
        return x + self.mlp(x)


class Resnet(nn.Module):
    """VideoGPT's ResidualBlock with projection: codes' embeddings -> memory, channels last."""

    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv1 = SamePadConv3d(c_in, c_out, 3, bias=False)
        self.conv2 = SamePadConv3d(c_out, c_out, 3, bias=False)
        self.project = SamePadConv3d(c_in, c_out, 1, bias=False)
        self.norms = nn.ModuleList(LayerNorm(c_out) for _ in range(3))

    def norm(self, i, x):
        return self.norms[i](x.movedim(1, -1)).movedim(-1, 1)

    def forward(self, x):
        x = x.movedim(-1, 1)
        y = torch.relu(self.norm(0, self.conv1(x)))
        y = torch.relu(self.norm(1, self.conv2(y)))
        return torch.relu(self.norm(2, self.project(x)) + y).movedim(1, -1)


class Gpt(nn.Module):
    def __init__(self, grid, embedding_dim, codes, memory_dim, dim, layers, heads):
        super().__init__()
        self.register_buffer("embeddings", torch.randn(codes, embedding_dim))
        self.resnet = Resnet(embedding_dim, memory_dim)
        self.memory_position = PositionEmbedding(grid, memory_dim)
        self.fc_in = nn.Linear(embedding_dim, dim, bias=False)
        self.sos = nn.Parameter(0.02 * torch.randn(dim))
        self.position = PositionEmbedding(grid, dim)
        self.blocks = nn.ModuleList(GptBlock(dim, memory_dim, heads, 0.2, 0.3)
                                    for _ in range(layers))
        self.norm = LayerNorm(dim)
        self.fc_out = nn.Linear(dim, codes, bias=False)
        nn.init.zeros_(self.fc_out.weight)

    def memory(self, previous):
        return self.memory_position(self.resnet(self.embeddings[previous])).flatten(1, 3)

    def sample(self, previous):
        """Codes [b, t h w] of the next clip, drawn one by one with cached keys and values."""
        grid = previous.shape[1:]
        dtype = self.fc_in.weight.dtype
        memory = self.memory(previous)
        memory_kv = [block.cross.keys_and_values(memory) for block in self.blocks]
        tokens = grid.numel()
        caches = []
        for block in self.blocks:
            shape = (len(previous), block.attention.heads, tokens,
                     self.sos.numel() // block.attention.heads)
            caches.append(tuple(memory.new_empty(shape, dtype=memory_kv[0][0].dtype)
                                for _ in range(2)))
        positions = self.position(self.sos.new_zeros(1, *grid, self.sos.numel())).flatten(1, 3)
        codes = []
        x = self.sos.expand(len(previous), 1, -1)
        for i in range(tokens):
            x = x.to(dtype) + positions[:, i:i + 1]
            for block, cache, kv in zip(self.blocks, caches, memory_kv):
                x = block.decode(x, cache, i, kv)
            logits = self.fc_out(self.norm(x))[:, 0]
            codes.append(torch.multinomial(torch.softmax(logits.float(), dim=-1), 1))
            x = self.fc_in(self.embeddings[codes[-1]])
        return torch.cat(codes, dim=1)

    def forward(self, previous, following):  # codes [b, t, h, w]
        memory = self.memory(previous)
        x = self.fc_in(self.embeddings[following]).flatten(1, 3)
        x = torch.cat([self.sos.to(x.dtype).expand(len(x), 1, -1), x[:, :-1]], dim=1)
        x = self.position(x.unflatten(1, following.shape[1:])).flatten(1, 3)
        for block in self.blocks:
            x = block(x, memory)
        logits = self.fc_out(self.norm(x))
        return functional.cross_entropy(logits.flatten(0, 1).float(), following.flatten())


# clip, downsample, hidden, layers, heads, embedding_dim, codes
VQVAE_SIZES = {"study": ((16, 128, 128), (4, 16, 16), 240, 4, 2, 128, 1024),
               "videogpt": ((16, 64, 64), (4, 4, 4), 240, 4, 2, 256, 2048),
               "tiny": ((4, 16, 16), (2, 4, 4), 16, 1, 2, 8, 32)}
# grid, embedding_dim, codes, memory_dim, dim, layers, heads
GPT_SIZES = {"study": ((4, 8, 8), 128, 1024, 240, 576, 8, 4),
             "videogpt": ((4, 16, 16), 256, 2048, 240, 576, 8, 4),
             "tiny": ((2, 4, 4), 8, 32, 24, 24, 1, 4)}


def vqvae_and_clips(model, preset, batch, device):
    clip = VQVAE_SIZES[preset][0]
    clips = torch.rand(batch, 3, *clip, device=device) - 0.5
    return (model.to(device, memory_format=torch.channels_last_3d),
            (clips.to(memory_format=torch.channels_last_3d),))


def gpt_and_codes(model, preset, batch, device):
    grid, _, codes = GPT_SIZES[preset][:3]
    shape = (batch, *grid)
    return model.to(device), (torch.randint(codes, shape, device=device),
                              torch.randint(codes, shape, device=device))


def make_vqvae(preset):
    return lambda batch, device: vqvae_and_clips(Vqvae(*VQVAE_SIZES[preset][1:]), preset, batch,
                                                 device)


def make_gpt(preset):
    return lambda batch, device: gpt_and_codes(Gpt(*GPT_SIZES[preset]), preset, batch, device)


VQVAES = {preset: make_vqvae(preset) for preset in VQVAE_SIZES}
GPTS = {preset: make_gpt(preset) for preset in GPT_SIZES}


if __name__ == "__main__":
    COUNTS = {"vqvae study": 35826611, "gpt study": 40324768, "vqvae videogpt": 21141619,
              "gpt videogpt": 41852832}
    for title, count in COUNTS.items():
        kind, which = title.split()
        built = Vqvae(*VQVAE_SIZES[which][1:]) if kind == "vqvae" else Gpt(*GPT_SIZES[which])
        actual = sum(p.numel() for p in built.parameters())
        print(title, actual, "as ours" if actual == count else f"but ours has {count}")
