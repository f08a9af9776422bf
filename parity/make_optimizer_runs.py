"""Makes `optimizer-runs.json` beside it: weights after five steps of optimizers with given gradients, in f64.

SGD, Adam, AdamW, AMSGrad and the clipping of gradients are `torch.optim` and `clip_grad_norm_`; a clamp of the weights follows the step, as in the
library. Bop, which PyTorch does not have, is written from its definition (Helwegen et al. 2019). Each run names its rule as the library's JSON does.
"""

import json
from pathlib import Path

import torch

STEPS, WEIGHTS, LR = 5, 6, 0.125
ADAM = {"beta1": 0.875, "beta2": 0.96875, "eps": 1e-3, "weight_decay": 0.0, "clamp": None}
SGD = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "clamp": None}


def optimizer(rule, w):
    (kind, numbers), = rule.items()
    decay = numbers["weight_decay"]
    if kind == "sgd":
        return torch.optim.SGD([w], LR, momentum=numbers["momentum"], nesterov=numbers["nesterov"], weight_decay=decay)
    make = torch.optim.AdamW if numbers.get("decoupled") else torch.optim.Adam
    betas = numbers["beta1"], numbers["beta2"]
    return make([w], LR, betas=betas, eps=numbers["eps"], weight_decay=decay, amsgrad=numbers.get("amsgrad", False))


def trained(rule, initial, gradients):
    """The weights after each step of a rule that PyTorch has."""
    w = initial.clone().requires_grad_()
    step, clamp = optimizer(rule, w), next(iter(rule.values()))["clamp"]
    weights = []
    for gradient in gradients:
        w.grad = gradient.clone()
        step.step()
        if clamp is not None:
            with torch.no_grad():
                w.clamp_(-clamp, clamp)
        weights.append(w.tolist())
    return weights


def flipped(rate, threshold, initial, gradients):
    """The weights after each step of Bop: those of `initial` count by their signs."""
    w, m, weights = torch.where(initial < 0, -1.0, 1.0).double(), torch.zeros_like(initial), []
    for gradient in gradients:
        m = (1 - rate) * m + rate * gradient
        w = torch.where((m.abs() > threshold) & (m.sign() == w), -w, w)
        weights.append(w.tolist())
    return weights


def rules():
    for momentum, nesterov in [(0.0, False), (0.875, False), (0.875, True)]:
        for decay in [0.0, 0.25]:
            yield {"sgd": SGD | {"momentum": momentum, "nesterov": nesterov, "weight_decay": decay}}
    for kind in [{}, {"decoupled": True}, {"amsgrad": True}, {"decoupled": True, "amsgrad": True}]:
        for decay in [0.0, 0.25]:
            yield {"adam": ADAM | {"weight_decay": decay} | kind}
    yield {"sgd": SGD | {"momentum": 0.875, "clamp": 0.5}}
    yield {"adam": ADAM | {"weight_decay": 0.25, "clamp": 0.5, "decoupled": True, "amsgrad": True}}


def clipped(gradients, max_norm):
    """What `clip_grad_norm_` makes of gradients."""
    parameters = [torch.zeros_like(g, requires_grad=True) for g in gradients]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return [parameter.grad.tolist() for parameter in parameters]


def main():
    random = torch.Generator().manual_seed(3)
    number = lambda *shape: torch.randn(*shape, generator=random, dtype=torch.float64)
    initial, gradients = 0.5 * number(WEIGHTS), list(number(STEPS, WEIGHTS))
    # Large gradients that fade let the second moment shrink, which AMSGrad does not allow.
    gradients = [gradient * 2.0**-step for step, gradient in enumerate(gradients)]
    runs = [{"rule": rule, "lr": LR, "weights": trained(rule, initial, gradients)} for rule in rules()]
    for rate, threshold in [(0.125, 0.0625), (0.5, 0.25), (1e-4, 1e-8)]:
        weights = flipped(rate, threshold, initial, gradients)
        runs.append({"rule": {"bop": {"threshold": threshold}}, "lr": rate, "weights": weights})
    pair = [number(4), number(3)]
    norm = torch.cat(pair).norm().item()
    clips = [{"max_norm": most, "gradients": clipped(pair, most)} for most in [0.5, 2.0, 8.0]]
    assert 2.0 < norm < 8.0, norm
    content = {
        "initial": initial.tolist(),
        "gradients": [gradient.tolist() for gradient in gradients],
        "pair": [gradient.tolist() for gradient in pair],
    }
    lines = [f'"{name}":{json.dumps(value)}' for name, value in content.items()]
    lines += [f'"{name}":[\n' + ",\n".join(map(json.dumps, rows)) + "]" for name, rows in [("runs", runs), ("clips", clips)]]
    Path(__file__).with_name("optimizer-runs.json").write_text("{" + ",\n".join(lines) + "}\n")


main()
