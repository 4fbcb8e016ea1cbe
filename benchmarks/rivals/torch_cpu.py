#!/usr/bin/env python3
"""PyTorch's and FAISS's times for what the benchmarks of the CPU backend measure.

Writes JSON of Google Benchmark's form with names "<operation>/<precision>/<shape>/<who>", so that
the report pairs them with ours. Of the ways in which PyTorch can do a thing (layout of activations,
kind of attention, autocast or 16-bit weights) the fastest is looked for once and noted in the file
of --variants. Where a library is missing, its entries say "not here". `--tiny` tries everything on
small shapes.
"""

import argparse
import itertools
import json
import math
import os
import re
import sys

from torch_rivals import Bench, Results, make_adam, relative_error

PRECISIONS = ("fp32", "bf16")
STRIDES = {"122": (1, 2, 2), "222": (2, 2, 2), "111": (1, 1, 1)}
# transposed, channels in and out, kernel, stride, input grid
CONVOLUTIONS = [
    (False, 3, 240, 4, "222", (16, 128, 128)), (False, 240, 240, 4, "222", (8, 64, 64)),
    (False, 240, 120, 3, "111", (4, 8, 8)), (True, 240, 240, 4, "122", (16, 32, 32)),
    (True, 240, 3, 4, "122", (16, 64, 64))]
CODEBOOKS = ["65536x128x1024", "4096x256x2048"]


def convolution_name(transposed, c_in, c_out, kernel, strides, grid):
    return ("conv_transpose3d" if transposed else "conv3d",
            f"{c_in}_{c_out}_k{kernel}s{strides}_{'x'.join(map(str, grid))}")


def all_names():
    """Of everything measured here, without who: for where PyTorch is missing."""
    for precision in PRECISIONS:
        for operation, shape in itertools.starmap(convolution_name, CONVOLUTIONS):
            yield f"{operation}_forward/{precision}/{shape}"
            yield f"{operation}_gradients/{precision}/{shape}"
        for kind in ("forward", "with_backward"):
            yield f"axial_block_{kind}/{precision}/4x8x8x240"
            yield f"axial_block_{kind}/{precision}/4x16x16x240"
            yield f"causal_attention_{kind}/{precision}/1024x576"
        for operation, batches in [("vqvae_encode", [1]), ("vqvae_reconstruct", [1]),
                                   ("vqvae_train_step", [1, 2]), ("gpt_train_step", [1, 4]),
                                   ("gpt_sample_clip", [1, 4])]:
            for batch in batches:
                yield f"{operation}/{precision}/study_batch{batch}"
    for shape in CODEBOOKS:
        yield f"nearest_code/fp32/{shape}"


class Variants:
    """Which way was fastest, by benchmark; kept in a file."""

    def __init__(self, path, version):
        self.path, self.version, self.chosen = path, version, {}
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            if kept.get("version") == version:
                self.chosen = kept["chosen"]

    def choose(self, name, ways, bench):
        """ways: name -> prepare. The best of as many calls of each as take a second, after one."""
        if len(ways) == 1:
            return next(iter(ways))
        if self.chosen.get(name) in ways:
            return self.chosen[name]
        seconds = {}
        for way, prepare in ways.items():
            try:
                run = prepare()
                run()
                first = bench.seconds(run, 1)
                more = min(10, int(bench.region_seconds / max(first, 1e-6)))
                seconds[way] = min([first] + [bench.seconds(run, 1) for _ in range(more)])
            except Exception as error:  # pylint: disable=broad-except
                print(f"{name}: {way}: {type(error).__name__}: {error}"[:200])
            run = None
        if not seconds:
            return next(iter(ways))
        self.chosen[name] = min(seconds, key=seconds.get)
        print(f"{name}:", ", ".join(f"{way} {s:.4g} s" for way, s in seconds.items()))
        if self.path:
            with open(self.path, "w", encoding="utf-8") as file:
                json.dump({"version": self.version, "chosen": self.chosen}, file, indent=1)
        return self.chosen[name]


# --- Workloads ------------------------------------------------------------------------------------
# Each yields (operation, precision, shape, ways); ways: name -> prepare; prepare() -> run.


class Workloads:
    def __init__(self, torch, tiny, compiled):
        import videogpt_in_torch as compact  # pylint: disable=import-outside-toplevel
        from videogpt_public import load_models  # pylint: disable=import-outside-toplevel
        self.torch, self.tiny, self.compiled = torch, tiny, compiled
        self.compact = compact
        self.vqvaes, self.gpts, self.source = load_models()
        self.layouts = {"channels_last": torch.channels_last_3d,
                        "contiguous": torch.contiguous_format}
        has_sdpa = hasattr(torch.nn.functional, "scaled_dot_product_attention")
        self.attentions = ("sdpa", "explicit") if has_sdpa else ("explicit",)

    def autocast(self, precision):
        return self.torch.autocast("cpu", dtype=self.torch.bfloat16, enabled=precision == "bf16")

    def dtype(self, precision):
        return self.torch.bfloat16 if precision == "bf16" else self.torch.float32

    def with_attention(self, kind, run):
        def call():
            self.compact.Settings.attention = kind
            return run()
        return call

    def convolutions(self, precision):
        torch, compact = self.torch, self.compact
        for transposed, c_in, c_out, kernel, strides, grid in CONVOLUTIONS:
            operation, shape = convolution_name(transposed, c_in, c_out, kernel, strides, grid)
            small = (2, 8, 8) if self.tiny else grid

            def prepare(layout, backward, transposed=transposed, c_in=c_in, c_out=c_out,
                        kernel=kernel, strides=strides, small=small):
                kind = compact.SamePadConvTranspose3d if transposed else compact.SamePadConv3d
                layer = kind(c_in, c_out, kernel, STRIDES[strides])
                layer = layer.to(self.dtype(precision), memory_format=self.layouts[layout])
                x = torch.randn(1, c_in, *small, dtype=self.dtype(precision)).to(
                    memory_format=self.layouts[layout])
                if not backward:
                    def forward():
                        with torch.no_grad():
                            return layer(x)
                    return forward
                x.requires_grad_(c_in != 3)
                leaves = list(layer.parameters()) + ([x] if c_in != 3 else [])
                y = layer(x)
                dy = torch.randn_like(y)
                return lambda: torch.autograd.grad(y, leaves, dy, retain_graph=True)

            for backward, suffix in [(False, "_forward"), (True, "_gradients")]:
                yield operation + suffix, shape, {
                    layout: lambda prepare=prepare, layout=layout, backward=backward:
                    prepare(layout, backward) for layout in self.layouts}

    def layer_ways(self, precision, make):
        """Forward and forward-and-backward of a layer of attention; make() -> (call, layer, x)."""
        torch = self.torch

        def prepare(backward):
            call, layer, x = make()
            layer = layer.to(self.dtype(precision))
            x = x.to(self.dtype(precision)).requires_grad_()
            dy = torch.randn_like(x)
            leaves = [x, *layer.parameters()]

            def forward():
                with torch.no_grad():
                    return call(layer, x)

            def both():
                return torch.autograd.grad(call(layer, x), leaves, dy)
            return both if backward else forward

        for backward, suffix in [(False, "_forward"), (True, "_with_backward")]:
            yield suffix, self.with_attentions({"layer": lambda backward=backward:
                                                prepare(backward)})

    def attention(self, precision):
        torch, compact = self.torch, self.compact
        for grid in [(4, 8, 8), (4, 16, 16)]:
            def make_axial(grid=grid):
                channels = 16 if self.tiny else 240
                x = torch.randn(1, channels, *grid).to(memory_format=torch.channels_last_3d)
                return (lambda layer, x: layer(x)), compact.AxialBlock(channels, 2), x

            for suffix, ways in self.layer_ways(precision, make_axial):
                yield "axial_block" + suffix, "x".join(map(str, grid)) + "x240", ways

        def make_causal():
            dim, tokens = (16, 32) if self.tiny else (576, 1024)
            layer = compact.MultiHeadAttention(dim, dim, 4, causal=True)
            return (lambda layer, x: layer(x, x)), layer, torch.randn(1, tokens, dim)

        for suffix, ways in self.layer_ways(precision, make_causal):
            yield "causal_attention" + suffix, "1024x576", ways

    def codebook(self, precision):
        if precision != "fp32":
            return
        torch = self.torch
        for shape in CODEBOOKS:
            def prepare(by_formula, shape=shape):
                z, embeddings = codebook_data(torch, shape, self.tiny)

                def formula():
                    squares = (embeddings**2).sum(1)
                    return torch.addmm(squares, z, embeddings.t(), alpha=-2).argmin(1)

                def distances():
                    return torch.cdist(z, embeddings).argmin(1)

                run = formula if by_formula else distances
                if not torch.equal(run()[:256], nearest_in_float64(torch, z[:256], embeddings)):
                    raise RuntimeError("other codes than in float64")
                return run

            yield "nearest_code", shape, {"formula": lambda prepare=prepare: prepare(True),
                                          "cdist": lambda prepare=prepare: prepare(False)}

    def preset(self):
        return "tiny" if self.tiny else "study"

    def with_attentions(self, ways):
        """Every way with each kind of attention."""
        return {f"{way}+{kind}": lambda prepare=prepare, kind=kind:
                self.with_attention(kind, prepare())
                for way, prepare in ways.items() for kind in self.attentions}

    def casts(self, precision):
        return ("autocast", "cast") if precision == "bf16" else ("plain",)

    def inference(self, precision, cast, model, call):
        """Without gradients; 16 bits by autocast or with 16-bit weights. call(model, type)."""
        torch = self.torch
        dtype = torch.bfloat16 if cast == "cast" else torch.float32
        model = model.eval().to(dtype)

        def run():
            with torch.inference_mode(), self.autocast("fp32" if cast == "cast" else precision):
                return call(model, dtype)
        return run

    def vqvae_inference(self, precision):
        for operation, method in [("vqvae_encode", "encode"), ("vqvae_reconstruct", "reconstruct")]:
            def prepare(cast, layout, method=method):
                model, (clips,) = self.vqvaes[self.preset()](1, "cpu")
                model.to(memory_format=self.layouts[layout])
                clips = clips.contiguous(memory_format=self.layouts[layout])
                return self.inference(precision, cast, model,
                                      lambda m, dtype: getattr(m, method)(clips.to(dtype)))

            yield operation, "study_batch1", self.with_attentions({
                f"{layout}+{cast}": lambda cast=cast, layout=layout, prepare=prepare:
                prepare(cast, layout)
                for layout in self.layouts for cast in self.casts(precision)})

    def training(self, precision, make, batch, layout=None):
        torch = self.torch

        def prepare(compiled=False):
            model, inputs = make(batch, "cpu")
            if layout is not None:
                model.to(memory_format=self.layouts[layout])
                inputs = tuple(x.contiguous(memory_format=self.layouts[layout]) for x in inputs)
            model.train()
            optimizer = make_adam(torch, model.parameters())
            forward = torch.compile(model) if compiled else model

            def step():
                optimizer.zero_grad(set_to_none=True)
                with self.autocast(precision):
                    loss = forward(*inputs)
                loss.backward()
                optimizer.step()
                if not math.isfinite(float(loss.detach())):
                    raise RuntimeError("the loss is not a finite number")
                return loss
            return step

        ways = {"eager": prepare}
        if self.compiled:
            ways["compiled"] = lambda: prepare(True)
        return self.with_attentions(ways)

    def vqvae_training(self, precision):
        for batch in (1, 2):
            ways = {}
            for layout in self.layouts:
                steps = self.training(precision, self.vqvaes[self.preset()], batch, layout)
                ways.update({f"{layout}+{way}": run for way, run in steps.items()})
            yield "vqvae_train_step", f"study_batch{batch}", ways

    def gpt_training(self, precision):
        for batch in (1, 4):
            yield "gpt_train_step", f"study_batch{batch}", self.training(
                precision, self.gpts[self.preset()], batch)

    def gpt_sampling(self, precision):
        for batch in (1, 4):
            def prepare(cast, batch=batch):
                model, (previous, _) = self.gpts[self.preset()](batch, "cpu")
                return self.inference(precision, cast, model, lambda m, _: m.sample(previous))

            yield "gpt_sample_clip", f"study_batch{batch}", self.with_attentions({
                cast: lambda cast=cast, prepare=prepare: prepare(cast)
                for cast in self.casts(precision)})

    def all(self):
        for part in [self.convolutions, self.attention, self.codebook, self.vqvae_inference,
                     self.vqvae_training, self.gpt_training, self.gpt_sampling]:
            for precision in PRECISIONS:
                for operation, shape, ways in part(precision):
                    yield f"{operation}/{precision}/{shape}", ways


def codebook_data(numbers, shape, tiny):
    """Rows around codes, as ours; `numbers`: torch."""
    rows, dim, codes = (512, 16, 32) if tiny else map(int, shape.split("x"))
    embeddings = numbers.randn(codes, dim)
    choice = numbers.randint(codes, (rows,))
    return embeddings[choice] + 0.5 * numbers.randn(rows, dim), embeddings


def nearest_in_float64(torch, z, embeddings):
    return torch.cdist(z.double(), embeddings.double()).argmin(1)


def bench_faiss(torch, bench, matches, threads):
    """The same search by FAISS's exact index, checked against float64."""
    for shape in CODEBOOKS:
        name = f"nearest_code/fp32/{shape}/faiss"
        if not matches(name):
            continue
        try:
            import faiss  # pylint: disable=import-outside-toplevel,import-error
        except ImportError:
            bench.results.add(name, error_occurred=True, error_message="not here")
            continue
        faiss.omp_set_num_threads(threads)
        bench.results.data["context"]["faiss"] = faiss.__version__
        z, embeddings = codebook_data(torch, shape, bench.tiny)

        def prepare(z=z.numpy(), embeddings=embeddings.numpy()):
            index = faiss.IndexFlatL2(embeddings.shape[1])
            index.add(embeddings)
            return lambda: index.search(z, 1)[1][:, 0]

        def check(found, z=z, embeddings=embeddings):
            right = nearest_in_float64(torch, z[:256], embeddings)
            return float((torch.from_numpy(found[:256]) != right).sum()), 0

        bench.time(name, prepare, check)


def check_modules(torch, workloads):
    """The shortcuts of videogpt_in_torch.py against VideoGPT's way, which pads: relative error."""
    compact, functional = workloads.compact, torch.nn.functional
    worst = 0.0
    for strides in STRIDES.values():
        kernel = 4 if max(strides) > 1 else 3
        pad = compact.pads((kernel,) * 3, strides)
        x = torch.randn(1, 5, 4, 8, 8)
        for kind in (compact.SamePadConv3d, compact.SamePadConvTranspose3d):
            layer = kind(5, 6, kernel, strides)
            inner = layer.convt if hasattr(layer, "convt") else layer.conv
            padded = functional.pad(x, pad)
            right = (functional.conv_transpose3d(padded, inner.weight, inner.bias, strides,
                                                 kernel - 1)
                     if hasattr(layer, "convt") else
                     functional.conv3d(padded, inner.weight, inner.bias, strides))
            worst = max(worst, relative_error(layer(x), right))
    if not worst < 1e-5:
        raise RuntimeError(f"the compact modules differ from VideoGPT's by {worst}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--filter", default=".", help="of the names, those that this matches")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--min-time", type=float, default=0.2, help="seconds of timed calls")
    parser.add_argument("--variants", default="", help="file of the fastest ways")
    parser.add_argument("--compile", action="store_true", help="torch.compile is a way too")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the program")
    options = parser.parse_args()
    results = Results(options.out)
    matches = re.compile(options.filter).search
    try:
        import torch  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        results.skip(f"not here: {error}")
        for name in filter(lambda name: matches(name + "/torch"), all_names()):
            results.add(name + "/torch", error_occurred=True, error_message="not here")
        return 0
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    workloads = Workloads(torch, options.tiny, options.compile)
    with torch.no_grad():
        check_modules(torch, workloads)
    variants = Variants(options.variants, f"{torch.__version__} {workloads.source}")
    results.data["context"].update(torch=torch.__version__, videogpt=workloads.source,
                                   torch_threads=torch.get_num_threads(), torch_variants={})
    bench = Bench(torch, "cpu", results, options.tiny, warm_ups=1, repetitions=1,
                  region_seconds=options.min_time)
    known = set(all_names())
    for name, ways in workloads.all():
        if name not in known:
            raise RuntimeError(f"all_names lacks {name}")
        name += "/torch"
        if matches(name):
            way = variants.choose(name, ways, bench)
            results.data["context"]["torch_variants"][name] = way
            bench.time(name, ways[way])
    bench_faiss(torch, bench, matches, options.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
