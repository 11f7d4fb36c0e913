"""Writes operators.jsonl: forward values and gradients of every supported operator, by PyTorch in float64.

    pip install torch==2.15.0 && python make_operators.py

An independent implementation: nothing here knows ONNX Runtime or the compiler. Inputs are exact in float32.
Each line is a case: it holds an ONNX node (op, attributes), its inputs, what PyTorch makes of them as outputs, a gradient
`dy` of each output, and for each input that has one, its gradient. Every group of cases has its own random numbers.
"""
import json
import math
import pathlib
import zlib

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
cases = []


def numbers(tensor, digits=7):
    """Inputs have few digits, results 7: what float32 holds."""
    rounded = [float(f"{value:.{digits}g}") for value in tensor.detach().double().flatten().tolist()]
    return [int(value) if value == int(value) else value for value in rounded]


def random(*shape, low=-2.0, high=2.0):
    """Three decimals, and exact in float32."""
    return ((torch.rand(shape) * (high - low) + low) * 1000).round().div(1000).float().double()


def apart(*shape, start=-2.0, step=0.13):
    """In a random order, numbers that differ by at least `step`."""
    count = math.prod(shape)
    return (start + step * torch.randperm(count).reshape(shape).double()).float().double()


def integers(*values, shape=None):
    """A constant of int64."""
    return {"type": "int64", "shape": [len(values)] if shape is None else list(shape), "data": list(values)}


def case(name, op, inputs, function, attributes=None, constants=None, **more):
    """inputs: tensors that get gradients, in the positions that constants leave; constants: input index -> number, list or
    {type, shape, data}, or None (absent).

    The function returns the output, or a list of outputs: None is one that is not used, an integer tensor has no gradient.
    """
    leaves = [value.clone().requires_grad_() for value in inputs]
    results = function(*leaves)
    results = [results] if torch.is_tensor(results) else results
    outputs, dys = [], []
    for y in results:
        entry = None if y is None else {"shape": list(y.shape), "data": numbers(y)}
        if y is not None and y.is_floating_point():
            dy = random(*y.shape)
            mask = more.get("row_mask")
            if mask is not None:  # A padded row's loss has weight 0, so its gradient is 0.
                dy = dy * torch.tensor(mask, dtype=torch.float64).reshape(-1, *[1] * (y.dim() - 1))
            entry["dy"] = numbers(dy)
            if y.requires_grad:
                dys.append((y, dy))
        outputs.append(entry)
    gradients = [None] * len(leaves)
    if dys:
        ys, seeds = zip(*dys)
        gradients = torch.autograd.grad(ys, leaves, seeds, allow_unused=True)
    cases.append({
        "name": f"{op} {name}".strip(),
        "op": op,
        "attributes": attributes or {},
        "inputs": [{"shape": list(v.shape), "data": numbers(v, 9)} for v in inputs],
        "constants": constants or {},
        "outputs": outputs,
        "gradients": [None if g is None else numbers(g) for g in gradients],
        **{key: value for key, value in more.items()},
    })


def arithmetic():
    functions = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div}
    shapes = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((2, 3), ()), ((), (2, 2)), ((3, 1), (2, 3, 4))]
    for op, function in functions.items():
        for a, b in shapes:
            divisor = random(*b, low=0.5) if op == "Div" else random(*b)
            case(f"of {list(a)} and {list(b)}", op, [random(*a), divisor], function)


def matrices():
    for a, b in [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((4,), (4, 5)),
                 ((3, 4), (4,)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (4,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
                 ((2, 1, 3, 4), (1, 5, 4, 2))]:
        case(f"of {list(a)} and {list(b)}", "MatMul", [random(*a), random(*b)], torch.matmul)
    for trans_a in (0, 1):
        for trans_b in (0, 1):
            for c in [(5,), (), (3, 1), (3, 5), None]:
                alpha, beta = (1.0, 1.0) if c == (5,) else (0.5, 2.0)

                def gemm(a, b, c=None):
                    product = alpha * (a.T if trans_a else a) @ (b.T if trans_b else b)
                    return product if c is None else product + beta * c

                inputs = [random(*((4, 3) if trans_a else (3, 4))), random(*((5, 4) if trans_b else (4, 5)))]
                attributes = {"transA": trans_a, "transB": trans_b, "alpha": {"float": alpha}, "beta": {"float": beta}}
                case(f"transA {trans_a} transB {trans_b} C {None if c is None else list(c)}", "Gemm",
                     inputs + ([] if c is None else [random(*c)]), gemm, attributes)


def activations():
    x = lambda: random(3, 4)
    case("", "Relu", [x()], F.relu)
    case("at 0", "Relu", [torch.zeros(2, 2).double()], F.relu)
    case("", "LeakyRelu", [x()], lambda v: F.leaky_relu(v, 0.01))
    case("alpha 0.2", "LeakyRelu", [x()], lambda v: F.leaky_relu(v, 0.2), {"alpha": {"float": 0.2}})
    case("at 0", "LeakyRelu", [torch.zeros(2, 2).double()], lambda v: F.leaky_relu(v, 0.01))
    case("", "Sigmoid", [random(3, 4, low=-8, high=8)], torch.sigmoid)
    case("", "Tanh", [x()], torch.tanh)
    case("", "Identity", [x()], lambda v: v * 1)
    for axis in (-1, 0, 1):
        case(f"axis {axis}", "Softmax", [random(2, 3, 4)], lambda v: F.softmax(v, axis), {"axis": axis})
        case(f"axis {axis}", "LogSoftmax", [random(2, 3, 4)], lambda v: F.log_softmax(v, axis), {"axis": axis})
    case("default axis", "Softmax", [random(2, 3)], lambda v: F.softmax(v, -1))
    case("default axis", "LogSoftmax", [random(2, 3)], lambda v: F.log_softmax(v, -1))
    case("both bounds", "Clip", [x()], lambda v: v.clamp(-1, 0.5), constants={"1": -1.0, "2": 0.5})
    case("on the bounds", "Clip", [torch.tensor([[-1.0, 0.5]]).double()], lambda v: v.clamp(-1, 0.5),
         constants={"1": -1.0, "2": 0.5})
    case("lower bound", "Clip", [x()], lambda v: v.clamp(min=0), constants={"1": 0.0})
    case("upper bound", "Clip", [x()], lambda v: v.clamp(max=0.25), constants={"1": None, "2": 0.25})
    case("without bounds", "Clip", [x()], lambda v: v * 1)


def same_pads(size, kernel, stride, dilation, upper):
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size)
    small, large = total // 2, total - total // 2
    return (small, large) if upper else (large, small)


def window(size, kernel, strides=None, dilations=None, pads=None, auto_pad=None):
    """Attributes, and padding as (begin, end) for each dimension."""
    rank = len(kernel)
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    attributes = {"kernel_shape": kernel}
    if strides != [1] * rank:
        attributes["strides"] = strides
    if dilations != [1] * rank:
        attributes["dilations"] = dilations
    pairs = [(0, 0)] * rank
    if auto_pad:
        attributes["auto_pad"] = auto_pad
        if auto_pad.startswith("SAME"):
            pairs = [same_pads(*args, auto_pad == "SAME_UPPER") for args in zip(size, kernel, strides, dilations)]
    elif pads:
        attributes["pads"] = pads
        pairs = list(zip(pads[:rank], pads[rank:]))
    return attributes, pairs, strides, dilations


def padded(x, pairs, value=0.0):
    flat = [amount for pair in reversed(pairs) for amount in pair]
    return F.pad(x, flat, value=value)


def convolutions():
    def conv(name, x, w, bias=True, **how):
        attributes, pairs, strides, dilations = window(x[2:], list(w[2:]), **how)
        function = F.conv1d if len(w) == 3 else F.conv2d

        def run(x, w, b=None):
            return function(padded(x, pairs), w, b, stride=strides, dilation=dilations)

        case(name, "Conv", [random(*x), random(*w)] + ([random(w[0])] if bias else []), run, attributes)

    conv("1-D", (2, 3, 7), (4, 3, 3))
    conv("1-D padded, without bias", (2, 3, 7), (4, 3, 3), bias=False, pads=[1, 1])
    conv("1-D causal and dilated", (2, 2, 9), (3, 2, 3), pads=[4, 0], dilations=[2])
    conv("1-D padded beyond the kernel", (2, 2, 5), (3, 2, 2), pads=[3, 2])
    conv("1-D stride 2", (2, 3, 8), (2, 3, 3), strides=[2])
    conv("1-D stride 3 kernel 1", (2, 3, 9), (2, 3, 1), strides=[3])
    conv("1-D SAME_LOWER stride 2", (2, 3, 8), (2, 3, 4), strides=[2], auto_pad="SAME_LOWER")
    conv("1-D with 9 channels", (2, 9, 6), (2, 9, 3), pads=[1, 1])
    conv("2-D", (2, 3, 5, 6), (4, 3, 3, 3))
    conv("2-D padded", (2, 3, 5, 5), (4, 3, 3, 3), pads=[1, 1, 1, 1])
    conv("2-D padded, without bias", (2, 3, 5, 5), (4, 3, 3, 3), bias=False, pads=[1, 1, 1, 1])
    conv("2-D with 9 channels", (2, 9, 5, 5), (10, 9, 3, 3), pads=[1, 1, 1, 1])
    conv("2-D with 9 channels, strided and dilated", (2, 9, 8, 7), (4, 9, 3, 2), pads=[2, 0, 1, 1], strides=[2, 1],
         dilations=[1, 2])
    conv("2-D kernel 1", (2, 3, 4, 4), (4, 3, 1, 1))
    conv("2-D kernel 1 with 9 channels stride 2", (2, 9, 5, 4), (4, 9, 1, 1), strides=[2, 2])
    conv("2-D stride 2, tail not reached", (2, 2, 6, 8), (3, 2, 3, 3), strides=[2, 2])
    conv("2-D stride larger than the kernel", (2, 2, 8, 7), (3, 2, 2, 2), strides=[3, 3])
    conv("2-D everything uneven", (2, 3, 9, 8), (4, 3, 3, 2), pads=[1, 0, 2, 1], strides=[2, 1], dilations=[1, 2])
    conv("2-D dilated", (2, 2, 7, 7), (3, 2, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2])
    conv("2-D dilated and strided", (1, 2, 10, 9), (2, 2, 3, 3), pads=[1, 2, 0, 1], dilations=[2, 3], strides=[3, 2])
    conv("2-D SAME_UPPER", (2, 2, 5, 6), (3, 2, 2, 3), auto_pad="SAME_UPPER")
    conv("2-D SAME_UPPER stride 2", (2, 2, 7, 6), (3, 2, 4, 3), strides=[2, 2], auto_pad="SAME_UPPER")
    conv("2-D SAME_LOWER stride 2", (2, 2, 7, 6), (3, 2, 4, 3), strides=[2, 2], auto_pad="SAME_LOWER")
    conv("2-D VALID", (2, 2, 5, 5), (3, 2, 2, 2), auto_pad="VALID", strides=[2, 1])


def pools():
    def max_pool(name, x, kernel, ceil=False, **how):
        attributes, pairs, strides, dilations = window(x.shape[2:], kernel, **how)
        if ceil:
            attributes["ceil_mode"] = 1
        function = F.max_pool1d if len(kernel) == 1 else F.max_pool2d
        case(name, "MaxPool", [x], lambda v: function(padded(v, pairs, -1e9), kernel, strides, 0, dilations, ceil),
             attributes)

    max_pool("2x2", random(2, 3, 4, 6), [2, 2], strides=[2, 2])
    max_pool("2x2 of equal values", torch.full((2, 1, 4, 4), 0.5).double(), [2, 2], strides=[2, 2])
    max_pool("overlapping, equal values", torch.zeros(1, 2, 5, 5).double(), [3, 3], strides=[2, 2])
    max_pool("overlapping, padded", random(2, 2, 6, 5), [3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    max_pool("stride 1", random(2, 2, 4, 4), [2, 2])
    max_pool("uneven", random(2, 2, 7, 5), [3, 2], strides=[2, 1], pads=[0, 1, 1, 0])
    max_pool("ceil_mode", random(2, 2, 5, 6), [2, 3], strides=[2, 2], ceil=True)
    max_pool("dilated", random(1, 2, 7, 7), [2, 2], strides=[3, 3], dilations=[2, 2])
    max_pool("SAME_UPPER", random(2, 2, 5, 5), [2, 2], strides=[2, 2], auto_pad="SAME_UPPER")
    max_pool("1-D", random(2, 3, 8), [2], strides=[2])
    max_pool("1-D overlapping", random(2, 3, 8), [3], strides=[2], pads=[1, 0])

    def average_pool(name, x, kernel, include=False, ceil=False, **how):
        attributes, pairs, strides, _ = window(x.shape[2:], kernel, **how)
        attributes |= ({"ceil_mode": 1} if ceil else {}) | ({"count_include_pad": 1} if include else {})
        function = (F.avg_pool1d if len(kernel) == 1 else F.avg_pool2d)

        def run(v):
            total = function(padded(v, pairs), kernel, strides, ceil_mode=ceil)
            return total if include else total / function(padded(torch.ones_like(v), pairs), kernel, strides, ceil_mode=ceil)

        case(name, "AveragePool", [x], run, attributes)

    average_pool("2x2", random(2, 3, 4, 6), [2, 2], strides=[2, 2])
    average_pool("padded", random(2, 2, 5, 5), [3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    average_pool("padded, padding counted", random(2, 2, 5, 5), [3, 3], strides=[2, 2], pads=[1, 1, 1, 1], include=True)
    average_pool("uneven", random(2, 2, 6, 7), [2, 3], strides=[1, 2], pads=[1, 0, 0, 1])
    average_pool("ceil_mode", random(2, 2, 5, 6), [2, 3], strides=[2, 2], ceil=True)
    average_pool("SAME_LOWER", random(2, 2, 5, 4), [2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
    average_pool("tail not reached", random(2, 2, 7, 5), [2, 2], strides=[2, 2])
    average_pool("1-D", random(2, 3, 8), [2], strides=[2])
    average_pool("1-D overlapping, padded", random(2, 3, 7), [3], strides=[1], pads=[1, 1])
    case("2-D", "GlobalAveragePool", [random(2, 3, 4, 5)], lambda v: v.mean((2, 3), keepdim=True))
    case("1-D", "GlobalAveragePool", [random(2, 3, 4)], lambda v: v.mean(2, keepdim=True))


def normalizations():
    def batch_norm(name, x, mask=None, epsilon=1e-5, momentum=0.9):
        rows = mask or [1] * x.shape[0]
        axes = [axis for axis in range(x.dim()) if axis != 1]
        per_channel = [1, x.shape[1]] + [1] * (x.dim() - 2)
        kept = torch.tensor(rows, dtype=torch.bool)

        def run(x, scale, bias):
            real = x[kept]
            mean = real.mean(axes).reshape(per_channel)
            variance = real.var(axes, unbiased=False).reshape(per_channel)
            normalized = (x - mean) / torch.sqrt(variance + epsilon)
            return normalized * scale.reshape(per_channel) + bias.reshape(per_channel)

        c = x.shape[1]
        running = [random(c), random(c, low=0.5)]
        batch = [x[kept].mean(axes), x[kept].var(axes, unbiased=False)]
        moved = [old * momentum + new * (1 - momentum) for old, new in zip(running, batch)]
        case(name, "BatchNormalization", [x, random(c), random(c)], run,
             {"epsilon": {"float": epsilon}, "momentum": {"float": momentum}},
             state=[numbers(value) for value in running], newState=[numbers(value) for value in moved],
             **({"row_mask": mask} if mask else {}))

    batch_norm("of [batch, channels]", random(6, 3))
    batch_norm("of [batch, channels, length]", random(4, 3, 5))
    batch_norm("of images", random(4, 3, 3, 2), epsilon=1e-3, momentum=0.7)
    batch_norm("of images with padding rows", random(5, 3, 2, 3), mask=[1, 0, 1, 1, 0])
    batch_norm("of rows with padding rows", random(6, 2), mask=[1, 1, 1, 1, 0, 0])

    x, c = random(4, 3, 2, 2), 3
    running = [random(c), random(c, low=0.5)]
    case("with frozen statistics", "BatchNormalization", [x, random(c), random(c)],
         lambda x, s, b: F.batch_norm(x, running[0], running[1], s, b, False, 0.1, 1e-5),
         constants={"3": numbers(running[0]), "4": numbers(running[1])})

    for ratio in (0.25, 0.5):
        uniform = torch.rand(3, 8).float().double()
        case(f"ratio {ratio}", "Dropout", [random(3, 8)], lambda v: v * (uniform >= ratio).double() / (1 - ratio),
             constants={"1": ratio} if ratio != 0.5 else {}, uniform=numbers(uniform))
    case("ratio 0", "Dropout", [random(3, 8)], lambda v: v * 1, constants={"1": 0.0})


def shapes():
    x = lambda: random(2, 3, 4)
    case("", "Flatten", [x()], lambda v: v.reshape(2, 12))
    case("axis 2", "Flatten", [x()], lambda v: v.reshape(6, 4), {"axis": 2})
    case("axis 0", "Flatten", [x()], lambda v: v.reshape(1, 24), {"axis": 0})
    case("with 0 and -1", "Reshape", [x()], lambda v: v.reshape(2, 12), constants={"1": integers(0, -1)})
    case("", "Transpose", [x()], lambda v: v.permute(2, 1, 0))
    case("perm 1, 2, 0", "Transpose", [x()], lambda v: v.permute(1, 2, 0), {"perm": [1, 2, 0]})
    case("every axis of 1", "Squeeze", [random(2, 1, 3, 1)], lambda v: v.reshape(2, 3))
    case("axis -1", "Squeeze", [random(2, 1, 3, 1)], lambda v: v.reshape(2, 1, 3), constants={"1": integers(-1)})
    case("axes 0 and -1", "Unsqueeze", [random(2, 3)], lambda v: v.reshape(1, 2, 3, 1),
         constants={"1": integers(0, -1)})
    case("axis 1", "Concat", [random(2, 3), random(2, 1), random(2, 4)], lambda *v: torch.cat(v, 1), {"axis": 1})
    case("axis -2", "Concat", [random(2, 3, 2), random(2, 1, 2)], lambda *v: torch.cat(v, 1), {"axis": -2})


def pointwise():
    x = lambda: random(2, 5)
    positive = lambda: random(2, 5, low=0.2)
    for op, function, value in [
        ("Neg", torch.neg, x()), ("Abs", torch.abs, x()), ("Exp", torch.exp, x()), ("Log", torch.log, positive()),
        ("Sqrt", torch.sqrt, positive()), ("Reciprocal", torch.reciprocal, positive()), ("Erf", torch.erf, x()),
        ("Sin", torch.sin, x()), ("Cos", torch.cos, x()),
    ]:
        case("", op, [value], function)
    case("at 0", "Abs", [torch.zeros(2, 2).double()], torch.abs)
    base = lambda: random(2, 3, low=0.3)
    for e in (2.0, 3.0, 0.5, -1.0, 1.0, 0.0):
        case(f"exponent {e}", "Pow", [base()], lambda v: v ** e, constants={"1": e})
    case("exponent 3 of int64", "Pow", [x()], lambda v: v ** 3, constants={"1": integers(3, shape=[])})
    case("exponent 0 of 0", "Pow", [torch.zeros(2, 2).double()], lambda v: v ** 0.0, constants={"1": 0.0})
    case("of two inputs", "Pow", [base(), random(3)], torch.pow)
    case("of 0 and positive", "Pow", [torch.zeros(2).double(), random(2, low=1.5)], torch.pow)
    case("of 0 and 0", "Pow", [torch.zeros(1).double(), torch.zeros(1).double()], torch.pow)
    for op, function in {"Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Sign": torch.sign}.items():
        case("", op, [x()], lambda v: function(v).detach())


def pieces():
    x = lambda: random(2, 6, low=-4, high=4)
    edge = lambda *values: torch.tensor([values]).double()
    elu = lambda v, a: torch.where(v > 0, v, a * (torch.exp(v) - 1))
    case("", "Elu", [x()], F.elu)
    case("alpha 0.5 and at 0", "Elu", [edge(0, -1, 1)], lambda v: F.elu(v, 0.5), {"alpha": {"float": 0.5}})
    case("and at 0", "Selu", [edge(0, -1, 1, -3, 2)], F.selu)
    case("with attributes", "Selu", [x()], lambda v: 1.5 * elu(v, 2.0),
         {"alpha": {"float": 2.0}, "gamma": {"float": 1.5}})
    case("and at 0", "Celu", [edge(0, -1, 1, -3, 2)], F.celu)
    case("alpha 2", "Celu", [x()], lambda v: F.celu(v, 2.0), {"alpha": {"float": 2.0}})
    case("and on the threshold", "ThresholdedRelu", [edge(1, 0.5, 1.5, -2)], lambda v: F.threshold(v, 1.0, 0.0))
    case("alpha -0.5", "ThresholdedRelu", [x()], lambda v: F.threshold(v, -0.5, 0.0), {"alpha": {"float": -0.5}})
    case("as in PyTorch, with its kinks", "HardSigmoid", [edge(-3, 3, 0, -4, 4, 1.5)],
         lambda v: F.hardsigmoid(v), {"alpha": {"float": 1 / 6}})
    case("", "HardSigmoid", [x()], lambda v: (0.2 * v + 0.5).clamp(0, 1))
    case("and at its kinks", "HardSwish", [edge(-3, 3, 0, -4, 4, 1.5, -2)], F.hardswish)
    case("", "HardSwish", [x()], F.hardswish)
    case("of one slope, and at 0", "PRelu", [edge(0, -1, 1, -3), random(1)], F.prelu)
    case("of a slope a channel", "PRelu", [random(2, 3, 4), random(3, 1)],
         lambda v, s: torch.where(v > 0, v, v * s))
    case("", "Gelu", [x()], F.gelu)
    case("by tanh", "Gelu", [x()], lambda v: F.gelu(v, approximate="tanh"), {"approximate": "tanh"})
    case("", "Softplus", [random(2, 6, low=-9, high=9)], F.softplus)
    case("", "Softsign", [x()], F.softsign)
    case("", "Mish", [x()], F.mish)
    case("", "Swish", [x()], F.silu, opset=24)
    case("alpha 1.5", "Swish", [x()], lambda v: v * torch.sigmoid(1.5 * v), {"alpha": {"float": 1.5}}, opset=24)


def choices():
    mask = torch.tensor([[1, 0, 1], [0, 0, 1]]).bool()
    condition = {"type": "bool", "shape": [2, 3], "data": [1, 0, 1, 0, 0, 1]}

    def where(name, a, b, condition, m):
        case(name, "Where", [a, b], lambda a, b: torch.where(m, a, b), constants={"0": condition})

    where("of equal shapes", random(2, 3), random(2, 3), condition, mask)
    where("of a row and a number", random(3), random(), condition, mask)
    where("of a wider condition", random(1, 3), random(2, 1), condition, mask)
    for op, two in {"Max": torch.maximum, "Min": torch.minimum}.items():
        case("of two", op, [random(2, 3), random(3)], two)
        case("of equal values", op, [torch.ones(2, 2).double(), torch.ones(2, 2).double()], two)
        case("of three", op, [random(2, 3), random(3), random(2, 1)], lambda a, b, c: two(two(a, b), c))
        case("of three equal values", op, [torch.ones(2).double()] * 3, lambda a, b, c: two(two(a, b), c))
        case("of one", op, [random(2)], lambda v: v * 1)
    case("of three", "Sum", [random(2, 3), random(3), random(2, 1)], lambda *v: v[0] + v[1] + v[2])
    case("of one", "Sum", [random(2, 3)], lambda v: v * 1)
    case("of three", "Mean", [random(2, 3), random(3), random(2, 1)], lambda *v: (v[0] + v[1] + v[2]) / 3)
    for largest in (1, 0):
        case(f"largest {largest}", "TopK", [apart(2, 5)], lambda v: list(torch.topk(v, 3, -1, bool(largest))),
             {"largest": largest}, {"1": integers(3)})
    case("along axis 0", "TopK", [apart(4, 3)], lambda v: list(torch.topk(v, 2, 0)), {"axis": 0},
         {"1": integers(2)})


def masks():
    x = random(2, 3)
    for op, function in {"Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt, "LessOrEqual": torch.le,
                         "Equal": torch.eq}.items():
        case("", op, [x, torch.cat([x[:, :1], random(2, 2)], 1)], function)
    bools = lambda *data: {"type": "bool", "shape": [4], "data": list(data)}
    a, b = torch.tensor([0, 0, 1, 1]).bool(), torch.tensor([0, 1, 0, 1]).bool()
    for op, function in {"And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor}.items():
        case("", op, [], lambda: function(a, b), constants={"0": bools(0, 0, 1, 1), "1": bools(0, 1, 0, 1)})
    case("", "Not", [], lambda: ~a, constants={"0": bools(0, 0, 1, 1)})
    case("", "IsNaN", [x], torch.isnan)
    case("", "IsInf", [x], torch.isinf)
    case("fmod", "Mod", [random(2, 3), random(2, 3, low=0.5)], lambda a, b: torch.fmod(a, b).detach(), {"fmod": 1})
    case("", "ArgMax", [apart(2, 4)], lambda v: v.argmax(1, keepdim=True), {"axis": 1})
    case("", "ArgMin", [apart(2, 4)], lambda v: v.argmin(0), {"axis": 0, "keepdims": 0})
    case("", "OneHot", [], lambda: F.one_hot(torch.tensor([1, 0, 2]), 3).double(),
         constants={"0": integers(1, 0, 2), "1": integers(3), "2": [0, 1]})
    case("to float", "Cast", [x], lambda v: v * 1, {"to": 1})
    case("to int64", "Cast", [x], lambda v: v.long(), {"to": 7})
    case("to bool", "Cast", [x], lambda v: v.bool(), {"to": 9})
    case("of float", "CastLike", [x], lambda v: v * 1, constants={"1": 1.0})


def reductions():
    x = lambda: random(2, 3, 4)
    norm = lambda p: lambda v, axes, keepdim: torch.linalg.vector_norm(v, p, axes, keepdim)

    def prod(v, axes, keepdim):
        for axis in sorted((a % v.dim() for a in axes), reverse=True):
            v = v.prod(axis, keepdim=keepdim)
        return v

    functions = {
        "ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax, "ReduceMin": torch.amin,
        "ReduceProd": prod, "ReduceL1": norm(1), "ReduceL2": norm(2),
        "ReduceSumSquare": lambda v, axes, keepdim: (v * v).sum(axes, keepdim),
        "ReduceLogSum": lambda v, axes, keepdim: v.sum(axes, keepdim).log(),
        "ReduceLogSumExp": lambda v, axes, keepdim: v.logsumexp(axes, keepdim),
    }
    for op, function in functions.items():
        value = (lambda: random(2, 3, 2, low=0.3)) if op == "ReduceLogSum" else lambda: random(2, 3, 2)
        case("of every axis", op, [value()], lambda v: function(v, (0, 1, 2), True))
        case("axis 1", op, [value()], lambda v: function(v, (1,), True), constants={"1": integers(1)})
        case("axes -1 and 1, dropped", op, [value()], lambda v: function(v, (1, 2), False), {"keepdims": 0},
             {"1": integers(-1, 1)})
        attribute = {"axes": [-2]}
        case("axes as in opset 17" if op != "ReduceSum" else "axis -2", op, [value()],
             lambda v: function(v, (1,), True), **(
                 dict(attributes=attribute, opset=17) if op != "ReduceSum" else dict(constants={"1": integers(-2)})))
    for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"):
        case("no axes, as asked", op, [random(2, 2)], lambda v: v * 1, {"noop_with_empty_axes": 1})
    ties = torch.tensor([[1, 2, 2], [2, 0, 1]]).double()
    case("of equal values", "ReduceMax", [ties], lambda v: v.amax((0, 1), True))
    case("of equal values", "ReduceMin", [-ties], lambda v: v.amin(1, True), constants={"1": integers(1)})
    zeros = torch.tensor([[1.5, 0, 2], [0, 3, 0], [1, 2, 3]]).double()
    case("with zeros", "ReduceProd", [zeros], lambda v: v.prod(1, True), constants={"1": integers(1)})
    case("with zeros", "ReduceL1", [zeros], lambda v: v.abs().sum(1, True), constants={"1": integers(1)})
    case("of zeros", "ReduceL2", [torch.zeros(2, 2).double()], lambda v: torch.linalg.vector_norm(v, 2, 1, True),
         constants={"1": integers(1)})
    for exclusive in (0, 1):
        for reverse in (0, 1):
            def cumulated(v):
                w = v.flip(1) if reverse else v
                y = w.cumsum(1) - (w if exclusive else 0)
                return y.flip(1) if reverse else y
            case(f"exclusive {exclusive} reverse {reverse}", "CumSum", [random(2, 4)], cumulated,
                 {"exclusive": exclusive, "reverse": reverse}, {"1": integers(1, shape=[])})
    case("axis -2", "CumSum", [random(3, 2)], lambda v: v.cumsum(0), constants={"1": integers(-2, shape=[])})
    case("", "Trilu", [random(3, 4)], torch.triu)
    case("lower, k 1", "Trilu", [random(2, 3, 3)], lambda v: v.tril(1), {"upper": 0}, {"1": integers(1, shape=[])})
    case("k -1", "Trilu", [random(3, 3)], lambda v: v.triu(-1), constants={"1": integers(-1, shape=[])})


def movers():
    case("", "Expand", [random(3, 1)], lambda v: v.expand(2, 3, 4) * 1, constants={"1": integers(2, 1, 4)})
    case("to a smaller shape", "Expand", [random(2, 3)], lambda v: v * 1, constants={"1": integers(1)})
    case("", "Tile", [random(2, 3)], lambda v: v.repeat(2, 3), constants={"1": integers(2, 3)})
    case("of one axis", "Tile", [random(2, 1, 3)], lambda v: v.repeat(1, 4, 1), constants={"1": integers(1, 4, 1)})
    case("of no axis", "Tile", [random(2)], lambda v: v * 1, constants={"1": integers(1)})

    def sliced(name, shape, starts, ends, axes=None, steps=None):
        def run(v):
            for index, (start, end) in enumerate(zip(starts, ends)):
                axis = (axes or range(len(starts)))[index] % v.dim()
                positions = range(v.shape[axis])[slice(start, None if end < -100 else end, (steps or [1] * 9)[index])]
                v = v.index_select(axis, torch.tensor(list(positions)))
            return v
        constants = {"1": integers(*starts), "2": integers(*ends)}
        if axes or steps:
            constants["3"] = integers(*axes) if axes else None
        if steps:
            constants["4"] = integers(*steps)
        case(name, "Slice", [random(*shape)], run, constants=constants)

    sliced("of the middle", (3, 5), [1, 1], [3, 4])
    sliced("from the end", (3, 5), [-2], [2**31 - 1], axes=[-1])
    sliced("steps 2 and 3", (5, 8), [0, 1], [5, 8], axes=[0, 1], steps=[2, 3])
    sliced("backwards", (3, 5), [-1], [-2**31], axes=[1], steps=[-1])
    sliced("backwards by 2, not to the end", (2, 7), [5], [0], axes=[1], steps=[-2])
    sliced("by a step beyond the end", (2, 5), [3], [9], axes=[1], steps=[4])
    sliced("beyond the start", (4,), [-9], [2])

    def splitting(name, sizes, axis=0, used=None, opset=None, attributes=None, constants=None):
        def run(v):
            parts = torch.split(v, sizes, axis)
            return [part * 1 if used is None or index in used else None for index, part in enumerate(parts)]
        shape = [2, 3]
        shape[axis] = sum(sizes)
        case(name, "Split", [random(*shape)], run, {"axis": axis, **(attributes or {})}, constants or {},
             **({"opset": opset} if opset else {}))

    splitting("in equal parts", [2, 2], attributes={"num_outputs": 2})
    splitting("in parts of which the last is smaller", [2, 2, 1], axis=1, attributes={"num_outputs": 3})
    splitting("by sizes", [1, 3, 2], axis=1, constants={"1": integers(1, 3, 2)})
    splitting("of which the first is not used", [1, 3, 2], axis=1, used=(1, 2), constants={"1": integers(1, 3, 2)})
    splitting("as in opset 13", [2, 2, 2], axis=1, opset=13)

    def padding(name, shape, pads, mode="constant", axes=None, constants=None):
        def run(v):
            where = axes or list(range(v.dim()))
            half = len(pads) // 2
            for index, axis in enumerate(where):
                before, after = pads[index], pads[half + index]
                if mode == "constant":
                    flat = [0, 0] * (v.dim() - 1 - axis % v.dim()) + [before, after]
                    v = F.pad(v, flat, value=0.5 if constants else 0.0)
                else:
                    size = v.shape[axis]
                    positions = torch.arange(-before, size + after)
                    if mode == "edge":
                        positions = positions.clamp(0, size - 1)
                    elif mode == "wrap":
                        positions = positions % size
                    else:
                        positions = (size - 1) - (positions % (2 * size - 2) - (size - 1)).abs()
                    v = v.index_select(axis, positions)
            return v
        given = {"1": integers(*pads), **(constants or {})}
        if axes:
            given = {**given, "2": given.get("2"), "3": integers(*axes)}
        case(name, "Pad", [random(*shape)], run, {} if mode == "constant" else {"mode": mode}, given)

    padding("", (2, 3), [1, 0, 2, 1])
    padding("with a value", (2, 3), [0, 1, 0, 2], constants={"2": 0.5})
    padding("that crops", (3, 4), [-1, 1, 0, -2])
    padding("of one axis", (2, 3), [2, 1], axes=[-1])
    padding("reflect", (2, 5), [0, 2, 0, 3], "reflect")
    padding("reflect both axes", (3, 4), [1, 2, 2, 1], "reflect")
    padding("edge", (2, 3), [1, 2, 0, 1], "edge")
    padding("wrap", (2, 3), [0, 2, 0, 1], "wrap")
    case("", "DepthToSpace", [random(1, 8, 2, 1)],
         lambda v: v.reshape(1, 2, 2, 2, 2, 1).permute(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 2), {"blocksize": 2})
    case("CRD", "DepthToSpace", [random(1, 8, 2, 1)], lambda v: F.pixel_shuffle(v, 2), {"blocksize": 2, "mode": "CRD"})
    case("", "SpaceToDepth", [random(1, 2, 2, 4)],
         lambda v: v.reshape(1, 2, 1, 2, 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 8, 1, 2), {"blocksize": 2})


def gathers():
    case("of rows", "Gather", [random(5, 3)], lambda v: v[torch.tensor([[0, 2], [2, 4]])],
         constants={"1": integers(0, 2, 2, 4, shape=[2, 2])})
    case("of negative indices along axis 1", "Gather", [random(2, 4, 3)], lambda v: v[:, [-1, 0, -1]], {"axis": 1},
         {"1": integers(-1, 0, -1)})
    case("of one", "Gather", [random(2, 4)], lambda v: v[:, 1], {"axis": -1}, {"1": integers(1, shape=[])})
    indices = torch.tensor([[0, 1, 0], [2, -1, 2]])
    flat = indices.flatten().tolist()
    case("axis 0", "GatherElements", [random(3, 3)], lambda v: torch.gather(v, 0, indices % 3),
         constants={"1": integers(*flat, shape=[2, 3])})
    case("axis 1", "GatherElements", [random(2, 3)], lambda v: torch.gather(v, 1, indices % 3), {"axis": 1},
         {"1": integers(*flat, shape=[2, 3])})
    case("of elements", "GatherND", [random(3, 4)], lambda v: v[[0, 2, 2], [1, -1, 3]],
         constants={"1": integers(0, 1, 2, -1, 2, 3, shape=[3, 2])})
    case("of rows", "GatherND", [random(3, 4)], lambda v: v[[2, 0, 2]], constants={"1": integers(2, 0, 2, shape=[3, 1])})
    case("batch_dims 1", "GatherND", [random(2, 3, 2)], lambda v: torch.stack([v[0, [0, 0]], v[1, [2, -1]]]),
         {"batch_dims": 1}, {"1": integers(0, 0, 2, -1, shape=[2, 2, 1])})

    def scatters(name, op, shape, updates, function, index, attributes=None):
        case(name, op, [random(*shape), random(*updates)], function, attributes, {"1": index})

    scatters("along axis 1", "ScatterElements", (2, 4), (2, 2),
             lambda v, u: v.scatter(1, torch.tensor([[0, 3], [2, 1]]), u), integers(0, 3, 2, 1, shape=[2, 2]), {"axis": 1})
    scatters("of rows", "ScatterND", (4, 3), (2, 3), lambda v, u: v.index_put((torch.tensor([3, 1]),), u),
             integers(3, 1, shape=[2, 1]))


def products():
    for equation, *shapes in [
        ("ij,jk->ik", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 2), (2, 2, 3)), ("bhid,bhjd->bhij", (2, 2, 3, 2), (2, 2, 3, 2)),
        ("ij,ij->", (2, 3), (2, 3)), ("i,j->ij", (3,), (2,)), ("ij->ji", (2, 3)), ("ij->i", (2, 3)), ("ij,jk", (2, 3), (3, 2)),
        ("ijk,kl->ijl", (2, 2, 3), (3, 2)), ("...ij,...jk->...ik", (2, 2, 3), (2, 3, 2)), ("ij,kl->ik", (2, 2), (3, 2)),
        ("bi,ijk,bk->bj", (2, 2), (2, 3, 2), (2, 2)),
    ]:
        case(equation, "Einsum", [random(*shape) for shape in shapes], lambda *v: torch.einsum(
            equation if "->" in equation else equation + "->ik", *v), {"equation": equation})


def layers():
    def layer(name, shape, axis=-1, bias=True, epsilon=1e-5, statistics=False, scale=None):
        own = tuple(shape[axis:])

        def run(x, scale, bias=0.0):
            axes = tuple(range(x.dim() + axis, x.dim()))
            mean = x.mean(axes, keepdim=True)
            inverse = 1 / torch.sqrt(x.var(axes, unbiased=False, keepdim=True) + epsilon)
            y = (x - mean) * inverse * scale + bias
            return [y, mean, inverse] if statistics else y

        inputs = [random(*shape), random(*(scale or own))] + ([random(*own)] if bias else [])
        case(name, "LayerNormalization", inputs, run, {"axis": axis, "epsilon": {"float": epsilon}})

    layer("", (2, 3, 4))
    layer("of two axes", (2, 3, 4), axis=-2, epsilon=1e-3)
    layer("without bias", (3, 5), bias=False)
    layer("of every axis", (2, 3), axis=-2)
    layer("with its statistics", (2, 3, 4), statistics=True)
    for axis in (-1, -2):
        case(f"axis {axis}", "RMSNormalization", [random(2, 3, 4), random(*(2, 3, 4)[axis:])],
             lambda x, s: x / torch.sqrt((x * x).mean(tuple(range(axis, 0)), keepdim=True) + 1e-5) * s, {"axis": axis},
             opset=23)


GROUPS = (arithmetic, matrices, activations, pointwise, pieces, choices, masks, convolutions, pools, normalizations, layers,
          shapes, reductions, movers, gathers, products)
for group in GROUPS:
    torch.manual_seed(zlib.crc32(group.__name__.encode()))
    group()
path = pathlib.Path(__file__).with_name("operators.jsonl")
path.write_text("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in cases))
print(f"{len(cases)} cases, {path.stat().st_size} bytes")
