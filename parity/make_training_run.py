"""Makes the fixtures beside it: ten training steps of small binary networks in PyTorch, computed in f64 from f32 initial values.

Everything is written from the definitions of the networks, none of it from the library. A sign that falls differently in f32 would hide or fake an
error, so the script tries seeds until nothing that is binarised, rectified or clipped comes close to where it jumps, in any step, and until the same
run in f32 stays close to that in f64.
"""

import json
import math
import struct
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

STEPS, BATCH = 10, 4
LR, MOMENTUM, WEIGHT_DECAY, CLAMP = 0.02, 0.9, 1e-2, 1.0
# The closest that an activation may come to a jump; f32 moves one by about 1e-6.
ACTIVATION_MARGIN = 2e-5
# The same for latent weights, which f32 moves by about 1e-8 a step.
WEIGHT_MARGIN = 2e-6
# How far the run in f32 may go from that in f64: its losses, and its tensors as a part of their largest element.
LOSS_DRIFT, TENSOR_DRIFT = 1e-5, 1e-4


class Margins:
    """The smallest distances from a jump that were seen."""

    def __init__(self):
        self.activation = self.weight = math.inf

    def see(self, kind, distance):
        setattr(self, kind, min(getattr(self, kind), distance.abs().min().item()))

    def wide(self):
        return self.activation >= ACTIVATION_MARGIN and self.weight >= WEIGHT_MARGIN


MARGINS = Margins()


def polynomial(x):
    """The slope of Bi-Real Net's approximation: 2 − 2|x| where |x| ≤ 1, else 0."""
    return (2 - 2 * x.abs()).clamp(min=0)


def box(x):
    """The slope of hardtanh: 1 where |x| ≤ 1, else 0."""
    MARGINS.see("activation", x.detach().abs() - 1)
    return (x.abs() <= 1).to(x.dtype)


class Code(torch.autograd.Function):
    """Given numbers, with a given slope towards x."""

    @staticmethod
    def forward(ctx, x, code, slope):
        ctx.save_for_backward(slope)
        return code

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0], None, None


def step(slope):
    """Codes 0 and 1 of what comes out of a ReLU; the ReLU watches the margin."""
    return lambda x: Code.apply(x, (x > 0).to(x.dtype), slope(x.detach()))


def sign(slope):
    """Codes −1 and +1; sign(0) = +1."""

    def codes(x):
        MARGINS.see("activation", x.detach())
        return Code.apply(x, torch.where(x < 0, -1.0, 1.0).to(x.dtype), slope(x.detach()))

    return codes


class Relu(nn.Module):
    def forward(self, x):
        MARGINS.see("activation", x.detach())
        return F.relu(x)


class BinaryConv(nn.Module):
    """codes(x) ∗ α·sign(w): α = mean |w| of the tensor or of each output channel, through which no gradient passes."""

    def __init__(self, cin, cout, stride, codes, channel_scale, clip, pad_value):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, cin, 3, 3))
        self.stride, self.codes, self.channel_scale, self.clip, self.pad_value = (
            stride, codes, channel_scale, clip, pad_value)  # fmt: skip

    def forward(self, x):
        w = self.weight.detach()
        MARGINS.see("weight", w)
        if self.clip:
            # A clamped weight lies at 1 exactly, on both sides.
            MARGINS.see("weight", w.abs()[w.abs() != CLAMP] - 1)
        alpha = w.abs().mean((1, 2, 3), keepdim=True) if self.channel_scale else w.abs().mean()
        quantized = alpha * torch.where(w < 0, -1.0, 1.0).to(w.dtype)
        passes = (w.abs() <= 1).to(w.dtype) if self.clip else torch.ones_like(w)
        padded = F.pad(self.codes(x), (1, 1, 1, 1), value=self.pad_value)
        return F.conv2d(padded, Code.apply(self.weight, quantized, passes), stride=self.stride)


class PlainBlock(nn.Module):
    """conv, norm, relu, conv, norm, + shortcut, relu; codes 0 and 1, one α a convolution."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        options = {"codes": step(polynomial), "channel_scale": False, "clip": False, "pad_value": 0}
        self.conv1, self.bn1 = BinaryConv(cin, cout, stride, **options), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = BinaryConv(cout, cout, 1, **options), nn.BatchNorm2d(cout)
        self.relu, self.downsample = Relu(), None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class BiRealBlock(nn.Module):
    """For each convolution: sign, conv, norm, + shortcut; one α a channel."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        options = {"codes": sign(polynomial), "channel_scale": True, "clip": True, "pad_value": 0}
        self.conv1, self.bn1 = BinaryConv(cin, cout, stride, **options), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = BinaryConv(cout, cout, 1, **options), nn.BatchNorm2d(cout)
        self.downsample = None
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(cin, cout, 1, bias=False), nn.BatchNorm2d(cout))  # fmt: skip

    def forward(self, x):
        h = self.bn1(self.conv1(x)) + (x if self.downsample is None else self.downsample(x))
        return self.bn2(self.conv2(h)) + h


class ResNet18(nn.Module):
    """The small stem, four layers of two blocks, the mean over the image, one linear layer."""

    def __init__(self, channels, width, block, relu, head):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.relu, self.head = Relu() if relu else nn.Identity(), head
        cin = width
        for layer in range(4):
            cout = width << layer
            blocks = block(cin, cout, 1 if layer == 0 else 2), block(cout, cout, 1)
            setattr(self, f"layer{layer + 1}", nn.Sequential(*blocks))
            cin = cout
        setattr(self, head, nn.Linear(cin, 10))

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return getattr(self, self.head)(x.mean((2, 3)))


class OnePadding(nn.Module):
    """One binary convolution in ones: hardtanh's slope, stride 2."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 5, 3, 1, 1, bias=False), nn.BatchNorm2d(5)
        self.conv2 = BinaryConv(5, 7, 2, sign(box), channel_scale=False, clip=False, pad_value=1)
        self.bn2, self.fc = nn.BatchNorm2d(7), nn.Linear(7, 10)

    def forward(self, x):
        # The square lets the classifier see more than the means that a norm has taken away.
        y = self.bn2(self.conv2(self.bn1(self.conv1(x))))
        return self.fc((y * y).mean((2, 3)))


# Each as: the network, the image's height and width, and its channels' mean and standard deviation.
RUNS = {
    "binary-resnet18": (
        lambda: ResNet18(1, 2, PlainBlock, relu=True, head="classifier"), (12, 16), [0.1307], [0.3081]),
    "bi-real-resnet18": (
        lambda: ResNet18(3, 2, BiRealBlock, relu=False, head="fc"), (16, 16), [0.49, 0.48, 0.45], [0.25, 0.24, 0.26]),
    "one-padding": (OnePadding, (9, 8), [0.5, 0.4], [0.3, 0.2]),
}  # fmt: skip


def latents(net):
    return {f"{path}.weight": m.weight for path, m in net.named_modules() if isinstance(m, BinaryConv)}


def initialize(net):
    """Numbers that take nothing for granted: norms away from 1 and 0, some of γ negative, some latents beyond the clamp."""
    binary = latents(net)
    with torch.no_grad():
        for path, p in net.named_parameters():
            if path in binary:
                p.normal_(0, 0.5)
            elif p.dim() > 1:
                p.normal_(0, 0.4)
            elif path.endswith("weight"):
                p.uniform_(0.5, 1.5).mul_(torch.where(torch.rand(p.shape) < 0.2, -1.0, 1.0))
            else:
                p.uniform_(-0.5, 0.5)


def state(net):
    return {path: t.float().clone() for path, t in net.state_dict().items() if not path.endswith("num_batches_tracked")}


def evaluate(net, pixels, mean, std):
    """What a network gives with running statistics; the stem's weights, normalisation folded in, rounded to 16 bits a channel."""
    net.eval()
    with torch.no_grad():
        weight = net.conv1.weight.clone()
        v = weight / (255 * std)
        scale = v.abs().amax((1, 2, 3), keepdim=True) / 32767
        net.conv1.weight.copy_(torch.round(v / scale) * scale)
        outputs = net(pixels - 255 * mean)
        net.conv1.weight.copy_(weight)
    return outputs


def run(make, size, mean, std, seed, dtype=torch.float64):
    """The tensors of a run, or None where something came too close to a jump."""
    global MARGINS
    MARGINS = Margins()
    torch.manual_seed(seed)
    mean, std = (torch.tensor(x, dtype=dtype).view(1, -1, 1, 1) for x in (mean, std))
    images = torch.randint(0, 256, (BATCH, *size, mean.shape[1]), dtype=torch.uint8)
    label = torch.randint(0, 10, (BATCH,))
    pixels = images.permute(0, 3, 1, 2).to(dtype)
    net = make()
    initialize(net)
    tensors = {"image": images, "label": label.int()}
    tensors |= {f"initial.{path}": t for path, t in state(net).items()}

    net.to(dtype).train()
    binary = latents(net)
    groups = [
        {"params": list(binary.values()), "weight_decay": 0},
        {"params": [p for path, p in net.named_parameters() if path not in binary], "weight_decay": WEIGHT_DECAY},
    ]
    optimizer = torch.optim.SGD(groups, lr=LR, momentum=MOMENTUM)
    losses = []
    for i in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(net((pixels / 255 - mean) / std), label)
        loss.backward()
        if i == 0:
            tensors |= {f"gradient.{path}": p.grad.float() for path, p in net.named_parameters()}
        losses.append(loss.item())
        optimizer.step()
        with torch.no_grad():
            for w in binary.values():
                w.clamp_(-CLAMP, CLAMP)
        if not MARGINS.wide():
            return None
    tensors["losses"] = torch.tensor(losses)
    tensors |= {f"final.{path}": t for path, t in state(net).items()}
    # As whoever reads the fixture has the state: rounded to f32.
    net.load_state_dict(tensors_of(tensors, "final."), strict=False)
    tensors["logits"] = evaluate(net, pixels, mean, std).float()
    return tensors if MARGINS.wide() else None


def robust(tensors, single):
    """Whether a run and the same in f32 went the same way."""
    if tensors is None or single is None:
        return False

    def drift(name):
        return ((single[name] - tensors[name]).abs().max() / tensors[name].abs().max()).item()

    compared = [name for name in tensors if name.startswith(("gradient.", "final.", "logits"))]
    losses = (single["losses"] - tensors["losses"]).abs().max().item()
    return losses <= LOSS_DRIFT and all(drift(name) <= TENSOR_DRIFT for name in compared)


def tensors_of(tensors, prefix):
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def describe(tensors):
    """That the run is worth comparing: it learns, latents change their signs and reach the clamp."""
    before, after = tensors_of(tensors, "initial."), tensors_of(tensors, "final.")
    latent = [path for path in before if path.startswith(("layer", "conv2")) and before[path].shape[2:] == (3, 3)]
    flipped = sum(((before[p] < 0) != (after[p] < 0)).sum().item() for p in latent)
    clamped = sum((after[p].abs() == CLAMP).sum().item() for p in latent)
    count = sum(before[p].numel() for p in latent)
    losses = " ".join(f"{x:.4f}" for x in tensors["losses"].tolist())
    return f"{count} latents, {flipped} flipped, {clamped} clamped; losses {losses}"


TYPES = {torch.float32: "F32", torch.uint8: "U8", torch.int32: "I32"}


def write_safetensors(path, tensors, metadata):
    header, body = {"__metadata__": metadata}, b""
    # Large elements first, so that all stand aligned.
    for name, t in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        data = t.contiguous().numpy().tobytes()
        header[name] = {"dtype": TYPES[t.dtype], "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def main():
    torch.set_num_threads(1)
    folder = Path(__file__).parent
    for name, options in RUNS.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        seed = 1
        while not robust(tensors := run(*options, seed), tensors and run(*options, seed, torch.float32)):
            seed += 1
        metadata = {"lr": str(LR), "momentum": str(MOMENTUM), "weight_decay": str(WEIGHT_DECAY), "clamp": str(CLAMP),
                    "seed": str(seed), "torch": torch.__version__}  # fmt: skip
        write_safetensors(folder / f"{name}.safetensors", tensors, metadata)
        print(f"{name}: seed {seed}, margins {MARGINS.activation:.1e} and {MARGINS.weight:.1e}; {describe(tensors)}")


if __name__ == "__main__":
    main()
