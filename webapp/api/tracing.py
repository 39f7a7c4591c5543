"""OpenTelemetry: a span for each request and one for each of its statements, sent by OTLP (OTEL_TRACES_EXPORTER=otlp).

A request that comes with `traceparent` goes on with the caller's trace. A span has the route and the name of the
statement, never an address or a parameter, so that no user id is sent. Off, a request passes nothing of this, and
opentelemetry (requirements-tracing.txt) is not imported.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flask import Flask

from webapp.api.errors import PROBES, ApiError
from webapp.api.release import version
from webapp.settings import Settings, SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")
TIMEOUT_SECONDS = 4.0
"""How long the collector has to take what was gathered. After SIGTERM it is tried once more for as long."""

_tracer: "Tracer | None" = None


def install(app: Flask, settings: Settings, direct: str) -> None:
    """Trace each request except probes; raises `SettingsError` without the packages of requirements-tracing.txt.

    direct: the route of what is answered without Flask.
    """
    global _tracer
    try:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError as error:
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER=otlp: {error.name} is not installed; requirements-tracing.txt has it (make install "
            "EXTRAS=tracing)"
        ) from None
    tracer = _tracer = _provider(settings).get_tracer("webapp")
    inner: WSGIApplication = app.wsgi_app
    propagator = TraceContextTextMapPropagator()

    def traced(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] in PROBES:
            return inner(environ, start_response)
        sent = {name: environ.get(f"HTTP_{name.upper()}", "") for name in ("traceparent", "tracestate")}
        method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in METHODS else "_OTHER"
        with tracer.start_as_current_span(
            method,
            propagator.extract(sent, Context()),
            SpanKind.SERVER,
            {"http.request.method": method},
            record_exception=False,
            set_status_on_exception=False,  # what an exception says may be a user's id
        ) as span:

            def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
                request = environ.get("werkzeug.request")
                rule = request.url_rule.rule if request and request.url_rule else None
                if route := rule if request else direct:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                span.set_attribute("http.response.status_code", int(status[:3]))
                if request_id := dict(headers).get("X-Request-ID"):
                    span.set_attribute("request_id", request_id)
                if status >= "5":
                    span.set_status(StatusCode.ERROR)
                return start_response(status, headers, *more)

            return inner(environ, start)

    app.wsgi_app = traced  # type: ignore[method-assign]


@contextmanager
def statement(name: str, catalog: str) -> Iterator[None]:
    """A span for a statement of the request that is being answered, if that is traced.

    It includes waiting for a connection, which a request does for no other reason.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind, StatusCode, get_current_span

    if not get_current_span().is_recording():  # as at the start, and in threads of the process
        yield
        return
    known = {"db.system.name": "postgresql", "db.query.summary": name, "db.namespace": catalog}
    with _tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=known, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except Exception as error:
            span.set_status(StatusCode.ERROR)
            span.set_attribute("error.type", error.code if isinstance(error, ApiError) else type(error).__name__)
            raise


def _provider(settings: Settings) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource({"service.name": "recjobs-webapp", "service.version": version()})
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    endpoint = f"{settings.traces_endpoint.rstrip('/')}/v1/traces" if settings.traces_endpoint else None
    processor = BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=TIMEOUT_SECONDS))
    provider.add_span_processor(processor)

    def end() -> None:
        threading.main_thread().join()
        processor.force_flush()
        provider.shutdown()

    # Not a daemon, as the log of requests: the last spans of a replica that is replaced count.
    threading.Thread(target=end, name="traces").start()
    return provider
