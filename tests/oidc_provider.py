"""A small identity provider by OpenID Connect on this machine: code flow with PKCE, one client, nobody is asked.

A browser that comes to `/authorize` is sent back at once as `person`. Tests change what the tokens say.
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "recjobs", "a secret of the client"


class Provider:
    """What it knows: keys, who signs in, and the codes that have not been used."""

    def __init__(self) -> None:
        self.url = ""
        self.person: dict[str, Any] = {"sub": "1", "preferred_username": "erin", "groups": []}
        self.claims: dict[str, Any] = {}
        """What a token says otherwise than it should; None: nothing at all."""
        self.signing_key: RSAKey | None = None
        """A key that is not among the published ones."""
        self.header: dict[str, Any] = {}
        self.is_away = False
        self.codes: dict[str, dict[str, str]] = {}
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one is not published any more."""
        self.key = RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig", "alg": "RS256"})

    def token(self, nonce: str) -> str:
        """An ID token for the sign-in with this nonce."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce}
        claims = {name: value for name, value in (claims | self.person | self.claims).items() if value is not None}
        key = self.signing_key or self.key
        return jwt.encode({"alg": "RS256", "kid": self.key.kid, **self.header}, claims, key)

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, str]) -> tuple[int, Any]:
        """Status, and an object or the address to go to."""
        if self.is_away:
            return 503, {}
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
            }
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path == "/authorize":
            code = secrets.token_urlsafe(16)
            self.codes[code] = query
            return 302, f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
        if (method, path) == ("POST", "/token"):
            asked = self.codes.pop(body.get("code", ""), None)
            if asked is None or challenge(body.get("code_verifier", "")) != asked["code_challenge"]:
                return 400, {"error": "invalid_grant"}
            token = self.token(asked["nonce"])
            return 200, {"access_token": "unused", "token_type": "Bearer", "expires_in": 300, "id_token": token}
        return 404, {}


def challenge(verifier: str) -> str:
    """PKCE's, by S256."""
    return base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def running() -> Iterator[Provider]:
    """A provider that answers until the end of the block."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            flat = [{name: values[0] for name, values in parse_qs(text).items()} for text in (parts.query, body)]
            status, content = provider.answer(self.command, parts.path, *flat)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", content)
                content = {}
            data = json.dumps(content).encode()
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
