"""TLS with certificate files, which are reloaded while the gateway runs.

A new certificate is used without a restart. A broken one leaves the old one in use.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from stream.service.settings import GatewaySettings

LOOK_EVERY_S = 60.0

log = logging.getLogger("callstream.gateway")


class TlsError(Exception):
    """The certificate or its key cannot be used; the message names the setting and the files."""


def chosen_context(chosen: GatewaySettings) -> ssl.SSLContext | None:
    """The context of the settings; None where they want no TLS. Raises TlsError."""
    return context(*chosen.gateway_tls) if chosen.gateway_tls else None


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context (TLS 1.2 and later). Raises TlsError."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(made, certificate, key)
    return made


async def renew(made: ssl.SSLContext, certificate: Path, key: Path, every_s: float = LOOK_EVERY_S) -> None:
    """Loads changed files for new connections, until cancelled.

    Files that cannot be used are tried again: they may get their owner after their content, unseen.
    """
    seen = _stamp(certificate, key)
    logged = ""
    while True:
        await asyncio.sleep(every_s)
        found = _stamp(certificate, key)
        if found == seen:
            continue
        try:
            _load(made, certificate, key)
        except TlsError as error:
            if logged != (logged := str(error)):
                log.error("the new certificate is not taken up: %s", error)
        else:
            seen, logged = found, ""
            log.info("a new certificate is in use")


def _load(made: ssl.SSLContext, certificate: Path, key: Path) -> None:
    files = f"CALLSTREAM_GATEWAY_TLS: {certificate} and {key}"
    try:
        # In a context of its own first: a certificate without its key would replace the one in use.
        # Without a password here, OpenSSL would ask for one at the terminal, and the event loop with it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        made.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        why = f"the key may have a password, which is not supported; {error.reason}"
        raise TlsError(f"{files} are not a certificate and its key ({why})") from None
    except OSError as error:
        raise TlsError(f"{files} cannot be read ({error.strerror})") from None


def _stamp(*files: Path) -> tuple[float | None, ...]:
    return tuple(map(_modified_s, files))


def _modified_s(file: Path) -> float | None:
    """None where it cannot be seen: it may be replaced just now."""
    try:
        return file.stat().st_mtime
    except OSError:
        return None
