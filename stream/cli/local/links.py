"""Where the roles of a local stack listen, and what is worth opening there."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from stream.service.settings import Settings

LISTENERS = (
    "worker",
    "gateway",
    "gateway_health",
    "poller",
    "archive",
    "api",
    "api_health",
    "notify",
)
"""What has an address: the settings are these names with `_listen`."""

Addresses = Mapping[str, str]
"""The address of each of LISTENERS."""


def links(at: Addresses, settings: Settings, *, polled: bool) -> list[tuple[str, str]]:
    """Names and addresses, the most useful first: a small terminal shows no others."""
    program = os.path.relpath(sys.argv[0])
    return [
        ("page", f"{page_url(at, settings)}/ui"),
        ("webhooks", f"{gateway_url(at, settings)}/callbacks/twilio and /callbacks/telnyx"),
        ("look at it", f"{program} watch   (or calls, call KEY, alerts, tail TOPIC)"),
        ("worker", _probes(at["worker"])),
        ("gateway", _probes(at["gateway_health"])),
        ("archive", _probes(at["archive"])),
        ("api", _probes(at["api_health"])),
        *([("poller", _probes(at["poller"]))] if polled else []),
        *([("notify", _probes(at["notify"]))] if settings.notify_sinks else []),
        ("Kafka", settings.kafka),
        ("logs", str(settings.data_dir.absolute())),
    ]


def gateway_url(at: Addresses, settings: Settings) -> str:
    """Where the gateway takes webhooks."""
    return f"{'https' if settings.gateway_tls else 'http'}://{at['gateway']}"


def page_url(at: Addresses, settings: Settings) -> str:
    """Where people reach the page: what the settings say, else the API's own address."""
    return settings.ui_url or f"http://{at['api']}"


def _probes(address: str) -> str:
    return f"http://{address}/metrics   http://{address}/readyz"
