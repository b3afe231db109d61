"""Every setting of the program, from CALLSTREAM_* variables or one TOML file, checked once at start.

A setting is a field here with its meaning, and nothing else reads the environment.
A variable overrides the file. An unknown name is an error, or a misspelt setting would silently be off.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from stream.core.sources import POLLED_SOURCES
from stream.service import setting_kinds as kinds
from stream.service.alert_settings import AlertSettings
from stream.service.errors import describe
from stream.service.kafka_settings import GroupSettings, KafkaSettings, wrong_combinations
from stream.service.metric_settings import MetricSettings
from stream.service.setting_kinds import setting as _setting
from stream.service.tables.account_setting import PROVIDERS, AccountSetting, TwilioAccounts, account_settings
from stream.service.tables.api_settings import ApiFields, ClientFields
from stream.service.tables.archive_settings import ArchiveAddress, ArchiveFields, PrivacyKey
from stream.service.tables.notify_tables import NotifyTables, wrong_routes

PREFIX = "CALLSTREAM_"

_NOT_SETTINGS = frozenset({"CALLSTREAM_CONFIG", "CALLSTREAM_REQUIRE_TOOLS"})
"""Names with our prefix that are not settings: the path of the file, and a switch of the tests in CI."""


class SettingsError(Exception):
    """A setting that cannot be used. The message begins with its name and never contains a secret's value."""


@dataclass(frozen=True, kw_only=True)
class RoleSettings(KafkaSettings):
    """What every role runs with."""

    topic_prefix: str = _setting("calls.", "of every topic, and of the application id", kinds.prefix)
    partitions: int = _setting(12, "of every keyed topic; never changes in place", kinds.whole(1, 1000))
    data_dir: Path = _setting(Path(".callstream"), "broker data, store, archive", kinds.path)
    account_alias: str = _setting("default", "name of the account in metrics and records", kinds.name)
    kafka_libs: str = _setting("", "folder of Kafka's jars for the embedded broker", kinds.text)
    log_format: str = _setting("text", "`text` or `json`: a line of the log", kinds.one_of("text", "json"))
    log_level: tuple[tuple[str, str], ...] = _setting(
        (),
        "`debug`, `info`, `warning` or `error`; more with commas as `LOGGER=level` ([Logs](logs.md)); "
        "empty: `info`",
        kinds.log_levels,
    )
    metric_providers: tuple[str, ...] = _setting(
        PROVIDERS, "providers whose series are there before their first event", kinds.some_of(*PROVIDERS)
    )
    cache_dir: Path = _setting(Path("~/.cache/callstream"), "where fetched jars are kept", kinds.path)


@dataclass(frozen=True, kw_only=True)
class CallSettings(GroupSettings):
    """What worker and poller must agree on."""

    settle_s: float = _setting(7200.0, "a terminal call is kept that long for late evidence", kinds.SECONDS)
    poll_sources: tuple[str, ...] = _setting(
        POLLED_SOURCES,
        "REST sources that are read, with commas; `none`: no poller",
        kinds.some_of(*POLLED_SOURCES),
    )
    time_factor: float = _setting(
        1.0,
        "how many times faster than the providers the simulator is, and with it the schedule of fetches",
        kinds.number(1, 3600),
    )


@dataclass(frozen=True, kw_only=True)
class PublicAddress:
    """Where providers reach the gateway."""

    public_url: str = _setting(
        "", "what providers sign, with a path that a proxy takes off; empty: from the request", kinds.origin
    )


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(PublicAddress, TwilioAccounts, RoleSettings):
    """What a gateway runs with."""

    gateway_listen: str = _setting("127.0.0.1:8080", "where the gateway takes webhooks", kinds.listen)
    gateway_health_listen: str = _setting(
        "127.0.0.1:8084", "where the gateway's `/metrics`, `/livez` and `/readyz` are", kinds.listen
    )
    gateway_tls: tuple[Path, ...] = _setting(
        (),
        "certificate and key files (PEM, no password), with a comma; empty: plain HTTP, behind a proxy",
        kinds.certificate,
    )
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = _setting(
        (),
        "networks whose `Forwarded` or `X-Forwarded-*` is believed (neither where they differ), with commas",
        kinds.networks,
    )
    body_limit_bytes: int = _setting(
        262_144, "of a webhook request's body; a larger one is refused", kinds.whole(1024, 262_144)
    )
    twilio_answer_s: float = _setting(
        5.0,
        "Kafka's time for a webhook of Twilio, which waits 15; then it is told to come again",
        kinds.number(0.1, 14),
    )
    telnyx_answer_s: float = _setting(1.5, "the same for Telnyx, which waits 2", kinds.number(0.1, 1.9))
    unsigned_callbacks: str = _setting(
        "refuse",
        "`refuse` or `accept`: webhooks without a signature; `accept` is for a test without accounts",
        kinds.one_of("refuse", "accept"),
    )
    twilio_shared_keys: tuple[tuple[str, str], ...] = _setting(
        (),
        "`key=secret` of the shared keys that sign webhooks, with commas; `AC…/key=…` of another account",
        kinds.named_secrets,
        secret=True,
    )
    twilio_subaccounts: tuple[tuple[str, str], ...] = _setting(
        (),
        "`subaccount=account`, with commas: whose tokens and Event Streams speak for a subaccount too",
        kinds.subaccounts,
    )
    twilio_max_age_s: float = _setting(
        86_400.0,
        "a signed request of Twilio is refused when its `Timestamp` is that much older than our clock",
        kinds.SECONDS,
    )
    telnyx_public_key: tuple[str, ...] = _setting(
        (), "verifies signatures of Telnyx; several with commas", kinds.public_keys
    )
    telnyx_tolerance_s: float = _setting(
        300.0, "a signature of Telnyx is refused when it is that much older or newer", kinds.number(1, 86_400)
    )


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(PublicAddress, CallSettings, AlertSettings, MetricSettings, PrivacyKey, RoleSettings):
    """What a worker runs with."""

    worker_listen: str = _setting("127.0.0.1:8081", "where the worker's HTTP is", kinds.listen)
    worker_processes: int = _setting(
        1,
        "of `callstream worker`, which share its partitions; `auto`: one for each CPU but one",
        kinds.processes,
    )
    store: str = _setting("memory", "`memory` or `rocksdb` for the tables", kinds.one_of("memory", "rocksdb"))
    gap_grace_s: float = _setting(10.0, "a missing number is a gap after that long", kinds.SECONDS)
    revision_quiet_s: float = _setting(
        5.0, "a call's record is written again when nothing has changed for that long", kinds.number(0, 60)
    )
    overdue_s: float = _setting(14_400.0, "a call without an end is overdue after that long", kinds.SECONDS)
    max_age_s: float = _setting(
        86_400.0, "a call without an end leaves the table after that long", kinds.SECONDS
    )
    privacy: str = _setting(
        "masked",
        "`masked`, `hashed` or `full`: numbers and addresses in what leaves",
        kinds.one_of("masked", "hashed", "full"),
    )
    instance_id: str = _setting("", "name of this worker, kept over restarts; empty: none", kinds.name)
    latency_ms: int = _setting(100, "longest between transactions; more: less CPU", kinds.whole(0, 1000))
    max_errors_in_a_row: int = _setting(
        100, "errors of our own before the worker stops", kinds.whole(1, 1_000_000)
    )


@dataclass(frozen=True, kw_only=True)
class PollerSettings(TwilioAccounts, CallSettings, RoleSettings):
    """What a poller runs with."""

    poller_listen: str = _setting("127.0.0.1:8082", "where the poller's HTTP is", kinds.listen)
    twilio_api_key: str = _setting("", "user of Twilio's REST resources", kinds.name)
    twilio_api_secret: str = _setting("", "its secret", kinds.text, secret=True)
    telnyx_api_key: str = _setting("", "for the REST resources of Telnyx", kinds.text, secret=True)
    telnyx_account_id: str = _setting(
        "", "the id that records of Telnyx' rows carry; empty: the one that a row names, or none", kinds.name
    )
    twilio_api_url: str = _setting("https://api.twilio.com", "base URL, without version", kinds.url)
    twilio_insights_url: str = _setting("https://insights.twilio.com", "base URL, without version", kinds.url)
    twilio_monitor_url: str = _setting("https://monitor.twilio.com", "base URL, without version", kinds.url)
    telnyx_api_url: str = _setting("https://api.telnyx.com/v2", "base URL, with `/v2`", kinds.url)
    poll_interval_s: float = _setting(60.0, "between two reads of a window", kinds.SECONDS)
    poll_lookback_s: float = _setting(3600.0, "how far a window reaches back", kinds.SECONDS)
    poll_concurrency: int = _setting(5, "requests at once, for each account", kinds.whole(1, 1000))
    poll_rate: float = _setting(10.0, "requests a second, for each account", kinds.number(0.001, 10_000))
    poll_accounts: tuple[AccountSetting, ...] = _setting(
        (),
        "more accounts that are read: `[[poll_accounts]]` tables of the TOML file",
        account_settings,
        secret=True,
    )


@dataclass(frozen=True, kw_only=True)
class NotifySettings(NotifyTables, GroupSettings, RoleSettings):
    """What `callstream notify` runs with."""

    notify_listen: str = _setting("127.0.0.1:8085", "where the HTTP of `notify` is", kinds.listen)


@dataclass(frozen=True, kw_only=True)
class ArchiveSettings(ArchiveFields, GroupSettings, RoleSettings):
    """What `callstream archive` runs with."""


@dataclass(frozen=True, kw_only=True)
class ApiSettings(ApiFields, ArchiveAddress, PrivacyKey, RoleSettings):
    """What `callstream api` runs with."""


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings(PollerSettings, GatewaySettings):
    """What the simulator runs with: it signs and serves what gateway and poller expect of a provider."""

    simulate_listen: str = _setting("127.0.0.1:8083", "where the simulator's HTTP is", kinds.listen)
    simulate_twilio_account_token: tuple[tuple[str, str], ...] = _setting(
        (),
        "`AC…=token` of the simulated calls; empty: those that the gateway verifies with",
        kinds.named_secret,
        secret=True,
    )
    simulate_telnyx_account_key: tuple[tuple[str, str], ...] = _setting(
        (),
        "`account=API key` of the simulated Telnyx resources; empty: those that a poller reads with",
        kinds.named_secret,
        secret=True,
    )
    simulate_telnyx_private_key: str = _setting(
        "", "signs the simulator's webhooks as Telnyx", kinds.private_key, secret=True
    )


@dataclass(frozen=True, kw_only=True)
class Settings(ClientFields, SimulatorSettings, NotifySettings, ArchiveSettings, ApiSettings, WorkerSettings):
    """All settings. A role takes its slice, which is a base of this class. Durations in seconds."""


def variable(about: Field[Any]) -> str:
    """The environment's name of a field."""
    return _variable(about.name)


def _variable(key: str) -> str:
    return "KAFKA_LIBS" if key == "kafka_libs" else PREFIX + key.upper()


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment and the TOML file that CALLSTREAM_CONFIG names. Raises SettingsError."""
    values, wrong = _gather(environ)
    if wrong:
        raise wrong[0]
    return Settings(**values)


def privacy_key(chosen: WorkerSettings) -> str:
    """The key of a worker's hashes. Raises SettingsError if its privacy mode needs one and there is none."""
    if chosen.privacy == "hashed" and not chosen.privacy_key:
        raise SettingsError("CALLSTREAM_PRIVACY=hashed needs CALLSTREAM_PRIVACY_KEY")
    return chosen.privacy_key


def problems(environ: Mapping[str, str] = os.environ) -> list[str]:
    """All errors that `load` could raise, in its order; empty where it succeeds."""
    return [str(error) for error in _gather(environ)[1]]


def _gather(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[SettingsError]]:
    """The values of the fields, and an error for each that cannot be used."""
    wrong: list[SettingsError] = []
    texts = file_settings(environ.get("CALLSTREAM_CONFIG", ""), wrong)
    for name, value in environ.items():
        if (name.startswith(PREFIX) and name not in _NOT_SETTINGS) or name == "KAFKA_LIBS":
            texts[name] = value
    values: dict[str, Any] = {}
    for about in fields(Settings):
        name = variable(about)
        try:
            text = _take(texts, name, secret=about.metadata["secret"])
            if text is not None:
                values[about.name] = about.metadata["read"](text.strip())
        except SettingsError as error:
            wrong.append(error)
        except ValueError as error:
            # The value may be a URL with a password in it.
            shown = "" if about.metadata["secret"] or "@" in str(text) else f"={text}"
            wrong.append(SettingsError(f"{name}{shown} {error}"))
    wrong += [
        SettingsError(f"{name} is not a setting of callstream (docs/settings.md lists all of them)")
        for name in sorted(texts)
    ]
    if not wrong:
        wrong += map(SettingsError, [*wrong_combinations(values), *wrong_routes(values)])
    # Unlike pathlib's, this leaves a name as it is where the user has no home.
    user_cache = Path(os.path.expanduser(environ.get("XDG_CACHE_HOME") or "~/.cache"))
    values.setdefault("cache_dir", user_cache / "callstream")
    return values, wrong


def _take(texts: dict[str, str], name: str, *, secret: bool) -> str | None:
    """Removes a setting from `texts` and returns it, or for a secret the content of the file in NAME_FILE."""
    given = texts.pop(name, None)
    file = texts.pop(f"{name}_FILE", None) if secret else None
    if file is None:
        return given
    if given is not None:
        raise SettingsError(f"{name} and {name}_FILE are both set: one of them")
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}_FILE={file} cannot be read: {describe(error)}") from None


def secret_files(environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """The files that secrets are read from, by the field of the setting."""
    texts = {**file_settings(environ.get("CALLSTREAM_CONFIG", ""), []), **environ}
    named = {one.name: texts.get(f"{variable(one)}_FILE") for one in fields(Settings)}
    return {name: Path(file) for name, file in named.items() if file}


def file_settings(path: str, wrong: list[SettingsError]) -> dict[str, str]:
    """The TOML file's keys as variables: `store = "rocksdb"` is CALLSTREAM_STORE. Adds to `wrong`."""
    if not path:
        return {}
    try:
        content = tomllib.loads(kinds.file_path(path).read_text())
    except (OSError, ValueError) as error:
        why = describe(error) if isinstance(error, OSError) else str(error)
        wrong.append(SettingsError(f"CALLSTREAM_CONFIG={path} cannot be read: {why}"))
        return {}
    found = {}
    for key, value in content.items():
        name = _variable(key)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = ",".join(value)
        elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
            value = msgspec.json.encode(value).decode()
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            wrong.append(SettingsError(f"{name}: `{key}` in {path} must be a text or a number"))
        else:
            found[name] = str(value)
    return found
