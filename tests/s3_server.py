"""A small S3 of one process: buckets in memory, path-style addresses, what pyarrow's client speaks of the protocol.

    with running() as server:
        server.objects["bucket/folder/a.csv"] = b"..."
        settings = server.settings       # AWS_ENDPOINT_URL and what else a client needs

Requests that come with another access key than its own are refused, and signatures are not checked.
"""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

KEY, SECRET = "a-key", "a-secret"
_MODIFIED = "2025-06-01T00:00:00.000Z"


class Server(ThreadingHTTPServer):
    """`objects` by bucket/key; a bucket is there while it is named in `buckets`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.buckets: set[str] = {"bucket"}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.page = 1000  # names in one answer, at most
        self.lock = threading.Lock()

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables that lead a client here."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def running() -> Iterator[Server]:
    """A server, until the block ends."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        self.name = unquote(url.path).removeprefix("/")
        bucket, _, key = self.name.partition("/")
        body = self._body()
        if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            return self._fail(403, "AccessDenied")
        if not bucket:
            return self._list_buckets()
        if bucket not in self.server.buckets and not (self.command == "PUT" and not key):
            return self._fail(404, "NoSuchBucket")
        with self.server.lock:
            return getattr(self, f"_{self.command.lower()}_{'object' if key else 'bucket'}")(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(self._chunks(self.rfile))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):  # chunks again, with a checksum behind them
            return b"".join(self._chunks(io.BytesIO(body)))
        return body

    @staticmethod
    def _chunks(stream: Any) -> Iterator[bytes]:
        while size := int(stream.readline().split(b";")[0], 16):
            yield stream.read(size)
            stream.readline()
        while stream.readline().strip():  # what trails
            pass

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _xml(self, root: str, inner: str, status: int = 200) -> None:
        text = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{inner}</{root}>'
        self._answer(status, text.encode(), Content_Type="application/xml")

    def _fail(self, status: int, code: str) -> None:
        self._xml("Error", f"<Code>{code}</Code><Message>{code}</Message>", status)

    def _list_buckets(self) -> None:
        names = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in sorted(self.server.buckets))
        self._xml("ListAllMyBucketsResult", f"<Buckets>{names}</Buckets>")

    def _put_bucket(self, _: bytes) -> None:
        self.server.buckets.add(self.name.rstrip("/"))
        self._answer(200)

    def _head_bucket(self, _: bytes) -> None:
        self._answer(200, x_amz_bucket_region="us-east-1")

    def _get_bucket(self, _: bytes) -> None:
        bucket, prefix = self.name.rstrip("/"), self.query.get("prefix", "")
        delimiter, after = self.query.get("delimiter", ""), self.query.get("continuation-token", "")
        found: dict[str, str] = {}
        for name in sorted(self.server.objects):
            key = name.removeprefix(f"{bucket}/")
            if not name.startswith(f"{bucket}/{prefix}"):
                continue
            folder, sign, _rest = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if sign:
                common = escape(prefix + folder + delimiter)
                found[common] = f"<CommonPrefixes><Prefix>{common}</Prefix></CommonPrefixes>"
            else:
                content = self.server.objects[name]
                found[key] = (
                    f"<Contents><Key>{escape(key)}</Key><LastModified>{_MODIFIED}</LastModified>"
                    f"<ETag>{escape(_etag(content))}</ETag><Size>{len(content)}</Size></Contents>"
                )
        keys = [key for key in sorted(found) if key > after]
        shown = keys[: min(self.server.page, int(self.query.get("max-keys", 1000)))]
        more = "".join(f"<NextContinuationToken>{escape(k)}</NextContinuationToken>" for k in shown[-1:])
        cut = len(shown) < len(keys)
        self._xml(
            "ListBucketResult",
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(shown)}</KeyCount>"
            f"<IsTruncated>{str(cut).lower()}</IsTruncated>{more if cut else ''}{''.join(found[k] for k in shown)}",
        )

    def _post_bucket(self, body: bytes) -> None:
        """Delete several objects."""
        for element in ElementTree.fromstring(body).iter():
            if element.tag.endswith("Key"):
                self.server.objects.pop(f"{self.name.rstrip('/')}/{element.text}", None)
        self._xml("DeleteResult", "")

    def _head_object(self, _: bytes) -> None:
        self._get_object(_)

    def _get_object(self, _: bytes) -> None:
        if self.name not in self.server.objects:
            return self._fail(404, "NoSuchKey")
        content = self.server.objects[self.name]
        about = {"ETag": _etag(content), "Last_Modified": "Sun, 01 Jun 2025 00:00:00 GMT", "Accept_Ranges": "bytes"}
        if asked := self.headers.get("Range"):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(content)), len(content) - 1)
            part = content[begin : end + 1]
            return self._answer(206, part, Content_Range=f"bytes {begin}-{end}/{len(content)}", **about)
        return self._answer(200, content, Content_Length=str(len(content)), **about)

    def _put_object(self, body: bytes) -> None:
        if "uploadId" in self.query:
            self.server.parts[self.query["uploadId"]][int(self.query["partNumber"])] = body
        elif source := self.headers.get("x-amz-copy-source"):
            content = self.server.objects.get(unquote(source).removeprefix("/"))
            if content is None:
                return self._fail(404, "NoSuchKey")
            self.server.objects[self.name] = content
            return self._xml(
                "CopyObjectResult", f"<ETag>{_etag(content)}</ETag><LastModified>{_MODIFIED}</LastModified>"
            )
        else:
            self.server.objects[self.name] = body
        return self._answer(200, ETag=_etag(body))

    def _post_object(self, _: bytes) -> None:
        if "uploads" in self.query:
            upload = f"{len(self.server.parts)}"
            self.server.parts[upload] = {}
            return self._xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        parts = self.server.parts[self.query["uploadId"]]
        self.server.objects[self.name] = b"".join(parts[number] for number in sorted(parts))
        return self._xml("CompleteMultipartUploadResult", f"<ETag>{_etag(self.server.objects[self.name])}</ETag>")

    def _delete_object(self, _: bytes) -> None:
        if "uploadId" not in self.query:
            self.server.objects.pop(self.name, None)
        self._answer(204)
