"""The other side of the accuracy benchmark: PyTorch clients, merged by Flower's FedAvg strategy.

    python flower_torch.py JOB.json RESULT.json

Split, participants of each round and first parameters come with the job, the same as on our side; only the order of the
samples within a client's epochs is drawn here.
"""
import json
import sys

import numpy as np
import torch
from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server.strategy import FedAvg
from torch import nn

torch.set_num_threads(1)


def network(name):
    if name == "2NN":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10)
        )
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10),
    )  # fmt: skip


class Client:
    def __init__(self, model, x, y, job):
        self.model, self.x, self.y, self.job = model, x, y, job

    def fit(self, arrays, generator):
        load(self.model, arrays)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=self.job["learningRate"])
        size = self.job["batchSize"]
        for _ in range(self.job["epochs"]):
            order = torch.randperm(len(self.y), generator=generator)
            for rows in order.split(size):
                optimizer.zero_grad()
                nn.functional.cross_entropy(self.model(self.x[rows]), self.y[rows]).backward()
                optimizer.step()
        return FitRes(
            status=Status(Code.OK, ""),
            parameters=ndarrays_to_parameters([p.detach().numpy() for p in self.model.parameters()]),
            num_examples=len(self.y),
            metrics={},
        )


def load(model, arrays):
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def unflatten(model, flat):
    arrays, offset = [], 0
    for parameter in model.parameters():
        arrays.append(flat[offset : offset + parameter.numel()].reshape(parameter.shape))
        offset += parameter.numel()
    assert offset == len(flat)
    return arrays


def accuracy(model, arrays, x, y):
    load(model, arrays)
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())


def main(job_path, result_path):
    job = json.load(open(job_path))
    x = torch.from_numpy(np.fromfile(job["samples"], np.float32).reshape(-1, 1, 28, 28).copy())
    y = torch.from_numpy(np.fromfile(job["labels"], np.int32).astype(np.int64))
    model = network(job["model"])
    arrays = unflatten(model, np.fromfile(job["parameters"], np.float32))
    generator = torch.Generator().manual_seed(job["seed"])
    strategy = FedAvg(inplace=True)
    test = torch.tensor(job["test"])
    accuracies = []
    for server_round, participants in enumerate(job["participants"], 1):
        results = []
        for participant in participants:
            rows = torch.tensor(job["clients"][participant])
            results.append((None, Client(model, x[rows], y[rows], job).fit(arrays, generator)))
        parameters, _ = strategy.aggregate_fit(server_round, results, [])
        arrays = parameters_to_ndarrays(parameters)
        accuracies.append(accuracy(model, arrays, x[test], y[test]))
    with open(result_path, "w") as out:
        json.dump({"accuracies": accuracies, "versions": {"torch": torch.__version__}}, out)


main(*sys.argv[1:])
