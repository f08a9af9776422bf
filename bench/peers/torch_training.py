"""PyTorch's training step of a network of bench/training-networks.mjs, SGD with momentum, as one line of JSON with the peak memory of the process.

    torch_training.py <network> float|binary contiguous|channels_last <threads> <steps>

Binary networks are emulated as is usual: codes and signs are floats, and every convolution is one of floats. The float network has the same layers without codes.
"""

import json
import sys
import time

import torch
from peak_memory import peak_mib
from torch import nn
from torch.nn import functional

network, kind, order, threads, steps = sys.argv[1:]
is_binary = kind == "binary"
torch.set_num_threads(int(threads))
torch.manual_seed(0)


class Codes(torch.autograd.Function):
    """1 where x > 0, else the lower code; the gradient is that of Bi-Real Net, g·(2 − 2|x|) where |x| ≤ 1."""

    @staticmethod
    def forward(context, x, lower):
        context.save_for_backward(x)
        positive = (x > 0).to(x.dtype)
        return positive if lower == 0 else positive.mul_(2).sub_(1)

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return x.abs().mul_(-2).add_(2).clamp_(min=0).mul_(gradient), None


class Weight(torch.autograd.Function):
    """α·sign(w) with α = mean |w| of the tensor or of each output channel; gradients pass."""

    @staticmethod
    def forward(_, weight, scale):
        alpha = weight.abs().mean() if scale == "tensor" else weight.abs().mean((1, 2, 3), keepdim=True)
        return torch.where(weight < 0, -alpha, alpha)

    @staticmethod
    def backward(_, gradient):
        return gradient, None


class Convolution(nn.Conv2d):
    """A 3×3 convolution without bias, of codes and signs where the network is binary."""

    def __init__(self, inputs, outputs, stride=1, lower=0, scale="tensor"):
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        self.lower, self.scale = lower, scale

    def forward(self, x):
        if not is_binary:
            return super().forward(x)
        return functional.conv2d(Codes.apply(x, self.lower), Weight.apply(self.weight, self.scale), None, self.stride, self.padding)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = Convolution(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = Convolution(outputs, outputs), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(y)).add_(self.shortcut(x)), inplace=True)


def resnet18(classes, is_small):
    stem = nn.Conv2d(3, 64, 3, 1, 1, bias=False) if is_small else nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    layers = [stem, nn.BatchNorm2d(64), nn.ReLU(inplace=True)] + ([] if is_small else [nn.MaxPool2d(3, 2, 1)])
    inputs = 64
    for stage, outputs in enumerate([64, 128, 256, 512]):
        layers += [Block(inputs, outputs, 2 if stage > 0 else 1), Block(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def digits():
    def convolution(inputs):
        return [Convolution(inputs, 64, 1, -1, "channel"), nn.MaxPool2d(2), nn.BatchNorm2d(64)]

    stem = [nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32)]
    return nn.Sequential(*stem, *convolution(32), *convolution(64), nn.Flatten(), nn.Linear(64 * 49, 10))


build, batch, shape, classes = {
    "small": (lambda: resnet18(10, True), 128, (3, 32, 32), 10),
    "imagenet": (lambda: resnet18(1000, False), 8, (3, 224, 224), 1000),
    "digits": (digits, 128, (1, 28, 28), 10),
}[network]
layout = torch.channels_last if order == "channels_last" else torch.contiguous_format
net = build().to(memory_format=layout).train()
optimizer = torch.optim.SGD(net.parameters(), 0.01, 0.9)
images = torch.randn(batch, *shape).to(memory_format=layout)
labels = torch.randint(0, classes, (batch,))


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(net(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


step()
times = []
for _ in range(int(steps)):
    start = time.perf_counter()
    step()
    times.append((time.perf_counter() - start) * 1e3)
print(json.dumps({"ms": min(times), "peakMiB": peak_mib()}))
