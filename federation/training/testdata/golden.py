"""What the scripts that write golden cases of operators share.

A case holds an ONNX node (op, attributes), its inputs, the gradient `dy` of its output, and what PyTorch makes of them in
float64: `y`, and for each input that has one, its gradient. Of a node with several outputs, `outputs` has their
shapes (None: not used) and y is all of them, flat, one after the other. Inputs are exact in float32.
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
        y = function(*leaves)
        if isinstance(y, (list, tuple)):
            more["outputs"] = [None if value is None else list(value.shape) for value in y]
            y = torch.cat([value.flatten() for value in y if value is not None]).reshape(1, -1)
        dy = random(*y.shape)
        gradients = torch.autograd.grad(y, leaves, dy, allow_unused=True)
        self.lines.append({
            "name": f"{op} {name}".strip(),
            "op": op,
            "attributes": attributes or {},
            "inputs": [{"shape": list(v.shape), "data": numbers(v)} for v in inputs],
            "constants": constants or {},
            "y": {"shape": list(y.shape), "data": numbers(y)},
            "dy": numbers(dy),
            "gradients": [None if g is None else numbers(g) for g in gradients],
            **more,
        })

    def write(self, name):
        path = pathlib.Path(__file__).parent.joinpath(name)
        path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in self.lines))
        print(f"{name}: {len(self.lines)} cases, {path.stat().st_size} bytes")
