"""An http handler: the body is the event, the answer's status says how it ended. Standard library only."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Billing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections alive

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if order["id"] < 0:
            return self.answer(422, "an order's id is not negative")  # rejected: it never will be
        # Delivery is at least once: stream, partition and offset tell a repeated message from a new one.
        print("bill", order["id"], self.headers["kafkaesk-partition"], self.headers["kafkaesk-offset"])
        self.answer(204)  # done

    def answer(self, status, text=""):
        body = text.encode()
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8080), Billing).serve_forever()
