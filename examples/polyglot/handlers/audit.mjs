// An exec handler: one JSON line in, one answer line out. What it writes to standard error is in the worker's log.
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const { delivery, stream, key, data, tombstone, error } = JSON.parse(line);
  if (error) {
    // The record holds no event, and its value cannot be taken for one.
    console.log(JSON.stringify({ delivery, outcome: "reject", reason: error }));
    continue;
  }
  console.error("audit", stream, tombstone ? `${key} is deleted` : data.id);
  console.log(JSON.stringify({ delivery, outcome: "done" }));
}
