"""Start and stop: the recorder of this process, and those who read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rome import events
from rome.forks import call_in_child, import_module, new_lock
from rome.metrics.publisher import Publisher
from rome.metrics.recorder import Recorder
from rome.url import parse_url

_recorder: Recorder | None = None
_publishers: list[Publisher] = []
_endings: list[Callable[[], object]] = []
"""The functions that `stop` calls."""
_lock = new_lock()


def record() -> Recorder:
    """Count events from now on. Return the recorder; there is one in a process."""
    global _recorder
    with _lock:
        if _recorder is None:
            _recorder = Recorder()
            events.add_observer(_recorder)
        return _recorder


def export_prometheus(registry: Any = None) -> None:
    """Let a registry of prometheus-client collect the metrics. Raise ModuleNotFoundError if it is not installed.

    `registry`: a CollectorRegistry; the default is prometheus_client.REGISTRY. The numbers are this process's own: a
    server with several processes needs an endpoint for each of them.
    """
    prometheus = import_module("rome.metrics.prometheus")
    chosen = prometheus.default_registry() if registry is None else registry
    collector = prometheus.Collector(record())
    chosen.register(collector)
    _endings.append(lambda: chosen.unregister(collector))


def export_opentelemetry(meter_provider: Any = None, tracer_provider: Any = None) -> None:
    """Send the metrics to OpenTelemetry, and a span for each statement and commit. The defaults are its global ones.

    Raise ModuleNotFoundError if opentelemetry-api is not installed. This costs more than the other exports, because
    OpenTelemetry takes each measurement when it is made.
    """
    observer = import_module("rome.metrics.opentelemetry").OpenTelemetryObserver(meter_provider, tracer_provider)
    events.add_observer(observer)
    _endings.append(lambda: events.remove_observer(observer))


def publish(url: str, every: float = 5.0) -> None:
    """Write what this process counts for a database into it, every few seconds, for `rome top` and `rome console`.

    The texts of statements are published, without parameters: literal values in a text can be read by whoever may use
    the database. `url`: as the application connects. Raise NotSupportedError if the store has no place for that.
    """
    _publishers.append(Publisher(record(), parse_url(url), every))


def stop() -> None:
    """Stop counting and publishing."""
    global _recorder
    with _lock:
        recorder, _recorder = _recorder, None
        endings = [*_endings, *(publisher.stop for publisher in _publishers)]
        _endings.clear()
        _publishers.clear()
    for end in endings:
        end()
    if recorder is not None:
        events.remove_observer(recorder)


@call_in_child
def _publish_in_child() -> None:
    """Go on publishing in a child. Stores have made their connections anew by then."""
    for publisher in _publishers:
        publisher.start()
