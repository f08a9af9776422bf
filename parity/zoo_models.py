"""Every builder of the library in PyTorch, written from the definitions of the networks and none of it from the library.

Options are called as in the TypeScript API. Whatever jumps (codes, ReLU, masks, maxima) reports how near its input comes to the jump: see `margins`.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class TooClose(Exception):
    """Something came so near to a jump that f32 may fall on the other side."""


class Margins:
    """How near activations and weights may come to a jump; None: as near as they like."""

    def __init__(self):
        self.activation = self.weight = None

    def see(self, kind, distance):
        limit = getattr(self, kind)
        if limit is not None and distance.numel() > 0 and distance.detach().abs().min().item() < limit:
            raise TooClose


margins = Margins()


class Replace(torch.autograd.Function):
    """A value in place of x; `rule` takes its gradient to that of x."""

    @staticmethod
    def forward(ctx, x, value, rule):
        ctx.rule = rule
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.rule(gradient), None, None


# Quantizers


def polynomial(x):
    """The slope of Bi-Real Net's approximation of a sign: 2 − 2|x| where |x| ≤ 1, else 0."""
    return (2 - 2 * x.abs()).clamp(min=0)


def box(x):
    """1 where |x| ≤ 1, else 0."""
    margins.see("activation", x.abs() - 1)
    return (x.abs() <= 1).to(x.dtype)


def signs(x):
    """−1 and +1; sign(0) = +1."""
    return torch.where(x < 0, -1.0, 1.0).to(x.dtype)


def sign_codes(slope):
    def codes(x):
        margins.see("activation", x)
        factor = slope(x.detach())
        return Replace.apply(x, signs(x), lambda g: g * factor)

    return codes


def step_codes(x):
    """0 and 1 of what comes out of a ReLU, which watches the margin."""
    factor = polynomial(x.detach())
    return Replace.apply(x, (x > 0).to(x.dtype), lambda g: g * factor)


def xnor_gradient(w, alpha, g):
    """sign(w_i)/n · Σ_j g_j sign(w_j) + α g_i 1[|w_i| ≤ 1], the corrected rule of XNOR-Net; n is the fan-in."""
    s = signs(w)
    return s * (g * s).mean((1, 2, 3), keepdim=True) + alpha * g * (w.abs() <= 1)


WEIGHT_GRADIENTS = {
    "identity": lambda w, alpha, g: g,
    "clip": lambda w, alpha, g: g * (w.abs() <= 1),
    "xnor": xnor_gradient,
}


class BinaryConv(nn.Module):
    """codes(x) ∗ α·sign(w), with α the mean of |w| over the tensor or over each output channel; no gradient passes through α."""

    def __init__(self, cin, cout, stride=1, *, kernel=3, groups=1, codes, scale="tensor", gradient="identity", pad_value=0):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, cin // groups, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.stride, self.groups, self.codes, self.pad_value = stride, groups, codes, pad_value
        self.scale, self.gradient, self.padding = scale, WEIGHT_GRADIENTS[gradient], kernel // 2

    def forward(self, x):
        w = self.weight.detach()
        margins.see("weight", w)
        alpha = w.abs().mean((1, 2, 3), keepdim=True) if self.scale == "channel" else w.abs().mean()
        q = Replace.apply(self.weight, alpha * signs(w), lambda g: self.gradient(w, alpha, g))
        padded = F.pad(self.codes(x), (self.padding,) * 4, value=self.pad_value)
        y = F.conv2d(padded, q, stride=self.stride, groups=self.groups)
        with torch.no_grad():
            # α stands outside the sum, which is an integer, so that sums of zero are exactly zero.
            d = F.conv2d(padded, signs(w), stride=self.stride, groups=self.groups)
        return Replace.apply(y, (alpha.view(1, -1, 1, 1) if alpha.dim() else alpha) * d, lambda g: g)


class Relu(nn.Module):
    def forward(self, x):
        # Sums of codes are zero exactly, here and in f32.
        margins.see("activation", x[x != 0])
        return F.relu(x)


class MaxPool(nn.Module):
    """3×3, stride 2, padding 1."""

    def forward(self, x):
        n, c, h, w = x.shape
        columns = F.unfold(F.pad(x, (1, 1, 1, 1), value=-math.inf).reshape(n * c, 1, h + 2, w + 2), 3, stride=2)
        first, second = columns.detach().topk(2, dim=1).values.unbind(1)
        # Zeros of a ReLU may be equal: none of them passes a gradient on.
        margins.see("activation", (first - second)[(first != 0) | (second != 0)])
        return F.max_pool2d(x, 3, 2, 1)


def average_pool(stride):
    return nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)


def conv1x1(cin, cout, stride=1, groups=1):
    return nn.Conv2d(cin, cout, 1, stride, groups=groups, bias=False)


def shortcut(cin, cout, stride, bases=1):
    if stride == 1 and cin == cout:
        return None
    return nn.Sequential(conv1x1(bases * cin, bases * cout, stride, bases), nn.BatchNorm2d(bases * cout))


def pooled_shortcut(cin, cout, stride):
    if stride == 1 and cin == cout:
        return None
    return nn.Sequential(average_pool(stride), conv1x1(cin, cout), nn.BatchNorm2d(cout))


def through(downsample, x):
    return x if downsample is None else downsample(x)


def scalars(count, start=None):
    """`count` learned numbers, each of shape [1]: a constant, or U(0, 1)."""
    return nn.ParameterList(nn.Parameter(torch.rand(1) if start is None else torch.full((1,), start)) for _ in range(count))


# Blocks of the reference family


class PlainBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = BinaryConv(cin, cout, stride, codes=step_codes), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = BinaryConv(cout, cout, codes=step_codes), nn.BatchNorm2d(cout)
        self.relu, self.downsample = Relu(), shortcut(cin, cout, stride)

    def last_norms(self):
        return [self.bn2]

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + through(self.downsample, x))


def clamp_gate(C):
    """clamp(C, 0, 1), with a gradient of 1 at both ends, where PyTorch since lately has 0: a gate that starts at 0 must learn."""
    C_now = C.detach()
    # One that came to an end by steps could be on either side of it.
    away = C_now[(C_now != 0) & (C_now != 1)]
    margins.see("weight", away)
    margins.see("weight", away - 1)
    return Replace.apply(C, C_now.clamp(0, 1), lambda g: g * ((C_now >= 0) & (C_now <= 1)))


class BasesBlock(nn.Module):
    """K bases as groups; they are summed (squeeze), stand side by side, or are mixed by gates."""

    def __init__(self, cin, cout, stride, *, bases, squeeze=False, multiplication, gate=None):
        super().__init__()
        self.bases, self.squeeze, self.gate = bases, squeeze, gate
        self.conv1 = BinaryConv(bases * cin, bases * cout, stride, groups=bases, codes=step_codes)
        self.conv2 = BinaryConv(bases * cout, bases * cout, groups=bases, codes=step_codes)
        self.bn1, self.bn2 = nn.BatchNorm2d(bases * cout), nn.BatchNorm2d(bases * cout)
        self.lambdas = scalars(bases, 1.0) if multiplication else None
        self.C_s = scalars(bases, 0.0) if gate else None
        self.relu, self.downsample = Relu(), shortcut(cin, cout, stride, 1 if squeeze else bases)

    def last_norms(self):
        return [self.bn2]

    def forward(self, x):
        repeated = x.repeat(1, self.bases, 1, 1) if self.squeeze else x
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(repeated)))))
        z = list(y.chunk(self.bases, 1))
        if self.lambdas is not None:
            z = [l * z_k for l, z_k in zip(self.lambdas, z)]
        if self.squeeze:
            out = sum(z)
        else:
            out = torch.cat(self.mixed(z) if self.gate and self.bases > 1 else z, 1)
        return self.relu(out + through(self.downsample, x))

    def mixed(self, z):
        total = sum(z)
        out = []
        for C, z_k in zip(self.C_s, z):
            c = clamp_gate(C)
            out.append(c * (z[-1] if self.gate == "last" else z_k) + (1 - c) * total)
        return out


# Blocks of the paper family


def merged(values, scales):
    """The mean of the bases, or their sum with scales that the block holds."""
    if scales is None:
        return sum(values) / len(values)
    return sum(scale * value for scale, value in zip(scales, values))


class Base(nn.Module):
    def __init__(self, cin, cout, stride, pad_value):
        super().__init__()
        options = {"codes": sign_codes(polynomial), "pad_value": pad_value}
        self.conv1, self.bn1 = BinaryConv(cin, cout, stride, **options), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = BinaryConv(cout, cout, **options), nn.BatchNorm2d(cout)
        self.relu = Relu()

    def first(self, x):
        return self.bn1(self.relu(self.conv1(x)))

    def second(self, h):
        return self.bn2(self.relu(self.conv2(h)))


class GroupNetBlock(nn.Module):
    """Takes and returns the outputs of the bases and what they merged to (None within a span)."""

    def __init__(self, cin, cout, stride, *, number, count, bases, downsample, gate, merge, span, pad_value):
        super().__init__()
        length = {"block": 1, "layer": 1, "two-blocks": 2, "network": count}[span]
        self.starts, self.layerwise = number % length == 0, span == "layer"
        self.ends = (number + 1) % length == 0 or number == count - 1
        self.bases = nn.ModuleList(Base(cin, cout, stride, pad_value) for _ in range(bases))
        self.downsample = None
        if stride != 1 or cin != cout:
            if downsample == "float":
                self.downsample = pooled_shortcut(cin, cout, stride)
            else:
                conv = BinaryConv(cin, cout, stride, kernel=1, codes=sign_codes(polynomial))
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(cout))
        gated = gate and self.starts and number > 0 and not self.layerwise
        self.gate = nn.Parameter(torch.rand(bases if gate == "per-base" else 1)) if gated else None
        self.lambdas = scalars(bases) if merge == "scaled" and self.ends else None
        self.lambdas1 = scalars(bases) if merge == "scaled" and self.layerwise else None

    def last_norms(self):
        return [base.bn2 for base in self.bases]

    def inputs(self, ys, m):
        if not self.starts:
            return ys
        if self.gate is None:
            return [m for _ in self.bases]
        c = torch.sigmoid(self.gate).expand(len(self.bases))
        return [c[k] * y + (1 - c[k]) * m for k, y in enumerate(ys)]

    def forward(self, state):
        xs = self.inputs(*state)
        hs = [base.first(x) + through(self.downsample, x) for base, x in zip(self.bases, xs)]
        if self.layerwise:
            h = merged(hs, self.lambdas1)
            hs = [h for _ in self.bases]
        ys = [base.second(h) + h for base, h in zip(self.bases, hs)]
        return ys, merged(ys, self.lambdas) if self.ends else None


class BiRealBlock(nn.Module):
    def __init__(self, cin, cout, stride, *, pad_value):
        super().__init__()
        options = {"codes": sign_codes(polynomial), "scale": "channel", "gradient": "clip", "pad_value": pad_value}
        self.conv1, self.bn1 = BinaryConv(cin, cout, stride, **options), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = BinaryConv(cout, cout, **options), nn.BatchNorm2d(cout)
        self.downsample = pooled_shortcut(cin, cout, stride)

    def last_norms(self):
        return [self.bn2]

    def forward(self, x):
        h = self.bn1(self.conv1(x)) + through(self.downsample, x)
        return self.bn2(self.conv2(h)) + h


def per_channel(channels, start):
    return nn.Parameter(torch.full((channels,), start))


class RSign(nn.Module):
    """Only the bias: the codes are the convolution's."""

    def __init__(self, channels):
        super().__init__()
        self.bias = per_channel(channels, 0.0)

    def forward(self, x):
        return x + self.bias.view(1, -1, 1, 1)


class RPReLU(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.shift, self.slope, self.offset = (per_channel(channels, start) for start in (0.0, 0.25, 0.0))

    def forward(self, x):
        shift, slope, offset = (p.view(1, -1, 1, 1) for p in (self.shift, self.slope, self.offset))
        moved = x - shift
        margins.see("activation", moved)
        return torch.where(moved > 0, moved, slope * moved) + offset


class ReactBlock(BiRealBlock):
    def __init__(self, cin, cout, stride, *, pad_value):
        super().__init__(cin, cout, stride, pad_value=pad_value)
        self.rsign1, self.rprelu1 = RSign(cin), RPReLU(cout)
        self.rsign2, self.rprelu2 = RSign(cout), RPReLU(cout)

    def forward(self, x):
        h = self.rprelu1(self.bn1(self.conv1(self.rsign1(x))) + through(self.downsample, x))
        return self.rprelu2(self.bn2(self.conv2(self.rsign2(h))) + h)


class XnorBlock(nn.Module):
    """No norm stands behind the last convolution, so nothing could start at zero."""

    def __init__(self, cin, cout, stride, *, pad_value):
        super().__init__()
        options = {"codes": sign_codes(box), "scale": "channel", "gradient": "xnor", "pad_value": pad_value}
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), BinaryConv(cin, cout, stride, **options)
        self.bn2, self.conv2 = nn.BatchNorm2d(cout), BinaryConv(cout, cout, **options)
        self.relu, self.downsample = Relu(), pooled_shortcut(cin, cout, stride)

    def forward(self, x):
        y = self.relu(self.conv1(self.bn1(x)))
        return self.relu(self.conv2(self.bn2(y))) + through(self.downsample, x)


class FloatBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        self.relu, self.downsample = Relu(), shortcut(cin, cout, stride)

    def last_norms(self):
        return [self.bn2]

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + through(self.downsample, x))


# Networks


class ResNet(nn.Module):
    """Stem, four layers of blocks, the mean over the image, and the head; gives logits and features."""

    def __init__(self, make_block, *, channels=3, depths=(2, 2, 2, 2), classes=1000, stem="imagenet", width=64,
                 zeroInitResidual=False, order=("norm", "relu", "pool"), head="fc", fcDims=(), dropout=0,
                 enter=lambda x: x, leave=lambda x: x):  # fmt: skip
        super().__init__()
        kernel, stride, padding = (7, 2, 3) if stem == "imagenet" else (3, 1, 1)
        self.conv1 = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(width), Relu(), MaxPool()
        steps = {"norm": self.bn1, "relu": self.relu, "pool": self.maxpool}
        self.stem = [steps[name] for name in order if name != "pool" or stem == "imagenet"]
        self.enter, self.leave, self.head = enter, leave, head
        cin, number = width, 0
        for layer, depth in enumerate(depths):
            blocks, cout = [], width << layer
            for index in range(depth):
                blocks.append(make_block(cin, cout, 2 if layer > 0 and index == 0 else 1, number, sum(depths)))
                cin, number = cout, number + 1
            setattr(self, f"layer{layer + 1}", nn.Sequential(*blocks))
            if zeroInitResidual:
                for norm in (norm for block in blocks for norm in block.last_norms()):
                    nn.init.zeros_(norm.weight)
        hidden = []
        for size in fcDims:
            hidden += [nn.Linear(cin, size), nn.BatchNorm1d(size), Relu(), *([nn.Dropout(dropout)] if dropout else [])]
            cin = size
        self.hidden = len(hidden) > 0
        if self.hidden:
            self.fc = nn.Sequential(*hidden)
        setattr(self, head, nn.Linear(cin, classes))

    def forward(self, x):
        x = self.conv1(x)
        for step in self.stem:
            x = step(x)
        x = self.leave(self.layer4(self.layer3(self.layer2(self.layer1(self.enter(x))))))
        features = x.mean((2, 3))
        if self.hidden:
            features = self.fc(features)
        return getattr(self, self.head)(features), features


def by_shape(block, **options):
    """A maker of blocks that do not care where they stand."""
    return lambda cin, cout, stride, number, count: block(cin, cout, stride, **options)


def binary_resnet(**options):
    return ResNet(by_shape(PlainBlock), head="classifier", **options)


def with_squeeze(parallel=1, multiplication=True, **options):
    block = by_shape(BasesBlock, bases=parallel, squeeze=True, multiplication=multiplication)
    return ResNet(block, head="classifier", **options)


def side_by_side(parallel=1, multiplication=True, gate=None, **options):
    block = by_shape(BasesBlock, bases=parallel, multiplication=multiplication, gate=gate)
    return ResNet(
        block,
        head="classifier",
        enter=lambda x: x.repeat(1, parallel, 1, 1),
        leave=lambda x: sum(x.chunk(parallel, 1)),
        **options,
    )


def with_fusion_gate(gate="own", **options):
    return side_by_side(gate=gate, **options)


def group_net(*, parallel=1, downsample="binary", gate=True, merge="mean", span="block", padValue=1, **options):
    def block(cin, cout, stride, number, count):
        return GroupNetBlock(
            cin, cout, stride, number=number, count=count, bases=parallel, downsample=downsample, gate=gate, merge=merge,
            span=span, pad_value=padValue)  # fmt: skip

    return ResNet(
        block, order=("pool", "norm"), enter=lambda x: ([x] * parallel, x), leave=lambda state: state[1], **options
    )


def bi_real(padValue=0, **options):
    return ResNet(by_shape(BiRealBlock, pad_value=padValue), order=("norm", "pool"), **options)


def react_net(padValue=0, **options):
    return ResNet(by_shape(ReactBlock, pad_value=padValue), order=("norm", "pool"), **options)


def xnor(padValue=0, **options):
    return ResNet(by_shape(XnorBlock, pad_value=padValue), **options)


def float_resnet(**options):
    return ResNet(by_shape(FloatBlock), **options)


def deep(builder):
    return lambda **options: builder(depths=(3, 4, 6, 3), **options)


BUILDERS = {
    "binaryResnet18": binary_resnet,
    "parallelResnet18WithSqueeze": with_squeeze,
    "parallelResnet18NoSqueeze": side_by_side,
    "parallelResnet18WithFusionGate": with_fusion_gate,
    "reidBinaryResnet18": binary_resnet,
    "reidParallelResnet18WithSqueeze": with_squeeze,
    "reidParallelResnet18NoSqueeze": side_by_side,
    "reidParallelResnet18WithFusionGate": with_fusion_gate,
    "reidParallelResnet18WithFusionGateFc": lambda **options: with_fusion_gate(**{"fcDims": [512], **options}),
    "groupNetResnet18": group_net,
    "groupNetResnet34": deep(group_net),
    "biRealResnet18": bi_real,
    "reactNetResnet18": react_net,
    "xnorResnet18": xnor,
    "resnet18": float_resnet,
    "resnet34": deep(float_resnet),
}


def latents(net):
    return {f"{path}.weight": m.weight for path, m in net.named_modules() if isinstance(m, BinaryConv)}


def state(net):
    """Parameters and running statistics by path, in the order of the paths."""
    tensors = net.state_dict()
    return {path: tensors[path] for path in sorted(tensors) if not path.endswith("num_batches_tracked")}
