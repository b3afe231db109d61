"""`callstream simulate`: calls with a known truth, written as the gateway and the poller would land them.

Exit codes: 0 written, and with --check nothing differs; 1 something does; 2 it could not be; 130 stopped.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import click
import orjson
from aiokafka.errors import KafkaError

from stream.runtime import topics
from stream.runtime.broker import BrokerError, embedded
from stream.runtime.settings import Settings, SettingsError, load
from stream.simulate.check import CheckError
from stream.simulate.options import ALL_SOURCES, POLLED_SOURCES, Options
from stream.simulate.progress import RunProgress
from stream.simulate.run import Outcome, run, traffic_for
from stream.simulate.stamps import iso_us

SHARE = click.FloatRange(0, 1)


@click.command("simulate")
@click.option("--calls", type=click.IntRange(1), help="How many call legs.  [default: 1000]")
@click.option(
    "--for", "seconds", type=click.FloatRange(0, min_open=True), help="Live calls for so many seconds."
)
@click.option("--forever", is_flag=True, help="Live calls until it is stopped.")
@click.option(
    "--rate", type=click.FloatRange(0), help="Deliveries a second; 0 is full speed.  [default: 0, live 50]"
)
@click.option("--duplicates", type=SHARE, default=0.0, help="Share of the deliveries that come twice.")
@click.option(
    "--reorder", type=SHARE, default=0.0, help="Share of the callbacks that come behind their successor."
)
@click.option("--drop", type=SHARE, default=0.0, help="Share of the callbacks that never come.")
@click.option(
    "--late", type=SHARE, default=0.0, help="Share of the callbacks that come after the call's end."
)
@click.option("--failed", type=SHARE, default=0.05, show_default=True, help="Share of the calls that fail.")
@click.option(
    "--telnyx", type=SHARE, default=0.25, show_default=True, help="Share of the calls that are Telnyx'."
)
@click.option("--polled/--no-polled", default=True, help="With or without the rows that a poller reads.")
@click.option(
    "--sources", metavar="NAMES", help=f"Only these sources, with commas: {', '.join(ALL_SOURCES)}."
)
@click.option(
    "--seed", type=int, help="Equal seed, start and options give equal bytes.  [default: from the clock]"
)
@click.option(
    "--start", metavar="TIME", help="When the first delivery is received, ISO 8601.  [default: now]"
)
@click.option("--check", "compare", is_flag=True, help="Compare what comes out with the truth.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="With --check: seconds without anything new after which what is missing is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout, and nothing else there.")
def command(compare: bool, timeout_s: float, as_json: bool, **asked: Any) -> None:
    """Write callbacks and polled rows of simulated calls to Kafka.

    \b
    callstream simulate --calls 20000 --duplicates 0.1 --reorder 0.1 --check
    callstream simulate --forever --rate 50
    """
    if compare and asked["forever"]:
        raise click.UsageError("--check needs an end: --calls or --for")
    try:
        settings, options = load(), _options(**asked)
    except (SettingsError, ValueError) as error:
        _give_up(str(error))
    try:
        outcome = asyncio.run(_simulate(settings, options, compare, timeout_s, as_json))
    except (CheckError, KafkaError, OSError, BrokerError, topics.TopicError) as error:
        _give_up(str(error) or repr(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    _tell(outcome, options, as_json)
    if outcome.report is not None and not outcome.report.ok:
        raise SystemExit(1)


def _give_up(why: str) -> Any:
    click.echo(f"callstream simulate: {why}", err=True)
    raise SystemExit(2)


def _options(
    calls: int | None,
    seconds: float | None,
    forever: bool,
    rate: float | None,
    polled: bool,
    sources: str | None,
    seed: int | None,
    start: str | None,
    **shares: Any,
) -> Options:
    live = forever or seconds is not None
    if (live and calls is not None) or (forever and seconds is not None):
        raise ValueError("one of --calls, --for and --forever")
    wanted = frozenset(sources.replace(" ", "").split(",")) if sources else frozenset(ALL_SOURCES)
    return Options(
        calls=None if live else calls or 1000,
        seconds=seconds,
        rate=(50.0 if live else 0.0) if rate is None else rate,
        sources=wanted if polled else wanted - set(POLLED_SOURCES),
        seed=time.time_ns() // 1000 if seed is None else seed,
        start_us=_microseconds(start) if start else time.time_ns() // 1000,
        **shares,
    )


def _microseconds(start: str) -> int:
    when = datetime.fromisoformat(start)
    if when.tzinfo is None:
        raise ValueError(f"--start {start} has no time zone: end it in Z")
    return round(when.timestamp() * 1_000_000)


async def _simulate(
    settings: Settings, options: Options, compare: bool, timeout_s: float, quiet: bool
) -> Outcome:
    async with AsyncExitStack() as stack:
        bootstrap = settings.kafka
        if not bootstrap:
            bootstrap = (await stack.enter_async_context(embedded(settings))).bootstrap
        await topics.ensure(bootstrap, settings)
        prefix = settings.topic_prefix
        traffic = traffic_for(prefix, options, with_truth=compare)
        with RunProgress(traffic, quiet=quiet) as shown:
            return await run(
                bootstrap,
                prefix,
                traffic,
                compare=compare,
                timeout_s=timeout_s,
                progress=shown.written,
                waiting=shown.found,
            )


def _tell(outcome: Outcome, options: Options, as_json: bool) -> None:
    rate = outcome.deliveries / outcome.seconds if outcome.seconds else 0.0
    if as_json:
        said = {
            "seed": options.seed,
            "start": iso_us(options.start_us),
            "calls": outcome.calls,
            "deliveries": outcome.deliveries,
            "seconds": round(outcome.seconds, 3),
            "deliveries_per_second": round(rate, 1),
            "check": outcome.report.as_json() if outcome.report else None,
        }
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
        return
    click.echo(
        f"{outcome.deliveries:,} deliveries of {outcome.calls:,} calls in {outcome.seconds:.1f} s"
        f" ({rate:,.0f}/s), --seed {options.seed} --start {iso_us(options.start_us)}"
    )
    if outcome.report is not None:
        click.echo("\n".join(outcome.report.lines()))
