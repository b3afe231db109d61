"""`callstream doctor` in the test's own environment, and the requests that it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from stream.cli.main import main
from stream.gateway.receive.request import WebhookRequest, wire_bytes
from tests.gateway.signing import HOST

NOBODY = "127.0.0.1:1"
PUBLIC = f"https://{HOST}"
NUMBER = "15005550006"
"""A number in the requests of these tests, which must not be in any output."""


@dataclass
class Doctor:
    """Runs the command with a clean environment."""

    data_dir: Path

    def __call__(
        self, *arguments: str, environ: Mapping[str, str] | None = None, given: bytes = b""
    ) -> Result:
        clean = {name: None for name in os.environ if name.startswith("CALLSTREAM_")}
        own = {"CALLSTREAM_DATA_DIR": str(self.data_dir), "CALLSTREAM_GATEWAY_HEALTH_LISTEN": NOBODY}
        found = CliRunner().invoke(
            main, ["doctor", *arguments], env={**clean, **own, **(environ or {})}, input=given
        )
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert NUMBER not in found.output
        return found


def wire(request: WebhookRequest) -> bytes:
    lines = [
        f"{request.method} {request.target} HTTP/1.1",
        *(f"{n}: {v}" for n, v in request.headers.items()),
    ]
    length = f"Content-Length: {len(request.body)}"
    return b"\r\n".join([*map(wire_bytes, lines), length.encode(), b"", request.body])
