"""The metrics for prometheus-client: a collector that reads the recorder when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector as PrometheusCollector

from rome.metrics.measurements import GAUGES, METRICS, OF_DATABASES, of_databases
from rome.metrics.recorder import Recorder


def default_registry() -> Any:
    """Return the registry that prometheus-client has by default."""
    return REGISTRY


class Collector(PrometheusCollector):
    """Collects all metrics of the recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        counters, histograms = self._recorder.counters, self._recorder.histograms
        for metric in METRICS:
            if metric.bounds:
                histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, found in list(histograms[metric].items()):
                    bounds = [*map(str, metric.bounds), "+Inf"]
                    histogram.add_metric(labels, list(zip(bounds, accumulate(found.buckets), strict=True)), found.total)
                yield histogram
            else:
                counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
                for labels, number in list(counters[metric].items()):
                    counter.add_metric(labels, number)
                yield counter
        read = list(of_databases())
        for metric in OF_DATABASES + GAUGES:
            make = GaugeMetricFamily if metric in GAUGES else CounterMetricFamily
            family = make(metric.name, metric.help, labels=metric.labels)
            for each, labels, number in read:
                if each is metric:
                    family.add_metric(labels, number)
            yield family
