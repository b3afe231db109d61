"""`callstream simulate`: calls with a known truth, written as the gateway and the poller would land them.

With --gateway the callbacks go over HTTP, as the providers send them, and only polled rows to Kafka. With
--serve a poller reads those from REST resources, as the providers serve them.
Exit codes: 0 sent, and with --check nothing differs; 1 something does; 2 it could not be, or the gateway
took nothing; 130 stopped by Ctrl-C. SIGTERM: 0, with --check 143.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson

from stream.broker import BrokerError, embedded
from stream.cli.support.run_progress import RunProgress
from stream.cli.support.terminal import Misuse, say
from stream.kafka import topics
from stream.kafka.errors import KafkaError
from stream.service.errors import in_words
from stream.service.http.listening import ListenError
from stream.service.settings import Settings, SettingsError, load
from stream.service.shutdown import unless
from stream.simulator.calls.options import ALL_SERVED_SOURCES, ALL_SOURCES, SERVED_SOURCES, Options
from stream.simulator.calls.time_formats import iso_us
from stream.simulator.check.check import CheckError
from stream.simulator.check.leaks import LeakSearch
from stream.simulator.check.metrics_and_logs import MetricsAndLogs
from stream.simulator.delivery.retries import TelnyxRetries, overrides
from stream.simulator.delivery.signing import from_settings
from stream.simulator.delivery.webhook_sender import WebhookPlan
from stream.simulator.delivery.webhooks import gateway_address
from stream.simulator.rest.throttle import ProviderLimit, ProviderLimits
from stream.simulator.run import RunOutcome, run, traffic_for
from stream.simulator.serve import RestPlan, served_as

UNCHECKED = 143
"""128 and the number of SIGTERM: it came before all was checked."""

SHARE = click.FloatRange(0, 1)
TWILIO_RETRIES = "rc=3&rp=all&rt=5000"
"""The connection overrides that a status callback should be set up with: Twilio's own defaults retry
neither a 5xx nor a time-out.
"""


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
    "--sources", metavar="NAMES", help=f"Only these sources, with commas: {', '.join(ALL_SERVED_SOURCES)}."
)
@click.option(
    "--seed", type=int, help="Equal seed, start and options give equal bytes.  [default: from the clock]"
)
@click.option(
    "--start", metavar="TIME", help="When the first delivery is received, ISO 8601.  [default: now]"
)
@click.option("--gateway", metavar="URL", help="Callbacks over HTTP to this gateway of this machine, signed.")
@click.option("--failover", metavar="URL", help="Telnyx' second address.")
@click.option(
    "--retry-policy",
    metavar="OVERRIDES",
    default=TWILIO_RETRIES,
    show_default=True,
    help="Twilio's connection overrides; empty is what Twilio does without any.",
)
@click.option(
    "--telnyx-retries",
    metavar="SECONDS",
    default="1,2,4,8,16",
    show_default=True,
    help="How long Telnyx waits before each further attempt: at most five, 60 s together.",
)
@click.option(
    "--retry-scale",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="So many times longer are the waits between attempts.",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Requests to the gateway at once.",
)
@click.option(
    "--serve",
    is_flag=True,
    help="Serve what a poller reads over REST, at CALLSTREAM_SIMULATE_LISTEN, instead of writing it to Kafka:"
    " until it is stopped, with --check until that has ended, else until all has been there for the"
    " providers' 35 minutes after the last call's end.",
)
@click.option(
    "--time-factor",
    type=click.FloatRange(1, 3600),
    help="With --serve: so many times faster than the providers is it there."
    "  [default: CALLSTREAM_TIME_FACTOR]",
)
@click.option(
    "--rest-rate",
    type=click.FloatRange(0, min_open=True),
    help="With --serve: requests a second that each provider takes; 429 above that.  [default: any]",
)
@click.option(
    "--rest-in-flight",
    type=click.IntRange(1),
    help="With --serve: the same of requests at once.  [default: any]",
)
@click.option("--rest-latency", type=click.FloatRange(0), help="With --serve: seconds until an answer.")
@click.option("--rest-errors", type=SHARE, help="With --serve: share of the answers that are a 500.")
@click.option("--check", "compare", is_flag=True, help="Compare what comes out with the truth.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="With --check: seconds without anything new after which what is missing is missing.",
)
@click.option(
    "--log",
    "logs",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --check: a file that a role logs to, in which no number, name or secret may be either.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout, and nothing else there.")
def command(
    gateway: str | None,
    failover: str | None,
    retry_policy: str,
    telnyx_retries: str,
    retry_scale: float,
    in_flight: int,
    rest_rate: float | None,
    rest_in_flight: int | None,
    rest_latency: float | None,
    rest_errors: float | None,
    compare: bool,
    timeout_s: float,
    logs: tuple[Path, ...],
    as_json: bool,
    **asked: Any,
) -> None:
    """Write callbacks and polled rows of simulated calls to Kafka, or the callbacks to a gateway.

    \b
    callstream simulate --calls 20000 --duplicates 0.1 --reorder 0.1 --check
    callstream simulate --forever --rate 50
    callstream simulate --gateway http://127.0.0.1:8080 --check
    callstream simulate --gateway http://127.0.0.1:8080 --drop 0.05 --serve --time-factor 60 --check
    """
    if compare and asked["forever"]:
        raise Misuse("--check needs an end: --calls or --for")
    if logs and not compare:
        raise Misuse("--log needs --check")
    try:
        settings = load()
        options = _options(settings, **asked)
        plan = rest = None
        if options.served:
            options, keys = served_as(settings, options)
            limit = ProviderLimit(
                rate=rest_rate,
                in_flight=rest_in_flight,
                latency_s=rest_latency or 0.0,
                error_rate=rest_errors or 0.0,
                seed=options.seed,
            )
            limits = ProviderLimits(twilio=limit, telnyx=limit)
            rest = RestPlan(listen=settings.simulate_listen, keys=keys, limits=limits, at=_say_where)
        elif any((asked["time_factor"], rest_rate, rest_in_flight, rest_latency, rest_errors)):
            raise ValueError("--time-factor and --rest-… need --serve")
        if gateway is not None:
            signing = from_settings(settings, options)
            options = replace(options, twilio_account=signing.twilio_account)
            plan = WebhookPlan(
                gateway=gateway_address(gateway, settings.public_url),
                signing=signing,
                twilio=overrides(retry_policy),
                telnyx=TelnyxRetries(waits_s=_waits(telnyx_retries)),
                failover=gateway_address(failover, settings.public_url) if failover is not None else None,
                retry_scale=retry_scale,
                in_flight=in_flight,
            )
        elif failover is not None:
            raise ValueError("--failover needs --gateway")
    except (SettingsError, ValueError) as error:
        _give_up(str(error))
    try:
        work = _simulate(settings, options, plan, rest, compare, timeout_s, logs, as_json)
        outcome = asyncio.run(_unless_asked(work))
    except (CheckError, KafkaError, OSError, BrokerError, ListenError, topics.TopicError) as error:
        _give_up(in_words(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if outcome is None:
        raise SystemExit(UNCHECKED if compare else 0)
    _tell(outcome, options, as_json)
    if outcome.answers is not None and outcome.answers.sent and not outcome.answers.taken:
        _give_up(f"{gateway} took nothing")
    if outcome.report is not None and not outcome.report.ok:
        raise SystemExit(1)


def _give_up(why: str) -> Any:
    say(f"callstream simulate: {why}", err=True)
    raise SystemExit(2)


def _say_where(url: str) -> None:
    say(f"the providers' REST resources are at {url}", err=True)


def _options(
    settings: Settings,
    calls: int | None,
    seconds: float | None,
    forever: bool,
    rate: float | None,
    polled: bool,
    sources: str | None,
    seed: int | None,
    start: str | None,
    serve: bool,
    time_factor: float | None,
    **shares: Any,
) -> Options:
    live = forever or seconds is not None
    if (live and calls is not None) or (forever and seconds is not None):
        raise ValueError("one of --calls, --for and --forever")
    known = ALL_SERVED_SOURCES if serve else ALL_SOURCES
    wanted = frozenset(sources.replace(" ", "").split(",")) if sources else frozenset(known)
    wanted = wanted if polled else wanted - set(SERVED_SOURCES)
    if not wanted:
        raise ValueError("--no-polled leaves none of these sources")
    return Options(
        calls=None if live else calls or 1000,
        seconds=seconds,
        rate=(50.0 if live else 0.0) if rate is None else rate,
        sources=wanted,
        served=serve,
        time_factor=(time_factor or settings.time_factor) if serve else 1.0,
        seed=time.time_ns() // 1000 if seed is None else seed,
        start_us=_microseconds(start) if start else time.time_ns() // 1000,
        **shares,
    )


def _waits(seconds: str) -> tuple[float, ...]:
    waits = tuple(float(word) for word in seconds.split(",") if word.strip())
    if len(waits) > 5 or not all(wait >= 0 for wait in waits) or not sum(waits) <= 60:
        raise ValueError("--telnyx-retries: at most five waits, 60 s together")
    return waits


def _microseconds(start: str) -> int:
    when = datetime.fromisoformat(start)
    if when.tzinfo is None:
        raise ValueError(f"--start {start} has no time zone: end it in Z")
    return round(when.timestamp() * 1_000_000)


async def _unless_asked(work: Coroutine[Any, Any, RunOutcome]) -> RunOutcome | None:
    """None where SIGTERM comes first."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    return await unless(asked, work)


async def _simulate(
    settings: Settings,
    options: Options,
    plan: WebhookPlan | None,
    rest: RestPlan | None,
    compare: bool,
    timeout_s: float,
    logs: tuple[Path, ...],
    quiet: bool,
) -> RunOutcome:
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
                gateway=plan,
                rest=rest,
                progress=shown.written,
                waiting=shown.found,
                search=LeakSearch(only_secrets=settings.privacy == "full"),
                beside=MetricsAndLogs(_metrics(settings), logs),
            )


def _metrics(settings: Settings) -> dict[str, str]:
    """Where each role that these settings start tells its metrics."""
    at = {
        "worker": f"http://{settings.worker_listen}",
        "poller": f"http://{settings.poller_listen}",
        "gateway": f"http://{settings.gateway_health_listen}",
    }
    return {role: f"{url}/metrics" for role, url in at.items()}


def _tell(outcome: RunOutcome, options: Options, as_json: bool) -> None:
    rate = outcome.deliveries / outcome.seconds if outcome.seconds else 0.0
    if as_json:
        said = {
            "seed": options.seed,
            "start": iso_us(options.start_us),
            "calls": outcome.calls,
            "deliveries": outcome.deliveries,
            "seconds": round(outcome.seconds, 3),
            "deliveries_per_second": round(rate, 1),
            "gateway": outcome.answers.as_json() if outcome.answers else None,
            "check": outcome.report.as_json() if outcome.report else None,
        }
        for line in orjson.dumps(said, option=orjson.OPT_INDENT_2).decode().split("\n"):
            say(line)
        return
    say(
        f"{outcome.deliveries:,} deliveries of {outcome.calls:,} calls in {outcome.seconds:.1f} s"
        f" ({rate:,.0f}/s), --seed {options.seed} --start {iso_us(options.start_us)}"
    )
    if outcome.answers is not None:
        for line in outcome.answers.lines():
            say(line)
    if outcome.report is not None:
        for line in outcome.report.lines():
            say(line)
