"""A service on the Python library, driven by lines: what it consumes goes to standard output, one JSON object a message.

  service.py SERVERS PREFIX consume PATTERN GROUP   runs until its standard input ends, then stops cleanly
  service.py SERVERS PREFIX publish                 standard input: {"stream", "key", "data", "headers"}; answers receipts
  service.py SERVERS PREFIX schema                  prints the model's JSON Schema
"""

import asyncio
import json
import logging
import sys
from typing import Optional

import aiokafka
import kafkaesk
import pydantic

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)

SERVERS, PREFIX, COMMAND, *REST = sys.argv[1:]

app = kafkaesk.Application(
    kafka_servers=SERVERS.split(","),
    topic_prefix=PREFIX,
    # Offsets every 5 s are its default; a move in a test need not wait for that.
    kafka_settings={"auto_commit_interval_ms": 1, "metadata_max_age_ms": 1000},
)


@app.schema("Content", version=1, retention=24 * 60 * 60)
class Content(pydantic.BaseModel):
    foo: str
    note: Optional[str]


def say(value):
    print(json.dumps(value), flush=True)


async def standard_input_ends():
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def consume(pattern, group):
    @app.subscribe(pattern, group=group)
    async def take(data: Content, schema: str, record: aiokafka.ConsumerRecord):
        say(
            {
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "key": record.key.decode() if record.key is not None else None,
                "schema": schema,
                "headers": {name: value.decode() for name, value in record.headers},
                "foo": data.foo,
                "note": data.note,
            }
        )

    async with app:
        running = asyncio.ensure_future(app.consume_forever())
        ended = asyncio.ensure_future(standard_input_ends())
        await asyncio.wait([running, ended], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            for task in running.result()[0]:
                if task.exception() is not None:
                    raise task.exception()
        await app.stop()


async def publish():
    async with app:
        for line in sys.stdin:
            message = json.loads(line)
            key = message.get("key")
            headers = [(name, value.encode()) for name, value in message.get("headers", {}).items()]
            receipt = await app.publish_and_wait(
                message["stream"],
                Content(**message["data"]),
                key=key.encode() if key is not None else None,
                headers=headers,
            )
            say({"topic": receipt.topic, "partition": receipt.partition, "offset": receipt.offset})


if COMMAND == "consume":
    asyncio.run(consume(*REST))
elif COMMAND == "publish":
    asyncio.run(publish())
elif COMMAND == "schema":
    say(Content.schema())
else:
    sys.exit(f"unknown command {COMMAND}")
