"""Writes papers.json: SCAFFOLD, FedNova, FedDyn and FedBuff, round after round, in float64.

    pip install numpy==2.4.6 && python make_papers.py

Flower has none of these. This follows the papers' algorithms in their own form, in which clients send parameters, or
gradients, and not differences; it knows nothing of the merging engine. Parameters start at 1/8, 2/8, …
"""
import json
import pathlib

import numpy as np

from inputs import Draw, rounded, updates

COUNT, LENGTH, PARTICIPANTS, LEARNING_RATE = 5, 4, 8, 0.05


class Scaffold:
    """Karimireddy et al. 2020, Algorithm 1, the server's lines. The second half of the drawn values is the change of c_i."""

    def __init__(self, server_learning_rate):
        self.rate, self.c = server_learning_rate, np.zeros(LENGTH)

    def __call__(self, x, clients):
        local = [x + one["values"][:LENGTH] for one in clients]
        control_changes = [one["values"][LENGTH:] for one in clients]
        dx = sum(y - x for y in local) / len(clients)
        dc = sum(control_changes) / len(clients)
        self.c = self.c + len(clients) / PARTICIPANTS * dc
        return x + self.rate * dx

    def state(self):
        return [self.c]


class FedNova:
    """Wang et al. 2020, local SGD: d_i is the mean gradient that client i descended along."""

    def __call__(self, x, clients):
        p = np.array([one["samples"] for one in clients]) / sum(one["samples"] for one in clients)
        tau = np.array([one["steps"] for one in clients])
        d = [-one["values"] / (LEARNING_RATE * one["steps"]) for one in clients]
        tau_effective = float(p @ tau)
        return x - tau_effective * LEARNING_RATE * sum(p_i * d_i for p_i, d_i in zip(p, d))

    def state(self):
        return []


class FedDyn:
    """Acar et al. 2021, Algorithm 1, the server's lines."""

    def __init__(self, alpha):
        self.alpha, self.h = alpha, np.zeros(LENGTH)

    def __call__(self, x, clients):
        theta = [x + one["values"] for one in clients]
        self.h = self.h - self.alpha / PARTICIPANTS * sum(theta_k - x for theta_k in theta)
        return np.mean(theta, axis=0) - self.h / self.alpha

    def state(self):
        return [self.h]


class FedBuff:
    """Nguyen et al. 2022, Algorithm 1 with staleness scaling; a client's delta is w_start - w_local."""

    def __init__(self, server_learning_rate):
        self.rate = server_learning_rate

    def __call__(self, w, clients):
        buffer = np.zeros(LENGTH)
        for one in clients:
            delta = -one["values"]
            buffer += delta / np.sqrt(1 + one["staleness"])
        return w - self.rate * buffer / len(clients)

    def state(self):
        return []


CASES = [
    ({"type": "Scaffold", "serverLearningRate": 0.8}, Scaffold(0.8), 2 * LENGTH),
    ({"type": "FedNova"}, FedNova(), LENGTH),
    ({"type": "FedDyn", "alpha": 0.1}, FedDyn(0.1), LENGTH),
    ({"type": "FedBuff", "serverLearningRate": 0.6}, FedBuff(0.6), LENGTH),
]

cases = []
for seed, (configuration, server, length) in enumerate(CASES, start=2000):
    draw = Draw(seed)
    parameters = np.arange(1, LENGTH + 1) / 8
    rounds, states = [], []
    for _ in range(4):
        parameters = server(parameters, updates(draw, COUNT, length))
        rounds.append(rounded(parameters))
        states.append([rounded(vector) for vector in server.state()])
    cases.append(json.dumps({"configuration": configuration, "seed": seed, "rounds": rounds, "states": states}))
head = json.dumps(
    {"updates": COUNT, "length": LENGTH, "liars": 0, "learningRate": LEARNING_RATE, "participants": PARTICIPANTS}
)
text = head[:-1] + ', "cases": [\n' + ",\n".join(cases) + "\n]}\n"
pathlib.Path(__file__).with_name("papers.json").write_text(text)
