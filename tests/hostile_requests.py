"""Requests no client of ours would send, one of each class, and others drawn from them."""

import random
import socket

GOOD = b"GET /v1/shop/recommendations?user_id=u0001 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def get(
    target: bytes = b"/v1/shop/popular", *headers: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1"
) -> bytes:
    """A request that asks to be hung up on afterwards."""
    lines = [method + b" " + target + b" " + version, b"Host: x", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(body: bytes, *headers: bytes, target: bytes = b"/sign-in") -> bytes:
    """A form as it comes, whatever its headers say of it."""
    return get(target, b"Content-Type: application/x-www-form-urlencoded", *headers, method=b"POST") + body


CLASSES: dict[str, bytes] = {
    "huge URL": get(b"/v1/shop/recommendations?user_id=" + b"a" * 200_000),
    "long path": get(b"/v1/" + b"a/" * 20_000),
    "huge header": get(b"/healthz", b"X-Huge: " + b"a" * 2_000_000),
    "many headers": get(b"/healthz", *(b"X-%d: 1" % k for k in range(5_000))),
    "header without a colon": get(b"/healthz", b"nonsense"),
    "header with a NUL": get(b"/healthz", b"X-A: a\0b"),
    "header of bytes that are no UTF-8": get(b"/healthz", b"Authorization: Bearer \xff\xfe", b"X-Request-ID: \xff"),
    "folded header": get(b"/healthz", b"X-A: a\r\n b"),
    "no host": b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two hosts": get(b"/healthz", b"Host: y"),
    "odd host": b"GET / HTTP/1.1\r\nHost: a<b>'\"/\\\r\nConnection: close\r\n\r\n",
    "unknown method": get(method=b"BREW"),
    "method in small letters": get(method=b"get"),
    "huge method": get(method=b"G" * 100_000),
    "method of odd bytes": get(method=b"\x80\x81"),
    "CONNECT": get(b"example.com:443", method=b"CONNECT"),
    "TRACE": get(method=b"TRACE"),
    "HTTP/0.9": b"GET /v1/shop/popular\r\n\r\n",
    "HTTP/1.0": b"GET /v1/shop/popular HTTP/1.0\r\n\r\n",
    "HTTP/3.7": get(version=b"HTTP/3.7"),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9,
    "TLS hello": bytes.fromhex("16030100a1010000 9d0303") + b"\x00" * 160,
    "absolute URI": get(b"http://evil.example/v1/shop/popular"),
    "asterisk": get(b"*", method=b"OPTIONS"),
    "target without a slash": get(b"v1/shop/popular"),
    "target with a NUL": get(b"/v1/shop/recommendations?user_id=a\0b"),
    "target with an escaped NUL": get(b"/v1/shop/users/a%00b/recommendations"),
    "target of odd bytes": get(b"/v1/shop/recommendations?user_id=\xff\xfe"),
    "target with bad escapes": get(b"/v1/shop/users/%zz%/recommendations?%=%"),
    "target with blanks": get(b"/v1/shop/recommendations?user_id=a b c"),
    "target with a fragment": get(b"/v1/shop/popular#x"),
    "dot segments": get(b"/static/../../../../etc/passwd"),
    "escaped dot segments": get(b"/static/%2e%2e/%2e%2e/settings.py"),
    "chunk of bad length": post(b"zz\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "chunk of absurd length": post(b"ffffffffffffffff\r\nabc", b"Transfer-Encoding: chunked"),
    "chunks that never end": post(b"5\r\nabc", b"Transfer-Encoding: chunked"),
    "chunked and a length": post(b"0\r\n\r\n", b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "chunked twice": post(b"0\r\n\r\n", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "unknown coding": post(b"abc", b"Transfer-Encoding: nonsense"),
    "negative length": post(b"abc", b"Content-Length: -1"),
    "length that is no number": post(b"abc", b"Content-Length: many"),
    "two lengths": post(b"abc", b"Content-Length: 3", b"Content-Length: 4"),
    "length too short": post(b"name=a&secret=b", b"Content-Length: 4"),
    "length too long": post(b"name=a", b"Content-Length: 60"),
    "absurd length": post(b"name=a", b"Content-Length: 99999999999999999999999"),
    "huge body": post(b"name=" + b"a" * 3_000_000, b"Content-Length: 3000005"),
    "body of a GET": get(b"/healthz", b"Content-Length: 5") + b"hello",
    "expect nonsense": post(b"name=a", b"Content-Length: 6", b"Expect: 7-surprises"),
    "expect 100": post(b"", b"Content-Length: 6", b"Expect: 100-continue"),
    "upgrade": get(b"/healthz", b"Upgrade: websocket", b"Connection: upgrade", b"Sec-WebSocket-Key: x"),
    "upgrade to h2c": get(b"/healthz", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    "pipelined": GOOD.replace(b"Connection: close\r\n", b"") * 20 + GOOD,
    "pipelined with nonsense after": GOOD.replace(b"Connection: close\r\n", b"") + b"\0\0\0nonsense\r\n\r\n",
    "half a request line": b"GET /v1/shop/pop",
    "half the headers": b"GET /v1/shop/popular HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "line feeds alone": b"GET /healthz HTTP/1.1\nHost: x\nConnection: close\n\n",
    "carriage returns alone": b"GET /healthz HTTP/1.1\rHost: x\r\r",
    "empty lines first": b"\r\n\r\n\r\n" + get(b"/healthz"),
    "nothing": b"",
    "NULs": b"\0" * 10_000,
}


def drawn(seed: int) -> bytes:
    """A request of a class with a few bytes changed, taken out, doubled, or put in from another class."""
    draw = random.Random(seed)
    data = bytearray(draw.choice(list(CLASSES.values()))[:4000])
    for _ in range(draw.randint(1, 8)):
        place = draw.randint(0, len(data))
        match draw.randint(0, 3):
            case 0:
                data[place : place + 1] = bytes([draw.choice(b"\0\r\n \t%:;/?&=\xff\x80A0")])
            case 1:
                del data[place : place + draw.randint(1, 20)]
            case 2:
                data[place:place] = data[place : place + draw.randint(1, 50)]
            case 3:
                other = draw.choice(list(CLASSES.values()))
                start = draw.randint(0, min(len(other), 4000))
                data[place:place] = other[start : start + draw.randint(1, 40)]
    return bytes(data)


def sent(port: int, data: bytes, patience: float = 1.0) -> bytes:
    """What comes back until the server hangs up, or has been silent for so many seconds; then we hang up."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        try:
            line.sendall(data)
            line.settimeout(patience)
            while piece := line.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionError):
            pass
    return answer
