"""An http handler of batches: the body has a line for each message, and so has the answer. Standard library only."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Load(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections alive

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        messages = [json.loads(line) for line in body.split(b"\n") if line]
        rows, answers = [], []
        for message in messages:
            if message["data"]["id"] < 0:
                answers.append({"outcome": "reject", "reason": "an order's id is not negative"})
                continue
            # Delivery is at least once: stream, partition and offset tell a repeated message from a new one.
            rows.append((message["partition"], message["offset"], message["data"]["id"]))
            answers.append({"outcome": "done"})
        ids = " ".join(str(row[2]) for row in rows)
        sys.stdout.write(f"insert {len(rows)} rows: {ids}\n")  # one statement, and one write: requests come side by side
        sys.stdout.flush()
        self.answer(answers)

    def answer(self, answers):
        body = "".join(json.dumps(answer) + "\n" for answer in answers).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-ndjson")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    server = ThreadingHTTPServer(("127.0.0.1", port), Load)
    print("listens at port", server.server_port, flush=True)
    server.serve_forever()
