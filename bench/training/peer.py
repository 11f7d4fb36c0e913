"""The PyTorch side of bench/training: exports the models and takes their training steps. Answers one line of JSON
for each line of JSON on standard input; time is the processor time of the whole process.

{"do": "export", "model": "cnn", "file": "cnn.onnx"}
{"do": "measure", "model": "cnn", "optimizer": "SGD", "batch": 10, "way": "eager", "steps": 20}
"""
import json
import resource
import sys
import time
import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore")


class LastStep(nn.Module):
    """A recurrent layer, of which the last output is classified."""

    def __init__(self, layer, hidden, classes):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(hidden, classes)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Residual(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        same = stride == 1 and channels == out
        self.short = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return torch.relu(self.body(x) + self.short(x))


def separable(channels, out, stride):
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels), nn.ReLU6(),
        nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out), nn.Hardswish())


class Causal(nn.Module):
    def __init__(self, channels, out, dilation):
        super().__init__()
        self.pad, self.conv = nn.ConstantPad1d((2 * dilation, 0), 0.0), nn.Conv1d(channels, out, 3, dilation=dilation)
        self.short = nn.Identity() if channels == out else nn.Conv1d(channels, out, 1)

    def forward(self, x):
        return torch.relu(self.conv(self.pad(x)) + self.short(x))


class Encoder(nn.Module):
    def __init__(self, width=32, heads=4, length=16, classes=6):
        super().__init__()
        self.embed, self.position = nn.Linear(8, width), nn.Parameter(0.02 * torch.randn(length, width))
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down, self.head = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.Linear(width, classes)
        self.heads, self.size, self.length = heads, width // heads, length

    def forward(self, x):
        h = self.embed(x) + self.position
        split = lambda v: v.reshape(-1, self.length, self.heads, self.size).transpose(1, 2)
        q, k, v = split(self.query(h)), split(self.key(h)), split(self.value(h))
        weights = torch.softmax(q @ k.transpose(2, 3) / self.size**0.5, -1)
        attended = (weights @ v).transpose(1, 2).reshape(-1, self.length, self.heads * self.size)
        h = self.norm1(h + self.out(attended))
        h = self.norm2(h + self.down(torch.nn.functional.gelu(self.up(h))))
        return self.head(h.mean(1))


# name: (how to make it, a sample's shape, classes)
MODELS = {
    "2nn": (lambda: nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)),
            (784,), 10),
    "cnn": (lambda: nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10)), (1, 28, 28), 10),
    "resnet": (lambda: nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Residual(16, 16, 1), Residual(16, 32, 2),
        Residual(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), (3, 32, 32), 10),
    "mobilenet": (lambda: nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish(), separable(16, 32, 1),
        separable(32, 64, 2), separable(64, 64, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
        (3, 32, 32), 10),
    "lstm-12": (lambda: LastStep(nn.LSTM(8, 64, batch_first=True), 64, 6), (12, 8), 6),
    "lstm-96": (lambda: LastStep(nn.LSTM(8, 32, batch_first=True), 32, 6), (96, 8), 6),
    "gru": (lambda: LastStep(nn.GRU(8, 64, batch_first=True), 64, 6), (12, 8), 6),
    "tcn": (lambda: nn.Sequential(
        Causal(8, 32, 1), Causal(32, 32, 2), Causal(32, 32, 4), Causal(32, 32, 8), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Linear(32, 6)), (8, 48), 6),
    "transformer": (Encoder, (16, 8), 6),
}


def export(model, file):
    torch.manual_seed(1)
    make, shape, _ = MODELS[model]
    torch.onnx.export(
        make(), (torch.zeros(2, *shape),), file, dynamo=False, training=torch.onnx.TrainingMode.TRAINING,
        do_constant_folding=False, input_names=["x"], output_names=["y"], opset_version=17,
        dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})


RUNS = {}


def prepare(model, optimizer, batch, way, size):
    """A function that takes steps over a data set of `size` batches in memory, as local epochs do."""
    torch.manual_seed(1)
    make, shape, classes = MODELS[model]
    net, loss = make(), nn.CrossEntropyLoss()
    fused = way.endswith("fused")
    update = {"SGD": lambda p: torch.optim.SGD(p, 0.01, fused=fused),
              "Adam": lambda p: torch.optim.Adam(p, 0.001, fused=fused)}[optimizer](net.parameters())
    x, y = torch.randn(size * batch, *shape), torch.randint(0, classes, (size * batch,))
    forward = lambda rows: loss(net(x[rows]), y[rows])
    if way.startswith("compiled"):
        forward = torch.compile(forward, dynamic=False)

    def steps(count):
        for step in range(count):
            if step % size == 0:
                order = torch.randperm(size * batch)
            rows = order[(step % size) * batch:(step % size + 1) * batch]
            update.zero_grad()
            value = forward(rows)
            value.backward()
            update.step()
            value.item()

    return steps


def measure(model, optimizer, batch, way, steps):
    key = (model, optimizer, batch, way)
    if key not in RUNS:
        RUNS[key] = prepare(*key, steps)
        RUNS[key](2)
    cpu, wall = time.process_time(), time.perf_counter()
    RUNS[key](steps)
    return {"cpu": (time.process_time() - cpu) / steps, "wall": (time.perf_counter() - wall) / steps,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def answer(do, **rest):
    if do == "export":
        return export(**rest)
    return measure(**rest)


torch.set_num_threads(int(sys.argv[1]))
print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    try:
        print(json.dumps(answer(**json.loads(line)) or {}), flush=True)
    except Exception as error:  # What PyTorch cannot do is an answer too.
        print(json.dumps({"error": str(error)[:300]}), flush=True)
