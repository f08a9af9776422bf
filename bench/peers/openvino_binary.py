"""OpenVINO on a Bi-Real ResNet-18 of 1000 classes with random weights, by its own 1-bit convolution; stem, shortcuts and classifier are float.

    openvino_binary.py <threads> <runs>

Codes are made by FakeQuantize of two levels, {0, 1}: only then does the plugin pack them. It pads with -1 (0 and +1 take as long).
"""

import sys

import numpy as np
import openvino as ov
from latency import report
from openvino import opset13 as op

threads, runs = int(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(0)


def number(value):
    return op.constant(np.asarray(value, np.float32))


def affine(x, channels):
    scaled = op.multiply(x, number(random.random((1, channels, 1, 1)) * 0.1))
    return op.add(scaled, number(random.standard_normal((1, channels, 1, 1))))


def convolution(x, inputs, outputs, kernel, stride):
    weights = random.standard_normal((outputs, inputs, kernel, kernel)) * np.sqrt(2 / (inputs * kernel * kernel))
    pad = kernel // 2
    return op.convolution(x, number(weights), [stride, stride], [pad, pad], [pad, pad], [1, 1])


def binary_convolution(x, inputs, outputs, stride):
    threshold = random.standard_normal((1, inputs, 1, 1)) * 0.1
    codes = op.fake_quantize(x, number(threshold), number(threshold), number(np.zeros((1, 1, 1, 1))),
                             number(np.ones((1, 1, 1, 1))), 2)
    bits = np.packbits(random.integers(0, 2, outputs * inputs * 9, dtype=np.uint8), bitorder="little")
    weights = ov.op.Constant(ov.Tensor(bits, ov.Shape([outputs, inputs, 3, 3]), ov.Type.u1), shared_memory=False)
    return op.binary_convolution(codes, weights, [stride, stride], [1, 1], [1, 1], [1, 1], "xnor-popcount", -1.0)


pixels = op.parameter([1, 224, 224, 3], np.uint8)
x = op.convert(op.transpose(pixels, op.constant(np.array([0, 3, 1, 2]))), np.float32)
x = op.multiply(op.subtract(x, number(np.full((1, 3, 1, 1), 118.0))), number(np.full((1, 3, 1, 1), 0.017)))
x = op.relu(affine(convolution(x, 3, 64, 7, 2), 64))
x = op.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
inputs = 64
for stage, outputs in enumerate([64, 128, 256, 512]):
    for place in range(4):
        stride = 2 if stage > 0 and place == 0 else 1
        y = affine(binary_convolution(x, inputs, outputs, stride), outputs)
        skip = x
        if stride == 2:
            pooled = op.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True)
            skip = affine(convolution(pooled, inputs, outputs, 1, 1), outputs)
        x, inputs = op.add(y, skip), outputs
x = op.reduce_mean(x, op.constant(np.array([2, 3])), False)
x = op.add(op.matmul(x, number(random.standard_normal((512, 1000)) * 0.05), False, False), number(np.zeros((1, 1000))))

config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
request = ov.Core().compile_model(ov.Model([x], [pixels], "bi-real"), "CPU", config).create_infer_request()
request.set_input_tensor(ov.Tensor(random.integers(0, 256, (1, 224, 224, 3), np.uint8)))
report(request.infer, runs)
