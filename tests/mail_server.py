"""A mail server of this machine that keeps what it is given, as SMTP's few needed verbs have it (RFC 5321)."""

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage


class MailServer:
    """Takes every mail; `mails` are those that came, `recipients` the envelopes' addressees."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, line: str) -> None:
                self.wfile.write(line.encode() + b"\r\n")

            def handle(self) -> None:
                self.say("220 here")
                for line in self.rfile:
                    verb = line[:4].strip().upper()
                    if verb == b"QUIT":
                        self.say("221 bye")
                        return
                    if verb == b"RCPT":
                        server.recipients.append(line.decode().strip().partition(":")[2].strip("<>"))
                    if verb == b"DATA":
                        self.say("354 go on")
                        server.mails.append(self.mail())
                    self.say("250 ok")

            def mail(self) -> EmailMessage:
                lines = []
                while (line := self.rfile.readline()) != b".\r\n":
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
                assert isinstance(message, EmailMessage)
                return message

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
