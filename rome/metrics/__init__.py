"""Metrics and traces of this process.

>>> from rome import metrics
>>> recorder = metrics.record()
>>> recorder.counters[metrics.ROWS].get(("rome+memory:///app",), 0)
0
>>> metrics.stop()

    record                  count statements, commits, conflicts, lock waits from now on
    export_prometheus       the same, for a registry of prometheus-client
    export_opentelemetry    the same, through the meters of OpenTelemetry, and a span for each statement and commit
    publish                 the same, for `rome top` and `rome console` of the database
    stop                    end all of that

Nothing is recorded before one of these functions is called, and no other package is imported. `rome.events` reports
what happens; `rome.metrics.measurements` lists the metrics.
"""

from rome.metrics.exports import export_opentelemetry, export_prometheus, publish, record, stop
from rome.metrics.measurements import METRICS, ROWS, Metric

__all__ = ["METRICS", "ROWS", "Metric", "export_opentelemetry", "export_prometheus", "publish", "record", "stop"]
