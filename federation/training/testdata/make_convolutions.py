"""Writes convolutions.jsonl: values and gradients of convolution, pooling, resizing and what normalises images.

    pip install torch==2.15.0 && python make_convolutions.py

PyTorch computes in float64; padding, auto_pad and interpolation follow the text of the ONNX standard. Nothing here
knows the compiler, and of ONNX Runtime only that it copies where a Resize changes no size. See golden.py for what a case
holds.
"""
import itertools
import math

import torch
import torch.nn.functional as F

from golden import Cases, random

torch.manual_seed(20261125)
cases = Cases()


def window(size, kernel, strides=None, dilations=None, pads=None, auto_pad=None):
    """Attributes, and padding as (begin, end) for each dimension."""
    rank = len(kernel)
    attributes = {"kernel_shape": kernel}
    attributes |= {key: value for key, value in [("strides", strides), ("dilations", dilations), ("pads", pads),
                                                 ("auto_pad", auto_pad)] if value}
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    pairs = list(zip(pads[:rank], pads[rank:])) if pads else [(0, 0)] * rank
    if auto_pad and auto_pad.startswith("SAME"):
        pairs = [same_pads(*args, auto_pad == "SAME_UPPER") for args in zip(size, kernel, strides, dilations)]
    return attributes, pairs, strides, dilations


def same_pads(size, kernel, stride, dilation, upper):
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def padded(x, pairs, value=0.0):
    return F.pad(x, [amount for pair in reversed(pairs) for amount in pair], value=value)


CONVOLUTIONS = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
TRANSPOSED = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}


def conv(name, x, w, group=1, bias=True, **how):
    attributes, pairs, strides, dilations = window(x[2:], list(w[2:]), **how)
    run = lambda x, w, b=None: CONVOLUTIONS[len(w.shape)](padded(x, pairs), w, b, strides, 0, dilations, group)
    cases.add(name, "Conv", [random(*x), random(*w)] + ([random(w[0])] if bias else []), run,
              attributes | ({"group": group} if group > 1 else {}))


def convolutions():
    conv("1-D with 2 groups", (2, 4, 7), (6, 2, 3), 2, pads=[1, 1])
    conv("1-D with 2 groups, causal and dilated", (2, 6, 9), (4, 3, 3), 2, pads=[4, 0], dilations=[2])
    conv("1-D with 2 groups, stride 2", (2, 4, 8), (2, 2, 3), 2, strides=[2])
    conv("1-D depthwise", (3, 4, 8), (4, 1, 3), 4, pads=[1, 1])
    conv("1-D depthwise with 2 outputs for each channel", (2, 3, 7), (6, 1, 3), 3, pads=[2, 0])
    conv("1-D with 9 channels, dilated", (2, 9, 8), (8, 9, 3), pads=[2, 2], dilations=[2])
    conv("2-D with 3 groups", (2, 6, 5, 5), (3, 2, 3, 3), 3, pads=[1, 1, 1, 1])
    conv("2-D with 2 groups of 5 channels", (2, 10, 5, 4), (4, 5, 3, 3), 2, pads=[1, 1, 1, 1])
    conv("2-D with 2 groups, everything uneven", (1, 4, 9, 8), (4, 2, 3, 2), 2, pads=[1, 0, 2, 1], strides=[2, 1],
         dilations=[1, 2])
    conv("2-D with 2 groups, kernel 1", (2, 4, 3, 3), (6, 2, 1, 1), 2)
    conv("2-D depthwise 3x3", (3, 4, 6, 6), (4, 1, 3, 3), 4, pads=[1, 1, 1, 1], bias=False)
    conv("2-D depthwise 3x3 stride 2", (2, 4, 6, 7), (4, 1, 3, 3), 4, pads=[1, 1, 1, 1], strides=[2, 2])
    conv("2-D depthwise 5x5 SAME_UPPER stride 2", (2, 3, 7, 8), (3, 1, 5, 5), 3, auto_pad="SAME_UPPER", strides=[2, 2])
    conv("2-D depthwise, dilated", (2, 3, 7, 7), (3, 1, 3, 3), 3, pads=[2, 2, 2, 2], dilations=[2, 2])
    conv("2-D depthwise with 2 outputs for each channel", (2, 3, 5, 5), (6, 1, 3, 3), 3, pads=[1, 1, 1, 1])
    conv("2-D depthwise of a batch of one", (1, 3, 5, 5), (3, 1, 3, 3), 3, pads=[1, 1, 1, 1])
    conv("2-D with 8 channels SAME_LOWER stride 2", (2, 8, 5, 6), (3, 8, 2, 3), strides=[2, 2], auto_pad="SAME_LOWER")
    conv("2-D with 8 channels, tail not reached", (2, 8, 4, 6), (2, 8, 3, 3), strides=[2, 2])
    conv("2-D with many windows, kernel 1 stride 2", (1, 8, 9, 9), (2, 8, 1, 1), strides=[2, 2])
    conv("2-D with many windows, kernel 1", (2, 3, 6, 6), (5, 3, 1, 1))
    conv("2-D kernel 1, padded", (2, 3, 3, 3), (2, 3, 1, 1), pads=[1, 0, 0, 1])
    conv("2-D with 2 channels, everything uneven", (2, 2, 9, 8), (3, 2, 3, 2), pads=[1, 0, 2, 1], strides=[2, 1],
         dilations=[1, 2])
    conv("3-D", (2, 2, 4, 4, 3), (3, 2, 3, 2, 2), pads=[1, 0, 1, 1, 1, 0])
    conv("3-D with 8 channels, stride 2", (1, 8, 4, 3, 4), (2, 8, 2, 2, 2), strides=[2, 1, 2])
    conv("3-D depthwise", (2, 2, 3, 4, 4), (2, 1, 3, 3, 3), 2, pads=[1, 1, 1, 1, 1, 1])


def transposed(name, x, w, group=1, bias=True, strides=None, dilations=None, pads=None, extra=None, **given):
    """given: output_shape and auto_pad, which decide what is cut off, or else pads."""
    kernel = list(w[2:])
    rank = len(kernel)
    attributes = {"kernel_shape": kernel} | {
        key: value for key, value in [("strides", strides), ("dilations", dilations), ("pads", pads),
                                      ("output_padding", extra), ("group", group if group > 1 else None)] if value
    } | given
    strides, dilations, extra = strides or [1] * rank, dilations or [1] * rank, extra or [0] * rank
    full = [s * (n - 1) + d * (k - 1) + 1 + e for s, n, d, k, e in zip(strides, x[2:], dilations, kernel, extra)]
    pairs = list(zip(pads[:rank], pads[rank:])) if pads else [(0, 0)] * rank
    auto_pad, shape = given.get("auto_pad", ""), given.get("output_shape")
    if shape or auto_pad.startswith("SAME"):
        shape = shape or [n * s for n, s in zip(x[2:], strides)]
        totals = [max(0, size - want) for size, want in zip(full, shape)]
        pairs = [(t // 2, t - t // 2) if auto_pad == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals]

    def run(x, w, b=None):
        y = TRANSPOSED[w.dim()](x, w, None, strides, 0, 0, group, dilations)
        y = padded(y, [(0, e) for e in extra])
        for axis, (begin, end) in enumerate(pairs):
            y = y.narrow(axis + 2, begin, y.shape[axis + 2] - begin - end)
        return y if b is None else y + b.reshape(-1, *[1] * rank)

    bias = [random(w[1] * group)] if bias else []
    cases.add(name, "ConvTranspose", [random(*x), random(*w)] + bias, run, attributes)


def transposed_convolutions():
    transposed("1-D", (2, 3, 5), (3, 2, 3))
    transposed("1-D stride 2 with output_padding", (2, 3, 4), (3, 2, 3), strides=[2], pads=[1, 1], extra=[1])
    transposed("1-D with 2 groups, without bias", (2, 4, 5), (4, 3, 2), 2, bias=False)
    transposed("2-D", (2, 3, 3, 4), (3, 4, 3, 3))
    transposed("2-D kernel 2 stride 2, as in a U-Net", (2, 3, 3, 3), (3, 2, 2, 2), strides=[2, 2])
    transposed("2-D kernel 4 stride 2, as in a generator", (2, 3, 3, 3), (3, 2, 4, 4), strides=[2, 2], pads=[1, 1, 1, 1])
    transposed("2-D everything uneven", (2, 3, 4, 3), (3, 2, 3, 2), strides=[2, 3], pads=[1, 0, 2, 1], dilations=[2, 1],
               extra=[1, 2])
    transposed("2-D with 9 outputs", (2, 3, 3, 3), (3, 9, 3, 3), pads=[1, 1, 1, 1])
    transposed("2-D with 3 groups", (2, 3, 3, 3), (3, 1, 3, 3), 3, strides=[2, 2], pads=[1, 1, 1, 1], extra=[1, 1])
    transposed("2-D with 2 groups of 2 channels", (2, 4, 4, 3), (4, 3, 3, 2), 2, pads=[1, 0, 1, 0])
    transposed("2-D kernel 1", (2, 3, 4, 4), (3, 2, 1, 1))
    transposed("2-D stride larger than the kernel", (2, 2, 3, 3), (2, 2, 2, 2), strides=[3, 3])
    transposed("2-D output_shape", (2, 2, 3, 3), (2, 2, 3, 3), strides=[2, 2], output_shape=[6, 6])
    transposed("2-D output_shape SAME_UPPER", (2, 2, 3, 3), (2, 2, 3, 3), strides=[2, 2], output_shape=[6, 5],
               auto_pad="SAME_UPPER")
    transposed("2-D SAME_UPPER", (2, 2, 3, 4), (2, 3, 3, 4), strides=[2, 2], auto_pad="SAME_UPPER")
    transposed("2-D SAME_LOWER", (2, 2, 3, 4), (2, 3, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER")
    transposed("2-D VALID", (2, 2, 3, 3), (2, 2, 2, 2), auto_pad="VALID")
    transposed("3-D", (1, 2, 3, 2, 3), (2, 3, 2, 2, 3), strides=[2, 1, 1], pads=[0, 1, 1, 1, 0, 1])


MAX_POOLS = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def pools():
    def max_pool(name, x, kernel, ceil=False, storage_order=None, **how):
        attributes, pairs, strides, dilations = window(x.shape[2:], kernel, **how)
        attributes |= ({"ceil_mode": 1} if ceil else {}) | ({"storage_order": 1} if storage_order else {})
        run = lambda v: MAX_POOLS[len(kernel)](padded(v, pairs, -1e9), kernel, strides, 0, dilations, ceil)
        cases.add(name, "MaxPool", [x], run, attributes)

    max_pool("padded with ceil_mode", random(2, 2, 6, 5), [3, 3], strides=[2, 2], pads=[1, 1, 0, 0], ceil=True)
    max_pool("dilated and overlapping", random(2, 2, 7, 6), [2, 3], dilations=[2, 1])
    max_pool("storage_order 1", random(2, 2, 4, 4), [2, 2], strides=[2, 2], storage_order=1)
    max_pool("1-D dilated with ceil_mode", random(2, 2, 9), [2], strides=[3], dilations=[3], ceil=True)
    max_pool("3-D", random(2, 2, 4, 4, 2), [2, 2, 2], strides=[2, 2, 2])
    max_pool("3-D overlapping", random(1, 2, 4, 3, 3), [3, 2, 2], pads=[1, 0, 0, 1, 0, 0])

    def average_pool(name, x, kernel, include=False, ceil=False, **how):
        """Sums over windows of a zero-padded input, divided by a count of ones that is summed the same way."""
        attributes, pairs, strides, dilations = window(x.shape[2:], kernel, **how)
        attributes |= ({"ceil_mode": 1} if ceil else {}) | ({"count_include_pad": 1} if include else {})
        sizes = [n + sum(pair) for n, pair in zip(x.shape[2:], pairs)]
        beyond = []
        for size, k, s, d in zip(sizes, kernel, strides, dilations):
            room = size - d * (k - 1) - 1
            outputs = (-(-room // s) if ceil else room // s) + 1
            beyond.append((0, max(0, (outputs - 1) * s + d * (k - 1) + 1 - size)))

        def total(v):
            planes = v.reshape(-1, 1, *v.shape[2:])
            ones = torch.ones(1, 1, *kernel, dtype=torch.float64)
            sums = CONVOLUTIONS[v.dim()](planes, ones, None, strides, 0, dilations)
            return sums.reshape(*v.shape[:2], *sums.shape[2:])

        def run(v):
            ones = torch.ones_like(v)
            counted = padded(padded(ones, pairs, 1.0 if include else 0.0), beyond)
            return total(padded(padded(v, pairs), beyond)) / total(counted)

        cases.add(name, "AveragePool", [x], run, attributes)

    average_pool("ceil_mode, padding counted", random(2, 2, 6, 5), [3, 3], strides=[2, 2], pads=[1, 1, 1, 1], include=True,
                 ceil=True)
    average_pool("ceil_mode, padding not counted", random(2, 2, 6, 5), [3, 2], strides=[2, 2], pads=[1, 1, 1, 0], ceil=True)
    average_pool("dilated", random(2, 2, 7, 6), [2, 3], dilations=[3, 2])
    average_pool("dilated and padded, padding counted", random(2, 2, 6, 6), [2, 2], strides=[2, 1], dilations=[2, 2],
                 pads=[1, 1, 0, 1], include=True)
    average_pool("SAME_UPPER, padding counted", random(2, 2, 5, 4), [2, 3], strides=[2, 2], auto_pad="SAME_UPPER",
                 include=True)
    average_pool("1-D ceil_mode, padding counted", random(2, 3, 6), [3], strides=[2], pads=[1, 1], include=True, ceil=True)
    average_pool("3-D", random(1, 2, 4, 3, 3), [2, 2, 3], strides=[2, 1, 1], pads=[0, 1, 1, 0, 0, 1])
    cases.add("2-D", "GlobalMaxPool", [random(2, 3, 4, 5)], lambda v: F.adaptive_max_pool2d(v, 1))
    cases.add("1-D", "GlobalMaxPool", [random(2, 3, 7)], lambda v: F.adaptive_max_pool1d(v, 1))
    cases.add("of equal values", "GlobalMaxPool", [torch.ones(2, 2, 3, 3).double()],
              lambda v: F.adaptive_max_pool2d(v, 1))
    cases.add("3-D", "GlobalAveragePool", [random(2, 2, 2, 3, 2)], lambda v: v.mean((2, 3, 4), keepdim=True))


def coordinate(mode, to, size, inputs, scale):
    if mode == "align_corners":
        return to * (inputs - 1) / (size - 1) if size > 1 else 0.0
    if mode == "asymmetric":
        return to / scale
    return 0.0 if mode == "pytorch_half_pixel" and size == 1 else (to + 0.5) / scale - 0.5


NEAREST = {"round_prefer_floor": lambda p: math.ceil(p - 0.5), "round_prefer_ceil": lambda p: math.floor(p + 0.5),
           "floor": math.floor, "ceil": math.ceil}


def interpolation(inputs, size, scale, mode, coordinates, nearest):
    matrix = torch.zeros(size, inputs, dtype=torch.float64)
    for to in range(size):
        position = coordinate(coordinates, to, size, inputs, scale)
        if mode == "nearest":
            matrix[to, min(max(NEAREST[nearest](position), 0), inputs - 1)] = 1
        else:
            position = min(max(position, 0), inputs - 1)
            lower = math.floor(position)
            matrix[to, lower] += 1 - (position - lower)
            matrix[to, min(lower + 1, inputs - 1)] += position - lower
    return matrix


def resize(name, x, mode, scales=None, sizes=None, coordinates="half_pixel", nearest="round_prefer_floor", by_torch=None,
           axes=None):
    chosen = axes or list(range(x.dim()))
    factors, after = [1.0] * x.dim(), list(x.shape)
    for index, axis in enumerate(chosen):
        after[axis] = sizes[index] if sizes else math.floor(x.shape[axis] * scales[index])
        factors[axis] = after[axis] / x.shape[axis] if sizes else scales[index]

    def run(v):
        for axis, (size, scale) in enumerate(zip(after, factors)):
            if scale != 1:
                matrix = interpolation(v.shape[axis], size, scale, mode, coordinates, nearest)
                v = torch.tensordot(v, matrix, dims=([axis], [1])).movedim(-1, axis)
        return v

    if by_torch:  # The standard's text, as written above, gives what PyTorch gives.
        assert torch.allclose(run(x), by_torch(x), atol=1e-12), name
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates} | (
        {"nearest_mode": nearest} if mode == "nearest" else {}) | ({"axes": axes} if axes else {})
    cases.add(name, "Resize", [x], run, attributes,
              {"1": None, "2": None, "3": {"int64": sizes}} if sizes else {"1": None, "2": scales})


def resizes():
    up = lambda **how: lambda v: F.interpolate(v, **how)
    resize("nearest, twice as large", random(2, 2, 3, 4), "nearest", [1, 1, 2, 2], None, "asymmetric", "floor",
           up(scale_factor=2, mode="nearest"))
    resize("nearest, three times as long", random(2, 2, 4), "nearest", [1, 1, 3], None, "asymmetric", "floor",
           up(scale_factor=3, mode="nearest"))
    resize("nearest to sizes", random(2, 2, 3, 5), "nearest", None, [2, 2, 7, 4], "asymmetric", "floor",
           up(size=(7, 4), mode="nearest"))
    resize("nearest, exactly", random(1, 2, 3, 5), "nearest", None, [1, 2, 7, 3], "half_pixel", "round_prefer_ceil",
           up(size=(7, 3), mode="nearest-exact"))
    for nearest, coordinates in itertools.product(NEAREST, ["half_pixel", "asymmetric", "align_corners"]):
        resize(f"{nearest} {coordinates}", random(1, 1, 4, 3), "nearest", [1, 1, 1.5, 2.5], None, coordinates, nearest)
    resize("nearest, half as large", random(1, 2, 6, 5), "nearest", [1, 1, 0.5, 0.6])
    resize("linear, twice as large", random(2, 2, 3, 4), "linear", [1, 1, 2, 2], None, "pytorch_half_pixel",
           by_torch=up(scale_factor=2, mode="bilinear"))
    resize("linear with aligned corners", random(2, 2, 3, 4), "linear", None, [2, 2, 7, 5], "align_corners",
           by_torch=up(size=(7, 5), mode="bilinear", align_corners=True))
    resize("linear to sizes", random(1, 2, 3, 4), "linear", None, [1, 2, 5, 7], "half_pixel",
           by_torch=up(size=(5, 7), mode="bilinear"))
    resize("linear, smaller", random(1, 2, 6, 5), "linear", None, [1, 2, 2, 3], "half_pixel",
           by_torch=up(size=(2, 3), mode="bilinear"))
    resize("linear, to one", random(1, 2, 4, 5), "linear", None, [1, 2, 1, 3], "pytorch_half_pixel")
    resize("linear, asymmetric", random(1, 2, 3, 4), "linear", [1, 1, 1.5, 2], None, "asymmetric")
    resize("linear along one axis", random(2, 2, 5), "linear", [1, 1, 2], None, "half_pixel",
           by_torch=up(scale_factor=2, mode="linear"))
    resize("linear in 3-D", random(1, 2, 2, 3, 2), "linear", [1, 1, 2, 1.5, 2], None, "half_pixel")
    resize("linear with axes", random(1, 2, 3, 4), "linear", [2, 1.5], None, "half_pixel", axes=[2, 3])
    resize("nearest to sizes with axes", random(1, 2, 3, 4), "nearest", None, [6, 5], "half_pixel", axes=[3, 2])


def normalizations():
    def group_norm(name, x, op, groups, per, epsilon=1e-5):
        channels = x.shape[1]

        def run(x, scale, bias):
            normalized = F.group_norm(x, groups, eps=epsilon)
            spread = lambda v: v.repeat_interleave(channels // len(v)).reshape(-1, *[1] * (x.dim() - 2))
            return normalized * spread(scale) + spread(bias)

        attributes = {"epsilon": {"float": epsilon}} | ({"num_groups": groups} if op[0] == "G" else {})
        # One for each group is how it was up to opset 20.
        older = {"opset": 20} if op[0] == "G" and per != channels else {}
        cases.add(name, op, [x, random(per), random(per)], run, attributes, **older)

    group_norm("of images", random(2, 3, 4, 3), "InstanceNormalization", 3, 3)
    group_norm("of sequences", random(3, 2, 7), "InstanceNormalization", 2, 2, 1e-3)
    group_norm("of volumes", random(1, 2, 2, 3, 2), "InstanceNormalization", 2, 2)
    group_norm("with a scale for each channel", random(2, 6, 3, 3), "GroupNormalization", 3, 6)
    group_norm("with a scale for each group", random(2, 6, 3, 3), "GroupNormalization", 3, 3)
    group_norm("of one group", random(3, 4, 5), "GroupNormalization", 1, 4, 1e-3)
    group_norm("of one channel each", random(2, 4, 5), "GroupNormalization", 4, 4)

    def local_response(name, x, size, alpha, beta, bias):
        def run(v):
            around = (size - 1) // 2
            squares = F.pad((v**2).transpose(1, -1), (around, around)).unfold(-1, size, 1).sum(-1).transpose(1, -1)
            return v / (bias + alpha / size * squares) ** beta

        attributes = {"size": size, "alpha": {"float": alpha}, "beta": {"float": beta}, "bias": {"float": bias}}
        cases.add(name, "LRN", [x], run, attributes)

    local_response("of 3 channels", random(2, 5, 3, 2), 3, 0.5, 0.75, 1.0)
    local_response("of 5 channels", random(2, 6, 2, 2), 5, 0.25, 0.5, 2.0)
    local_response("of more channels than there are", random(2, 3, 2, 2), 9, 1.0, 0.75, 1.0)


def copies():
    for coordinates in ["half_pixel", "align_corners"]:
        cases.add(f"that changes no size, linear {coordinates}", "Resize", [random(1, 2, 3, 2)], lambda v: v + 0,
                  {"mode": "linear", "coordinate_transformation_mode": coordinates}, {"1": None, "2": [1.0, 1.0, 1.25, 1.25]})


convolutions()
transposed_convolutions()
pools()
resizes()
normalizations()
copies()
cases.write("convolutions.jsonl")
