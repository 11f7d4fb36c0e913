"""Writes torch/*.onnx and torch.jsonl: models of every common family as PyTorch exports them, and how PyTorch trains them.

    pip install torch==2.15.0 onnx==1.23.2 onnxscript==0.7.2 && python make_torch.py

Each model is exported by both of PyTorch's exporters, three files in all: `script` by the TorchScript-based one in training
mode, `dynamo` by the other one without its optimiser, `optimized` with it, as it is by default. Files are as the exporter wrote
them, except that the notes on where each node came from (stack traces with paths of the machine) are left out.

A line of torch.jsonl holds 30 full-batch steps from the exported weights, computed in float64: the loss of every step, the number
of values that learn, and what the trained model predicts. BatchNormalization's running variance is ONNX's (population
variance), not PyTorch's. There is no Dropout: its random numbers are covered by ../testdata/make_training.py.
"""
import io
import json
import pathlib
import sys
import warnings

import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent
COUNT, STEPS = 6, 30


class BatchNorm2d(nn.BatchNorm2d):
    """Takes the place of nn.BatchNorm2d after the export."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        axes = [axis for axis in range(x.dim()) if axis != 1]
        with torch.no_grad():
            self.running_mean.lerp_(x.mean(axes), self.momentum)
            self.running_var.lerp_(x.var(axes, unbiased=False), self.momentum)
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0, self.eps)


class BatchNorm1d(BatchNorm2d):
    def _check_input_dim(self, x):
        pass


class ResidualBlock(nn.Module):
    """He et al., 2016."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)))))


class InvertedResidual(nn.Module):
    """Howard et al., 2019 (MobileNetV3)."""

    def __init__(self, inputs, inside, outputs, kernel, stride, activation):
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inside, 1, bias=False), nn.BatchNorm2d(inside), activation(),
            nn.Conv2d(inside, inside, kernel, stride, kernel // 2, groups=inside, bias=False), nn.BatchNorm2d(inside),
            activation(), SqueezeExcitation(inside), nn.Conv2d(inside, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class UNet(nn.Module):
    """Ronneberger et al., 2015: one level goes up by a transposed convolution, the other by interpolation."""

    def __init__(self):
        super().__init__()
        block = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU())
        self.one, self.two, self.three = block(1, 3), block(3, 4), block(4, 5)
        self.up, self.back = nn.ConvTranspose2d(5, 4, 2, stride=2), block(8, 4)
        self.last = nn.Sequential(nn.Conv2d(7, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 1))

    def forward(self, x):
        one = self.one(x)
        two = self.two(F.max_pool2d(one, 2))
        back = self.back(torch.cat([two, self.up(self.three(F.max_pool2d(two, 2)))], 1))
        up = F.interpolate(back, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return self.last(torch.cat([one, up], 1))


class Recurrent(nn.Module):
    def __init__(self, layer, outputs):
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(layer.hidden_size * (2 if layer.bidirectional else 1), outputs)

    def forward(self, x):
        y, _ = self.layer(x)
        return self.head(y[:, -1])


class TemporalConvolution(nn.Module):
    """Bai et al., 2018: causal, dilated, residual."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(3 if d == 1 else 6, 6, 3, dilation=d) for d in (1, 2, 4)])
        self.first, self.last = nn.Conv1d(3, 6, 1), nn.Linear(6, 2)

    def forward(self, x):
        for index, conv in enumerate(self.convs):
            y = F.relu(conv(F.pad(x, (2 * conv.dilation[0], 0))))
            x = y + (self.first(x) if index == 0 else x)
        return self.last(x[:, :, -1])


class SequenceTransformer(nn.Module):
    """nn.TransformerEncoderLayer over a sequence of measurements; causal mask and positions are buffers."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(3, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(7))
        self.register_buffer("positions", torch.sin(torch.arange(7)[:, None] / 10 ** torch.arange(8)[None]))

    def forward(self, x):
        return self.head(self.encoder(self.project(x) + self.positions, src_mask=self.mask)[:, -1])


class TokenTransformer(nn.Module):
    """Embedding of tokens and positions, a pre-norm layer with GELU; token 0 is padding and masked."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(11, 8), nn.Embedding(9, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        padding = x == 0
        h = self.tokens(x) + self.positions(torch.arange(x.shape[1], device=x.device))
        h = self.encoder(h, src_key_padding_mask=padding).masked_fill(padding.unsqueeze(-1), 0)
        return self.head(h.sum(1) / (~padding).sum(1, keepdim=True))


class EmbeddingTables(nn.Module):
    """Categories of a table, each with its own embedding (Guo and Berkhahn, 2016)."""

    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, 4) for size in (7, 5, 3))
        self.layers = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.layers(torch.cat([table(x[:, i]) for i, table in enumerate(self.tables)], 1))


def tokens(high, *shape, padding=False):
    x = torch.randint(1 if padding else 0, high, (COUNT, *shape))
    if padding:
        x[::2, -3:] = 0
        x[1, -1] = 0
    return x


def measurements(*shape):
    """Multiples of 1/16: exact in float32, and short to write."""
    return torch.randint(-32, 33, (COUNT, *shape)) / 16


softmax, squared, binary = "SoftmaxCrossEntropy", "MeanSquaredError", "BinaryCrossEntropy"
sgd = {"type": "SGD", "momentum": 0.9}
adam = {"type": "Adam"}
# The optimiser that runs by default folds BatchNormalization into convolutions, drops additions of biases that are 0 and adds
# numbers of its own; models to which it does that do not train as in PyTorch any more.
CHANGED_BY_OPTIMIZER = {"resnet", "mobilenet", "unet", "transformer", "tokens", "autoencoder"}
FAMILIES = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)),
            lambda: measurements(6), softmax, sgd, 0.1),
    "cnn": (lambda: nn.Sequential(nn.Conv2d(1, 3, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 5, 5, padding=2),
                                  nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 3)),
            lambda: measurements(1, 8, 8), softmax, sgd, 0.02),
    "resnet": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
                                     ResidualBlock(4, 4, 1), ResidualBlock(4, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                     nn.Linear(8, 3)),
               lambda: measurements(2, 8, 8), softmax, sgd, 0.02),
    "mobilenet": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.Hardswish(),
                                        InvertedResidual(4, 8, 4, 3, 1, nn.ReLU6), InvertedResidual(4, 8, 6, 5, 2, nn.Hardswish),
                                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 8), nn.Hardswish(),
                                        nn.Linear(8, 3)),
                  lambda: measurements(2, 8, 8), softmax, sgd, 0.02),
    "unet": (UNet, lambda: measurements(1, 8, 8), binary, sgd, 0.05),
    "lstm": (lambda: Recurrent(nn.LSTM(3, 6, batch_first=True), 3), lambda: measurements(7, 3), softmax, sgd, 0.1),
    "gru": (lambda: Recurrent(nn.GRU(3, 6, batch_first=True), 2), lambda: measurements(7, 3), squared, adam, 0.02),
    "bilstm": (lambda: Recurrent(nn.LSTM(3, 4, batch_first=True, bidirectional=True), 3),
               lambda: measurements(7, 3), softmax, sgd, 0.1),
    "tcn": (TemporalConvolution, lambda: measurements(3, 16), squared, sgd, 0.02),
    "transformer": (SequenceTransformer, lambda: measurements(7, 3), softmax, adam, 0.01),
    "tokens": (TokenTransformer, lambda: tokens(11, 9, padding=True), softmax, adam, 0.01),
    "embedding": (EmbeddingTables, lambda: torch.stack([tokens(size) for size in (7, 5, 3)], 1), binary, sgd, 0.1),
    "autoencoder": (lambda: nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3), nn.Softplus(),
                                          nn.Linear(3, 8), nn.ELU(), nn.Linear(8, 10), nn.Sigmoid()),
                    lambda: (measurements(10) + 2) / 4, squared, sgd, 0.5),
}


def exported(model, x, exporter):
    file = io.BytesIO()
    example = torch.cat([x, x])[:4]
    names = {"input_names": ["x"], "output_names": ["y"]}
    batch = torch.export.Dim("batch", min=1, max=4096)
    if exporter == "script":
        torch.onnx.export(model, (example,), file, dynamo=False, training=torch.onnx.TrainingMode.TRAINING,
                          do_constant_folding=False, dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **names)
    else:
        torch.onnx.export(model, (example,), file, dynamo=True, optimize=exporter == "optimized", external_data=False,
                          dynamic_shapes=({0: batch},), **names)
    return without_notes(onnx.load_from_string(file.getvalue()))


def without_notes(model):
    for node in model.graph.node:
        del node.metadata_props[:]
    return model.SerializeToString()


def label(loss, outputs):
    if loss == softmax:
        return torch.arange(COUNT) % outputs.shape[1]
    if loss == binary:
        return torch.randint(0, 2, outputs.shape).double()
    return torch.randint(-16, 17, outputs.shape).double() / 16


CRITERIA = {softmax: F.cross_entropy, binary: F.binary_cross_entropy_with_logits, squared: F.mse_loss}


def trained(model, x, y, family):
    _, _, loss, optimizer, rate = FAMILIES[family]
    if optimizer["type"] == "SGD":
        updates = torch.optim.SGD(model.parameters(), rate, momentum=optimizer["momentum"])
    else:
        updates = torch.optim.Adam(model.parameters(), rate)
    losses = []
    model.train()
    for _ in range(STEPS):
        updates.zero_grad()
        value = CRITERIA[loss](model(x), y)
        value.backward()
        updates.step()
        losses.append(float(value))
    with torch.no_grad():
        return losses, model.eval()(x)


def numbers(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().double().flatten().tolist()]


def make(family):
    torch.manual_seed(sum(family.encode()))
    build, samples, loss, optimizer, rate = FAMILIES[family]
    model, x = build(), samples()
    files = {}
    for exporter in ("script", "dynamo", "optimized"):
        if exporter == "optimized" and family in CHANGED_BY_OPTIMIZER:
            continue
        content = exported(model.train(), x, exporter)
        files[exporter] = f"torch/{family}-{exporter}.onnx"
        HERE.joinpath(files[exporter]).write_bytes(content)
    model.double()
    for module in model.modules():
        if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
            module.__class__ = BatchNorm1d if type(module) is nn.BatchNorm1d else BatchNorm2d
    x = x.double() if x.is_floating_point() else x
    y = label(loss, model.eval()(x))
    if family == "autoencoder":
        y = x.clone()
    losses, outputs = trained(model, x, y, family)
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    sizes = [HERE.joinpath(file).stat().st_size for file in files.values()]
    print(f"{family}: {learning} values learn, loss {losses[0]:.4f} -> {losses[-1]:.4f}, files {sizes}")
    # The older exporter does not say which initializers are buffers.
    frozen = {files["script"]: ["positions"]} if family == "transformer" else {}
    return {"family": family, "files": [{"file": file, "frozen": frozen.get(file, [])} for file in files.values()],
            "configuration": {"loss": {"type": loss}, "optimizer": optimizer, "batchSize": COUNT},
            "learningRate": rate, "count": COUNT, "learning": learning, "x": numbers(x), "y": numbers(y),
            "losses": losses, "outputs": numbers(outputs)}


HERE.joinpath("torch").mkdir(exist_ok=True)
torch.backends.mha.set_fastpath_enabled(False)
runs = [make(family) for family in sys.argv[1:] or FAMILIES]
if not sys.argv[1:]:
    path = HERE.joinpath("torch.jsonl")
    path.write_text("".join(json.dumps(run, separators=(",", ":")) + "\n" for run in runs))
    print(f"{path.stat().st_size} bytes")
