"""The Python side of bench/bytes.

peer.py export FOLDER              writes McMahan's 2nn.onnx and cnn.onnx (2017), initialised from seed 0
peer.py quantize FILE SHAPES TYPE  NVFlare's ModelQuantizer on the float32 values of FILE, cut into tensors of the JSON
                                   SHAPES; prints the bytes of everything that it would send, and the relative error
"""
import json
import logging
import math
import sys
import warnings

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)


def models():
    torch.manual_seed(0)
    yield "2nn", nn.Sequential(
        nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)), (784,)
    yield "cnn", nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10)), (1, 28, 28)


def export(folder):
    for name, model, shape in models():
        torch.onnx.export(
            model, (torch.zeros(10, *shape),), f"{folder}/{name}.onnx", dynamo=False, opset_version=17,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}},
            training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)


def quantize(file, shapes, kind):
    # NVFlare moves tensors to a GPU; bitsandbytes computes the same codes on the CPU.
    torch.Tensor.cuda = lambda self, *args, **kwargs: self
    from nvflare import __version__ as version
    from nvflare.apis.fl_context import FLContext
    from nvflare.app_opt.pt.quantization.dequantizer import ModelDequantizer
    from nvflare.app_opt.pt.quantization.quantizer import ModelQuantizer

    values = np.fromfile(file, np.float32)
    parameters, at = {}, 0
    for index, shape in enumerate(json.loads(shapes)):
        size = math.prod(shape)
        parameters[str(index)] = values[at:at + size].reshape(shape).copy()
        at += size
    sent, state, source = ModelQuantizer(kind).quantization(parameters, FLContext())[:3]
    arrays = list(sent.values()) + [each for entry in state.values() for each in entry.values()]
    size = sum(each.nbytes for each in arrays if hasattr(each, "nbytes"))
    got = ModelDequantizer().dequantization(sent, state, kind, source, FLContext())
    got = got[0] if isinstance(got, tuple) else got
    flat = np.concatenate([np.asarray(got[str(index)]).ravel() for index in range(len(got))])
    error = float(np.linalg.norm(flat - values) / np.linalg.norm(values))
    print("RESULT " + json.dumps({"bytes": int(size), "error": error, "version": version}))


if __name__ == "__main__":
    {"export": export, "quantize": quantize}[sys.argv[1]](*sys.argv[2:])
