"""`callstream simulate`: calls with known outputs, written as the gateway and the poller would write them.

With --gateway the callbacks go over HTTP, as the providers send them, and only polled rows go to Kafka. With
--serve a poller reads the rows from REST resources, as the providers serve them.
Exit code 0: sent, and with --check no difference. 1: a difference, nothing to compare, or the gateway
accepted nothing.
SIGTERM: 0, with --check 143.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson

from stream.broker import embedded
from stream.cli.local.links import listeners, probed
from stream.cli.support.exit_codes import DONE, FAILED, MISUSE, TERMINATED
from stream.cli.support.finite_range import FiniteRange
from stream.cli.support.incident_options import IncidentCommand, incident_options, rehearsal
from stream.cli.support.progress import ProgressLine
from stream.cli.support.run_options import FAILED_USUALLY, retry_waits, run_options
from stream.cli.support.startup import ensured_topics, exit_on_error, quiet_clients
from stream.cli.support.terminal import Fault, Misuse, say
from stream.kafka.client.connection import connection
from stream.service.process import unless
from stream.service.settings import Settings, SettingsError, load
from stream.service.tables.alert_rules import load_rules
from stream.simulator.accounts import served_accounts, signing_keys
from stream.simulator.calls.options import KNOWN_SOURCES, OPTIONAL_SOURCES, Options
from stream.simulator.check.check import CheckError, CheckOptions
from stream.simulator.check.leaks import LeakSearch, MetricsAndLogs
from stream.simulator.delivery.retries import TelnyxRetries, twilio_retries
from stream.simulator.delivery.webhook_sender import WebhookPlan
from stream.simulator.delivery.webhooks import gateway_address
from stream.simulator.incidents import Rehearsal
from stream.simulator.rest.throttle import ProviderLimit, ProviderLimits
from stream.simulator.run import RestPlan, RunOutcome, run, traffic_for

SHARE = FiniteRange(0, 1)
TIMEOUT_S, LATE_S = 60.0, 30.0
TWILIO_RETRIES = "rc=3&rp=all&rt=5000"
"""What a status callback should have: Twilio's defaults retry neither a 5xx nor a time-out."""


@click.command("simulate", cls=IncidentCommand)
@click.option("--calls", type=click.IntRange(1), help="Number of call legs.  [default: 1000]")
@click.option(
    "--for", "seconds", type=FiniteRange(0, min_open=True), help="Live calls for this many seconds."
)
@click.option("--forever", is_flag=True, help="Live calls until stopped.")
@click.option(
    "--rate", type=FiniteRange(0), help="Deliveries a second; 0 is full speed.  [default: 0, live 50]"
)
@click.option("--duplicates", type=SHARE, default=0.0, help="Share of the deliveries that come twice.")
@click.option(
    "--reorder", type=SHARE, default=0.0, help="Share of the callbacks that come after their successor."
)
@click.option("--drop", type=SHARE, default=0.0, help="Share of the callbacks that never come.")
@click.option(
    "--late", type=SHARE, default=0.0, help="Share of the callbacks that come after the call's end."
)
@click.option(
    "--failed",
    type=SHARE,
    help=f"Share of the calls that fail.  [default: {FAILED_USUALLY:g}, with --incident 0]",
)
@click.option(
    "--telnyx", type=SHARE, default=0.25, show_default=True, help="Share of the calls that are Telnyx'."
)
@click.option("--polled/--no-polled", default=True, help="With or without the rows that a poller reads.")
@click.option(
    "--sources",
    metavar="NAMES",
    help=f"Only these sources, comma-separated: {', '.join(KNOWN_SOURCES)}; or all of them: all. Without it:"
    f" all but {', '.join(OPTIONAL_SOURCES)}.",
)
@click.option(
    "--seed", type=int, help="Equal seed, start and options give equal bytes.  [default: from the clock]"
)
@click.option(
    "--start", metavar="TIME", help="When the first delivery is received, ISO 8601.  [default: now]"
)
@click.option("--gateway", metavar="URL", help="Send callbacks, signed, to this gateway on this machine.")
@click.option("--failover", metavar="URL", help="Telnyx' second address.")
@click.option(
    "--retry-policy",
    metavar="OVERRIDES",
    default=TWILIO_RETRIES,
    show_default=True,
    help="Twilio's connection overrides; empty for Twilio's defaults.",
)
@click.option(
    "--telnyx-retries",
    metavar="SECONDS",
    default="1,2,4,8,16",
    show_default=True,
    help="How long Telnyx waits before each retry: at most five waits, 60 s in total.",
)
@click.option(
    "--retry-scale",
    type=FiniteRange(0),
    default=1.0,
    show_default=True,
    help="Factor on the waits between attempts.",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="Concurrent requests to the gateway.",
)
@click.option(
    "--serve",
    is_flag=True,
    help="Serve what a poller reads over REST, at CALLSTREAM_SIMULATE_LISTEN, instead of writing it to Kafka."
    " Ends with the check; without --check 35 minutes (in the providers' time) after the last call's end.",
)
@click.option(
    "--time-factor",
    type=FiniteRange(1, 3600),
    help="With --serve: make data available this many times sooner than the real providers do."
    "  [default: CALLSTREAM_TIME_FACTOR]",
)
@click.option(
    "--rest-rate",
    type=FiniteRange(0, min_open=True),
    help="With --serve: requests a second of each provider; 429 above that.  [default: no limit]",
)
@click.option(
    "--rest-in-flight",
    type=click.IntRange(1),
    help="With --serve: concurrent requests of each provider; 429 above that.  [default: no limit]",
)
@click.option("--rest-latency", type=FiniteRange(0), help="With --serve: delay of each response in seconds.")
@click.option("--rest-errors", type=SHARE, help="With --serve: share of the responses that are a 500.")
@click.option("--rest-page-size", type=click.IntRange(1), help="With --serve: rows of a page at most.")
@incident_options
@click.option("--check", "compare", is_flag=True, help="Compare what comes out with what must come out.")
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteRange(0, min_open=True),
    help="With --check: seconds without new records of its calls after which outputs count as missing."
    "  [default: 60, or longer where CALLSTREAM_REVISION_QUIET_S and CALLSTREAM_GAP_GRACE_S are]",
)
@click.option(
    "--log",
    "logs",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --check: also search this log of a role for numbers, names and secrets.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else on stdout.")
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
    rest_page_size: int | None,
    incident: str | None,
    incident_after: float,
    incident_for: float | None,
    compare: bool,
    timeout_s: float | None,
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
    callstream simulate --gateway http://127.0.0.1:8080 --serve --incident carrier-outage
    """
    if compare and asked["forever"]:
        raise Misuse("--check needs an end: --calls or --for")
    if logs and not compare:
        raise Misuse("--log needs --check")
    if failover is not None and gateway is None:
        raise Misuse("--failover needs --gateway")
    rest_only = (rest_rate, rest_in_flight, rest_latency, rest_errors, rest_page_size)
    if any((asked["time_factor"], *rest_only)) and not asked["serve"]:
        raise Misuse("--time-factor and --rest-… need --serve")
    quiet_clients()
    try:
        settings = load()
        webhooks = rest = rehearsed = None
        if incident is not None:
            rehearsed = rehearsal(
                settings,
                incident,
                after_s=incident_after,
                for_s=incident_for,
                to_gateway=gateway is not None,
                served=asked["serve"],
                say=partial(say, err=True),
            )
        options = run_options(settings, **asked, rehearsed=rehearsed)
        if gateway is not None:
            plan = partial(
                WebhookPlan,
                gateway=gateway_address(gateway, settings.public_url),
                twilio=twilio_retries(retry_policy),
                telnyx=TelnyxRetries(waits_s=retry_waits(telnyx_retries)),
                failover=gateway_address(failover, settings.public_url) if failover is not None else None,
                retry_scale=retry_scale,
                in_flight=in_flight,
                keys_now=rehearsed.keys if rehearsed else None,
            )
        # Secrets are asked for last: nobody looks for one and is refused for another reason then.
        if options.served:
            options, credentials = served_accounts(settings, options)
            limit = ProviderLimit(
                rate=rest_rate,
                in_flight=rest_in_flight,
                latency_s=rest_latency or 0.0,
                error_rate=rest_errors or 0.0,
                page_rows=rest_page_size,
                seed=options.seed,
            )
            rest = RestPlan(
                listen=settings.simulate_listen,
                credentials=credentials,
                limits=ProviderLimits(twilio=limit, telnyx=limit),
                at=lambda url: say(f"the providers' REST resources are at {url}", err=True),
                refusal=rehearsed.refusal if rehearsed else None,
            )
        if gateway is not None:
            signing = signing_keys(settings, options)
            options = replace(options, twilio_account=signing.twilio_account)
            webhooks = plan(signing=signing)
        rules = load_rules(settings.rules)
    except (SettingsError, ValueError) as error:
        raise Fault(str(error), MISUSE, as_json=as_json) from None
    check = None
    if compare:
        check = CheckOptions(
            timeout_s=timeout_s or usual_timeout_s(settings),
            search=LeakSearch(only_secrets=settings.privacy == "full"),
            metrics_and_logs=MetricsAndLogs(_metrics(settings), logs),
            rules=rules,
        )
    with exit_on_error(away=(CheckError, OSError), as_json=as_json):
        work = _simulate(settings, options, webhooks, rest, check, rehearsed, quiet=as_json)
        outcome = asyncio.run(_unless_terminated(work))
    if outcome is None:
        raise SystemExit(TERMINATED if compare else DONE)
    if as_json:
        text = orjson.dumps(outcome.as_json(options), option=orjson.OPT_INDENT_2).decode()
    for line in text.split("\n") if as_json else outcome.lines(options):
        say(line)
    if outcome.answers is not None and outcome.answers.took_nothing:
        mend = "does the gateway run, and is this its address?"
        if outcome.answers.turned_away:
            mend = "is this the gateway's address, and does it verify with the keys of the simulator?"
        elif outcome.answers.reached:
            mend = "it fails; its log says why. Does its Kafka answer?"
        unchecked = " Nothing was compared." if compare else ""
        say(f"Error: {gateway} took nothing: {mend}{unchecked}", err=True)
        raise SystemExit(FAILED)
    if outcome.report is not None and not outcome.report.events_expected:
        say("Error: these options deliver nothing of any call, so nothing was compared.", err=True)
        raise SystemExit(FAILED)
    if outcome.report is not None and not outcome.report.ok:
        raise SystemExit(FAILED)


async def _unless_terminated(work: Coroutine[Any, Any, RunOutcome]) -> RunOutcome | None:
    """The result of `work`; None if SIGTERM comes first."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    return await unless(terminated, work)


async def _simulate(
    settings: Settings,
    options: Options,
    webhooks: WebhookPlan | None,
    rest: RestPlan | None,
    check: CheckOptions | None,
    rehearsed: Rehearsal | None,
    *,
    quiet: bool,
) -> RunOutcome:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(embedded(settings, say=lambda text: say(text, err=True)))
        bootstrap = broker.bootstrap
        await ensured_topics(replace(settings, kafka=bootstrap))
        prefix = settings.topic_prefix
        traffic = traffic_for(prefix, options, with_expected=check is not None, rehearsal=rehearsed)
        with ProgressLine(quiet=quiet) as shown:

            def found(events: int, expected: int) -> None:
                shown.show("checking", f"{events:,} of {expected:,} events", events / max(1, expected))

            def written(deliveries: int) -> None:
                share = traffic.calls / options.calls if options.calls else None
                shown.show("writing", f"{deliveries:,} deliveries of {traffic.calls:,} calls", share)

            return await run(
                connection(settings, "simulator", bootstrap, settings.partitions),
                prefix,
                traffic,
                gateway=webhooks,
                rest=rest,
                compare=None if check is None else replace(check, progress=found),
                progress=written,
            )


def usual_timeout_s(settings: Settings) -> float:
    """How long a worker may write nothing about a call, and then a record or the end of an alert."""
    waits_s = settings.revision_quiet_s + settings.gap_grace_s
    return max(TIMEOUT_S, waits_s + LATE_S)


def _metrics(settings: Settings) -> dict[str, str]:
    """Where each role with these settings serves its metrics."""
    at = probed(listeners(settings), polled=True, notified=True)
    return {role: f"http://{address}/metrics" for role, address in at.items()}
