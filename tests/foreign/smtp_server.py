"""A mail server by aiosmtpd, for tests/tests/signup, console.rs and mail.rs.

Says `listening PORT` once it does, then one JSON line for each mail it takes. Mail for `refused@` is refused for good,
mail for `busy@` for now.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, default=0)
options.add_argument("--certificate")
options.add_argument("--key")
options.add_argument("--user")
options.add_argument("--password")
options = options.parse_args()


def say(line):
    print(line, flush=True)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such user"
        if address.startswith("busy@"):
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say(json.dumps({
            "id": message["message-id"],
            "from": message["from"],
            "to": envelope.rcpt_tos,
            "subject": message["subject"],
            "text": message.get_content().replace("\r\n", "\n"),
            "protected": session.ssl is not None,
        }))
        return "250 OK"


def authenticate(server, session, envelope, mechanism, given):
    known = (options.user.encode(), options.password.encode())
    return AuthResult(success=(given.login, given.password) == known)


def smtp():
    settings = {}
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
        settings.update(tls_context=context, require_starttls=True)
    if options.user:
        settings.update(authenticator=authenticate, auth_required=True)
    return SMTP(Handler(), hostname="mail.test", **settings)


async def main():
    server = await asyncio.get_running_loop().create_server(smtp, "127.0.0.1", options.port)
    say(f"listening {server.sockets[0].getsockname()[1]}")
    await server.serve_forever()


asyncio.run(main())
