"""What the scripts that write golden cases of operators share.

A case holds an ONNX node (op, attributes), its inputs, and what PyTorch makes of them in float64: its outputs (null: not
used), each with a gradient `dy`, and for each input that has one, its gradient. Inputs are exact in float32.
"""
import json
import pathlib

import torch

torch.set_num_threads(1)


def numbers(tensor, digits=8):
    return [float(f"{value:.{digits}g}") for value in tensor.detach().double().flatten().tolist()]


def random(*shape, low=-2.0, high=2.0):
    """Multiples of 1/16: exact in float32, and short to write."""
    return torch.randint(int(low * 16), int(high * 16) + 1, shape).double() / 16


class Cases:
    def __init__(self):
        self.lines = []

    def add(self, name, op, inputs, function, attributes=None, constants=None, **more):
        """inputs: tensors that get gradients; constants: input index -> floats, {"int64": …} or None (absent)."""
        leaves = [value.clone().requires_grad_() for value in inputs]
        found = function(*leaves)
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        used = [value for value in found if value is not None]
        dys = [random(*value.shape) for value in used]
        gradients = torch.autograd.grad(used, leaves, dys, allow_unused=True)
        described = iter({"shape": list(y.shape), "data": numbers(y), "dy": numbers(dy)} for y, dy in zip(used, dys))
        self.lines.append({
            "name": f"{op} {name}".strip(),
            "op": op,
            "attributes": attributes or {},
            "inputs": [{"shape": list(v.shape), "data": numbers(v)} for v in inputs],
            "constants": constants or {},
            "outputs": [None if value is None else next(described) for value in found],
            "gradients": [None if g is None else numbers(g) for g in gradients],
            **more,
        })

    def write(self, name):
        path = pathlib.Path(__file__).parent.joinpath(name)
        path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in self.lines))
        print(f"{name}: {len(self.lines)} cases, {path.stat().st_size} bytes")
