"""Handles each order in Python. The worker starts this program, writes one JSON line for each message to its standard
input, and reads one answer line for each. Standard error goes to the worker's log."""

import json
import sys


def handle(message):
    """Return the outcome: done, or retry, reject or abort with a reason."""
    if "error" in message:  # a record that holds no event; `error` says why
        return {"outcome": "reject", "reason": message["error"]}
    if message.get("tombstone"):  # the key was deleted
        return {"outcome": "skip"}
    order = message["data"]
    # Delivery is at least once: stream, partition and offset tell a repeated message from a new one.
    print("bill order", order["id"], "total", order["total"], file=sys.stderr)
    return {"outcome": "done"}


for line in sys.stdin:
    message = json.loads(line)
    answer = {"delivery": message["delivery"], **handle(message)}
    print(json.dumps(answer), flush=True)
