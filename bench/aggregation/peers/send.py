"""Sends updates over gRPC in chunks of 1 MB: `send.py <address> <updates> <values> [authority.pem <server name>]`.

For each line of standard input it sends them one after another and writes the seconds that this took.
"""

import io
import json
import sys
import time

import grpc
import numpy as np

address, updates, values = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CHUNK = 1 << 20
if len(sys.argv) > 4:
    credentials = grpc.ssl_channel_credentials(open(sys.argv[4], "rb").read())
    channel = grpc.secure_channel(address, credentials, options=[("grpc.ssl_target_name_override", sys.argv[5])])
else:
    channel = grpc.insecure_channel(address)
file = io.BytesIO()
np.save(file, np.random.default_rng(1).standard_normal(values, dtype=np.float32))
body = file.getvalue()
send = channel.stream_unary("/tributary.bench/Send")

print("{}", flush=True)
for _ in sys.stdin:
    started = time.perf_counter()
    for _ in range(updates):
        send(body[at : at + CHUNK] for at in range(0, len(body), CHUNK))
    print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
