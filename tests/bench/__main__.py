"""`make bench`: what a delivery and a call cost, beside Quix Streams, plain Faust and a bare loop.

Exit codes: 0 measured, whether targets are met or not; 1 a candidate failed or did its job wrong; 2 wrong
usage.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from stream.broker import BrokerError
from tests.bench import report
from tests.bench.progress import Shown
from tests.bench.run import PARTS, Plan, run

OUT = Path("build/bench.json")


def _parts(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    asked = tuple(part.strip() for part in value.split(","))
    unknown = set(asked) - set(PARTS)
    if unknown:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: some of {', '.join(PARTS)}")
    return asked


@click.command()
@click.option("--only", callback=_parts, default=",".join(PARTS), help=f"Some of {', '.join(PARTS)}.")
@click.option("--records", type=click.IntRange(1), default=400_000, show_default=True, help="Callbacks.")
@click.option(
    "--few-records", type=click.IntRange(1), default=40_000, show_default=True, help="For plain Faust."
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--open-calls", type=click.IntRange(1), default=4000, show_default=True, help="About so many at a time."
)
@click.option(
    "--rate", type=click.IntRange(1), default=1000, show_default=True, help="Through all parts, a second."
)
@click.option("--seconds", type=click.IntRange(2), default=12, show_default=True, help="Through all parts.")
@click.option(
    "--calls", type=click.IntRange(1), default=1_000_000, show_default=True, help="To be recovered."
)
@click.option("--requests", type=click.IntRange(1), default=30_000, show_default=True, help="To the gateway.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=OUT, show_default=True)
def main(
    only: tuple[str, ...],
    records: int,
    few_records: int,
    rounds: int,
    open_calls: int,
    rate: int,
    seconds: int,
    calls: int,
    requests: int,
    out: Path,
) -> None:
    """Measure, show a table, and write the numbers to a file."""
    plan = Plan(
        parts=only,
        records=records,
        few_records=few_records,
        rounds=rounds,
        open_calls=open_calls,
        rate=rate,
        seconds=seconds,
        calls=calls,
        requests=requests,
    )
    try:
        with Shown(Console(stderr=True)) as shown:
            result = run(plan, shown)
    except BrokerError as error:
        raise click.ClickException(str(error)) from None
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    console = Console()
    report.show(result, console)
    missed = report.missed(result)
    for line in missed:
        console.print(f"missed: {line}", style="yellow")
    console.print(f"{result['seconds']:.0f} s; numbers in {out}")
    sys.exit(1 if _went_wrong(result) else 0)


def _went_wrong(result: dict[str, Any]) -> bool:
    parts = [result[part] for part in PARTS if part in result]
    candidates = result.get("throughput", {}).values()
    return any("failed" in part for part in parts) or any(
        isinstance(one, dict) and one.get("wrong") for one in candidates
    )


if __name__ == "__main__":
    main()
