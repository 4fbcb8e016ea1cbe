#!/usr/bin/env python3
"""PyTorch's times for what the benchmarks of the CUDA backend measure.

Writes JSON of Google Benchmark's form with names "<operation>/<precision>/<shape>/<who>", so that
the report pairs them with ours. The file is written anew after every measurement. Without PyTorch,
or without a GPU, it holds the reason. `--device cpu --tiny` tries everything on small shapes.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time

REPETITIONS = 5
REGION_SECONDS = 0.02
MOST_SEQUENCES = 65535  # PyTorch's attention kernels fail beyond


class Results:
    """Measurements so far, and their file."""

    def __init__(self, path):
        self.path = path
        self.data = {"context": {}, "benchmarks": []}

    def write(self):
        part = self.path + ".part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump(self.data, file, indent=1)
        os.replace(part, self.path)

    def add(self, name, **fields):
        self.data["benchmarks"].append({"name": name, "run_name": name, **fields})
        self.write()

    def skip(self, reason):
        print("skipped:", reason)
        self.data["context"]["skipped"] = reason
        self.write()


class Bench:
    """Times functions on the device, and records answers that are wrong."""

    def __init__(self, torch, device, results, tiny, warm_ups=3, repetitions=REPETITIONS,
                 region_seconds=REGION_SECONDS):
        self.torch = torch
        self.device = device
        self.results = results
        self.tiny = tiny
        self.warm_ups = warm_ups
        self.repetitions = repetitions
        self.region_seconds = region_seconds

    def synchronize(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def seconds(self, run, calls):
        if self.device != "cuda":
            start = time.perf_counter()
            for _ in range(calls):
                run()
            return time.perf_counter() - start
        start = self.torch.cuda.Event(enable_timing=True)
        stop = self.torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(calls):
            run()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1e3

    def time(self, name, prepare, check=None, **amounts):
        """prepare() -> run. check(run()) -> (relative error, allowed)."""
        torch = self.torch
        try:
            run = prepare()
            if check is not None:
                error, allowed = check(run())
                if not error <= allowed:
                    raise RuntimeError(f"the relative error is {error:.3g}, allowed {allowed:.3g}")
            for _ in range(self.warm_ups):
                run()
            self.synchronize()
            once = max(self.seconds(run, 1), 1e-7)
            calls = max(1, min(200, math.ceil(self.region_seconds / once)))
            times = [once] if calls == 1 else []
            while len(times) < self.repetitions:
                times.append(self.seconds(run, calls) / calls)
            mean = statistics.fmean(times)
            common = {"time_unit": "us", **amounts}
            self.results.add(name, aggregate_name="median",
                             real_time=statistics.median(times) * 1e6, **common)
            self.results.add(name, aggregate_name="cv",
                             real_time=statistics.pstdev(times) / mean, **common)
            print(f"{name:80s} {statistics.median(times) * 1e6:12.1f} us", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            message = f"{type(error).__name__}: {error}"[:400]
            self.results.add(name, error_occurred=True, error_message=message)
            print(f"{name:80s} {message}", flush=True)
        run = None
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def normal(self, *shape, dtype=None):
        x = self.torch.randn(*shape, device=self.device)
        return x if dtype is None else x.to(dtype)


def set_tf32(torch, allowed):
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def precisions(torch, tf32=True):
    """(name, storage, tf32 allowed)."""
    every = [("fp32", torch.float32, False), ("tf32", torch.float32, True),
             ("bf16", torch.bfloat16, False), ("fp16", torch.float16, False)]
    return [p for p in every if tf32 or p[0] != "tf32"]


TOLERANCE = {"fp32": 1e-4, "tf32": 2e-3, "fp16": 4e-3, "bf16": 3e-2}


def relative_error(a, b):
    a, b = a.double(), b.double()
    return float((a - b).norm() / b.norm())


# --- Attention ------------------------------------------------------------------------------------


def attention_in_pieces(functional, q, k, v):
    """SDPA on [sequences, heads, length, width], at most MOST_SEQUENCES at a time."""
    step = MOST_SEQUENCES // q.shape[1]
    if q.shape[0] <= step:
        return functional.scaled_dot_product_attention(q, k, v)
    import torch  # pylint: disable=import-outside-toplevel
    pieces = [functional.scaled_dot_product_attention(a, b, c)
              for a, b, c in zip(q.split(step), k.split(step), v.split(step))]
    return torch.cat(pieces)


def axial_core(functional, qkv, heads):
    """qkv: [b, t, h, w, 9 c] as ours; the three outputs [b, t, h, w, 3 c]. The permuted copies that
    SDPA needs are part of it."""
    import torch  # pylint: disable=import-outside-toplevel
    b, t, h, w, nine = qkv.shape
    c = nine // 9
    outputs = []
    for axis, parts in enumerate(qkv.split(3 * c, dim=-1)):
        moved = [p.movedim(3 - axis, 3) for p in parts.split(c, dim=-1)]
        outer = moved[0].shape[:3]
        length = moved[0].shape[3]
        packed = [m.reshape(-1, length, heads, c // heads).transpose(1, 2).contiguous()
                  for m in moved]
        out = attention_in_pieces(functional, *packed)
        out = out.transpose(1, 2).reshape(*outer, length, c).movedim(3, 3 - axis)
        outputs.append(out)
    return torch.cat(outputs, dim=-1).contiguous()


def axial_reference(torch, qkv, heads):
    """The definition in float64."""
    c = qkv.shape[-1] // 9
    outputs = []
    for axis, parts in enumerate(qkv.double().split(3 * c, dim=-1)):
        q, k, v = (p.movedim(3 - axis, 3).unflatten(-1, (heads, c // heads)).transpose(3, 4)
                   for p in parts.split(c, dim=-1))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(c // heads), dim=-1)
        out = (weights @ v).transpose(3, 4).flatten(-2)
        outputs.append(out.movedim(3, 3 - axis))
    return torch.cat(outputs, dim=-1)


def bench_axial(bench):
    torch, functional = bench.torch, bench.torch.nn.functional
    batch, channels, heads = (2, 16, 2) if bench.tiny else (64, 240, 2)
    for t, h, w in [(4, 8, 8), (4, 16, 16)]:
        for name, dtype, _ in precisions(torch, tf32=False):
            shape = f"{batch}x{t}x{h}x{w}x{channels}"
            tokens = batch * t * h * w
            size = torch.finfo(dtype).bits // 8
            qkv = bench.normal(batch, t, h, w, 9 * channels, dtype=dtype)
            d_o = bench.normal(batch, t, h, w, 3 * channels, dtype=dtype)
            reference = axial_reference(torch, qkv[:1], heads)

            def check(out):
                return relative_error(out[:1], reference), TOLERANCE[name]

            bench.time(f"axial_forward/{name}/{shape}/torch_sdpa",
                       lambda: lambda: axial_core(functional, qkv, heads), check,
                       bytes=12 * tokens * channels * size)

            def backward():
                leaf = qkv.clone().requires_grad_(True)
                out = axial_core(functional, leaf, heads)
                return lambda: torch.autograd.grad(out, leaf, d_o, retain_graph=True)[0]

            bench.time(f"axial_backward/{name}/{shape}/torch_sdpa", backward,
                       bytes=21 * tokens * channels * size)


def bench_attention(bench):
    torch, functional = bench.torch, bench.torch.nn.functional
    batch, heads, d_k = (2, 4, 16) if bench.tiny else (64, 4, 144)
    for tokens in [16] if bench.tiny else [256, 1024]:
        for causal in [True, False]:
            d_v = d_k if causal else (12 if bench.tiny else 60)
            for name, dtype, _ in precisions(torch, tf32=False):
                shape = f"{batch}x{tokens}x{heads}x{d_k}x{d_v}"
                operation = "attention_causal" if causal else "attention_cross"
                # As layers hold them: [batch, tokens, heads * width].
                rows = [bench.normal(batch, tokens, heads * d, dtype=dtype)
                        for d in (d_k, d_k, d_v)]
                d_o = bench.normal(batch, heads, tokens, d_v, dtype=dtype)

                def attend(inputs, causal=causal):
                    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in inputs)
                    return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

                bench.time(f"{operation}_forward/{name}/{shape}/torch_sdpa",
                           lambda: lambda: attend(rows))

                def backward():
                    leaves = [x.clone().requires_grad_(True) for x in rows]
                    out = attend(leaves)
                    return lambda: torch.autograd.grad(out, leaves, d_o, retain_graph=True)

                bench.time(f"{operation}_backward/{name}/{shape}/torch_sdpa", backward)


# --- Codebook -------------------------------------------------------------------------------------


def bench_codebook(bench):
    torch = bench.torch
    rows, dim, codes = (512, 16, 32) if bench.tiny else (262144, 256, 2048)
    shape = f"{rows}x{dim}x{codes}"
    mean = 4 * bench.normal(dim)
    embeddings = mean + 0.5 * bench.normal(codes, dim)
    choice = torch.randint(codes, (rows,), device=bench.device)
    z = embeddings[choice] + 0.5 * bench.normal(rows, dim)
    amounts = {"bytes": 4 * (rows * dim + codes * dim + rows), "flops": 2 * rows * dim * codes}

    def cdist():
        step = max(1, 2**28 // codes)  # a GiB of distances at a time
        return torch.cat([torch.cdist(part, embeddings).argmin(dim=1) for part in z.split(step)])

    def videogpt():
        distances = ((z**2).sum(dim=1, keepdim=True) - 2 * z @ embeddings.t()
                     + (embeddings.t()**2).sum(dim=0, keepdim=True))
        return distances.argmin(dim=1)

    for allowed, suffix in [(False, ""), (True, "_tf32")]:
        set_tf32(torch, allowed)
        bench.time(f"codebook_search/fp32/{shape}/torch_cdist_argmin{suffix}", lambda: cdist,
                   **amounts)
        bench.time(f"codebook_search/fp32/{shape}/torch_videogpt{suffix}", lambda: videogpt,
                   **amounts)
    set_tf32(torch, False)
    index = cdist()

    def update():  # VideoGPT's: one-hot, two products
        one_hot = torch.nn.functional.one_hot(index, codes).type_as(z)
        n = one_hot.sum(dim=0)
        sums = one_hot.t() @ z
        return 0.99 * n + 0.01 * n, 0.99 * embeddings + 0.01 * sums

    bench.time(f"codebook_update/fp32/{shape}/torch_one_hot", lambda: update)


# --- Convolutions, linear layers, pointwise -------------------------------------------------------


def same_pad(kernel, stride):
    """VideoGPT's: of kernel - stride zeros, the larger half first; last axis first."""
    pad = []
    for k, s in zip(kernel[::-1], stride[::-1]):
        total = k - s
        pad += [total // 2 + total % 2, total // 2]
    return pad


def bench_conv(bench):
    torch, functional = bench.torch, bench.torch.nn.functional
    batch = 1 if bench.tiny else 32
    shapes = [((16, 128, 128), 3, 240, 4, (2, 2, 2)), ((8, 64, 64), 240, 240, 4, (2, 2, 2)),
              ((4, 32, 32), 240, 240, 4, (1, 2, 2)), ((4, 16, 16), 240, 120, 3, (1, 1, 1)),
              ((4, 8, 8), 240, 120, 3, (1, 1, 1))]
    if bench.tiny:
        shapes = [((4, 8, 8), 4, 6, 4, (2, 2, 2))]
    for (t, h, w), c_in, c_out, kernel, stride in shapes:
        strides = "".join(map(str, stride))
        shape = f"{batch}x{t}x{h}x{w}x{c_in}_{c_out}_k{kernel}s{strides}"
        pad = same_pad((kernel,) * 3, stride)
        for name, dtype, tf32 in precisions(torch):
            set_tf32(torch, tf32)
            layout = {"memory_format": torch.channels_last_3d}
            x = bench.normal(batch, c_in, t, h, w, dtype=dtype).to(**layout)
            weight = bench.normal(c_out, c_in, *(kernel,) * 3, dtype=dtype).to(**layout)
            flops = 2 * batch * (t // stride[0]) * (h // stride[1]) * (w // stride[2]) * (
                weight.numel())

            def run(a, b, stride=stride, pad=pad):
                return functional.conv3d(functional.pad(a, pad), b, stride=stride)

            bench.time(f"conv3d_forward/{name}/{shape}/torch", lambda: lambda: run(x, weight),
                       flops=flops)
            for gradient in ["data", "weight"]:
                if gradient == "data" and c_in == 3:
                    continue

                def backward(gradient=gradient):
                    a = x.detach().requires_grad_(gradient == "data")
                    b = weight.detach().requires_grad_(gradient == "weight")
                    out = run(a, b)
                    dy = torch.randn_like(out)
                    leaf = a if gradient == "data" else b
                    return lambda: torch.autograd.grad(out, leaf, dy, retain_graph=True)

                bench.time(f"conv3d_{gradient}_gradient/{name}/{shape}/torch", backward,
                           flops=flops)
    set_tf32(torch, False)


def bench_linear(bench):
    torch, functional = bench.torch, bench.torch.nn.functional
    rows = 64 if bench.tiny else 65536
    for c_in, c_out in [(240, 2160), (720, 240), (576, 1728), (576, 2304), (576, 2048)]:
        for name, dtype, tf32 in precisions(torch):
            set_tf32(torch, tf32)
            shape = f"{rows}x{c_in}_{c_out}"
            x = bench.normal(rows, c_in, dtype=dtype)
            weight = bench.normal(c_out, c_in, dtype=dtype)
            bias = bench.normal(c_out, dtype=dtype)
            dy = bench.normal(rows, c_out, dtype=dtype)
            flops = 2 * rows * c_in * c_out
            bench.time(f"linear_forward/{name}/{shape}/torch",
                       lambda: lambda: functional.linear(x, weight, bias), flops=flops)
            bench.time(f"linear_weight_gradient/{name}/{shape}/torch",
                       lambda: lambda: (dy.t() @ x, dy.sum(dim=0)), flops=flops)
    set_tf32(torch, False)


def bench_pointwise(bench):
    torch, functional = bench.torch, bench.torch.nn.functional
    rows = 64 if bench.tiny else 65536
    for name, dtype, _ in precisions(torch, tf32=False):
        x = bench.normal(rows, 576, dtype=dtype)
        gain, bias = bench.normal(576, dtype=dtype), bench.normal(576, dtype=dtype)
        shape = f"{rows}x576"
        bench.time(f"layer_norm_forward/{name}/{shape}/torch",
                   lambda: lambda: functional.layer_norm(x, (576,), gain, bias))

        def norm_backward():
            leaves = [x.clone().requires_grad_(), gain.clone().requires_grad_(),
                      bias.clone().requires_grad_()]
            out = functional.layer_norm(leaves[0], (576,), leaves[1], leaves[2])
            return lambda: torch.autograd.grad(out, leaves, x, retain_graph=True)

        bench.time(f"layer_norm_backward/{name}/{shape}/torch", norm_backward)
        bench.time(f"gelu2/{name}/{shape}/torch", lambda: lambda: x * torch.sigmoid(1.702 * x))
        bench.time(f"dropout/{name}/{shape}/torch", lambda: lambda: functional.dropout(x, 0.2))
        y = bench.normal(rows, 240, dtype=dtype)
        scale = torch.ones(240, device=bench.device)
        bench.time(f"batch_norm_relu_forward/{name}/{rows}x240/torch",
                   lambda: lambda: functional.batch_norm(y, None, None, scale, scale,
                                                         training=True).relu())

        def batch_norm_backward():
            leaf = y.clone().requires_grad_()
            out = functional.batch_norm(leaf, None, None, scale, scale, training=True).relu()
            return lambda: torch.autograd.grad(out, leaf, y, retain_graph=True)

        bench.time(f"batch_norm_relu_backward/{name}/{rows}x240/torch", batch_norm_backward)
        logits = bench.normal(rows, 2048, dtype=dtype)
        target = torch.arange(rows, device=bench.device) % 2048

        def cross_entropy():
            leaf = logits.clone().requires_grad_()
            return lambda: torch.autograd.grad(functional.cross_entropy(leaf, target), leaf)

        bench.time(f"cross_entropy/{name}/{rows}x2048/torch", cross_entropy)
    count = 1000 if bench.tiny else 41852832

    def adam():
        parameter = bench.normal(count).requires_grad_()
        parameter.grad = bench.normal(count)
        optimizer = torch.optim.Adam([parameter], fused=True) if bench.device == "cuda" else (
            torch.optim.Adam([parameter]))
        return optimizer.step

    bench.time(f"adam/fp32/{count}/torch_fused", adam)


# --- Training steps -------------------------------------------------------------------------------


def bench_training_eager(bench):
    bench_training(bench, "torch_eager")


def bench_training_compiled(bench):
    bench_training(bench, "torch_compiled")


def bench_training(bench, who):
    from videogpt_public import load_models  # pylint: disable=import-outside-toplevel

    torch = bench.torch
    vqvaes, gpts, bench.results.data["context"]["videogpt"] = load_models()
    if who == "torch_compiled" and not hasattr(torch, "compile"):
        return
    batch = 1 if bench.tiny else 32
    for operation, models in [("gpt_step", gpts), ("vqvae_step", vqvaes)]:
        for preset, make in models.items():
            if bench.tiny != (preset == "tiny"):
                continue
            for name, dtype, tf32 in precisions(torch):
                set_tf32(torch, tf32)

                def prepare(dtype=dtype, make=make):
                    return training_step(torch, bench.device, make, batch, dtype,
                                         who == "torch_compiled")

                bench.time(f"{operation}/{name}/{preset}_batch{batch}/{who}", prepare,
                           lambda loss: (0 if math.isfinite(float(loss)) else math.inf, 0))
    set_tf32(torch, False)


def make_adam(torch, parameters):
    """Fused into one pass where this PyTorch has that for the device."""
    parameters = list(parameters)
    try:
        return torch.optim.Adam(parameters, lr=1e-4, fused=True)
    except (RuntimeError, TypeError):
        return torch.optim.Adam(parameters, lr=1e-4)


def training_step(torch, device, make, batch, dtype, compiled):
    """A step as PyTorch users write it: autocast for 16 bits, a gradient scaler for float16."""
    torch.manual_seed(0)
    model, inputs = make(batch, device)
    model.train()
    optimizer = make_adam(torch, model.parameters())
    forward = torch.compile(model) if compiled else model
    scaler = torch.cuda.amp.GradScaler(enabled=dtype == torch.float16 and device == "cuda")
    autocast = dtype != torch.float32

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=dtype if autocast else torch.bfloat16, enabled=autocast):
            loss = forward(*inputs)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the program")
    parser.add_argument("--only", default="", help="of the benchmarks, those with this in the name")
    options = parser.parse_args()
    results = Results(options.out)
    try:
        import torch  # pylint: disable=import-outside-toplevel
    except ImportError as error:
        results.skip(f"PyTorch is not there: {error}")
        return 0
    if options.device == "cuda" and not torch.cuda.is_available():
        results.skip("PyTorch finds no GPU")
        return 0
    results.data["context"]["torch"] = torch.__version__
    results.data["context"]["cudnn"] = str(torch.backends.cudnn.version())
    results.write()
    torch.manual_seed(0)
    set_tf32(torch, False)
    bench = Bench(torch, options.device, results, options.tiny)
    # In the order of interest: time may run out. Compiling takes a minute a model.
    for part in [bench_axial, bench_codebook, bench_attention, bench_training_eager, bench_pointwise,
                 bench_conv, bench_linear, bench_training_compiled]:
        if options.only in part.__name__:
            part(bench)
    return 0


if __name__ == "__main__":
    sys.exit(main())
