"""An ASGI app behind HTTP Basic, with one user and one password."""

import base64
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class PasswordRequired:
    """Passes on the requests that send the password, and any to the `probe`, a path; answers 401 to the others."""

    def __init__(self, app: App, user: str, password: str, probe: str) -> None:
        self._app, self._probe = app, probe
        self._expected = b"Basic " + base64.b64encode(f"{user}:{password}".encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or scope["path"] == self._probe or self._sends_password(scope["headers"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"www-authenticate", b'Basic realm="recjobs"'), (b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b"Sign in"})

    def _sends_password(self, headers: list[tuple[bytes, bytes]]) -> bool:
        return any(name == b"authorization" and hmac.compare_digest(value, self._expected) for name, value in headers)
