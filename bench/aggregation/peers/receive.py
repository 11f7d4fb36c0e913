"""Receives updates as a Python gRPC server and merges them with Flower: `receive.py [key.pem certificate.pem]`.

Writes its port, then for each line of standard input its processor seconds so far; `merge` merges what arrived first.
"""

import json
import logging
import resource
import sys
from concurrent import futures

import grpc

logging.disable(logging.CRITICAL)
received = []


def take(chunks, _context):
    received.append(b"".join(chunks))
    return b"accepted"


class Handler(grpc.GenericRpcHandler):
    def service(self, _call):
        return grpc.stream_unary_rpc_method_handler(take)


def merge():
    from flwr.common import Code, FitRes, Parameters, Status
    from flwr.server.strategy import FedAvg

    results = [
        (None, FitRes(Status(Code.OK, ""), Parameters([body], "numpy.ndarray"), 100 + k, {}))
        for k, body in enumerate(received)
    ]
    FedAvg(inplace=True).aggregate_fit(1, results, [])
    received.clear()


server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", 1 << 30)])
server.add_generic_rpc_handlers((Handler(),))
if len(sys.argv) > 1:
    pair = tuple(open(path, "rb").read() for path in sys.argv[1:3])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
import flwr.server.strategy  # noqa: E402  Imported before the clock is read.

server.start()
print(json.dumps({"port": port}), flush=True)
for line in sys.stdin:
    if line.strip() == "merge":
        merge()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"seconds": usage.ru_utime + usage.ru_stime}), flush=True)
