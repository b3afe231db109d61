"""`callstream up`: everything on this machine, with something to watch.

The broker (embedded, or that of the settings), the topics, a gateway, a worker, a poller, the archive,
the API with its page, `notify` where a sink is configured, and the simulator that plays the providers: it
sends webhooks to the gateway and serves the poller. With --observe Prometheus and Alertmanager, too.
Ctrl-C stops everything cleanly in seconds; a second one kills it. A terminal that is closed stops it, too.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import click

from stream.archive.questions import CallFilter
from stream.broker import Broker, BrokerError, embedded
from stream.broker.ports import free_port
from stream.cli.local.child_process import START_LIMIT_S, ChildProcess, callstream, first_to_end
from stream.cli.local.figures import wait_answer
from stream.cli.local.links import Addresses, gateway_url, links, listeners, page_url, probed
from stream.cli.local.observability import (
    NotInstalledError,
    ObservingProgram,
    Programs,
    installed,
    observing_programs,
)
from stream.cli.local.plain_lines import PlainLines
from stream.cli.local.service_figures import ScrapedFigures
from stream.cli.local.simulation import (
    RATE,
    RehearsalPlan,
    simulate_arguments,
    simulated_budget,
    simulated_pace,
)
from stream.cli.local.sole_run import sole_run
from stream.cli.query.opening import archive_reader
from stream.cli.support.exit_codes import DONE
from stream.cli.support.finite_range import FiniteRange
from stream.cli.support.incident_options import IncidentCommand, incident_options, lasts_s
from stream.cli.support.startup import ended, ensured_topics, exit_on_error, quiet_clients
from stream.cli.support.terminal import Fault, Misuse, is_interactive, say
from stream.cli.watch.app import WatchApp
from stream.cli.watch.polling import failures
from stream.cli.worker_processes import AUTO, process_count
from stream.gateway import service
from stream.gateway.receive.credentials import GatewayCredentials
from stream.poller.resources.account import accounts
from stream.service import settings
from stream.service.process import unless
from stream.simulator.accounts import simulated_environment
from stream.simulator.incidents import INCIDENTS, Rehearsal


@click.command(cls=IncidentCommand)
@click.option(
    "--rate",
    type=FiniteRange(0, min_open=True),
    default=RATE,
    show_default=True,
    help="Simulated webhooks a second. What the poller reads comes on top.",
)
@click.option(
    "--workers", type=click.IntRange(1), help="Processes of the worker.  [default: one for each CPU but one]"
)
@click.option("--no-simulate", is_flag=True, help="No simulated calls: only what real providers need.")
@incident_options
@click.option(
    "--observe",
    is_flag=True,
    help="Prometheus and Alertmanager too, with the shipped alert rules, if they are installed.",
)
@click.option("--for", "seconds", type=FiniteRange(1), help="Stop after this many seconds.")
@click.option("--plain", is_flag=True, help="Plain lines, even on a terminal.")
def command(
    rate: float,
    workers: int | None,
    no_simulate: bool,
    incident: str | None,
    incident_after: float,
    incident_for: float | None,
    observe: bool,
    seconds: float | None,
    plain: bool,
) -> None:
    """Everything on this machine: broker, topics, all roles, simulator."""
    if no_simulate and incident is not None:
        raise Misuse("--incident needs the simulator: not with --no-simulate")
    quiet_clients()
    with exit_on_error(NotInstalledError):
        programs = installed() if observe else None
        chosen = settings.load()
        chosen = dataclasses.replace(chosen, worker_processes=workers or AUTO)
        count = process_count(chosen)
        with sole_run(chosen.data_dir) as tell:
            plan = None
            if incident is not None:
                if chosen.kafka and INCIDENTS[incident].slow_broker:
                    raise Misuse(f"--incident {incident} needs the embedded Kafka: not with CALLSTREAM_KAFKA")
                plan = RehearsalPlan(incident, incident_after, lasts_s(incident, incident_for))
            rate = 0 if no_simulate else rate
            stack = LocalStack(
                chosen, rate=rate, workers=count, plan=plan, programs=programs, plain=plain, tell=tell
            )
            code = asyncio.run(stack.run(seconds))
    sys.exit(code)


class ViewError(Exception):
    """The live view ended by an error of its own."""


class LocalStack:
    """The roles of one `callstream up`, and what it shows of them."""

    def __init__(
        self,
        chosen: settings.Settings,
        *,
        rate: float,
        plain: bool,
        workers: int = 1,
        plan: RehearsalPlan | None = None,
        programs: Programs | None = None,
        tell: Callable[[Addresses], None] = lambda _: None,
    ) -> None:
        """`tell`: hears where the roles listen."""
        self._settings = chosen
        self._plan = plan
        self._programs = programs
        self._rate = rate
        self._workers = workers
        self._tell = tell
        self._plain = plain or not is_interactive()
        self._view: WatchApp | None = None
        self._broker: Broker | None = None
        self._children: list[ChildProcess] = []
        self._stop = asyncio.Event()

    async def run(self, seconds: float | None) -> int:
        """Run until a signal, the time limit, or the end of a role that is not restarted."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signalled)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            # The terminal was closed. Shell and kernel may both send it: a second one does not kill.
            loop.add_signal_handler(signal.SIGHUP, self._stop.set)
        if seconds is not None:
            loop.call_later(seconds, self._stop.set)
        for warning in service.warnings(GatewayCredentials.from_settings(self._settings)):
            if warning != service.NOBODY or not self._rate:  # the simulator brings its own
                self._say(f"warning: {warning}")
        async with AsyncExitStack() as stack:
            broker = await unless(
                self._stop, stack.enter_async_context(embedded(self._settings, say=self._say))
            )
            if broker is None:
                self._say("Stopped.")
                return DONE
            self._broker = broker
            self._settings = dataclasses.replace(self._settings, kafka=broker.bootstrap)
            await unless(self._stop, ensured_topics(self._settings))
            try:
                fault = None if self._stop.is_set() else await self._work()
            finally:
                with suppress(OSError, Fault):  # nobody reads it any more: `| head`
                    self._say("Stopping (Ctrl-C again ends it at once) …")
                await asyncio.gather(*(child.stop() for child in reversed(self._children)))
        if fault is not None:
            self._say(fault)
        self._say("Stopped.")
        return 0 if fault is None else 1

    async def _work(self) -> str | None:
        """What ended unexpectedly, as a sentence; None if it was asked to stop."""
        at = self._addresses()
        self._tell(at)
        listens = {f"CALLSTREAM_{role.upper()}_LISTEN": address for role, address in at.items()}
        environ = {**self._environ(), "CALLSTREAM_KAFKA": self._settings.kafka, **listens}
        environ["CALLSTREAM_UI_URL"] = page_url(at, self._settings)
        polled = bool(self._rate or accounts(self._settings))
        shown = links(at, self._settings, polled=polled)
        roles = probed(at, polled=polled, notified=bool(self._settings.notify_sinks))
        observers = self._observers(roles)  # what this raises is raised before a role starts
        running: dict[str, asyncio.Task[Any]] = {
            "gateway": self._begin("gateway", callstream("gateway"), environ),
            "worker": self._begin("worker", callstream("worker", f"--processes={self._workers}"), environ),
            "archive": self._begin("archive", callstream("archive"), environ),
            "api": self._begin("api", callstream("api"), environ),
        }
        for observer in observers:
            # Without the settings' secrets.
            bare = {"PATH": os.environ.get("PATH", os.defpath)}
            running[observer.name] = self._begin(observer.name, observer.command, bare)
            shown.insert(0, (observer.name, observer.urls))
        for what, where in shown:
            say(f"{what}: {where}")
        if self._broker is not None:
            running["broker"] = asyncio.create_task(_broker_ended(self._broker))
        figures = ScrapedFigures(roles)
        if self._plain:
            lines = PlainLines(self._settings, figures)
            running["watch over the alerts"] = asyncio.create_task(lines.follow_alerts())
            running["view"] = asyncio.create_task(lines.write())
        else:
            view = self._show_view(figures, shown, environ["CALLSTREAM_UI_URL"])
            running["view"] = asyncio.create_task(view)
        if self._rate:
            running["simulator"] = asyncio.create_task(self._simulate(at, environ))
        if polled:
            running["poller"] = asyncio.create_task(self._poll(environ))
        if self._settings.notify_sinks:
            running["notify"] = self._begin("notify", callstream("notify"), environ)
        stop = asyncio.create_task(self._stop.wait())
        try:
            return await first_to_end(stop, running)
        finally:
            for task in (stop, *running.values()):
                task.cancel()
            await asyncio.gather(stop, *running.values(), return_exceptions=True)
            await figures.close()

    def _addresses(self) -> Addresses:
        listens = listeners(self._settings)
        return {role: free_address(role.replace("_", "'s "), at, self._say) for role, at in listens.items()}

    def _environ(self) -> dict[str, str]:
        """The roles' environment. The simulator has its own accounts and its own address."""
        if not self._rate:
            return dict(os.environ)
        simulate_at = free_address("simulator", self._settings.simulate_listen, self._say)
        made = simulated_environment(
            self._settings,
            os.environ,
            rest_url=f"http://{simulate_at}",
            budget=simulated_budget(self._settings),
        )
        return {**made, **simulated_pace(self._settings), "CALLSTREAM_SIMULATE_LISTEN": simulate_at}

    def _observers(self, targets: Addresses) -> list[ObservingProgram]:
        if self._programs is None:
            return []
        free, folder = partial(free_address, say=self._say), self._settings.data_dir.absolute()
        return observing_programs(self._programs, folder, targets, free, self._say)

    def _begin(self, name: str, command: Sequence[str], environ: dict[str, str]) -> asyncio.Task[int]:
        log = self._settings.data_dir.absolute() / f"{name}.log"
        child = ChildProcess(name, command, environ, log, say=self._say, start_limit_s=START_LIMIT_S)
        self._children.append(child)
        return asyncio.create_task(child.run())

    async def _simulate(self, at: Addresses, environ: dict[str, str]) -> None:
        """Start the simulator as soon as the gateway is ready."""
        await wait_answer(f"http://{at['gateway_health']}/readyz", 200)
        simulate = simulate_arguments(gateway_url(at, self._settings), self._rate, self._plan)
        async with AsyncExitStack() as stack:
            if self._plan is not None:
                # The simulator plays the incident. This one only says when it begins and ends.
                name, after_s, for_s = self._plan
                said = Rehearsal(name=name, after_s=after_s, for_s=for_s, say=self._say)
                await stack.enter_async_context(said.playing())
            await self._begin("simulator", callstream(*simulate), environ)

    async def _poll(self, environ: dict[str, str]) -> None:
        """Start the poller as soon as the simulated providers answer: it would warn that they do not."""
        if self._rate:
            await wait_answer(f"http://{environ['CALLSTREAM_SIMULATE_LISTEN']}/")
        await self._begin("poller", callstream("poller"), environ)

    async def _show_view(
        self, figures: ScrapedFigures, shown: Sequence[tuple[str, str]], ui_url: str
    ) -> None:
        """Show the view, and stop when it is left. What it said is on the terminal afterwards, too."""
        reader = archive_reader(self._settings, awaited=True)
        view = self._view = WatchApp(reader, failures(CallFilter()), figures, ui_url=ui_url, links=shown)
        view.title = "callstream up"
        try:
            await view.show()
        finally:
            self._view = None
            for note in view.notes:
                say(note)
            await reader.close()
        if view.return_code:
            raise ViewError("its error is above")
        self._stop.set()

    def _signalled(self) -> None:
        if self._stop.is_set():
            for child in self._children:
                child.kill()
            os._exit(130)
        self._stop.set()

    def _say(self, text: str) -> None:
        if self._view is not None:
            self._view.note(text)
        else:
            say(text)


def free_address(role: str, listen: str, say: Callable[[str], None]) -> str:
    """A role's address; with another port if that one is taken, which is reported."""
    host, _, port = listen.rpartition(":")
    free = free_port(int(port), host=host.removeprefix("[").removesuffix("]"))
    if int(port) not in (0, free):
        say(f"Port {port} is in use by another program; the {role} is at port {free}.")
    return f"{host}:{free}"


async def _broker_ended(broker: Broker) -> None:
    """Waits until an embedded broker ends unexpectedly and raises BrokerError."""
    sentence, _ = await ended(broker)
    raise BrokerError(sentence)
