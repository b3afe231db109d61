"""Simulated calls, once as the providers have them and once as they are archived: callbacks arrive, rows are
polled, and what a worker writes of both is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stream.api.compatible.telnyx_store import ArchivedTelnyx
from stream.api.compatible.twilio_store import ArchivedTwilio
from stream.archive.reader import Archive
from stream.provider_api.http_types import ApiError, ApiRequest, ApiResponse, Route
from stream.provider_api.telnyx_api import TelnyxApi
from stream.provider_api.twilio_api import TwilioApi
from stream.simulator.calls.options import Options
from stream.simulator.rest.provider_resources import provider_routes
from stream.simulator.rest.provider_state import ProviderState
from tests.archive.kept import an_archive
from tests.simulator.fake_poller import START_US, S, run_served
from tests.simulator.outputs import Outputs
from tests.simulator.rest.resource_fakes import KEYS, TELNYX_KEY, TOKEN, basic

ENDS_S = 4000.0
"""From the last callback to the last read: a summary is complete then."""

CALLS = 80


@dataclass
class Simulated:
    """- `now_us`: the providers' time, after all reads. - `folder`: where the archive's file is."""

    providers: ProviderState
    archive: Archive
    now_us: int
    folder: Path

    def provider(self, name: str, parameters: Mapping[str, str] | None = None, **names: str) -> ApiResponse:
        """What the simulated provider answers."""
        return self._asked(provider_routes(self.providers, KEYS), name, parameters, names)

    def callstream(self, name: str, parameters: Mapping[str, str] | None = None, **names: str) -> ApiResponse:
        """What comes from the archive."""

        def twilio(_: ApiRequest) -> ArchivedTwilio:
            return ArchivedTwilio(self.archive, frozenset({self.providers.twilio_account}), dict)

        def telnyx(_: ApiRequest) -> ArchivedTelnyx:
            return ArchivedTelnyx(self.archive, frozenset({self.providers.telnyx_account}), dict)

        routes = [*TwilioApi(twilio).routes(), *TelnyxApi(telnyx).routes()]
        return self._asked(routes, name, parameters, names)

    def _asked(
        self, routes: list[Route], name: str, parameters: Mapping[str, str] | None, names: dict[str, str]
    ) -> ApiResponse:
        [route] = [one for one in routes if one.name == name]
        account = self.providers.twilio_account
        key = f"Bearer {TELNYX_KEY}" if route.provider == "telnyx" else basic(account, TOKEN)
        names = {"account": account, **names}
        asked = ApiRequest("/path", names, dict(parameters or {}), key, "http://host.test", self.now_us)
        try:
            return route.respond(asked)
        except ApiError as error:
            return error.response


@contextmanager
def simulated(
    folder: Path,
    *,
    calls: int = CALLS,
    looks_every: int = 0,
    mode: str = "full",
    start_us: int = START_US,
    leave_out: Callable[[dict[str, Any]], bool] = lambda _: False,
) -> Iterator[Simulated]:
    """`looks_every`: rows are read after every so many callbacks, too. `leave_out`: events that get lost."""
    options = Options(
        calls=calls,
        rate=10,
        served=True,
        start_us=start_us,
        planted=False,
        failed=0.2,
        failing_webhooks=0.1,
        duplicates=0.1,
    )
    traffic, outputs = run_served(options, looks_every=looks_every, ends_s=ENDS_S, mode=mode)
    assert traffic.providers is not None
    assert traffic.expected is not None
    ended_us = max(call.leg.ended_us for call in traffic.expected.calls)
    with an_archive(folder) as (keeper, archive):
        keeper.keep(records_of(outputs, leave_out))
        yield Simulated(traffic.providers, archive, ended_us + int((ENDS_S + 1000) * S), folder)


def records_of(
    outputs: Outputs, leave_out: Callable[[dict[str, Any]], bool]
) -> list[tuple[str, bytes | None, bytes | None]]:
    told = [("events", one) for one in outputs.events if not leave_out(one)]
    told += [("ended", one) for one in outputs.records]
    return [(role, one["key"].encode(), orjson.dumps(one)) for role, one in told]
