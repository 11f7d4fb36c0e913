"""Exports the untrained model of this example: a small convolutional network for 28 x 28 pixels, 10 classes.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python export.py

Only an ML engineer runs this, once; Tributary itself needs no Python. The exporter's settings matter: with them
the file keeps every layer as it was written, which is what training starts from.
"""
import pathlib

import torch
from torch import nn

torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv2d(1, 8, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 5),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(256, 10),
)
torch.onnx.export(
    model,
    (torch.zeros(1, 1, 28, 28),),
    str(pathlib.Path(__file__).parent / "model.onnx"),
    input_names=["pixels"],
    output_names=["scores"],
    dynamic_axes={"pixels": {0: "batch"}, "scores": {0: "batch"}},
    opset_version=18,
    dynamo=False,
    training=torch.onnx.TrainingMode.TRAINING,
    do_constant_folding=False,
)
print(sum(p.numel() for p in model.parameters()), "parameters")
