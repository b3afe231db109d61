"""`callstream poller`: reads the providers' REST resources within their rate limits, into Kafka."""

from __future__ import annotations

import asyncio
import logging
import sys

import click

from stream.cli.support.startup import exit_on_error, log_to_stderr, on_a_broker
from stream.poller import service
from stream.service import settings


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Log more of what it does.")
def command(verbose: bool) -> None:
    """Read the providers' resources, by time window and on demand. SIGTERM or Ctrl-C stops it cleanly."""
    log_to_stderr(ours=logging.DEBUG if verbose else logging.INFO)
    with exit_on_error():
        code = asyncio.run(on_a_broker(settings.load(), service.serve))
    sys.exit(code)
