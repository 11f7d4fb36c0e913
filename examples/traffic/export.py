"""Exports the untrained model of this example: two temporal convolutions over ten minutes of nine series.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python export.py

Only an ML engineer runs this, once; Tributary itself needs no Python. The exporter's settings matter: with them
the file keeps every layer as it was written, which is what training starts from.
"""
import pathlib

import torch
from torch import nn

SERIES, MINUTES, LEVELS = 9, 10, 3

torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv1d(SERIES, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv1d(16, 16, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(16 * MINUTES, 32),
    nn.ReLU(),
    nn.Linear(32, LEVELS),
)
torch.onnx.export(
    model,
    (torch.zeros(1, SERIES, MINUTES),),
    str(pathlib.Path(__file__).parent / "model.onnx"),
    input_names=["history"],
    output_names=["level"],
    dynamic_axes={"history": {0: "batch"}, "level": {0: "batch"}},
    opset_version=18,
    dynamo=False,
    training=torch.onnx.TrainingMode.TRAINING,
    do_constant_folding=False,
)
print(sum(p.numel() for p in model.parameters()), "parameters")
