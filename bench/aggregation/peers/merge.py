"""Merges the same kind of updates with Flower, NVFlare and ByzFL: `merge.py <clients> <values>`.

Reads the name of a job from each line of standard input, does it, and writes the processor seconds that it took.
"""

import importlib.util
import io
import json
import logging
import os
import resource
import sys
import time
import types

import numpy as np

logging.disable(logging.CRITICAL)
CLIENTS, VALUES = int(sys.argv[1]), int(sys.argv[2])
BYZANTINE = CLIENTS // 5


def update(client):
    return np.random.default_rng(client).standard_normal(VALUES, dtype=np.float32)


def samples(client):
    return 100 + client


class Inputs:
    """Each peer's own form of the updates, made when it is first asked for."""

    def __init__(self):
        self.forms = {}

    @property
    def arrays(self):
        return self.form("arrays", lambda: [update(client) for client in range(CLIENTS)])

    def form(self, name, make):
        if name not in self.forms:
            self.forms[name] = make()
        return self.forms[name]


inputs = Inputs()


def fit_result(client, array):
    from flwr.common import Code, FitRes, Parameters, Status

    file = io.BytesIO()
    np.save(file, array)
    parameters = Parameters([file.getvalue()], "numpy.ndarray")
    return None, FitRes(Status(Code.OK, ""), parameters, samples(client), {})


def flower_fit():
    from flwr.server.strategy import FedAvg

    given = inputs.form("fit", lambda: [fit_result(*one) for one in enumerate(inputs.arrays)])
    return lambda: FedAvg(inplace=True).aggregate_fit(1, given, [])


def flower_holding():
    """The same for its memory: nothing is kept but what the strategy is given."""
    from flwr.server.strategy import FedAvg

    given = [fit_result(client, update(client)) for client in range(CLIENTS)]
    return lambda: FedAvg(inplace=True).aggregate_fit(1, given, [])


def flower_messages():
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

    def records():
        return [
            RecordDict(
                {
                    "arrays": ArrayRecord({"p": Array(array)}),
                    "metrics": MetricRecord({"num-examples": samples(client)}),
                }
            )
            for client, array in enumerate(inputs.arrays)
        ]

    given = inputs.form("messages", records)
    return lambda: aggregate_arrayrecords(given, "num-examples")


def nvflare_helper():
    from nvflare.app_common.aggregators.weighted_aggregation_helper import WeightedAggregationHelper

    def merge():
        helper = WeightedAggregationHelper()
        for client, array in enumerate(inputs.arrays):
            helper.add({"p": array}, samples(client), f"client-{client}", 1)
        helper.get_result()

    return merge


def pairs():
    return inputs.form("pairs", lambda: [([array], samples(client)) for client, array in enumerate(inputs.arrays)])


def flower(name, *arguments):
    from flwr.server.strategy import aggregate

    return lambda: getattr(aggregate, name)(pairs(), *arguments)


def byzfl(name, *arguments):
    if "byzfl" not in sys.modules:
        # The package's own first file imports its image data sets and with them torchvision; its aggregators do not.
        package = types.ModuleType("byzfl")
        package.__path__ = list(importlib.util.find_spec("byzfl").submodule_search_locations)
        sys.modules["byzfl"] = package
    import byzfl.aggregators as aggregators

    matrix = inputs.form("matrix", lambda: np.stack(inputs.arrays))
    rule = getattr(aggregators, name)(*arguments)
    return lambda: rule(matrix)


JOBS = {
    "flowerFit": flower_fit,
    "flowerHolding": flower_holding,
    "flowerMessages": flower_messages,
    "nvflare": nvflare_helper,
    "flowerMedian": lambda: flower("aggregate_median"),
    "flowerTrimmedMean": lambda: flower("aggregate_trimmed_avg", 0.2),
    "flowerKrum": lambda: flower("aggregate_krum", BYZANTINE, 0),
    "flowerMultiKrum": lambda: flower("aggregate_krum", BYZANTINE, CLIENTS - BYZANTINE),
    "byzflMedian": lambda: byzfl("Median"),
    "byzflTrimmedMean": lambda: byzfl("TrMean", BYZANTINE),
    "byzflGeometricMedian": lambda: byzfl("GeometricMedian", 0.1, 32),
}


def measured(name):
    merge = JOBS[name]()
    started = time.process_time()
    merge()
    seconds = time.process_time() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "peakBytes": after * 1024}


os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
print("{}", flush=True)
for line in sys.stdin:
    print(json.dumps(measured(line.strip())), flush=True)
