"""The public VideoGPT's own modules, where the environment's VIDEOGPT_DIR names a checkout of it; else
the compact ones of videogpt_in_torch.py. Nothing of the checkout is copied. `load_models` gives both
in one form: makers of models and inputs by preset, and where they come from."""

import argparse
import importlib
import itertools
import os
import sys
import types

import torch
from torch import nn
from torch.nn import functional

import videogpt_in_torch as compact


class _Absent(types.ModuleType):
    """Stands for a package that VideoGPT imports and these modules do not need."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "LightningModule":
            return type(name, (nn.Module,), {"save_hyperparameters": lambda *_, **__: None})
        return type(name, (), {})


def import_tolerantly(name):
    """Imports a module of the checkout; packages that are not installed are replaced by empty ones."""
    while True:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("videogpt") or (
                    error.name in sys.modules):
                raise
            sys.modules[error.name] = _Absent(error.name)


def public_modules(folder):
    """videogpt.vqvae and videogpt.attention of the checkout, without its package's own start, which
    imports what training needs. Its recomputation is switched off: it saves memory, not time."""
    path = os.path.join(folder, "videogpt")
    if not os.path.isfile(os.path.join(path, "vqvae.py")):
        raise FileNotFoundError(f"VIDEOGPT_DIR: {path} has no vqvae.py")
    package = types.ModuleType("videogpt")
    package.__path__ = [path]
    sys.modules["videogpt"] = package
    attention = import_tolerantly("videogpt.attention")
    attention.checkpoint = lambda function, *inputs: function(*inputs)
    return import_tolerantly("videogpt.vqvae"), attention


def public_vqvae(module, preset):
    clip, downsample, hidden, layers, _, dim, codes = compact.VQVAE_SIZES[preset]

    class Vqvae(module.VQVAE):
        """With the interface of videogpt_in_torch.Vqvae."""

        def forward(self, x):
            loss, _, found = super().forward(x)
            return loss + found["commitment_loss"]

        def encode(self, x, include_embeddings=False):
            return super().encode(x, include_embeddings)

        def reconstruct(self, x):
            return self.decode(self.encode(x))

    return Vqvae(argparse.Namespace(
        embedding_dim=dim, n_codes=codes, n_hiddens=hidden, n_res_layers=layers,
        downsample=downsample, sequence_length=clip[0], resolution=clip[1]))


class PublicGpt(nn.Module):
    """The public transformer stack and norm; the conditioning of the study, which is not the public
    code's, from videogpt_in_torch."""

    def __init__(self, attention, grid, embedding_dim, codes, memory_dim, dim, layers, heads):
        super().__init__()
        self.grid = grid
        self.register_buffer("embeddings", torch.randn(codes, embedding_dim))
        self.resnet = compact.Resnet(embedding_dim, memory_dim)
        self.memory_position = compact.PositionEmbedding(grid, memory_dim)
        self.fc_in = nn.Linear(embedding_dim, dim, bias=False)
        self.attn_stack = attention.AttentionStack(grid, dim, heads, layers, 0.2, "full", 0.3, None,
                                                   (*grid, memory_dim))
        self.norm = attention.LayerNorm(dim, None)
        self.fc_out = nn.Linear(dim, codes, bias=False)
        nn.init.zeros_(self.fc_out.weight)

    def condition(self, previous):
        return {"frame_cond": self.memory_position(self.resnet(self.embeddings[previous]))}

    def logits(self, codes, condition, step=None, index=None):
        h = self.attn_stack(self.fc_in(self.embeddings[codes]), condition, step, index)
        return self.fc_out(self.norm(h, condition))

    def forward(self, previous, following):
        logits = self.logits(following, self.condition(previous))
        return functional.cross_entropy(logits.flatten(0, 3).float(), following.flatten())

    def sample(self, previous):
        condition = self.condition(previous)
        last = previous.new_zeros(len(previous), 1, 1, 1)
        codes = []
        for step, index in enumerate(itertools.product(*map(range, self.grid))):
            logits = self.logits(last, condition, step, index).flatten(0, 3)
            codes.append(torch.multinomial(torch.softmax(logits.float(), dim=-1), 1))
            last = codes[-1].view_as(last)
        return torch.cat(codes, dim=1)


def load_models():
    """(VQ-VAEs, GPTs, where they are from). The first two: preset -> maker(batch, device) ->
    (model, inputs)."""
    folder = os.environ.get("VIDEOGPT_DIR", "")
    if not folder:
        return compact.VQVAES, compact.GPTS, "videogpt_in_torch.py"
    vqvae, attention = public_modules(folder)

    def vqvae_maker(preset):
        return lambda batch, device: compact.vqvae_and_clips(public_vqvae(vqvae, preset), preset,
                                                             batch, device)

    def gpt_maker(preset):
        return lambda batch, device: compact.gpt_and_codes(
            PublicGpt(attention, *compact.GPT_SIZES[preset]), preset, batch, device)

    return ({preset: vqvae_maker(preset) for preset in compact.VQVAE_SIZES},
            {preset: gpt_maker(preset) for preset in compact.GPT_SIZES}, folder)
