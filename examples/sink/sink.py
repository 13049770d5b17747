"""An exec handler with manual commit: many rows in one transaction, then the answers to their messages. Standard library only."""

import json
import queue
import sqlite3
import sys
import threading
import time

MOST, WAIT = 500, 0.2  # rows of one transaction; seconds that a row waits for others
lines = queue.Queue(MOST)
database = sqlite3.connect(sys.argv[1])
database.execute(
    "CREATE TABLE IF NOT EXISTS orders (stream, partition, offset, id, customer, PRIMARY KEY (stream, partition, offset))"
)


def read():
    for line in sys.stdin:
        lines.put(json.loads(line))
    lines.put(None)  # the worker ends


def collect():
    """What is there within WAIT of the first line, and whether that was all."""
    batch, until = [lines.get()], time.monotonic() + WAIT
    while batch[-1] is not None and len(batch) < MOST:
        try:
            batch.append(lines.get(timeout=max(0, until - time.monotonic())))
        except queue.Empty:
            break
    return [line for line in batch if line is not None], batch[-1] is None


threading.Thread(target=read, daemon=True).start()
is_last = False
while not is_last:
    batch, is_last = collect()
    orders = [line for line in batch if "error" not in line and not line.get("tombstone")]
    with database:  # one transaction
        database.executemany(
            # A message that comes again has its row already.
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (it["stream"], it["partition"], it["offset"], it["data"]["id"], it["data"]["customer"])
                for it in orders
            ],
        )
    for line in batch:
        answer = {"delivery": line["delivery"], "outcome": "done"}
        if "error" in line:
            answer |= {"outcome": "reject", "reason": line["error"]}
        print(json.dumps(answer), flush=True)
