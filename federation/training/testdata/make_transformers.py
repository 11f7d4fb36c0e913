"""Writes layers/*.onnx and transformers.jsonl: whole trainings of small transformers over tokens, by PyTorch in float64.

    pip install torch==2.15.0 onnx==1.23.2 onnxscript && python make_transformers.py

As make_layers.py, for models whose input is int64. The first is exported by TorchScript, the others by torch.export.
"""
import io
import json
import pathlib
import warnings

import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F

from golden import numbers

warnings.filterwarnings("ignore")
torch.manual_seed(20261128)
HERE = pathlib.Path(__file__).parent
COUNT, BATCH, TIME, TOKENS, CLASSES = 6, 8, 7, 11, 3


class Encoder(nn.Module):
    """PyTorch's own layer, with an embedding and positions that are learnt."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(TOKENS, 8), nn.Parameter(torch.randn(1, TIME, 8) * 0.1)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, activation="gelu")
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.layer(self.tokens(x) + self.positions).mean(1))


class Masked(nn.Module):
    """Attention from its parts: a class token, token 0 as padding, a causal mask, RMS normalisation and a gate."""

    def __init__(self):
        super().__init__()
        self.tokens, self.start = nn.Embedding(TOKENS, 8), nn.Parameter(torch.randn(1, 1, 8) * 0.1)
        self.scale, self.inputs, self.output = nn.Parameter(torch.rand(8) + 0.5), nn.Linear(8, 24), nn.Linear(8, 8)
        self.gate, self.norm, self.head = nn.Linear(8, 16), nn.LayerNorm(8), nn.Linear(8, CLASSES)

    def attention(self, v, kept):
        batch, time, size = v.shape
        q, k, w = self.inputs(v).reshape(batch, time, 3, 2, size // 2).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2) * 0.5).masked_fill(~kept[:, None, None, :], -1e9)
        scores = scores.masked_fill(~torch.tril(torch.ones(time, time)).bool(), -1e9)
        return self.output((scores.softmax(-1) @ w).transpose(1, 2).reshape(batch, time, size))

    def forward(self, x):
        v = torch.cat([self.start.expand(x.shape[0], -1, -1), self.tokens(x)], 1)
        kept = torch.cat([torch.ones_like(x[:, :1]), x], 1) != 0
        v = v * torch.rsqrt(v.pow(2).mean(-1, keepdim=True) + 1e-6) * self.scale
        v = v + self.attention(v, kept)
        a, b = self.gate(v).chunk(2, -1)
        v = self.norm(v + a.flip(-1) * F.silu(b))
        return self.head(v[:, 0] + v[:, 1:].amax(1) - F.hardswish(v[:, ::2]).logsumexp(1))


MODELS = {"encoder": (Encoder(), False), "encoder_exported": (Encoder(), True), "masked": (Masked(), True)}


def export(name):
    model, by_export = MODELS[name]
    file, example = io.BytesIO(), torch.zeros(2, TIME, dtype=torch.int64)
    if by_export:
        batch = {0: torch.export.Dim("batch")}
        torch.onnx.export(model, (example,), file, dynamo=True, optimize=False, input_names=["x"], output_names=["y"],
                          dynamic_shapes=(batch,))
    else:
        torch.onnx.export(model.train(), (example,), file, dynamo=False, do_constant_folding=False, input_names=["x"],
                          training=torch.onnx.TrainingMode.TRAINING, output_names=["y"],
                          dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    proto = onnx.load_from_string(file.getvalue())
    for part in (proto, proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    del proto.graph.value_info[:], proto.functions[:]
    HERE.joinpath("layers", f"{name}.onnx").write_bytes(proto.SerializeToString())


def run(description, name, optimizer, rate, steps=40):
    model = MODELS[name][0].double().train()
    x = torch.randint(0, TOKENS, (COUNT, TIME))
    y = torch.arange(COUNT) % CLASSES
    updates = torch.optim.SGD(model.parameters(), rate, momentum=optimizer["momentum"])
    losses = []
    for _ in range(steps):
        updates.zero_grad()
        value = F.cross_entropy(model(x), y)
        value.backward()
        updates.step()
        losses.append(float(value))
    outputs = model(x).detach()
    # Exporters give weights of products other names and transpose them.
    parameters = {key: numbers(value) for key, value in model.named_parameters() if value.dim() == 1 or "tokens" in key}
    print(f"{description}: loss {losses[0]:.4f} -> {losses[-1]:.4f}")
    return {"name": description, "model": f"layers/{name}.onnx",
            "configuration": {"loss": {"type": "SoftmaxCrossEntropy"}, "optimizer": optimizer, "batchSize": BATCH},
            "learningRate": rate, "epochs": steps, "seed": 1, "count": COUNT, "x": x.flatten().tolist(), "y": y.tolist(),
            "losses": losses, "parameters": parameters,
            "evaluation": {"loss": float(F.cross_entropy(outputs, y)), "accuracy": float((outputs.argmax(1) == y).double().mean())}}


for model in MODELS:
    export(model)
sgd = {"type": "SGD", "momentum": 0.9, "weightDecay": 0.0}
runs = [
    run("a transformer's encoder", "encoder", sgd, 0.05),
    run("a transformer's encoder from torch.export", "encoder_exported", sgd, 0.05),
    run("masked attention from its parts", "masked", sgd, 0.05),
]
path = HERE.joinpath("transformers.jsonl")
path.write_text("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in runs))
print(f"{path.stat().st_size} bytes")
