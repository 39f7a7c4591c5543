"""A collector of OpenTelemetry's traces: takes OTLP over HTTP and keeps the spans that come."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    """A span as it was sent; ids in hexadecimal, parent "" for none."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent: str
    seconds: float
    is_error: bool
    attributes: dict[str, Any]


class Collector:
    """A context manager that listens on a port of this machine; `settings` lead a process there."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.raw = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(body)
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.settings = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def __enter__(self) -> "Collector":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> None:
        self.raw += body
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = {known.key: known.value.string_value for known in of_resource.resource.attributes}["service.name"]
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    attributes = {
                        known.key: getattr(known.value, str(known.value.WhichOneof("value")))
                        for known in span.attributes
                    }
                    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
                    self.spans.append(
                        Span(service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                             seconds, span.status.code == 2, attributes)
                    )  # fmt: skip
