"""Writes layers/*.onnx and layers.jsonl: whole trainings of small convolutional and recurrent models, by PyTorch in float64.

    pip install torch==2.15.0 onnx==1.23.2 && python make_layers.py

Models are exported by torch.onnx; layers.jsonl has for each run what training.jsonl has (make_training.py). All samples are
one batch, so their order plays no part, and the batch is larger than they are many: its other rows are padding.
BatchNormalization's running variance is ONNX's (population variance), not PyTorch's.
"""
import io
import json
import pathlib
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

from golden import numbers, random

warnings.filterwarnings("ignore")
torch.manual_seed(20261127)
HERE = pathlib.Path(__file__).parent
COUNT, BATCH = 6, 8


class BatchNorm(nn.BatchNorm2d):
    def forward(self, x):
        if not self.training or torch.onnx.is_in_onnx_export():
            return super().forward(x)
        with torch.no_grad():
            self.running_mean.lerp_(x.mean((0, 2, 3)), self.momentum)
            self.running_var.lerp_(x.var((0, 2, 3), unbiased=False), self.momentum)
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0, self.eps)


class MobileNet(nn.Module):
    """Inverted residuals: pointwise, depthwise, pointwise."""

    def __init__(self):
        super().__init__()
        conv = lambda i, o, k, **how: nn.Sequential(nn.Conv2d(i, o, k, bias=False, **how), BatchNorm(o), nn.ReLU6())
        self.stem = conv(3, 6, 3, stride=2, padding=1)
        self.inside = nn.Sequential(conv(6, 12, 1), conv(12, 12, 3, padding=1, groups=12), nn.Conv2d(12, 6, 1), BatchNorm(6))
        self.down = nn.Sequential(conv(6, 9, 1), conv(9, 9, 5, padding=2, stride=2, groups=9), conv(9, 8, 1, groups=1))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.down(x + self.inside(x)))


class UNet(nn.Module):
    """Two levels; one goes up by a transposed convolution, the other by interpolation."""

    def __init__(self):
        super().__init__()
        block = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(2, o), nn.ReLU())
        self.one, self.two, self.three = block(1, 4), block(4, 6), block(6, 8)
        self.up, self.back = nn.ConvTranspose2d(8, 6, 2, stride=2), block(12, 6)
        self.last = nn.Sequential(nn.Conv2d(10, 4, 3, padding=1), nn.InstanceNorm2d(4, affine=True), nn.ReLU(),
                                  nn.Conv2d(4, 1, 1))

    def forward(self, x):
        one = self.one(x)
        two = self.two(F.max_pool2d(one, 2))
        back = self.back(torch.cat([two, self.up(self.three(F.avg_pool2d(two, 2)))], 1))
        up = F.interpolate(back, scale_factor=2, mode="bilinear")
        return self.last(torch.cat([one, up], 1))


class Recurrent(nn.Module):
    """kind's layer over a sequence [batch, time, 3]; `use` makes of its outputs what the head gets."""

    def __init__(self, kind, outputs, use, **how):
        super().__init__()
        self.layer = kind(3, 6, batch_first=True, **how)
        self.head = nn.Linear(12 if how.get("bidirectional") else 6, outputs)
        self.use = use

    def forward(self, x):
        return self.head(self.use(*self.layer(x)))


class TCN(nn.Module):
    """Dilated convolutions with residual connections (Bai et al. 2018), but looking both ways."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(3, 8, 1)
        self.layers = nn.ModuleList(nn.Conv1d(8, 8, 3, padding=d, dilation=d, groups=g) for d, g in [(1, 1), (2, 2), (4, 1)])
        self.last = nn.Conv1d(8, 2, 1)

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return self.last(x).mean(2)


mean = lambda y, _: y.mean(1)
every = lambda y, _: y
MODELS = {
    "mobilenet": (MobileNet(), (3, 8, 8)),
    "unet": (UNet(), (1, 8, 8)),
    "lstm12": (Recurrent(nn.LSTM, 3, mean), (12, 3)),
    "lstm96": (Recurrent(nn.LSTM, 2, lambda y, states: states[0].squeeze(0)), (96, 3)),
    "lstm_bidirectional": (Recurrent(nn.LSTM, 3, mean, bidirectional=True), (10, 3)),
    "lstm_layers": (Recurrent(nn.LSTM, 3, mean, num_layers=2, bidirectional=True), (30, 3)),
    "gru": (Recurrent(nn.GRU, 2, every), (8, 3)),
    "gru40": (Recurrent(nn.GRU, 2, lambda y, h: h.squeeze(0)), (40, 3)),
    "rnn": (Recurrent(nn.RNN, 3, mean, bidirectional=True), (9, 3)),
    "tcn": (TCN(), (3, 24)),
}


def export(name):
    model, shape = MODELS[name]
    file = io.BytesIO()
    convolutional = name in ("mobilenet", "unet", "tcn")
    mode = torch.onnx.TrainingMode.TRAINING if convolutional else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(model, (torch.zeros(2, *shape),), file, dynamo=False, do_constant_folding=not convolutional,
                      training=mode, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    HERE.joinpath("layers").mkdir(exist_ok=True)
    HERE.joinpath("layers", f"{name}.onnx").write_bytes(file.getvalue())


def run(description, name, loss, optimizer, rate, steps=40):
    model, shape = MODELS[name]
    model = model.double().train()
    x = random(COUNT, *shape)
    with torch.no_grad():
        outputs = model.eval()(x)
    model.train()
    classes = loss == "SoftmaxCrossEntropy"
    y = torch.arange(COUNT) % outputs.shape[1] if classes else random(*outputs.shape, low=-1, high=1)
    criterion = F.cross_entropy if classes else F.mse_loss
    initial = {key for key, _ in model.named_parameters()}
    if optimizer["type"] == "SGD":
        updates = torch.optim.SGD(model.parameters(), rate, momentum=optimizer["momentum"])
    else:
        updates = torch.optim.Adam(model.parameters(), rate)
    losses = []
    for _ in range(steps):
        updates.zero_grad()
        value = criterion(model(x), y)
        value.backward()
        updates.step()
        losses.append(float(value))
    with torch.no_grad():
        outputs = model.eval()(x)
    found = {"loss": criterion(outputs, y)}
    if classes:
        found["accuracy"] = (outputs.argmax(1) == y).double().mean()
    else:
        found |= {"meanAbsoluteError": (outputs - y).abs().mean(), "meanSquaredError": ((outputs - y) ** 2).mean()}
    # Exporters give the weights of recurrent layers other names and another order.
    parameters = {key: numbers(value) for key, value in model.state_dict().items()
                  if "num_batches" not in key and not key.startswith("layer.")}
    print(f"{description}: loss {losses[0]:.4f} -> {losses[-1]:.4f}, {len(initial)} parameters")
    return {"name": description, "model": f"layers/{name}.onnx",
            "configuration": {"loss": {"type": loss}, "optimizer": optimizer, "batchSize": BATCH},
            "learningRate": rate, "epochs": steps, "seed": 1, "count": COUNT, "x": numbers(x), "y": numbers(y),
            "losses": losses, "parameters": parameters, "evaluation": {key: float(v) for key, v in found.items()}}


for model in MODELS:
    export(model)
sgd = {"type": "SGD", "momentum": 0.9, "weightDecay": 0.0}
adam = {"type": "Adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weightDecay": 0.0}
softmax, squared = "SoftmaxCrossEntropy", "MeanSquaredError"
runs = [
    run("a MobileNet block", "mobilenet", softmax, sgd, 0.02),
    run("a U-Net", "unet", squared, sgd, 0.02),
    run("an LSTM over 12 steps", "lstm12", softmax, sgd, 0.2),
    run("an LSTM over 96 steps", "lstm96", softmax, sgd, 0.1),
    run("a bidirectional LSTM", "lstm_bidirectional", softmax, sgd, 0.2),
    run("two layers of a bidirectional LSTM over 30 steps", "lstm_layers", softmax, sgd, 0.2),
    run("a GRU that predicts at every step", "gru", squared, sgd, 0.2),
    run("a GRU over 40 steps", "gru40", softmax, adam, 0.02),
    run("a bidirectional RNN", "rnn", softmax, sgd, 0.1),
    run("a TCN", "tcn", squared, sgd, 0.05),
]
path = HERE.joinpath("layers.jsonl")
path.write_text("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in runs))
print(f"{path.stat().st_size} bytes")
