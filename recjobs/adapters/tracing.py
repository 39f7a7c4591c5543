"""OpenTelemetry: a trace for each batch, and in it a span for each step, sent by OTLP (OTEL_TRACES_EXPORTER=otlp).

Steps are processes of their own and hand nothing over but files. So the trace's id, and that of the span of `begin`,
under which the others are, are made of the catalog and the batch id: each step finds them. Off, opentelemetry is not
imported. A collector that is away fails no step.
"""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0
"""How long a collector that is away may delay a step."""


class Tracing:
    """Sends the spans of a catalog's nights, if it is on. endpoint: of the collector; "": what OpenTelemetry's own
    variables say."""

    def __init__(self, is_on: bool, endpoint: str, catalog: str) -> None:
        self._is_on = is_on
        self._endpoint = endpoint
        self._catalog = catalog

    def ids(self, batch_id: str) -> dict[str, str]:
        """What log lines of a batch have besides its id: `trace_id`, if traces are sent."""
        return {"trace_id": f"{_ids(self._catalog, batch_id)[0]:032x}"} if self._is_on else {}

    @contextmanager
    def step(self, step: str, batch_id: str) -> Iterator[None]:
        """Send a span for a block that runs a step; one that raises has the error's type and outcome."""
        if not self._is_on:
            yield
            return
        began, error = time.time_ns(), None  # type: tuple[int, BaseException | None]
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._try(step, batch_id, began, error, is_first=False)

    def begun(self, began: int, batch_id: str | None, error: BaseException | None, is_first: bool) -> None:
        """Send the span of `begin`, whose batch is known at its end.

        began: in nanoseconds since 1970. batch_id: None if it came to none, which is a trace of its own. is_first:
        whether it made this batch, and did not find an earlier attempt.
        """
        if self._is_on:
            self._try("begin", batch_id, began, error, is_first)

    def _try(self, step: str, batch_id: str | None, began: int, error: BaseException | None, is_first: bool) -> None:
        try:
            self._send(step, batch_id, began, error, is_first)
        except Exception as failure:
            log.warning("the span of step %s could not be sent: %s: %s", step, type(failure).__name__, failure)

    def _send(self, step: str, batch_id: str | None, began: int, error: BaseException | None, is_first: bool) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, set_span_in_context

        provider, context, ids = _provider(self._endpoint), Context(), None
        attributes = {"catalog": self._catalog, "step": step}
        if batch_id:
            attributes["batch_id"] = batch_id
            trace_id, span_id = _ids(self._catalog, batch_id)
            if is_first:
                ids = trace_id, span_id
            else:
                begin = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
                context = set_span_in_context(NonRecordingSpan(begin), context)
        provider.id_generator.next_ids = ids  # type: ignore[attr-defined]
        span: Span = provider.get_tracer("recjobs").start_span(step, context, attributes=attributes, start_time=began)
        if error is not None:
            # not what it says: that is in the log, where secrets are hidden
            span.set_attributes({"error.type": type(error).__name__, "outcome": getattr(error, "outcome", "failed")})
            span.set_status(StatusCode.ERROR)
        span.end()


def _ids(catalog: str, batch_id: str) -> tuple[int, int]:
    """The id of a batch's trace and of the span of its `begin`."""
    digest = hashlib.sha256(f"{catalog}/{batch_id}".encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


@lru_cache
def _provider(endpoint: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class Ids(RandomIdGenerator):
        """Random ids, but for one span whose ids are set before."""

        next_ids: tuple[int, int] | None = None

        def generate_span_id(self) -> int:
            ids, random = self.next_ids, super().generate_span_id()
            return ids[1] if ids else random

        def generate_trace_id(self) -> int:
            ids, random = self.next_ids, super().generate_trace_id()
            return ids[0] if ids else random

    resource = Resource({"service.name": "recjobs"}).merge(OTELResourceDetector().detect())
    # A step has one span, sent at once: a task's process may end without running what is registered for its end. All
    # are sampled, since a night has a dozen.
    provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=Ids())
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None, timeout=TIMEOUT_SECONDS)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider
