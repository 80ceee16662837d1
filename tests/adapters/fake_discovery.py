"""The port of the fake service, like the example in docs/services.rst."""

from rome_discovery.port import Port

PORT = Port("fake-service", ["tests.adapters.fake_service.api"], ["context_manager"])
PORT.once(
    "service_create",
    lambda context, values: (values["host"],),
    reason="no constraint keeps the host unique",
    existing=lambda context, values: next(iter(PORT.module.service_get_all(context, host=values["host"])), None),
)
PORT.once("service_ensure", lambda context, host: (host,), reason="concurrent callers", independent=True)
PORT.again("service_update", reason="the service does not retry it")
PORT.again("service_reset", reason="exists in another release only")
PORT.install(__name__)
