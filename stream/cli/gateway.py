"""`callstream gateway`: receives and verifies the providers' webhooks and writes them to Kafka."""

from __future__ import annotations

import asyncio
import logging
import sys

import click

from stream.cli.support.startup import exit_on_error, log_to_stderr, on_a_broker
from stream.gateway import service
from stream.gateway.tls import TlsError
from stream.service import settings


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Log each request in one line, without personal data.")
def command(verbose: bool) -> None:
    """Receive webhooks, verify them, write them to Kafka. SIGTERM or Ctrl-C stops it cleanly."""
    log_to_stderr()
    logging.getLogger("callstream.gateway.access").setLevel(logging.INFO if verbose else logging.WARNING)
    with exit_on_error(TlsError):
        code = asyncio.run(on_a_broker(settings.load(), service.serve))
    sys.exit(code)
