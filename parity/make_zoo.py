"""Makes `zoo/`: what every builder computes in PyTorch at a small width, in f64 from f32 initial values, and the tensors of the full-size models.

Initial values and images are not stored: they are hashes of (seed, tensor, element), which `__test__/zoo-parity.spec.ts` computes too. A sign that falls
differently in f32 would hide or fake an error, so the script tries seeds until nothing that is binarised, rectified or masked comes close to where it
jumps, in the evaluation and in every step, and until the same run in f32 stays close to that in f64.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from make_training_run import evaluate
from zoo_models import BUILDERS, TooClose, latents, margins, state

STEPS = 3
MEAN, STD = [0.5, 0.4375, 0.375], [0.25, 0.3125, 0.25]
# The closest that an activation may come to a jump; f32 moves one by about 1e-6.
ACTIVATION_MARGIN = 1e-5
# The same for a latent weight or a gate, which f32 moves by about 1e-8 a step.
WEIGHT_MARGIN = 1e-6
# How far whoever compares may be off: of a loss; of the largest logit or feature; of the largest element of a gradient or of a change by the steps.
TOLERANCE = {"loss": 1e-4, "output": 1e-4, "tensor": 1e-3}
# How much of that the run in f32 may use up.
DRIFT = 0.2
# Of a tensor of more elements than WHOLE, so many elements are stored, and its products with so many vectors of ±1.
WHOLE, PLACES, PROJECTIONS = 256, 128, 4


# Hashes


def mix(x):
    """MurmurHash3's finalizer, on arrays of uint32."""
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x85EBCA6B)
    x = x ^ (x >> np.uint32(13))
    x = x * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def hashes(seed, tensor, count, draw):
    """One uint32 for each of `count` elements of a tensor; draws are independent of each other."""
    start = mix(mix(np.array([seed], np.uint32)) + np.uint32(tensor))
    return mix(mix(start + np.arange(count, dtype=np.uint32)) + np.uint32(draw))


def uniform(*key):
    """Numbers in [0, 1) of 24 bits."""
    return (hashes(*key) >> np.uint32(8)) * 2.0**-24


MAGNITUDE, SIGN, TAIL, PLACE, PROJECTION = range(5)


def fill(seed, tensor, count, rule):
    """U(low, high), times −1 with some probability; a rare element is tiny, so that steps change its sign, or large, so that it lies beyond 1."""
    low, high, negative, tail = rule
    values = low + (high - low) * uniform(seed, tensor, count, MAGNITUDE)
    values = np.where(uniform(seed, tensor, count, SIGN) < negative, -values, values)
    if tail > 0:
        u = uniform(seed, tensor, count, TAIL)
        values = np.where(u < tail, values / 64, np.where(u >= 1 - tail, values * 16, values))
    return values.astype(np.float32)


def places(seed, tensor, count):
    return hashes(seed, tensor, PLACES, PLACE) % np.uint32(count)


def projections(seed, tensor, values):
    bits = hashes(seed, tensor, values.size, PROJECTION)
    return [float(np.where(bits >> np.uint32(p) & np.uint32(1), -values, values).sum()) for p in range(PROJECTIONS)]


# Fixtures

REID_LOSS = [[1, {"batchHardTriplet": {"margin": 0.3}}], [1, {"crossEntropy": {"labelSmoothing": 0.1}}]]
# Of each: builder, its options beside classes and width, height and width of the images, and what else differs from the rest.
SMALL, TALL = (16, 16), (64, 32)
FIXTURES = {
    "binary": ("binaryResnet18", {"stem": "small"}, SMALL, {"channels": 1}),
    "binary-imagenet": (
        "binaryResnet18", {"stem": "imagenet", "fcDims": [24], "zeroInitResidual": True}, TALL, {}),
    "binary-wide": ("binaryResnet18", {"stem": "small", "width": 16, "fcDims": [20, 12]}, SMALL, {"lr": 0.005}),
    "squeeze-1": ("parallelResnet18WithSqueeze", {"stem": "small", "zeroInitResidual": True}, SMALL, {}),
    "squeeze-2-plain": (
        "parallelResnet18WithSqueeze", {"stem": "small", "parallel": 2, "multiplication": False}, SMALL, {}),
    "squeeze-3-dropout": (
        "parallelResnet18WithSqueeze",
        {"stem": "imagenet", "parallel": 3, "fcDims": [24, 12], "dropout": 0.5}, TALL, {"evaluate_only": True}),
    "no-squeeze-1-plain": ("parallelResnet18NoSqueeze", {"stem": "small", "multiplication": False}, SMALL, {}),
    "no-squeeze-3": ("parallelResnet18NoSqueeze", {"stem": "small", "parallel": 3}, SMALL, {}),
    "fusion-gate-1": ("parallelResnet18WithFusionGate", {"stem": "small"}, SMALL, {}),
    "fusion-gate-2-last": (
        "parallelResnet18WithFusionGate", {"stem": "small", "parallel": 2, "gate": "last"}, SMALL, {}),
    "fusion-gate-2-plain": (
        "parallelResnet18WithFusionGate",
        {"stem": "imagenet", "parallel": 2, "multiplication": False, "zeroInitResidual": True}, TALL, {}),
    "fusion-gate-3": ("parallelResnet18WithFusionGate", {"stem": "small", "parallel": 3, "gate": "own"}, SMALL, {}),
    "reid-binary": (
        "reidBinaryResnet18", {"stem": "small"}, (24, 12),
        {"loss": [[1, {"crossEntropy": {"labelSmoothing": 0.1}}]]}),
    "reid-squeeze-2-plain": (
        "reidParallelResnet18WithSqueeze", {"stem": "small", "parallel": 2, "multiplication": False}, (24, 12), {}),
    "reid-no-squeeze-2-dropout": (
        "reidParallelResnet18NoSqueeze",
        {"stem": "imagenet", "parallel": 2, "fcDims": [16], "dropout": 0.25}, TALL, {"evaluate_only": True}),
    "reid-fusion-gate-2-triplet": (
        "reidParallelResnet18WithFusionGate",
        {"stem": "small", "parallel": 2}, SMALL, {"loss": REID_LOSS, "batch": 6, "identities": 2}),
    "reid-fusion-gate-fc-2": (
        "reidParallelResnet18WithFusionGateFc", {"stem": "imagenet", "parallel": 2, "gate": "last"}, TALL,
        {"loss": [[1, {"crossEntropy": {"labelSmoothing": 0.1}}]]}),
    "group-net-1": ("groupNetResnet18", {"stem": "small", "parallel": 1}, SMALL, {}),
    "group-net-3": ("groupNetResnet18", {"stem": "small", "parallel": 3}, SMALL, {}),
    "group-net-2-imagenet": (
        "groupNetResnet18",
        {"stem": "imagenet", "parallel": 2, "gate": False, "zeroInitResidual": True}, TALL, {}),
    "group-net-2-scaled-per-base": (
        "groupNetResnet18",
        {"stem": "small", "parallel": 2, "gate": "per-base", "merge": "scaled", "downsample": "float"}, (18, 18), {}),
    "group-net-2-two-blocks": (
        "groupNetResnet18", {"stem": "small", "parallel": 2, "span": "two-blocks"}, SMALL, {}),
    "group-net-3-two-blocks-scaled": (
        "groupNetResnet18",
        {"stem": "imagenet", "parallel": 3, "span": "two-blocks", "gate": "per-base", "merge": "scaled"}, TALL, {}),
    "group-net-2-network": (
        "groupNetResnet18", {"stem": "small", "parallel": 2, "span": "network", "padValue": 0}, SMALL, {}),
    "group-net-2-network-scaled": (
        "groupNetResnet18", {"stem": "small", "parallel": 2, "span": "network", "merge": "scaled"}, SMALL, {}),
    "group-net-2-layer": ("groupNetResnet18", {"stem": "small", "parallel": 2, "span": "layer"}, SMALL, {}),
    "group-net-2-layer-scaled": (
        "groupNetResnet18",
        {"stem": "small", "parallel": 2, "span": "layer", "merge": "scaled", "downsample": "float"}, SMALL, {}),
    "group-net-34": ("groupNetResnet34", {"stem": "small", "parallel": 1}, (10, 10), {"lr": 0.005}),
    "bi-real": ("biRealResnet18", {"stem": "small", "zeroInitResidual": True}, (18, 18), {}),
    "bi-real-imagenet": ("biRealResnet18", {"stem": "imagenet", "padValue": 1}, TALL, {}),
    "react-net": (
        "reactNetResnet18", {"stem": "imagenet", "padValue": 1, "zeroInitResidual": True}, TALL, {}),
    "xnor": ("xnorResnet18", {"stem": "imagenet", "padValue": 1}, TALL, {"lr": 0.3}),
    "float": ("resnet18", {"stem": "imagenet", "zeroInitResidual": True}, TALL, {}),
}  # fmt: skip


def describe(builder, options, size, *, channels=3, batch=4, identities=None, loss=None, lr=0.02, evaluate_only=False):
    """What whoever compares must know of a fixture, but for its seed."""
    return {
        "builder": builder,
        "options": {"classes": identities or 5, "width": 8, **options},
        "height": size[0],
        "width": size[1],
        "channels": channels,
        "mean": MEAN[:channels],
        "std": STD[:channels],
        "batch": batch,
        "steps": 0 if evaluate_only else STEPS,
        "loss": loss or [[1, {"crossEntropy": {"labelSmoothing": 0}}]],
        "sgd": {"lr": lr, "momentum": 0.9, "weightDecay": 1e-2, "clamp": 1.0},
        "tolerance": TOLERANCE,
    }


def make(builder, options, channels):
    return BUILDERS[builder](channels=channels, **options)


def rule(path, shape, binary, options):
    """How a tensor is filled: low, high, probability of a negative sign, probability of each tail."""
    name = path.rsplit(".", 1)[-1]
    if path == "layer1.0.C_s.0":
        return [0, 0, 0, 0]
    if path == "layer1.1.C_s.1":
        return [1, 1, 0, 0]
    if path in binary:
        # As large as makes the sums of so many terms about 1.
        size = (2 / np.prod(shape[1:])) ** 0.5
        return [round(0.25 * size, 4), round(1.75 * size, 4), 0.5, 1 / 2048]
    if len(shape) > 1:
        bound = round((3 / np.prod(shape[1:])) ** 0.5, 4)
        return [-bound, bound, 0, 0]
    if name == "weight":
        return [0.5, 1.5, 0.2, 0]
    if name == "running_var":
        return [0.5, 1.5, 0, 0]
    if name == "slope":
        return [0.1, 0.5, 0.2, 0]
    if name == "gate":
        return [-2, 2, 0, 0]
    if options.get("merge") == "scaled" and "lambdas" in path:
        # About a mean of the bases: their shortcuts are scaled too, one block after the other.
        mean = round(1 / options["parallel"], 4)
        return [mean - 0.75, mean + 0.75, 0, 0]
    if "C_s" in path or "lambdas" in path:
        return [-0.5, 1.5, 0, 0]
    return [-0.5, 0.5, 0, 0]


def tensor_list(description):
    """Path, shape, kind, the number with which the tensor starts (None where it is random) and its rule, in the order of paths."""
    nets = []
    for seed in range(2):
        torch.manual_seed(seed)
        nets.append(make(description["builder"], description["options"], description["channels"]))
    binary, parameters = latents(nets[0]), dict(nets[0].named_parameters())
    tensors = []
    for (path, a), b in zip(state(nets[0]).items(), state(nets[1]).values()):
        kind = "latent" if path in binary else "parameter" if path in parameters else "statistic"
        constant = a.flatten()[0].item() if bool((a == b).all()) and bool((a == a.flatten()[0]).all()) else None
        tensors.append([path, list(a.shape), kind, constant, rule(path, list(a.shape), binary, description["options"])])
    return tensors


# Runs


def cross_entropy(outputs, label, labelSmoothing):
    return F.cross_entropy(outputs[0], label, label_smoothing=labelSmoothing)


def batch_hard_triplet(outputs, label, margin):
    """The mean over the batch of max(0, farthest of the same label − nearest of another + margin)."""
    x = outputs[1]
    distance = (x[:, None] - x[None]).square().sum(2).clamp(min=1e-12).sqrt()
    same = label[:, None] == label[None]
    positive = torch.where(same, distance, -torch.inf)
    negative = torch.where(same, torch.inf, distance)
    for near in (positive, -negative):
        first, second = near.detach().topk(2, dim=1).values.unbind(1)
        margins.see("activation", (first - second) / 10)
    hinge = positive.max(1).values - negative.min(1).values + margin
    margins.see("activation", hinge / 10)
    return hinge.clamp(min=0).mean()


LOSSES = {"crossEntropy": cross_entropy, "batchHardTriplet": batch_hard_triplet}


def loss_of(description, outputs, label):
    total = 0
    for weight, part in description["loss"]:
        ((name, options),) = part.items()
        total = total + weight * LOSSES[name](outputs, label, **options)
    return total


def inputs(description, seed):
    """The images `[steps, batch, channels, height, width]`, hashed as `[…, height, width, channels]`, and labels `[steps, batch]`."""
    steps, batch, classes = max(1, description["steps"]), description["batch"], description["options"]["classes"]
    shape = (steps, batch, description["height"], description["width"], description["channels"])
    images = (hashes(seed, 0, int(np.prod(shape)), MAGNITUDE) & np.uint32(255)).astype(np.float64).reshape(shape)
    labels = [[(3 * step + n) % classes for n in range(batch)] for step in range(steps)]
    return torch.from_numpy(images).permute(0, 1, 4, 2, 3), labels


def run(description, tensors, seed, dtype):
    """All that is compared, as arrays in f64; raises TooClose."""
    margins.activation, margins.weight = (ACTIVATION_MARGIN, WEIGHT_MARGIN) if dtype == torch.float64 else (None, None)
    mean, std = (torch.tensor(description[name], dtype=dtype).view(1, -1, 1, 1) for name in ("mean", "std"))
    images, labels = inputs(description, seed)
    images = images.to(dtype)
    net = make(description["builder"], description["options"], description["channels"]).to(dtype)
    values = state(net)
    initial = {}
    for number, (path, shape, _, _, rule) in enumerate(tensors, 1):
        initial[path] = fill(seed, number, int(np.prod(shape)), rule).reshape(shape)
        values[path].copy_(torch.from_numpy(initial[path]))
    logits, features = evaluate(net, images[0], mean, std)
    result = {"outputs": {"logits": logits.double().numpy(), "features": features.double().numpy()}}

    net.train()
    sgd, binary = description["sgd"], latents(net)
    parameters = dict(net.named_parameters())
    groups = [
        {"params": list(binary.values()), "weight_decay": 0},
        {"params": [p for path, p in parameters.items() if path not in binary], "weight_decay": sgd["weightDecay"]},
    ]
    optimizer = torch.optim.SGD([g for g in groups if g["params"]], lr=sgd["lr"], momentum=sgd["momentum"])
    losses = []
    for step in range(description["steps"]):
        optimizer.zero_grad()
        loss = loss_of(description, net((images[step] / 255 - mean) / std), torch.tensor(labels[step]))
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            # What is not used, a gate of one base, has none.
            gradients = {path: torch.zeros_like(p) if p.grad is None else p.grad for path, p in parameters.items()}
            result["gradient"] = {path: g.double().numpy().copy() for path, g in gradients.items()}
        optimizer.step()
        with torch.no_grad():
            for w in binary.values():
                w.clamp_(-sgd["clamp"], sgd["clamp"])
    result["losses"] = np.array(losses)
    if losses:
        final = {path: t.detach().double().numpy().copy() for path, t in state(net).items()}
        result["moved"] = {path: final[path] - initial[path] for path in final}
        result["flipped"] = {path: np.flatnonzero((initial[path] < 0) != (final[path] < 0)) for path in sorted(binary)}
        result["initial"] = initial
        for path in binary:
            margins.see("weight", torch.from_numpy(final[path]))
    return result


def yardsticks(tensors, path):
    """What errors of a tensor are measured by. A bias that a norm takes away again has no gradient but rounding, which goes by the weight beside it."""
    beside = path.removesuffix("bias") + "weight"
    return [tensors[path], tensors[beside]] if path.endswith(".bias") and beside in tensors else [tensors[path]]


def scale(tensors, path):
    return max(np.abs(t).max() for t in yardsticks(tensors, path))


def norm(tensors, path):
    return max(np.linalg.norm(t) for t in yardsticks(tensors, path))


def drift(result, single):
    """By how much of the tolerance a run in f32 differs from that in f64, at the worst place, and where."""
    worst = [(0.0, "")]
    for name, expected in result["outputs"].items():
        error = np.abs(single["outputs"][name] - expected).max() / np.abs(expected).max()
        worst.append((error / TOLERANCE["output"], name))
    if len(result["losses"]):
        worst.append((np.abs(single["losses"] - result["losses"]).max() / TOLERANCE["loss"], "loss"))
        for kind in ("gradient", "moved"):
            for path, expected in result[kind].items():
                allowed = TOLERANCE["tensor"] * scale(result[kind], path)
                if kind == "moved":
                    # What rounding the weights costs.
                    allowed += 2.0**-22 * np.abs(result["initial"][path]).max()
                error = np.abs(single[kind][path] - expected).max()
                worst.append((error / allowed if allowed else error * np.inf if error else 0, f"{kind} of {path}"))
        same = all((single["flipped"][path] == places).all() if len(single["flipped"][path]) == len(places) else False
                   for path, places in result["flipped"].items())  # fmt: skip
        worst.append((0.0 if same else np.inf, "signs"))
    return max(worst)


def find(name, description, tensors):
    """The first seed with which nothing comes close to a jump, and f32 goes the same way."""
    seed, close = 0, 0
    while True:
        seed += 1
        try:
            result = run(description, tensors, seed, torch.float64)
        except TooClose:
            close += 1
            continue
        amount, where = drift(result, run(description, tensors, seed, torch.float32))
        print(f"{name}: seed {seed} uses {amount:.3f} of the tolerance at {where}", flush=True)
        if amount <= DRIFT:
            return seed, result


# Files


def sample(description, tensors, values, seed):
    """Of tensors their elements, or some of them; and of each what to measure errors by, its norm, and its products with ±1."""
    samples, sums = [], []
    for number, (path, *_) in enumerate(tensors, 1):
        if path not in values:
            continue
        flat = values[path].reshape(-1)
        samples.append(flat if flat.size <= WHOLE else flat[places(seed, number, flat.size)])
        sums.append([scale(values, path), norm(values, path), *projections(seed, number, flat)])
    return np.concatenate(samples).astype(np.float32), np.array(sums)


def arrays(description, tensors, seed, result):
    out = {name: values.astype(np.float32) for name, values in result["outputs"].items()}
    if description["steps"]:
        out["losses"] = result["losses"]
        out["gradient"], out["gradient_sums"] = sample(description, tensors, result["gradient"], seed)
        out["moved"], out["moved_sums"] = sample(description, tensors, result["moved"], seed)
        flipped = list(result["flipped"].values())
        out["flipped"] = np.concatenate([[], *flipped]).astype(np.uint32)
        out["flipped_counts"] = np.array([len(places) for places in flipped], np.uint32)
    return out


TYPES = {np.dtype(np.float64): "F64", np.dtype(np.float32): "F32", np.dtype(np.uint32): "U32"}


def write_safetensors(path, tensors, metadata):
    header, body = {"__metadata__": metadata}, b""
    # Large elements first, so that all stand aligned.
    for name, t in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        data = np.ascontiguousarray(t).tobytes()
        header[name] = {"dtype": TYPES[t.dtype], "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def make_fixture(folder, name):
    builder, options, size, others = FIXTURES[name]
    description = describe(builder, options, size, **others)
    tensors = tensor_list(description)
    seed, result = find(name, description, tensors)
    rules = sorted({tuple(rule) for *_, rule in tensors})
    description |= {
        "seed": seed,
        "labels": inputs(description, seed)[1],
        "rules": rules,
        "tensors": [[*rest, rules.index(tuple(rule))] for *rest, rule in tensors],
        "torch": torch.__version__.split("+")[0],
    }
    text = json.dumps(description, separators=(",", ":"))
    write_safetensors(folder / f"{name}.safetensors", arrays(description, tensors, seed, result), {"fixture": text})
    if description["steps"]:
        binary = [path for path, _, kind, *_ in tensors if kind == "latent"]
        flipped = sum(len(result["flipped"][path]) for path in binary)
        clamped = sum(int((np.abs(result["initial"][p] + result["moved"][p]) == 1).sum()) for p in binary)
        print(f"{name}: {flipped} flipped, {clamped} clamped; losses {result['losses'].round(4)}", flush=True)


# Full size

FULL_SIZE = [
    ("binaryResnet18", {}),
    *((builder, {"parallel": bases})
      for builder in ("parallelResnet18WithSqueeze", "parallelResnet18NoSqueeze", "parallelResnet18WithFusionGate")
      for bases in (1, 4, 5, 8)),
    ("reidBinaryResnet18", {"classes": 751}),
    *((f"reidParallelResnet18{kind}", {"classes": 751, "parallel": 4})
      for kind in ("WithSqueeze", "NoSqueeze", "WithFusionGate", "WithFusionGateFc")),
    *(("groupNetResnet18", {"parallel": bases}) for bases in (1, 4, 5, 8)),
    ("groupNetResnet18", {"parallel": 5, "downsample": "float", "merge": "scaled", "gate": "per-base"}),
    ("groupNetResnet34", {"parallel": 5}),
    ("biRealResnet18", {}),
    ("reactNetResnet18", {}),
    ("xnorResnet18", {}),
    ("resnet18", {}),
    ("resnet34", {}),
]  # fmt: skip


def full_size():
    """Of each model how many numbers it learns, how many of them binary, and a hash of the paths, shapes and kinds of all its tensors."""
    for builder, options in FULL_SIZE:
        with torch.device("meta"):
            net = make(builder, options, 3)
        binary, parameters = latents(net), dict(net.named_parameters())
        kind = lambda path: "latent" if path in binary else "parameter" if path in parameters else "statistic"
        lines = [f"{path} {'×'.join(map(str, t.shape))} {kind(path)}\n" for path, t in state(net).items()]
        yield {
            "builder": builder,
            "options": options,
            "parameters": sum(p.numel() for p in parameters.values()),
            "binary": sum(w.numel() for w in binary.values()),
            "tensors": len(lines),
            "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
        }


def main():
    torch.set_num_threads(1)
    folder = Path(__file__).parent / "zoo"
    names = sys.argv[1:] or [*FIXTURES, "full-size"]
    for name in names:
        if name == "full-size":
            (folder / "full-size.json").write_text(json.dumps(list(full_size()), indent=2) + "\n")
        else:
            make_fixture(folder, name)


if __name__ == "__main__":
    main()
