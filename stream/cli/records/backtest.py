"""`callstream backtest`: recorded deliveries through candidate alert rules beside the current ones.

Exit code 0: all that was asked for was compared. 1: only a part was, or nothing is recorded; the lines say
why. It writes nothing to Kafka and moves nobody's offsets.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from functools import partial
from pathlib import Path

import click
import msgspec

from stream.backtest.comparison import SIDES, Side
from stream.backtest.report import BacktestReport, lines_of
from stream.backtest.run import Backtest, BacktestLimits, BacktestSpan, NothingRecordedError, run_backtest
from stream.cli.support.exit_codes import DONE, FAILED
from stream.cli.support.finite_range import FiniteRange
from stream.cli.support.progress import ProgressLine
from stream.cli.support.startup import exit_on_error, naming_obstacle, quiet_clients, required_bootstrap
from stream.cli.support.terminal import Fault, Misuse, say
from stream.cli.support.time_args import parse_time
from stream.core.alerting.rules import Rules, RulesError
from stream.core.timestamps import SECOND_US, utc
from stream.engine.batch import Processor
from stream.kafka.client.connection import connection
from stream.kafka.errors import OffsetOutOfRangeError
from stream.kafka.topics import names, roles
from stream.service.errors import for_operator
from stream.service.metrics.worker import WorkerMetrics
from stream.service.settings import Settings, load
from stream.service.tables.alert_rules import load_rules

MIB = 1024 * 1024
EXPIRED = "recorded deliveries were deleted by their retention while they were read: begin later with --since"


@click.command("backtest")
@click.option(
    "--rules",
    "candidate",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The candidate rules, a file as CALLSTREAM_RULES names it.",
)
@click.option("--since", metavar="TIME", default="7d", show_default=True, help="Count alerts from then on.")
@click.option(
    "--until", metavar="TIME", default="now", show_default=True, help="Take what is recorded up to then."
)
@click.option(
    "--partition",
    "partitions",
    type=click.IntRange(0),
    multiple=True,
    help="Take only this partition. Repeatable.",
)
@click.option(
    "--for", "limit_s", type=FiniteRange(1), metavar="SECONDS", help="Stop after so long, and report."
)
@click.option(
    "--memory-mb",
    type=click.IntRange(16),
    default=2048,
    show_default=True,
    help="Stop when the calls in memory take about as much, and report.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def command(
    candidate: Path,
    since: str,
    until: str,
    partitions: tuple[int, ...],
    limit_s: float | None,
    memory_mb: int,
    as_json: bool,
) -> None:
    """Say which alerts other rules would have raised: recorded calls go through both, in this process.

    The current rules and all else are as the settings say: use those of the workers. A TIME is
    2026-03-02T10:00:00Z, or relative such as 2h or 3d ago. Nothing is written to Kafka.

    \b
    callstream backtest --rules candidate.toml --since 7d
    callstream backtest --rules candidate.toml --since 1d --json
    """
    quiet_clients()
    span = _span(since, until)
    with exit_on_error(RulesError, as_json=as_json):
        chosen = load()
        rules: dict[Side, Rules] = {
            "current": load_rules(chosen.rules, chosen.ui_url),
            "candidate": load_rules(candidate, chosen.ui_url),
        }
        limits = BacktestLimits(limit_s, memory_mb * MIB)
        report = _found(chosen, rules, span, limits, frozenset(partitions), as_json=as_json)
    if as_json:
        say(msgspec.json.encode(report).decode())
    else:
        for line in lines_of(report):
            say(line)
    raise SystemExit(DONE if report.complete else FAILED)


def _span(since: str, until: str) -> BacktestSpan:
    now_us = time.time_ns() // 1000
    try:
        span = BacktestSpan(parse_time(since, now_us), min(parse_time(until, now_us), now_us))
    except ValueError as error:
        raise Misuse(str(error)) from None
    if span.since_us >= span.until_us:
        raise Misuse("--since must be before --until")
    return span


def _found(
    chosen: Settings,
    rules: dict[Side, Rules],
    span: BacktestSpan,
    limits: BacktestLimits,
    partitions: frozenset[int],
    *,
    as_json: bool,
) -> BacktestReport:
    topics = names(chosen.topic_prefix)
    cluster = connection(chosen, "backtest", required_bootstrap(chosen))
    # By name: nothing in stream imports the agents.
    make = importlib.import_module("agents.job").call_processor
    faulty = importlib.import_module("agents.processor").FaultyWorkerError
    jobs: dict[Side, Processor] = {
        side: make(chosen, topics, WorkerMetrics(chosen.account_alias, roles(topics)), rules[side])
        for side in SIDES
    }
    with naming_obstacle(cluster, as_json=as_json):
        try:
            with ProgressLine(quiet=as_json) as shown:
                show = partial(_show, shown, span)
                numbers = partitions or None
                work = run_backtest(cluster, topics, jobs, span, limits, numbers=numbers, show=show)
                return asyncio.run(work)
        except (NothingRecordedError, faulty) as error:
            raise Fault(for_operator(error), FAILED, as_json=as_json) from None
        except OffsetOutOfRangeError:
            raise Fault(EXPIRED, FAILED, as_json=as_json) from None


def _show(shown: ProgressLine, span: BacktestSpan, done: Backtest) -> None:
    """How much of the time is done: deliveries are not counted beforehand."""
    begin_us = span.recorded.from_ms * 1000
    share = (done.reached_us - begin_us) / max(span.until_us - begin_us, SECOND_US)
    shown.show(
        "backtest",
        f"{done.records:,} deliveries, up to {utc(done.reached_us)[:16]}Z",
        min(1.0, max(0.0, share)),
    )
