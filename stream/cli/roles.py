"""`callstream gateway`, `worker` and `poller`: each role as a process.

It runs on the cluster of the settings, else on the embedded broker.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from functools import partial

import click

from stream.cli.support.startup import exit_on_error, log_to_stderr, on_a_broker
from stream.cli.support.terminal import Fault
from stream.gateway.tls import TlsError
from stream.service import logs
from stream.service.settings import Settings, load

log = logging.getLogger("callstream")

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Log more: each webhook, each read, what Faust and aiokafka do."
)


@click.command()
@verbose_option
def gateway(verbose: bool) -> None:
    """Receive webhooks, verify them, write them to Kafka. SIGTERM or Ctrl-C stops it cleanly."""
    _run("gateway", verbose)


@click.command()
@verbose_option
def worker(verbose: bool) -> None:
    """The Faust app: deduplicate, fold, emit, alert. SIGTERM or Ctrl-C stops it cleanly."""
    _run("worker", verbose)


@click.command()
@verbose_option
def poller(verbose: bool) -> None:
    """Read the providers' resources, by time window and on demand. SIGTERM or Ctrl-C stops it cleanly."""
    _run("poller", verbose)


def _run(role: str, verbose: bool) -> None:
    logs.install()
    with exit_on_error():
        chosen = load()
    log_to_stderr(chosen, verbose=verbose)
    try:
        with exit_on_error(TlsError):
            sys.exit(_served(role, chosen))
    except Fault as fault:
        if chosen.log_format != "json":
            raise
        log.critical("%s", fault.message)
        sys.exit(fault.exit_code)


def _served(role: str, chosen: Settings) -> int:
    serve = partial(_serve, role)
    if role != "worker":
        return asyncio.run(on_a_broker(role, chosen, serve))
    # Faust ends its own tasks, and what it leaves behind must not keep the process.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(on_a_broker(role, chosen, serve))


async def _serve(role: str, chosen: Settings) -> int:
    # By name: nothing in stream imports the agents, a role loads no other role, and Faust is not imported
    # before its version is checked.
    if role == "worker":
        app = importlib.import_module("agents.app").build(chosen)
        return int(await importlib.import_module("stream.faust_bridge.process").serve(app))
    return int(await importlib.import_module(f"stream.{role}.service").serve(chosen))
