"""The embedded broker with TLS, logins and ACLs, as an operator's cluster has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from stream.broker import Broker, start
from stream.broker.ports import free_port
from stream.kafka.access import GROUP, GROUPS, TOPIC, TRANSACTIONS, Access
from stream.service.settings import Settings
from tests.e2e.harness import wait_until
from tests.kafka.certificates import Authority

PASSWORD = "hunter2-of-the-tests"
LOGIN_MS = 2000
"""How long a login by PLAIN lasts."""
_MODULES = "org.apache.kafka.common.security"


class SecuredBroker:
    """One broker with several listeners, all at `localhost`.

    - `plain`: without TLS and login; its client may do everything, and grants rights by it.
    - `tls`: TLS, and a client must show a certificate.
    - `login`: TLS and a login by any of the four mechanisms.
    """

    def __init__(self, directory: Path, settings: Settings) -> None:
        self.authority = Authority(directory)
        tls, login = free_port(), free_port()
        self.tls, self.login = f"localhost:{tls}", f"localhost:{login}"
        self._broker: Broker = start(
            directory / "broker",
            cache=settings.cache_dir,
            libs=settings.kafka_libs,
            port=free_port(),
            more=self._configuration(tls, login),
        )
        self.plain = self._broker.bootstrap
        self._admin = AdminClient({"bootstrap.servers": self.plain})

    def stop(self) -> None:
        self._broker.stop()

    def settings(self, user: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """The environment of a role that logs in as `user`."""
        return {
            "CALLSTREAM_KAFKA": self.login,
            "CALLSTREAM_KAFKA_SECURITY": "sasl_ssl",
            "CALLSTREAM_KAFKA_CA_FILE": str(self.authority.certificate),
            "CALLSTREAM_KAFKA_SASL_MECHANISM": mechanism,
            "CALLSTREAM_KAFKA_SASL_USERNAME": user,
            "CALLSTREAM_KAFKA_SASL_PASSWORD": PASSWORD,
        }

    def add_user(self, user: str) -> None:
        """Known by both kinds of SCRAM."""
        kinds = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
        for kind in kinds:
            credential = UserScramCredentialUpsertion(
                user, ScramCredentialInfo(kind, 4096), PASSWORD.encode()
            )
            for done in self._admin.alter_user_scram_credentials([credential]).values():
                done.result(20)
        # The controller has it, and the broker a little later.
        wait_until(lambda: self._knows(user), f"the broker knows {user}", 20)

    def _knows(self, user: str) -> bool:
        try:
            found = self._admin.describe_user_scram_credentials([user])[user].result(20)
        except KafkaException:  # not yet
            return False
        return len(found.scram_credential_infos) == 2

    def grant(self, user: str, rights: Iterable[Access]) -> None:
        """Allow `user` exactly this, and what it may do already."""
        bindings = [
            AclBinding(
                _RESOURCES.get(one.kind, ResourceType.TRANSACTIONAL_ID),
                one.name,
                ResourcePatternType.PREFIXED if one.kind in _BY_PREFIX else ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for one in rights
            for operation in one.operations
        ]
        for done in self._admin.create_acls(bindings).values():
            done.result(20)
        # The controller has them, and the broker a little later.
        wanted = {(one.name, one.operation) for one in bindings}
        wait_until(lambda: wanted <= self._granted(user), f"the broker knows the rights of {user}", 20)

    def _granted(self, user: str) -> set[tuple[str, AclOperation]]:
        any_of_user = AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            f"User:{user}",
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        found = self._admin.describe_acls(any_of_user).result(20)
        return {(one.name, one.operation) for one in found}

    def _configuration(self, tls: int, login: int) -> Mapping[str, str]:
        mine = self.authority.issue("broker", "localhost")
        of_login = "listener.name.sasl_ssl."
        return {
            "listeners": f"SSL://localhost:{tls},SASL_SSL://localhost:{login}",
            "advertised.listeners": f"SSL://localhost:{tls},SASL_SSL://localhost:{login}",
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL"
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(mine.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.certificate),
            "listener.name.ssl.ssl.client.auth": "required",
            f"{of_login}sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            f"{of_login}plain.sasl.jaas.config": (
                f'{_MODULES}.plain.PlainLoginModule required user_plain="{PASSWORD}";'
            ),
            # As a token's life ends a login: the broker closes the connection.
            f"{of_login}plain.connections.max.reauth.ms": str(LOGIN_MS),
            f"{of_login}scram-sha-256.sasl.jaas.config": f"{_MODULES}.scram.ScramLoginModule required;",
            f"{of_login}scram-sha-512.sasl.jaas.config": f"{_MODULES}.scram.ScramLoginModule required;",
            f"{of_login}oauthbearer.sasl.jaas.config": (
                f"{_MODULES}.oauthbearer.OAuthBearerLoginModule required "
                'unsecuredLoginStringClaim_sub="broker";'
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }


_RESOURCES = {TOPIC: ResourceType.TOPIC, GROUP: ResourceType.GROUP, GROUPS: ResourceType.GROUP}
_BY_PREFIX = (GROUPS, TRANSACTIONS)
