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
    """Names and addresses, the most useful first: a small terminal shows only these."""
    roles = probed(at, polled=polled, notified=bool(settings.notify_sinks))
    program = min(os.path.relpath(sys.argv[0]), os.path.abspath(sys.argv[0]), key=len)
    return [
        ("page", f"{page_url(at, settings)}/ui"),
        ("webhooks", f"{gateway_url(at, settings)}/callbacks/twilio and /callbacks/telnyx"),
        ("look at it", f"{program} watch   (or calls, call KEY, alerts, tail TOPIC)"),
        *((role, f"http://{address}/metrics   http://{address}/readyz") for role, address in roles.items()),
        ("Kafka", settings.kafka),
        ("logs", str(settings.data_dir.absolute())),
    ]


def probed(at: Addresses, *, polled: bool, notified: bool) -> Addresses:
    """Where each role that runs has its `/metrics` and `/readyz`."""
    return {
        "gateway": at["gateway_health"],
        "worker": at["worker"],
        **({"poller": at["poller"]} if polled else {}),
        "archive": at["archive"],
        "api": at["api_health"],
        **({"notify": at["notify"]} if notified else {}),
    }


def listeners(settings: Settings) -> Addresses:
    """The addresses of the settings."""
    return {role: getattr(settings, f"{role}_listen") for role in LISTENERS}


def gateway_url(at: Addresses, settings: Settings) -> str:
    """Where the gateway takes webhooks."""
    return f"{'https' if settings.gateway_tls else 'http'}://{at['gateway']}"


def page_url(at: Addresses, settings: Settings) -> str:
    """Where people reach the page: what the settings say, else the API's own address."""
    return settings.ui_url or f"http://{at['api']}"
