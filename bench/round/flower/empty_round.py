"""A Flower app whose clients give the model back as they got it: what a round costs when nobody trains.

Prints a line with the seconds that each round took, and one for the processor time of the server's own process.
"""
import json
import os
import time

import numpy as np
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


@client.train()
def train(message, context):
    content = RecordDict(
        {"arrays": message.content["arrays"], "metrics": MetricRecord({"num-examples": 1})}
    )
    return Message(content=content, reply_to=message)


class Timed(FedAvg):
    def __init__(self, **options):
        super().__init__(**options)
        self.finished = []

    def aggregate_train(self, server_round, replies):
        result = super().aggregate_train(server_round, replies)
        self.finished.append(time.time())
        return result


@server.main()
def main(grid, context):
    strategy = Timed(
        fraction_train=1.0,
        fraction_evaluate=0.0,
        min_train_nodes=2,
        min_available_nodes=2,
        min_evaluate_nodes=0,
    )
    started = time.time()
    strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(int(context.run_config["values"]), np.float32)]),
        num_rounds=int(context.run_config["rounds"]),
    )
    ends = [started, *strategy.finished]
    with open(os.environ["EMPTY_ROUND_OUT"], "w") as out:
        json.dump([after - before for before, after in zip(ends, ends[1:])], out)
