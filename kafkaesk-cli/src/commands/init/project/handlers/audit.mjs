// Handles each order in Node. The worker starts this program, writes one JSON line for each message to its standard
// input, and reads one answer line for each. Standard error goes to the worker's log.

/** Returns the outcome: done, or retry, reject or abort with a reason. */
function handle({ stream, partition, offset, data, tombstone, error }) {
  if (error) return { outcome: "reject", reason: error }; // a record that holds no event
  if (tombstone) return { outcome: "skip" }; // the key was deleted
  console.error("audit order", data.id, `${stream}[${partition}]@${offset}`);
  return { outcome: "done" };
}

// Only LF ends a line. `readline` of some versions of Node also splits at U+2028, which may stand in strings.
let rest = "";
process.stdin.setEncoding("utf8");
for await (const text of process.stdin) {
  const lines = (rest + text).split("\n");
  rest = lines.pop();
  for (const line of lines) {
    const message = JSON.parse(line);
    console.log(JSON.stringify({ delivery: message.delivery, ...handle(message) }));
  }
}
