"""Writes the models and golden runs of whole trainings, by PyTorch in float64.

    pip install torch==2.15.0 onnx==1.23.2 && python make_training.py

Makes mlp.onnx, mlp_sigmoid.onnx, regression.onnx, cnn.onnx (exported with torch.onnx) and training.jsonl: for each
run its configuration, samples, the loss of every step, the parameters at the end, and an evaluation. Sample order
and Dropout come from an implementation of the documented random numbers (SplitMix32, xoshiro128**) in this file.
BatchNormalization's running variance is ONNX's (population variance), not PyTorch's.
"""
import fnmatch
import io
import json
import math
import pathlib
import warnings

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")
torch.manual_seed(20260823)
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent
MASK = 0xFFFFFFFF


class Random:
    """xoshiro128**, its state filled by SplitMix32 from the words of the seed and a stream number."""

    def __init__(self, seed, stream):
        counter = 0

        def mix():
            nonlocal counter
            counter = (counter + 0x9E3779B9) & MASK
            z = counter ^ (counter >> 16)
            z = z * 0x21F0AAAD & MASK
            z ^= z >> 15
            z = z * 0x735A2D97 & MASK
            return z ^ (z >> 15)

        for word in (seed & MASK, seed >> 32, stream):
            counter = mix() ^ word
        self.s = [mix() for _ in range(4)]
        self.s[3] |= 1

    def uint32(self):
        rotate = lambda value, bits: (value << bits | value >> (32 - bits)) & MASK
        a, b, c, d = self.s
        result = rotate(b * 5 & MASK, 7) * 9 & MASK
        self.s = [a ^ d ^ b, b ^ c ^ a, c ^ a ^ (b << 9 & MASK), rotate(d ^ b, 11)]
        return result

    def below(self, bound):
        limit = 2**32 - 2**32 % bound
        while (value := self.uint32()) >= limit:
            pass
        return value % bound

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]

    def normal(self, count):
        found = []
        while len(found) < count:
            radius = math.sqrt(-2 * math.log((self.uint32() + 1) / 2**32))
            angle = 2 * math.pi * (self.uint32() / 2**32)
            found += [radius * math.cos(angle), radius * math.sin(angle)]
        return found[:count]

    def uniform(self, count):
        return [(self.uint32() >> 8) / 2**24 for _ in range(count)]


class BatchNorm(nn.BatchNorm2d):
    def forward(self, x):
        if self.training:
            with torch.no_grad():
                for running, now in [(self.running_mean, x.mean((0, 2, 3))),
                                     (self.running_var, x.var((0, 2, 3), unbiased=False))]:
                    running.mul_(1 - self.momentum).add_(self.momentum * now)
            return F.batch_norm(x, None, None, self.weight, self.bias, True, 0, self.eps)
        return super().forward(x)


class Dropout(nn.Dropout):
    uniform = None

    def forward(self, x):
        if not self.training:
            return x
        return x * (Dropout.uniform[: x.shape[0]] >= self.p) / (1 - self.p)


def cnn(norm, dropout):
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), norm(6), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(6, 10, 3, padding=1), norm(10), nn.LeakyReLU(0.1), nn.AvgPool2d(2),
                         nn.Flatten(), dropout(0.25), nn.Linear(40, 4))


MODELS = {
    "mlp": (nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)), (6,)),
    "mlp_sigmoid": (nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 2), nn.Sigmoid()), (5,)),
    "regression": (nn.Sequential(nn.Linear(4, 10), nn.Sigmoid(), nn.Linear(10, 2)), (4,)),
    "cnn": (cnn(nn.BatchNorm2d, nn.Dropout), (1, 8, 8)),
}


def export(name):
    model, shape = MODELS[name]
    file = io.BytesIO()
    torch.onnx.export(model, (torch.zeros(2, *shape),), file, dynamo=False, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.TRAINING, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    HERE.joinpath(f"{name}.onnx").write_bytes(file.getvalue())


def criterion(loss, output, y):
    if loss["type"] == "SoftmaxCrossEntropy":
        return F.cross_entropy(output, y)
    if loss["type"] == "BinaryCrossEntropy":
        return F.binary_cross_entropy(output, y)
    if loss["type"] == "Huber":
        return F.huber_loss(output, y, delta=loss["delta"])
    return F.mse_loss(output, y)


def metrics(loss, output, y):
    found = {"loss": criterion(loss, output, y)}
    if loss["type"] == "SoftmaxCrossEntropy":
        found["accuracy"] = (output.argmax(1) == y).double().mean()
    elif loss["type"] == "BinaryCrossEntropy":
        found["accuracy"] = ((output > 0.5) == (y > 0.5)).double().mean()
    else:
        found |= {"meanAbsoluteError": (output - y).abs().mean(), "meanSquaredError": ((output - y) ** 2).mean()}
    return {key: float(value) for key, value in found.items()}


class Yogi(torch.optim.Optimizer):
    """Algorithm 2 of Zaheer et al., Adaptive Methods for Nonconvex Optimization (2018)."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state, g = self.state[p], p.grad + group["decay"] * p
                if not state:
                    state["m"], state["v"] = torch.zeros_like(p), torch.full_like(p, group["initial"])
                state["m"] = group["beta1"] * state["m"] + (1 - group["beta1"]) * g
                state["v"] = state["v"] - (1 - group["beta2"]) * torch.sign(state["v"] - g**2) * g**2
                p -= group["lr"] * state["m"] / (state["v"].sqrt() + group["eps"])


def optimizer_for(given, parameters, rate):
    kind, decay, eps = given["type"], given["weightDecay"], given.get("epsilon")
    betas = (given.get("beta1"), given.get("beta2"))
    if kind == "SGD":
        return torch.optim.SGD(parameters, rate, momentum=given["momentum"], weight_decay=decay,
                               nesterov=given.get("nesterov", False))
    if kind == "Adam":
        return torch.optim.Adam(parameters, rate, betas=betas, eps=eps, weight_decay=decay)
    if kind == "AdamW":
        return torch.optim.AdamW(parameters, rate, betas=betas, eps=eps, weight_decay=decay)
    if kind == "Adagrad":
        return torch.optim.Adagrad(parameters, rate, eps=eps, weight_decay=decay,
                                   initial_accumulator_value=given["initialAccumulator"])
    if kind == "RMSProp":
        return torch.optim.RMSprop(parameters, rate, alpha=given["alpha"], eps=eps, weight_decay=decay,
                                   momentum=given["momentum"], centered=given["centered"])
    return Yogi(parameters, {"lr": rate, "beta1": betas[0], "beta2": betas[1], "eps": eps, "decay": decay,
                             "initial": given["initialAccumulator"]})


def local_term(objective, parameters, constants):
    """What the objective adds to the loss; autograd finds its gradient."""
    total = torch.zeros((), dtype=torch.double)
    for name, p in parameters:
        of = {role: values[name] for role, values in constants.items()}
        if objective["type"] == "Proximal":
            total = total + objective["mu"] / 2 * ((p - of["reference"]) ** 2).sum()
        elif objective["type"] == "Scaffold":
            total = total + (p * (of["serverControl"] - of["clientControl"])).sum()
        elif objective["type"] == "FedDyn":
            total = total - (p * of["dynamicGradient"]).sum()
            total = total + objective["alpha"] / 2 * ((p - of["reference"]) ** 2).sum()
    return total


ROLES = {"Proximal": ["reference"], "Scaffold": ["serverControl", "clientControl"],
         "FedDyn": ["reference", "dynamicGradient"]}


def constants_for(objective, parameters, size):
    random = numpy.random.RandomState(len(parameters))
    return {role: {name: torch.tensor(random.normal(scale=size, size=tuple(p.shape))).float().double()
                   for name, p in parameters}
            for role in ROLES.get(objective.get("type"), [])}


def clip(clipping, parameters):
    if clipping.get("type") == "Norm":
        nn.utils.clip_grad_norm_(parameters, clipping["maximum"])
    elif clipping.get("type") == "Value":
        nn.utils.clip_grad_value_(parameters, clipping["maximum"])


def private_gradients(privacy, loss_of, rows, weights, batch, noise):
    """DP-SGD by a loop over examples: sets the gradients, returns the mean loss."""
    sums, total = [torch.zeros_like(p) for p in weights], 0.0
    for row in rows:
        loss = loss_of([row])
        gradients = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        sums = [s + g * min(1.0, privacy["clippingNorm"] / norm) for s, g in zip(sums, gradients)]
        total += float(loss)
    deviation = privacy["noiseMultiplier"] * privacy["clippingNorm"]
    for p, s in zip(weights, sums):
        drawn = torch.tensor(noise.normal(p.numel())).double().reshape(p.shape) if deviation else torch.zeros_like(p)
        p.grad = (s + deviation * drawn) / batch
    return torch.tensor(total / len(rows))


def numbers(values):
    return [float(f"{value:.9g}") for value in torch.as_tensor(values).double().flatten().tolist()]


def run(name, model, configuration, samples, rate, epochs, seed):
    x, y = samples
    net = cnn(BatchNorm, Dropout) if model == "cnn" else MODELS[model][0]
    net.load_state_dict(MODELS[model][0].state_dict())
    initial = {key: value.clone() for key, value in net.state_dict().items()}
    net = net.double().train()
    for key, parameter in net.named_parameters():
        parameter.requires_grad_(not any(fnmatch.fnmatch(key, pattern) for pattern in configuration.get("frozen", [])))
    learning = [(key, parameter) for key, parameter in net.named_parameters() if parameter.requires_grad]
    weights = [parameter for _, parameter in learning]
    optimizer = optimizer_for(configuration["optimizer"], weights, rate)
    objective = configuration.get("objective", {"type": "Plain"})
    constants = constants_for(objective, learning, 0.3)
    shuffle, dropout, noise = Random(seed, 0), Random(seed, 1), Random(seed + 1, 2)
    loss_of = lambda rows: criterion(configuration["loss"], net(x[rows]), y[rows])
    order, losses, batch = list(range(len(x))), [], configuration["batchSize"]
    for _ in range(epochs):
        shuffle.shuffle(order)
        for first in range(0, len(x), batch):
            rows = order[first : first + batch]
            if model == "cnn":
                Dropout.uniform = torch.tensor(dropout.uniform(batch * 40)).double().reshape(batch, 40)
            optimizer.zero_grad()
            if "privacy" in configuration:
                loss = private_gradients(configuration["privacy"], loss_of, rows, weights, batch, noise)
                added = local_term(objective, learning, constants)
            else:
                loss = loss_of(rows)
                added = loss + local_term(objective, learning, constants)
            if added.requires_grad:
                added.backward()
            clip(configuration.get("gradientClipping", {}), weights)
            optimizer.step()
            losses.append(float(loss))
    net.eval()
    final = {key: value for key, value in net.state_dict().items() if "num_batches" not in key}
    with torch.no_grad():
        evaluation = metrics(configuration["loss"], net(x), y)
    golden = {"name": name, "model": f"{model}.onnx", "configuration": configuration, "learningRate": rate,
              "epochs": epochs, "seed": seed, "count": len(x), "x": numbers(x), "y": numbers(y), "losses": losses,
              "parameters": {key: numbers(value) for key, value in final.items()}, "evaluation": evaluation}
    if configuration.get("privacy", {}).get("noiseMultiplier", 0) > 0:
        golden["noiseSeed"] = seed + 1
    if constants:
        golden["constants"] = {role: {key: numbers(value) for key, value in values.items()}
                               for role, values in constants.items()}
    MODELS[model][0].float().load_state_dict(initial)
    print(f"{name}: {len(losses)} steps, loss {losses[0]:.4f} -> {losses[-1]:.4f}, {evaluation}")
    return golden


def samples(count, shape, label):
    x = torch.tensor(numpy.random.RandomState(count).normal(size=(count, *shape))).float().double()
    return x, label(x)


def classes(count, directions):
    weights = torch.tensor(numpy.random.RandomState(directions).normal(size=(directions, count)))
    return lambda x: (x.flatten(1)[:, :directions] @ weights).argmax(1)


sgd = lambda momentum=0.0, decay=0.0: {"type": "SGD", "momentum": momentum, "weightDecay": decay}
adam = lambda decay=0.0: {"type": "Adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weightDecay": decay}
adagrad = lambda initial=0.0, decay=0.0: {"type": "Adagrad", "epsilon": 1e-10, "initialAccumulator": initial,
                                          "weightDecay": decay}
rmsprop = lambda momentum=0.0, centered=False, decay=0.0: {"type": "RMSProp", "alpha": 0.95, "epsilon": 1e-8,
                                                           "momentum": momentum, "centered": centered,
                                                           "weightDecay": decay}
yogi = lambda initial=1e-6, decay=0.0: {"type": "Yogi", "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-3,
                                        "initialAccumulator": initial, "weightDecay": decay}
softmax = {"type": "SoftmaxCrossEntropy"}
wave = lambda x: torch.stack([torch.sin(x.sum(1)), x[:, 0] * x[:, 1]], 1).float().double()

for model in MODELS:
    export(model)
runs = [
    run("an MLP by SGD with momentum and weight decay", "mlp",
        {"loss": softmax, "optimizer": sgd(0.9, 0.001), "batchSize": 8},
        samples(43, (6,), classes(3, 6)), 0.05, 9, 7),
    run("an MLP by plain SGD", "mlp", {"loss": softmax, "optimizer": sgd(), "batchSize": 16},
        samples(40, (6,), classes(3, 6)), 0.2, 17, 2**40 + 5),
    run("an MLP that ends in Sigmoid by Adam", "mlp_sigmoid",
        {"loss": {"type": "BinaryCrossEntropy"}, "optimizer": adam(), "batchSize": 10},
        samples(36, (5,), lambda x: (x[:, :2] + x[:, 2:4] > 0).double()), 0.02, 13, 11),
    run("a regression with the Huber loss by Adam with weight decay", "regression",
        {"loss": {"type": "Huber", "delta": 0.5}, "optimizer": adam(0.01), "batchSize": 7},
        samples(33, (4,), wave), 0.02, 10, 3),
    run("a regression with the squared error by SGD", "regression",
        {"loss": {"type": "MeanSquaredError"}, "optimizer": sgd(0.8), "batchSize": 12, "evaluationBatchSize": 5},
        samples(30, (4,), wave), 0.05, 17, 4),
    run("a CNN with BatchNormalization and Dropout by SGD with momentum", "cnn",
        {"loss": softmax, "optimizer": sgd(0.9), "batchSize": 8}, samples(29, (1, 8, 8), classes(4, 20)), 0.01, 13, 5),
    run("a CNN with BatchNormalization and Dropout by Adam", "cnn",
        {"loss": softmax, "optimizer": adam(0.001), "batchSize": 8}, samples(27, (1, 8, 8), classes(4, 20)), 0.002, 13, 6),
    *[run(f"a regression by {name}", "regression",
          {"loss": {"type": "MeanSquaredError"}, "optimizer": optimizer, "batchSize": 9},
          samples(31, (4,), wave), rate, 12, 8)
      for name, rate, optimizer in [
          ("SGD with Nesterov's momentum and weight decay", 0.02, sgd(0.9, 0.01) | {"nesterov": True}),
          ("AdamW", 0.02, adam(0.1) | {"type": "AdamW"}),
          ("Adagrad", 0.1, adagrad()),
          ("Adagrad that starts at a value, with weight decay", 0.1, adagrad(0.3, 0.01)),
          ("RMSProp", 0.01, rmsprop()),
          ("RMSProp with momentum, centred, with weight decay", 0.005, rmsprop(0.8, True, 0.01)),
          ("Yogi", 0.05, yogi()),
          ("Yogi that starts at a larger value, with weight decay", 0.05, yogi(0.01, 0.02))]],
    *[run(f"a regression by {name}", "regression",
          {"loss": {"type": "MeanSquaredError"}, "optimizer": optimizer, "batchSize": 9, **more},
          samples(31, (4,), wave), 0.05, 6, 9)
      for name, optimizer, more in [
          ("SGD towards a reference (FedProx)", sgd(), {"objective": {"type": "Proximal", "mu": 0.3}}),
          ("Adam towards a reference (Ditto)", adam(), {"objective": {"type": "Proximal", "mu": 2.0}}),
          ("SGD with control variates (SCAFFOLD)", sgd(), {"objective": {"type": "Scaffold"}}),
          ("SGD with dynamic regularisation (FedDyn)", sgd(0.5), {"objective": {"type": "FedDyn", "alpha": 0.2}}),
          ("SGD with gradients clipped by their norm", sgd(0.9), {"gradientClipping": {"type": "Norm", "maximum": 0.5}}),
          ("Adam with gradients clipped by their values", adam(),
           {"gradientClipping": {"type": "Value", "maximum": 0.02}}),
          ("SGD towards a reference, clipped by the norm of the whole gradient, with weight decay", sgd(0.0, 0.1),
           {"objective": {"type": "Proximal", "mu": 1.5}, "gradientClipping": {"type": "Norm", "maximum": 0.4}})]],
    run("an MLP by SGD with the gradient of each example clipped", "mlp",
        {"loss": softmax, "optimizer": sgd(), "batchSize": 8, "privacy": {"clippingNorm": 0.8, "noiseMultiplier": 0}},
        samples(19, (6,), classes(3, 6)), 0.3, 8, 12),
    run("an MLP by SGD with clipped gradients and noise", "mlp",
        {"loss": softmax, "optimizer": sgd(0.5), "batchSize": 8, "privacy": {"clippingNorm": 0.8, "noiseMultiplier": 0.7}},
        samples(19, (6,), classes(3, 6)), 0.3, 8, 13),
    run("a regression by Adam with clipped gradients and noise, towards a reference", "regression",
        {"loss": {"type": "MeanSquaredError"}, "optimizer": adam(), "batchSize": 5,
         "objective": {"type": "Proximal", "mu": 0.5}, "privacy": {"clippingNorm": 0.2, "noiseMultiplier": 1.1}},
        samples(17, (4,), wave), 0.02, 6, 14),
    run("a CNN whose first layer is frozen, by SGD with momentum and clipping by norm", "cnn",
        {"loss": softmax, "optimizer": sgd(0.9), "batchSize": 8, "frozen": ["0.*"],
         "gradientClipping": {"type": "Norm", "maximum": 0.7}},
        samples(21, (1, 8, 8), classes(4, 20)), 0.02, 8, 10),
]
path = HERE.joinpath("training.jsonl")
path.write_text("".join(json.dumps(entry) + "\n" for entry in runs))
print(f"{path.stat().st_size} bytes")
