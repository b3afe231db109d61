"""How a served run's REST resources are served: where, whom they let in, how much they take.

The rule of this file: the simulator lets in whoever has the credentials that a poller of the same settings
reads with, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stream.service.settings import SettingsError, SimulatorSettings
from stream.simulator.calls.options import Options
from stream.simulator.delivery.signing import telnyx_account, twilio_account
from stream.simulator.rest.credentials import ApiCredentials
from stream.simulator.rest.throttle import ProviderLimits, RequestStats

READ_S = 300.0
"""In the providers' time, how much longer than all is there the resources are served, where no check says
that all is read.
"""

LAST_LOOK_S = 3600.0
"""How much later than that, by the same clock, a schedule takes its last look: nothing is missing before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestPlan:
    """`at` is told the base URL once it is open; `seen` is told of each request."""

    listen: str
    keys: ApiCredentials
    limits: ProviderLimits = field(default_factory=ProviderLimits)
    seen: RequestStats = field(default_factory=RequestStats)
    at: Callable[[str], None] = lambda _: None


def served_as(settings: SimulatorSettings, options: Options) -> tuple[Options, ApiCredentials]:
    """The options with the accounts that are served, and the credentials that read them.

    Raises SettingsError with what is missing.
    """
    account, token = twilio_account(settings)
    id_, key = telnyx_account(settings)
    both = settings.twilio_api_key and settings.twilio_api_secret
    providers = {source.partition("_")[0] for source in options.polled}
    if "twilio" in providers and options.telnyx < 1 and not (account and (token or both)):
        raise SettingsError("CALLSTREAM_TWILIO_ACCOUNT_SID and a token are needed to answer as Twilio")
    if "telnyx" in providers and options.telnyx > 0 and not key:
        raise SettingsError("CALLSTREAM_TELNYX_API_KEY is needed to answer as Telnyx")
    return replace(options, twilio_account=account, telnyx_account=id_), ApiCredentials(
        twilio_tokens=(token,) if token else (),
        twilio_api_keys={settings.twilio_api_key: settings.twilio_api_secret} if both else {},
        telnyx=(key,) if key else (),
    )
