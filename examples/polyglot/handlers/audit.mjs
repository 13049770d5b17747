// An exec handler: one JSON line in, one answer line out. What it writes to standard error is in the worker's log.
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const { delivery, stream, data } = JSON.parse(line);
  console.error("audit", stream, data.id);
  console.log(JSON.stringify({ delivery, outcome: "done" }));
}
