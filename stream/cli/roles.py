"""`callstream gateway`, `worker`, `poller`, `api` and `notify`: each role as a process.

It runs on the cluster of the settings, else on the embedded broker.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NoReturn

import click

from stream.archive.questions import ArchiveError
from stream.cli.support.exit_codes import FAILED
from stream.cli.support.startup import exit_on_error, log_to_stderr, on_a_broker
from stream.cli.support.terminal import Fault, Misuse, say
from stream.cli.worker_processes import process_count, supervise
from stream.gateway.tls import TlsError, chosen_context
from stream.service import logs
from stream.service.settings import NotifySettings, Settings, SettingsError, load, privacy_key
from stream.service.tables import api_tokens, notify_tables

_REFUSES: Mapping[str, Callable[[Settings], object]] = {"gateway": chosen_context, "worker": privacy_key}
"""What a role says of its settings before it waits for Kafka, which may take a minute."""

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
@click.option(
    "--processes",
    metavar="N|auto",
    help="Processes that share the work, under one supervisor. Default: CALLSTREAM_WORKER_PROCESSES.",
)
@click.option("--process", type=int, hidden=True, help="Which of several it is, for its log.")
@verbose_option
def worker(processes: str | None, process: int | None, verbose: bool) -> None:
    """The Faust app: deduplicate, fold, emit, alert. SIGTERM or Ctrl-C stops it cleanly."""
    given = {} if processes is None else {"CALLSTREAM_WORKER_PROCESSES": processes}
    _run("worker", verbose, {**os.environ, **given}, process)


@click.command()
@verbose_option
def poller(verbose: bool) -> None:
    """Read the providers' resources, by time window and on demand. SIGTERM or Ctrl-C stops it cleanly."""
    _run("poller", verbose)


@click.command()
@click.option("--rebuild", is_flag=True, help="Empty the archive first, and write it again from the topics.")
@verbose_option
def archive(rebuild: bool, verbose: bool) -> None:
    """Keep events, call records and alerts in the database. SIGTERM or Ctrl-C stops it cleanly."""
    first = importlib.import_module("stream.archive.service").rebuild if rebuild else None
    _run("archive", verbose, first=first)


@click.group(invoke_without_command=True)
@verbose_option
@click.pass_context
def api(context: click.Context, verbose: bool) -> None:
    """Answer questions about calls over HTTP. SIGTERM or Ctrl-C stops it cleanly."""
    if context.invoked_subcommand is None:
        _run("api", verbose)


@api.command("token", short_help="Make a token.")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(api_tokens.SCOPES),
    help="What it allows; may be given twice.  [default: read]",
)
@click.option(
    "--account", "accounts", multiple=True, help="Provider's id of an account it reads.  [default: all]"
)
def api_token(name: str, scopes: tuple[str, ...], accounts: tuple[str, ...]) -> None:
    """Make a token: it is printed once, and its line for CALLSTREAM_API_TOKENS holds only its hash."""
    token = api_tokens.new_token()
    try:
        line = api_tokens.line_of(name, {api_tokens.READ, *scopes}, accounts, token)
    except ValueError:
        raise Misuse("NAME and accounts are letters, digits, dots, - and _") from None
    say(f"token: {token}")
    say(line)


@click.group(invoke_without_command=True)
@verbose_option
@click.pass_context
def notify(context: click.Context, verbose: bool) -> None:
    """Hand alerts to the sinks of the settings. SIGTERM or Ctrl-C stops it cleanly."""
    if context.invoked_subcommand is None:
        _run("notify", verbose)


@notify.command("test", short_help="Send a sink one notification of each shape.")
@click.argument("sink")
def notify_test(sink: str) -> None:
    """Send SINK one notification of each shape, which says that it is a test."""
    with exit_on_error():
        chosen = load()
        if sink not in {one.name for one in notify_tables.sinks_of(chosen)}:
            raise SettingsError(f"CALLSTREAM_NOTIFY_SINKS has no sink {sink}")
    log_to_stderr(chosen)
    if not asyncio.run(_tried(sink, chosen)):
        raise Fault(f"the sink {sink} did not take all of them", FAILED)


async def _tried(sink: str, chosen: NotifySettings) -> bool:
    """Whether the sink has taken every shape."""
    # Not with the other roles: it loads aiohttp.
    trial = importlib.import_module("stream.notify.trial")
    all_taken = True
    async for shape, answer in trial.tried(sink, chosen):
        say(f"{shape}: {answer.outcome}{f' ({answer.why})' if answer.why else ''}")
        all_taken = all_taken and answer.outcome == "taken"
    return all_taken


def _run(
    role: str,
    verbose: bool,
    environ: Mapping[str, str] = os.environ,
    process: int | None = None,
    first: Callable[[Settings], object] | None = None,
) -> None:
    """`first`: what is done before it waits for Kafka, or refuses the settings."""
    first = first or _REFUSES.get(role)
    logs.install()
    with exit_on_error():
        chosen = load(environ)
        count = process_count(chosen) if role == "worker" else 1
    log_to_stderr(chosen, verbose=verbose, process=process)
    serve = partial(_serve, role) if count == 1 else partial(supervise, count, verbose)
    try:
        with exit_on_error(TlsError, ArchiveError):
            if first is not None:
                first(chosen)
            code = _served(role, chosen, serve)
            if role == "worker":
                sys.exit(code)
            _exit(code)
    except Fault as fault:
        if chosen.log_format != "json":
            raise
        log.critical("%s", fault.message)
        sys.exit(fault.exit_code)


def _served(role: str, chosen: Settings, serve: Callable[[Settings], Awaitable[int]]) -> int:
    # Not by `asyncio.run`: neither what Faust leaves behind nor a thread must keep the process.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(on_a_broker(role, chosen, serve))


def _exit(code: int) -> NoReturn:
    """Wait for no thread: it may wait for a database that does not answer, and has no limit of time."""
    logging.shutdown()
    os._exit(code)


async def _serve(role: str, chosen: Settings) -> int:
    # By name: nothing in stream imports the agents, a role loads no other role, and Faust is not imported
    # before its version is checked.
    if role == "worker":
        app = importlib.import_module("agents.app").build(chosen)
        return int(await importlib.import_module("stream.faust_bridge.process").serve(app))
    return int(await importlib.import_module(f"stream.{role}.service").serve(chosen))
