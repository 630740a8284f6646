"""Receives webhooks for tests/tests/audit_sinks.rs: PORT SECRET FILE.

What the library of Standard Webhooks verifies is added to FILE, one JSON object to a line. Anything else is answered 401.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

port, secret, file = int(sys.argv[1]), sys.argv[2], sys.argv[3]
webhook = Webhook(secret)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            message = webhook.verify(body, headers)
        except WebhookVerificationError:
            self.answer(401)
            return
        line = {"id": headers["webhook-id"], "traceparent": headers.get("traceparent"), "message": message}
        with open(file, "a") as lines:
            lines.write(json.dumps(line) + "\n")
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", port), Receiver).serve_forever()
