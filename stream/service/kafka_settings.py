"""How the cluster is reached: addresses, TLS, login, and what a client says of itself.

Settings that exclude or need one another are checked here, so that a wrong combination is one sentence at
start, and not a connection that fails later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stream.service import setting_kinds as kinds
from stream.service.setting_kinds import setting

TLS = ("ssl", "sasl_ssl")
LOGIN = ("sasl_plaintext", "sasl_ssl")
OAUTH = "OAUTHBEARER"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", OAUTH)


@dataclass(frozen=True, kw_only=True)
class KafkaSettings:
    """What every client of Kafka is made with."""

    kafka: str = setting("", "bootstrap servers; empty: the embedded broker", kinds.servers)
    kafka_security: str = setting(
        "plaintext",
        "`plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`: TLS and login of every client",
        kinds.one_of("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
    )
    kafka_sasl_mechanism: str = setting(
        "", "`PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`", kinds.one_of(*MECHANISMS)
    )
    kafka_sasl_username: str = setting("", "of `PLAIN` and `SCRAM-…`", kinds.text)
    kafka_sasl_password: str = setting("", "its password", kinds.text, secret=True)
    kafka_oauth_token_url: str = setting(
        "", "where `OAUTHBEARER` gets its tokens by client credentials", kinds.url
    )
    kafka_oauth_client_id: str = setting("", "user of the token URL", kinds.text)
    kafka_oauth_client_secret: str = setting("", "its secret", kinds.text, secret=True)
    kafka_oauth_scope: str = setting("", "scope that is asked for; empty: none", kinds.text)
    kafka_oauth_extensions: tuple[tuple[str, str], ...] = setting(
        (), "`name=value` that the broker wants beside the token, with commas", kinds.extensions
    )
    kafka_ca_file: Path | None = setting(
        None, "certificates that are trusted (PEM); empty: the system's", kinds.path
    )
    kafka_cert_file: Path | None = setting(
        None, "certificate that a client shows (PEM); empty: none", kinds.path
    )
    kafka_key_file: Path | None = setting(None, "its private key (PEM, without a password)", kinds.path)
    kafka_client_id: str = setting(
        "callstream", "client id, to which each role adds its name, as in `callstream-worker`", kinds.name
    )
    kafka_client_rack: str = setting(
        "", "rack of this process: consumers read from a replica there; empty: from leaders", kinds.name
    )
    replication: int = setting(
        -1, "replicas of the topics that are created; `-1`: the cluster's default", kinds.replicas
    )


@dataclass(frozen=True, kw_only=True)
class GroupSettings:
    """What the members of consumer groups have."""

    # Kafka's brokers refuse less than 6 s.
    session_timeout_s: float = setting(
        10.0, "a silent worker loses its partitions after that long", kinds.number(6, 1800)
    )


def wrong_combinations(values: Mapping[str, Any]) -> list[str]:
    """A sentence for each combination that cannot work. `values`: by field; a missing one is the default."""
    chosen = KafkaSettings(
        **{about.name: values[about.name] for about in fields(KafkaSettings) if about.name in values}
    )
    security = f"CALLSTREAM_KAFKA_SECURITY={chosen.kafka_security}"
    mechanism = f"CALLSTREAM_KAFKA_SASL_MECHANISM={chosen.kafka_sasl_mechanism}"
    found = []
    if chosen.kafka_security != "plaintext" and not chosen.kafka:
        found.append(f"{security} needs CALLSTREAM_KAFKA: the embedded broker is plaintext")
    if chosen.kafka_security not in TLS:
        found += _unused(chosen, ("kafka_ca_file", "kafka_cert_file", "kafka_key_file"), security)
    elif (chosen.kafka_cert_file is None) != (chosen.kafka_key_file is None):
        found.append("CALLSTREAM_KAFKA_CERT_FILE and CALLSTREAM_KAFKA_KEY_FILE go together: set both")
    by_password = ("kafka_sasl_username", "kafka_sasl_password")
    by_token = ("kafka_oauth_token_url", "kafka_oauth_client_id", "kafka_oauth_client_secret")
    optional = ("kafka_oauth_scope", "kafka_oauth_extensions")
    if chosen.kafka_security not in LOGIN:
        found += _unused(chosen, ("kafka_sasl_mechanism", *by_password, *by_token, *optional), security)
    elif not chosen.kafka_sasl_mechanism:
        found.append(f"{security} needs CALLSTREAM_KAFKA_SASL_MECHANISM: one of {', '.join(MECHANISMS)}")
    elif chosen.kafka_sasl_mechanism == OAUTH:
        found += _unused(chosen, by_password, mechanism) + _missing(chosen, by_token, mechanism)
    else:
        found += _unused(chosen, (*by_token, *optional), mechanism) + _missing(chosen, by_password, mechanism)
    return found


def _unused(chosen: KafkaSettings, names: tuple[str, ...], because: str) -> list[str]:
    return [f"{_variable(name)} has no use with {because}" for name in names if getattr(chosen, name)]


def _missing(chosen: KafkaSettings, names: tuple[str, ...], because: str) -> list[str]:
    return [f"{because} needs {_variable(name)}" for name in names if not getattr(chosen, name)]


def _variable(field_name: str) -> str:
    return f"CALLSTREAM_{field_name.upper()}"
