"""How every client reaches the cluster, and the only place where aiokafka's clients are made.

`tests/test_imports.py` forbids every other construction: a client that is made elsewhere would have neither
TLS nor a login.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from stream.kafka.client.oauth import ClientCredentials
from stream.service.kafka_settings import LOGIN, OAUTH, TLS
from stream.service.settings import RoleSettings, SettingsError


@dataclass(frozen=True, slots=True)
class Connection:
    """The cluster's addresses, and what a client says and shows there. Its repr has no secret.

    - `client`: aiokafka's settings of every client, beside the addresses.
    - `rack`: consumers read from a replica in it; empty: from leaders.
    - `partitions`: how many of each topic its producers and consumers know. A topic that was given more later
      is used as before, or its calls would move. None: all.
    """

    bootstrap: str
    client: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rack: str = ""
    partitions: int | None = None

    def producer(self, **settings: Any) -> AIOKafkaProducer:
        """A producer that is not started. `settings`: aiokafka's."""
        producer = AIOKafkaProducer(**self._with(settings))
        self._hide_added(producer.client.cluster)
        return producer

    def consumer(self, *topics: str, **settings: Any) -> AIOKafkaConsumer:
        """A consumer that is not started. `settings`: aiokafka's."""
        consumer = AIOKafkaConsumer(*topics, client_rack=self.rack or None, **self._with(settings))
        self._hide_added(consumer._client.cluster)
        return consumer

    def admin(self, **settings: Any) -> AIOKafkaAdminClient:
        """An admin client that is not started. `settings`: aiokafka's."""
        return AIOKafkaAdminClient(**self._with(settings))

    def _with(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"bootstrap_servers": self.bootstrap, **self.client, **settings}

    def _hide_added(self, cluster: Any) -> None:
        if self.partitions is not None:
            for known in ("partitions_for_topic", "available_partitions_for_topic"):
                setattr(cluster, known, partial(_first, getattr(cluster, known), self.partitions))


def _first(known: Callable[[str], set[int] | None], count: int, topic: str) -> set[int] | None:
    found = known(topic)
    return found if found is None or len(found) <= count else {number for number in found if number < count}


def connection(
    chosen: RoleSettings, role: str, bootstrap: str = "", partitions: int | None = None
) -> Connection:
    """The connection of a role or command. `bootstrap`: the embedded broker, where no cluster is configured.
    `partitions`: as in Connection, where the topics were checked.

    Reads the files of certificates. Raises SettingsError.
    """
    client: dict[str, Any] = {
        "client_id": f"{chosen.kafka_client_id}-{role}",
        "security_protocol": chosen.kafka_security.upper(),
    }
    if chosen.kafka_security in TLS:
        client["ssl_context"] = tls_context(
            chosen.kafka_ca_file, chosen.kafka_cert_file, chosen.kafka_key_file
        )
    if chosen.kafka_security in LOGIN:
        # At its level DEBUG, aiokafka logs each request, and the login with its password is one.
        requests = logging.getLogger("aiokafka.conn")
        requests.setLevel(max(logging.WARNING, requests.getEffectiveLevel()))
        client["sasl_mechanism"] = chosen.kafka_sasl_mechanism
        if chosen.kafka_sasl_mechanism == OAUTH:
            client["sasl_oauth_token_provider"] = ClientCredentials(
                chosen.kafka_oauth_token_url,
                chosen.kafka_oauth_client_id,
                chosen.kafka_oauth_client_secret,
                scope=chosen.kafka_oauth_scope,
                extensions=chosen.kafka_oauth_extensions,
            )
        else:
            client["sasl_plain_username"] = chosen.kafka_sasl_username
            client["sasl_plain_password"] = chosen.kafka_sasl_password
    return Connection(bootstrap or chosen.kafka, client, chosen.kafka_client_rack, partitions)


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """A client's context: TLS 1.2 and later, and the broker's name is checked. Raises SettingsError."""
    try:
        made = ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise SettingsError(f"CALLSTREAM_KAFKA_CA_FILE={ca} has no certificate in PEM") from None
    except OSError as error:
        raise SettingsError(f"CALLSTREAM_KAFKA_CA_FILE={ca} cannot be read ({error.strerror})") from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is None:
        return made
    files = f"CALLSTREAM_KAFKA_CERT_FILE={certificate} and CALLSTREAM_KAFKA_KEY_FILE={key}"
    try:
        # Without a password here, OpenSSL would ask for one at the terminal.
        made.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        why = f"the key may have a password, which is not supported; {error.reason}"
        raise SettingsError(f"{files} are not a certificate and its key in PEM ({why})") from None
    except OSError as error:
        raise SettingsError(f"{files} cannot be read ({error.strerror})") from None
    return made
