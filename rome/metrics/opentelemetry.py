"""The metrics and spans for OpenTelemetry (opentelemetry-api): an observer that passes on each event when it comes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation, get_meter_provider
from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer_provider

from rome.events import CommitEnded, Event, StatementEnded
from rome.metrics.measurements import GAUGES, METRICS, OF_DATABASES, Metric, database_name, measured, of_databases

_NAME = "rome"


class OpenTelemetryObserver:
    """Records measurements, and makes a span of each statement and commit, a child of the span that is current."""

    def __init__(self, meter_provider: Any = None, tracer_provider: Any = None) -> None:
        meter = (meter_provider or get_meter_provider()).get_meter(_NAME)
        self._tracer = (tracer_provider or get_tracer_provider()).get_tracer(_NAME)
        self._instruments: dict[Metric, Any] = {}
        for metric in METRICS:
            make = meter.create_histogram if metric.bounds else meter.create_counter
            self._instruments[metric] = make(metric.name, unit=metric.unit, description=metric.help)
        for metric in OF_DATABASES + GAUGES:
            make = meter.create_observable_gauge if metric in GAUGES else meter.create_observable_counter
            make(metric.name, [_reader(metric)], unit=metric.unit, description=metric.help)

    def __call__(self, event: Event) -> None:
        """Record an event."""
        for metric, labels, numbers in measured([event]):
            attributes = dict(zip(metric.labels, labels, strict=True))
            instrument = self._instruments[metric]
            for number in numbers:
                if metric.bounds:
                    instrument.record(number, attributes)
                elif number > 0:
                    instrument.add(number, attributes)
        if isinstance(event, StatementEnded):
            attributes = {
                "db.system.name": "rome",
                "db.namespace": database_name(event.url),
                "db.operation.name": event.verb,
                "db.query.text": event.sql,
            }
            self._span(
                f"{event.verb or 'statement'}",
                event,
                attributes,
                {"rome.rounds": event.rounds, "rome.rows": event.rows},
            )
        elif isinstance(event, CommitEnded):
            attributes = {"db.system.name": "rome", "db.namespace": database_name(event.url)}
            self._span("commit", event, attributes, {"rome.keys": event.keys, "rome.bytes": event.size})

    def _span(
        self, name: str, event: StatementEnded | CommitEnded, attributes: dict[str, str], numbers: dict[str, int]
    ) -> None:
        end = time.time_ns()
        begin = end - round(event.seconds * 1e9)
        span = self._tracer.start_span(
            name, kind=SpanKind.CLIENT, attributes={**attributes, **numbers}, start_time=begin
        )
        if event.error is not None:
            span.set_attribute("error.type", event.error.__name__)
            span.set_status(Status(StatusCode.ERROR, event.error.__name__))
        span.end(end)


def _reader(metric: Metric) -> Any:
    """Return the function that OpenTelemetry calls for the totals of a metric that is read."""

    def read(_: CallbackOptions) -> Iterable[Observation]:
        for each, labels, number in of_databases():
            if each is metric:
                yield Observation(number, dict(zip(metric.labels, labels, strict=True)))

    return read
