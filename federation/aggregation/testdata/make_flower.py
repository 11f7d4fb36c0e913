"""Writes flower.json: what Flower's strategies make of the updates that inputs.py draws, round after round, in float64.

    pip install flwr==1.42.0 numpy==2.4.6 && python make_flower.py

Parameters start at 1/8, 2/8, …; clients send parameters + update. Strategies are those of flwr.serverapp.strategy, which get
replies without a running server; Bulyan is that of flwr.server.strategy, whose picks are one after the other, as in the
paper. Multi-Krum's clients have one sample each, as Flower weighs the selected by samples and the paper does not.
"""
import json
import pathlib
import types

import numpy as np
from flwr.app import ArrayRecord, MetricRecord, RecordDict
from flwr.server.strategy.aggregate import aggregate_bulyan, aggregate_krum
from flwr.serverapp import strategy as flower

from inputs import Draw, rounded, updates

LEARNING_RATE = 0.05
COUNT, LENGTH = 9, 5


class Replies:
    """A strategy, asked for what it makes of replies."""

    def __init__(self, strategy, one_sample=False):
        self.strategy, self.one_sample = strategy, one_sample
        strategy._check_and_log_replies = lambda replies, **_: (list(replies), [])

    def __call__(self, number, parameters, drawn):
        record = ArrayRecord([parameters])
        if isinstance(self.strategy, flower.FedAvgM):
            self.strategy.current_arrays = self.strategy.current_arrays or record
        elif isinstance(self.strategy, flower.QFedAvg):
            self.strategy.current_arrays = record
        else:
            self.strategy.current_arrays = {key: array.numpy() for key, array in record.items()}
        replies = [types.SimpleNamespace(content=self.reply(parameters, one)) for one in drawn]
        arrays, _ = self.strategy.aggregate_train(number, replies)
        return arrays.to_numpy_ndarrays()[0]

    def reply(self, parameters, one):
        samples = 1 if self.one_sample else one["samples"]
        metrics = MetricRecord({"num-examples": samples, "train_loss": float(one["initialLoss"])})
        return RecordDict({"arrays": ArrayRecord([parameters + one["values"]]), "metrics": metrics})


def bulyan(number, parameters, drawn):
    results = [([parameters + one["values"]], 1) for one in drawn]
    return aggregate_bulyan(results, 1, aggregate_krum, to_keep=0)[0]


CASES = [
    ({"type": "FedAvg"}, Replies(flower.FedAvg())),
    ({"type": "FedProx", "mu": 0.1}, Replies(flower.FedProx(proximal_mu=0.1))),
    ({"type": "FedAvgM", "serverLearningRate": 0.7, "serverMomentum": 0.9},
     Replies(flower.FedAvgM(server_learning_rate=0.7, server_momentum=0.9))),
    ({"type": "FedAdagrad", "serverLearningRate": 0.1, "tau": 1e-3}, Replies(flower.FedAdagrad(eta=0.1, tau=1e-3))),
    ({"type": "FedAdam", "serverLearningRate": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 1e-3},
     Replies(flower.FedAdam(eta=0.1, beta_1=0.9, beta_2=0.99, tau=1e-3))),
    ({"type": "FedYogi", "serverLearningRate": 0.02, "beta1": 0.8, "beta2": 0.95, "tau": 1e-2},
     Replies(flower.FedYogi(eta=0.02, beta_1=0.8, beta_2=0.95, tau=1e-2))),
    ({"type": "QFedAvg", "q": 0.3}, Replies(flower.QFedAvg(LEARNING_RATE, q=0.3))),
    ({"type": "QFedAvg", "q": 2}, Replies(flower.QFedAvg(LEARNING_RATE, q=2.0))),
    ({"type": "Median"}, Replies(flower.FedMedian())),
    ({"type": "TrimmedMean", "trimmed": 2}, Replies(flower.FedTrimmedAvg(beta=0.25))),
    ({"type": "Krum", "byzantine": 2}, Replies(flower.Krum(num_malicious_nodes=2))),
    ({"type": "MultiKrum", "byzantine": 2, "selected": 4},
     Replies(flower.MultiKrum(num_malicious_nodes=2, num_nodes_to_select=4), one_sample=True)),
    ({"type": "Bulyan", "byzantine": 1}, bulyan),
]


def rounds(aggregate, seed):
    draw = Draw(seed)
    parameters = np.arange(1, LENGTH + 1, dtype=np.float32).astype(np.float64) / 8
    results = []
    for number in range(1, 5):
        parameters = aggregate(number, parameters, updates(draw, COUNT, LENGTH, 1))
        results.append(rounded(parameters))
    return results


cases = []
for configuration, aggregate in CASES:
    seed = 1000 + len(cases)
    cases.append(json.dumps({"configuration": configuration, "seed": seed, "rounds": rounds(aggregate, seed)}))
head = json.dumps({"updates": COUNT, "length": LENGTH, "liars": 1, "learningRate": LEARNING_RATE, "participants": COUNT})
text = head[:-1] + ', "cases": [\n' + ",\n".join(cases) + "\n]}\n"
pathlib.Path(__file__).with_name("flower.json").write_text(text)
