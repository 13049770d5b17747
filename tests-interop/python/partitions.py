"""Where aiokafka's own partitioner sends a key. Standard input: {"key": "…", "partitions": n}; one number for each line."""

import json
import sys

from aiokafka.partitioner import DefaultPartitioner

choose = DefaultPartitioner()
for line in sys.stdin:
    case = json.loads(line)
    every = list(range(case["partitions"]))
    print(choose(case["key"].encode(), every, every), flush=True)
