"""An http handler: fails for the customer `acme` until a file `fixed` exists, rejects `ghost`. Standard library only."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(os.environ.get("PORT", "8090"))


class Billing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections alive

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if order["customer"] == "ghost":
            return self.answer(422, "there is no customer ghost")  # rejected: no attempt would help
        if order["customer"] == "acme" and not os.path.exists("fixed"):
            return self.answer(500, "acme has no address")  # a failed attempt: it is tried again
        print("bill", order["id"], order["customer"], flush=True)
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
    ThreadingHTTPServer(("127.0.0.1", PORT), Billing).serve_forever()
