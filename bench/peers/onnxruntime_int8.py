"""onnxruntime on a float network quantized to int8: uint8 activations, a scale for each channel of the weights.

    onnxruntime_int8.py <float.onnx> <threads> <runs>

The float network takes raw uint8 images; what is in front of its first convolution stays float.
"""

import os
import sys
import tempfile

import numpy as np
import onnxruntime
from latency import report
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

path, threads, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random = np.random.default_rng(0)
shape = (1, 224, 224, 3)


class Noise(CalibrationDataReader):
    def __init__(self):
        self.left = 8

    def get_next(self):
        self.left -= 1
        return {"image": random.integers(0, 256, shape, np.uint8)} if self.left >= 0 else None


with tempfile.TemporaryDirectory() as folder:
    quantized = os.path.join(folder, "int8.onnx")
    quantize_static(path, quantized, Noise(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(quantized, options, providers=["CPUExecutionProvider"])
image = random.integers(0, 256, shape, np.uint8)
report(lambda: session.run(None, {"image": image}), runs)
