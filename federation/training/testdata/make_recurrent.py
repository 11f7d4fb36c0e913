"""Writes recurrent.jsonl: values and gradients of LSTM, GRU and RNN.

    pip install torch==2.15.0 && python make_recurrent.py

The equations are those of the ONNX standard, in float64; where PyTorch has the same cell, its own gives the same numbers,
which is asserted. See golden.py for what a case holds.
"""
import torch

from golden import Cases, random

torch.manual_seed(20261126)
cases = Cases()
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# Where PyTorch has ONNX's gates i o f c, z r h.
ORDER = {"LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2], "RNN": [0]}


def lstm(x, h, c, w, r, wb, rb):
    i, o, f, g = (x @ w.T + h @ r.T + wb + rb).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru(reset_after):
    def step(x, h, c, w, r, wb, rb):
        (xz, xr, xh), (rz, rr, rh) = (x @ w.T + wb).chunk(3, 1), r.chunk(3)
        bz, br, bh = rb.chunk(3)
        z, reset = (xz + h @ rz.T + bz).sigmoid(), (xr + h @ rr.T + br).sigmoid()
        candidate = (xh + (reset * (h @ rh.T + bh) if reset_after else (reset * h) @ rh.T + bh)).tanh()
        return (1 - z) * candidate + z * h, c

    return step


def rnn(x, h, c, w, r, wb, rb):
    return (x @ w.T + h @ r.T + wb + rb).tanh(), c


def run(step, x, states, weights, backwards):
    outputs, times = [None] * len(x), range(len(x))
    for time in reversed(times) if backwards else times:
        states = step(x[time], *states, *weights)
        outputs[time] = states[0]
    return torch.stack(outputs), states


def by_torch(op, x, w, r, b, states, direction):
    """PyTorch's own layer with these weights, for checking the equations above."""
    hidden = r.shape[2]
    module = getattr(torch.nn, op)(x.shape[2], hidden, bidirectional=direction == "bidirectional").double()
    gates = lambda value: torch.cat([value.chunk(GATES[op])[ORDER[op].index(k)] for k in range(GATES[op])])
    for index, suffix in enumerate(["", "_reverse"][: len(w)]):
        wb, rb = b[index].chunk(2)
        for name, value in [("weight_ih", w[index]), ("weight_hh", r[index]), ("bias_ih", wb), ("bias_hh", rb)]:
            getattr(module, f"{name}_l0{suffix}").data = gates(value)
    y, last = module(x, (states[0], states[1]) if op == "LSTM" else states[0])
    y = y.reshape(*y.shape[:2], len(w), hidden).transpose(1, 2)
    return [y, *last] if op == "LSTM" else [y, last]


def case(name, op, steps, direction="forward", used=(True, True, True), bias=True, initial=True, reset_after=True,
         attributes=None, lengths=False):
    inputs, hidden, batch, gates = 3, 4, 2, GATES[op]
    directions = 2 if direction == "bidirectional" else 1
    state_count = 2 if op == "LSTM" else 1
    x = random(steps, batch, inputs)
    w = random(directions, gates * hidden, inputs, low=-1, high=1)
    r = random(directions, gates * hidden, hidden, low=-1, high=1)
    b = [random(directions, 2 * gates * hidden, low=-1, high=1)] if bias else []
    states = [random(directions, batch, hidden, low=-1, high=1) for _ in range(state_count)] if initial else []
    step = {"LSTM": lstm, "GRU": gru(reset_after), "RNN": rnn}[op]

    def outputs(x, w, r, *rest):
        b = rest[0] if bias else torch.zeros(directions, 2 * gates * hidden).double()
        states = rest[len(rest) - state_count:] if initial else [torch.zeros(directions, batch, hidden).double()] * state_count
        found = []
        for index in range(directions):
            start = [value[index] for value in states] + ([None] if state_count == 1 else [])
            weights = (w[index], r[index], *b[index].chunk(2))
            found.append(run(step, x, start, weights, direction == "reverse" or index == 1))
        last = [torch.stack([ended[k] for _, ended in found]) for k in range(state_count)]
        everything = [torch.stack([y for y, _ in found], 1), *last]
        if direction != "reverse" and (op != "GRU" or reset_after):
            for mine, theirs in zip(everything, by_torch(op, x, w, r, b, states, direction)):
                assert torch.allclose(mine, theirs, atol=1e-12), name
        return [value if use else None for value, use in zip(everything, used)]

    constants = ({} if bias else {"3": None}) | {"4": {"type": "int32", "shape": [batch], "data": [steps] * batch} if lengths else None}
    given = {"hidden_size": hidden, "direction": direction} | (attributes or {})
    if op == "GRU":
        given["linear_before_reset"] = int(reset_after)
    cases.add(name, op, [x, w, r, *b, *states], outputs, given, constants)


for op in ("LSTM", "GRU", "RNN"):
    case("forward", op, 4)
    case("reverse", op, 4, "reverse")
    case("bidirectional", op, 3, "bidirectional")
    case("of which only the sequence is used", op, 3, used=(True, False, False))
    case("of which only the last state is used", op, 3, used=(False, True, False))
    case("bidirectional of which only the last state is used", op, 3, "bidirectional", used=(False, True, False))
    case("without initial state and bias", op, 3, initial=False, bias=False)
    case("of one step", op, 1)
    case("of one step, reverse", op, 1, "reverse")
    case("of 30 steps", op, 30)
    case("of 30 steps, reverse, without initial state", op, 30, "reverse", initial=False)
    case("of 26 steps, bidirectional", op, 26, "bidirectional")
    case("of 26 steps of which only the last state is used", op, 26, used=(False, True, False))
case("of which only the last cell state is used", "LSTM", 3, used=(False, False, True))
case("with lengths that are all the same", "LSTM", 3, lengths=True)
for name, how in {"forward": {"steps": 4}, "reverse": {"steps": 4, "direction": "reverse"}, "of 26 steps": {"steps": 26},
                  "bidirectional": {"steps": 3, "direction": "bidirectional"},
                  "without bias": {"steps": 3, "bias": False, "initial": False},
                  "of which only the last state is used": {"steps": 3, "used": (False, True)}}.items():
    case(f"that resets before the product, {name}", "GRU", reset_after=False, **how)
cases.write("recurrent.jsonl")
