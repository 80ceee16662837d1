"""The port of the fake service: what the documentation calls about ten lines."""

from rome_discovery.port import Port

PORT = Port("fake-service", ["tests.adapters.fake_service.api"], ["context_manager"])
PORT.once(
    "service_create",
    lambda context, values: (values["host"],),
    reason="no constraint keeps the host unique",
    existing=lambda context, values: next(iter(PORT.module.service_get_all(context, host=values["host"])), None),
)
PORT.once("service_ensure", lambda context, host: (host,), reason="all ask for it at once", independent=True)
PORT.again("service_update", reason="nobody else runs it again")
PORT.again("service_reset", reason="of another release")
PORT.install(__name__)
