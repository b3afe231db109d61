"""Why no client gets into a cluster: the first step that fails, of connection, TLS and login.

Each step is tried on its own, because a client only sees a connection that was closed: a listener that wants
TLS or a login says nothing when it gets something else.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import NamedTuple

from aiokafka.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailed

from stream.kafka.client.connection import Connection
from stream.kafka.client.network_client import cancel_all, cut_off, opened
from stream.kafka.client.oauth import TokenError
from stream.service.errors import describe

STEP_S = 3.0
_HANDSHAKE, _VERSIONS = 17, 18
_LARGEST_ANSWER = 1 << 20
_NOT_TRUSTED = {18, 19, 20, 21, 2}
"""OpenSSL's codes of a certificate whose issuer is not among the trusted ones."""
_OTHER_NAME = {62, 64}
_EXPIRED, _NOT_YET_VALID = 10, 9
_CLIENT = "CALLSTREAM_KAFKA_OAUTH_CLIENT_ID and CALLSTREAM_KAFKA_OAUTH_CLIENT_SECRET"
_TOKEN_SETTINGS = {
    "invalid_client": _CLIENT,
    "unauthorized_client": _CLIENT,
    "invalid_scope": "CALLSTREAM_KAFKA_OAUTH_SCOPE",
}
"""By the reason of a token endpoint."""


class Obstacle(NamedTuple):
    """What keeps clients out, and what to do about it."""

    says: str
    mend: str

    def __str__(self) -> str:
        return f"{self.says}: {self.mend}"


async def obstacle(cluster: Connection, step_s: float = STEP_S) -> Obstacle | None:
    """What is wrong with the first address that does not let a client in; None where all do.

    `step_s`: how long each step may take.
    """
    for address in cluster.bootstrap.split(","):
        host, _, port = address.rpartition(":")
        found = await _Address(cluster, host.strip("[]"), int(port), step_s).obstacle()
        if found is not None:
            return found
    return None


class _Address:
    """One address of a cluster, as a client of `cluster` sees it."""

    def __init__(self, cluster: Connection, host: str, port: int, step_s: float) -> None:
        self._host = host
        self._port = port
        self._step_s = step_s
        self._at = f"{host}:{port}"
        self._client = cluster.client
        security = str(cluster.client.get("security_protocol", "PLAINTEXT"))
        self._security = security.lower()
        self._login = security.startswith("SASL")
        self._context: ssl.SSLContext | None = cluster.client.get("ssl_context")

    async def obstacle(self) -> Obstacle | None:
        try:
            await self._connected(None)
        except socket.gaierror:
            says = f"the host name {self._host} does not resolve"
            return Obstacle(says, "check CALLSTREAM_KAFKA and the name server")
        except OSError as error:  # a TimeoutError is one
            says = f"nobody listens at {self._at} ({describe(error)})"
            return Obstacle(says, "start the broker, or check CALLSTREAM_KAFKA and the firewall")
        try:
            return await self._tls_obstacle() or await self._login_obstacle()
        except TimeoutError:
            says = f"{self._at} accepts connections and does not answer within {self._step_s:g} s"
            return Obstacle(says, "see the broker's log, or what is between here and the broker")

    async def _tls_obstacle(self) -> Obstacle | None:
        """Raises TimeoutError where nothing is answered."""
        if self._context is None:
            return await self._tls_wanted()
        reason = ""
        try:
            if await self._speaks_kafka(self._context):
                return None
        except ssl.SSLCertVerificationError as error:
            return self._bad_certificate(error)
        except ssl.SSLError as error:
            reason = f" ({describe(error)})"
        if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
            says = f"{self._at} does not accept our certificate, or misses one{reason}"
            mend = "set CALLSTREAM_KAFKA_CERT_FILE and CALLSTREAM_KAFKA_KEY_FILE to one that it trusts"
            return Obstacle(says, mend)
        if await self._speaks_kafka(None):
            without = "sasl_plaintext" if self._login else "plaintext (sasl_plaintext with a login)"
            return Obstacle(f"{self._at} speaks no TLS", f"set CALLSTREAM_KAFKA_SECURITY={without}")
        mend = "see the broker's log: its TLS versions and ciphers"
        return Obstacle(f"TLS with {self._at} fails{reason}", mend)

    async def _tls_wanted(self) -> Obstacle | None:
        silent: TimeoutError | None = None
        try:
            if await self._speaks_kafka(None):
                return None
        except TimeoutError as error:
            silent = error
        if await self._speaks_tls():
            wanted = "sasl_ssl" if self._login else "ssl (sasl_ssl with a login)"
            return Obstacle(f"{self._at} wants TLS", f"set CALLSTREAM_KAFKA_SECURITY={wanted}")
        if silent is not None:
            raise silent
        return Obstacle(f"what listens at {self._at} is not Kafka", "check CALLSTREAM_KAFKA")

    def _bad_certificate(self, error: ssl.SSLCertVerificationError) -> Obstacle:
        code = error.verify_code
        if code in _OTHER_NAME:
            says = f"the certificate of {self._at} is for another name"
            return Obstacle(says, "use the name in the certificate in CALLSTREAM_KAFKA")
        if code == _EXPIRED:
            return Obstacle(f"the certificate of {self._at} has expired", "renew it on the broker")
        if code == _NOT_YET_VALID:
            return Obstacle(f"the certificate of {self._at} is not valid yet", "check both clocks")
        reason = "" if code in _NOT_TRUSTED else f" (OpenSSL's code {code})"
        says = f"the certificate of {self._at} is not trusted{reason}"
        return Obstacle(says, "set CALLSTREAM_KAFKA_CA_FILE to the certificate of its issuer")

    async def _login_obstacle(self) -> Obstacle | None:
        mechanism = str(self._client.get("sasl_mechanism", "PLAIN"))
        code, enabled = await self._handshake(mechanism)
        if not self._login:
            if code == IllegalSaslStateError.errno:
                return None
            wanted = "sasl_ssl" if self._context else "sasl_plaintext"
            says = f"{self._at} wants a login by {_either(enabled)}"
            mend = f"set CALLSTREAM_KAFKA_SECURITY={wanted} and CALLSTREAM_KAFKA_SASL_MECHANISM"
            return Obstacle(says, mend)
        if code == IllegalSaslStateError.errno:
            without = "ssl" if self._context else "plaintext"
            return Obstacle(f"{self._at} takes no login", f"set CALLSTREAM_KAFKA_SECURITY={without}")
        if mechanism not in enabled:
            says = f"{self._at} takes no login by {mechanism}, but by {_either(enabled)}"
            return Obstacle(says, "set CALLSTREAM_KAFKA_SASL_MECHANISM to one of them")
        try:
            connection = await opened(
                self._host, self._port, **self._client, request_timeout_ms=int(self._step_s * 1000)
            )
        except SaslAuthenticationFailed:
            return Obstacle(f"{self._at} refuses the login by {mechanism}", self._mend_login(mechanism))
        except TokenError as error:
            setting = _TOKEN_SETTINGS.get(error.reason, "CALLSTREAM_KAFKA_OAUTH_TOKEN_URL")
            return Obstacle(f"no token: {error.args[0]}", f"check {setting}")
        except (KafkaError, OSError, ValueError) as error:
            says = f"the login by {mechanism} at {self._at} fails ({type(error).__name__})"
            return Obstacle(says, self._mend_login(mechanism))
        reader = connection._read_task
        cut_off(connection)
        await cancel_all([reader])
        return None

    def _mend_login(self, mechanism: str) -> str:
        if mechanism == "OAUTHBEARER":
            return "check CALLSTREAM_KAFKA_OAUTH_SCOPE, and what the broker's log says of the token"
        return "check CALLSTREAM_KAFKA_SASL_USERNAME and CALLSTREAM_KAFKA_SASL_PASSWORD"

    async def _connected(self, context: ssl.SSLContext | None) -> None:
        async with asyncio.timeout(self._step_s):
            _, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
            writer.transport.abort()

    async def _speaks_tls(self) -> bool:
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        try:
            await self._connected(anybody)
        except OSError:
            return False
        return True

    async def _speaks_kafka(self, context: ssl.SSLContext | None) -> bool:
        """Whether a broker tells its versions. Raises ssl.SSLError, TimeoutError."""
        try:
            return len(await self._ask(context, _VERSIONS, 0, b"")) >= 2
        except (ssl.SSLError, TimeoutError):
            raise
        except (OSError, EOFError, ValueError):
            return False

    async def _handshake(self, mechanism: str) -> tuple[int, tuple[str, ...]]:
        """The error code of a SaslHandshake (v1), and the mechanisms that are enabled.

        Raises TimeoutError.
        """
        body = struct.pack(">h", len(mechanism)) + mechanism.encode()
        try:
            answer = await self._ask(self._context, _HANDSHAKE, 1, body)
            code, count = struct.unpack_from(">hi", answer)
            position, enabled = 6, []
            for _ in range(count):
                (size,) = struct.unpack_from(">h", answer, position)
                enabled.append(answer[position + 2 : position + 2 + size].decode("ascii", "replace"))
                position += 2 + size
        except TimeoutError:
            raise
        except (OSError, EOFError, ValueError, struct.error):
            return IllegalSaslStateError.errno, ()
        return code, tuple(enabled)

    async def _ask(self, context: ssl.SSLContext | None, key: int, version: int, body: bytes) -> bytes:
        """The body of the answer. Raises OSError, EOFError, ValueError."""
        header = struct.pack(">hhih", key, version, 1, -1)  # without a client id
        async with asyncio.timeout(self._step_s):
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
            try:
                writer.write(struct.pack(">i", len(header + body)) + header + body)
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                if not 4 <= size <= _LARGEST_ANSWER:
                    raise ValueError("this is not Kafka")
                answer = await reader.readexactly(size)
            finally:
                writer.transport.abort()
        if answer[:4] != b"\x00\x00\x00\x01":
            raise ValueError("this is not Kafka")
        return answer[4:]


def _either(mechanisms: tuple[str, ...]) -> str:
    return " or ".join(mechanisms) or "a mechanism that it does not name"
