"""Writes operators.jsonl: forward values and gradients of every supported operator, by PyTorch in float64.

    pip install torch==2.15.0 && python make_operators.py

An independent implementation: nothing here knows ONNX Runtime or the compiler. Inputs are exact in float32.
Each line is a case: it holds an ONNX node (op, attributes), its inputs, the gradient `dy` of its first output, and what
PyTorch makes of them: `y`, and for each input that has one, its gradient.
"""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(20260823)
torch.set_num_threads(1)
cases = []


def numbers(tensor):
    return [float(f"{value:.10g}") for value in tensor.detach().double().flatten().tolist()]


def random(*shape, low=-2.0, high=2.0):
    return (torch.rand(shape) * (high - low) + low).float().double()


def case(name, op, inputs, function, attributes=None, constants=None, **more):
    """inputs: tensors that get gradients; constants: input index -> int64 list or float number or None (absent)."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    y = function(*leaves)
    dy = random(*y.shape)
    mask = more.get("row_mask")
    if mask is not None:  # A padded row's loss has weight 0, so its gradient is 0.
        dy = dy * torch.tensor(mask, dtype=torch.float64).reshape(-1, *[1] * (y.dim() - 1))
    gradients = torch.autograd.grad(y, leaves, dy, allow_unused=True)
    cases.append({
        "name": f"{op} {name}".strip(),
        "op": op,
        "attributes": attributes or {},
        "inputs": [{"shape": list(v.shape), "data": numbers(v)} for v in inputs],
        "constants": constants or {},
        "y": {"shape": list(y.shape), "data": numbers(y)},
        "dy": numbers(dy),
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
    case("with 0 and -1", "Reshape", [x()], lambda v: v.reshape(2, 12), constants={"1": {"int64": [0, -1]}})
    case("", "Transpose", [x()], lambda v: v.permute(2, 1, 0))
    case("perm 1, 2, 0", "Transpose", [x()], lambda v: v.permute(1, 2, 0), {"perm": [1, 2, 0]})
    case("every axis of 1", "Squeeze", [random(2, 1, 3, 1)], lambda v: v.reshape(2, 3))
    case("axis -1", "Squeeze", [random(2, 1, 3, 1)], lambda v: v.reshape(2, 1, 3), constants={"1": {"int64": [-1]}})
    case("axes 0 and -1", "Unsqueeze", [random(2, 3)], lambda v: v.reshape(1, 2, 3, 1),
         constants={"1": {"int64": [0, -1]}})
    case("axis 1", "Concat", [random(2, 3), random(2, 1), random(2, 4)], lambda *v: torch.cat(v, 1), {"axis": 1})
    case("axis -2", "Concat", [random(2, 3, 2), random(2, 1, 2)], lambda *v: torch.cat(v, 1), {"axis": -2})
    for op, function in {"ReduceMean": torch.mean, "ReduceSum": torch.sum}.items():
        case("of every axis", op, [x()], lambda v: function(v, (0, 1, 2), keepdim=True))
        case("axis 1", op, [x()], lambda v: function(v, 1, keepdim=True), constants={"1": {"int64": [1]}})
        case("axes -1 and 1, dropped", op, [x()], lambda v: function(v, (1, 2)), {"keepdims": 0},
             constants={"1": {"int64": [-1, 1]}})
        case("no axes, as asked", op, [x()], lambda v: v * 1, {"noop_with_empty_axes": 1})


for group in (arithmetic, matrices, activations, convolutions, pools, normalizations, shapes):
    group()
path = pathlib.Path(__file__).with_name("operators.jsonl")
path.write_text("".join(json.dumps(entry) + "\n" for entry in cases))
print(f"{len(cases)} cases, {path.stat().st_size} bytes")
