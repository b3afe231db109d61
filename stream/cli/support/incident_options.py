"""The options of a rehearsal, which `simulate` and `up` have, and what it needs of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stream.broker.ownership import find_running
from stream.cli.support.finite_range import FiniteRange
from stream.service.settings import Settings
from stream.simulator.incidents import INCIDENTS, Rehearsal

AFTER_S = 120.0
"""Healthy traffic before an incident: enough for the rules that compare with it."""

Function = TypeVar("Function", bound=Callable[..., Any])


class IncidentCommand(click.Command):
    """A command whose help ends with a line for each incident."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        with formatter.section("Incidents"):
            formatter.write_dl([(name, incident.help) for name, incident in INCIDENTS.items()])


def incident_options(function: Function) -> Function:
    for option in (
        click.option(
            "--incident-for",
            type=FiniteRange(0, min_open=True),
            metavar="SECONDS",
            help="How long the incident lasts.  [default: see below]",
        ),
        click.option(
            "--incident-after",
            type=FiniteRange(0),
            metavar="SECONDS",
            default=AFTER_S,
            show_default=True,
            help="Healthy traffic before the incident.",
        ),
        click.option(
            "--incident",
            type=click.Choice(list(INCIDENTS)),
            metavar="NAME",
            help="Rehearse: healthy traffic, this incident, healthy traffic. See the list below.",
        ),
    ):
        function = option(function)
    return function


def lasts_s(name: str, asked_s: float | None) -> float:
    return asked_s if asked_s is not None else INCIDENTS[name].lasts_s


def rehearsal(
    settings: Settings,
    name: str,
    *,
    after_s: float,
    for_s: float | None,
    to_gateway: bool,
    served: bool,
    say: Callable[[str], None],
) -> Rehearsal:
    """Raises ValueError, with what the run lacks for this incident."""
    incident = INCIDENTS[name]
    if (incident.new_keys or incident.slow_broker) and not to_gateway:
        raise ValueError(f"--incident {name} needs --gateway")
    if incident.refusal is not None and not served:
        raise ValueError(f"--incident {name} needs --serve")
    pid = embedded_broker_pid(settings) if incident.slow_broker else None
    return Rehearsal(name=name, after_s=after_s, for_s=lasts_s(name, for_s), broker_pid=pid, say=say)


def embedded_broker_pid(settings: Settings) -> int:
    """The process of the embedded broker. Raises ValueError if the settings' Kafka is another one."""
    running = find_running(settings.data_dir.absolute() / "broker")
    if running is None or settings.kafka not in ("", f"127.0.0.1:{running.port}"):
        raise ValueError("only a running embedded broker can be slowed, which `callstream up` starts")
    return running.pid
