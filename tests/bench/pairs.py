"""Two trees in turn: what a job costs and writes in this tree and in another one, as a ratio.

    python -m tests.bench.pairs ../before --jobs callback,life --rounds 5

The harness is this tree's, so both get the same records. A machine's speed drifts, so both take turns every
few milliseconds, and the median of the rounds' own ratios counts. Equal digests say that the outputs are
equal byte for byte; equal `knowledge`, that a reader knows the same in the end.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from tests.bench.offline import JOBS

ROOT = Path(__file__).resolve().parents[2]


def run(trees: Sequence[Path], python: str, job: str, calls: int, seed: int) -> list[dict[str, Any]]:
    """A job's results with the program of each tree and the harness of this one, all at once and in turns."""
    command = [
        python,
        "-m",
        "tests.bench.offline",
        job,
        "--calls",
        str(calls),
        "--seed",
        str(seed),
        "--in-turns",
    ]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        (Path(folder) / "tests").symlink_to(ROOT / "tests")
        waiting = []
        for number, tree in enumerate(trees):
            environ = {**os.environ, "PYTHONPATH": f"{folder}:{tree}", "PYTHONHASHSEED": "0"}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            started = subprocess.Popen(command, cwd=folder, env=environ, **pipes)
            waiting.append((number, running.enter_context(started)))
        results: dict[int, dict[str, Any]] = {}
        while waiting:
            number, process = waiting.pop(0)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            said = process.stdout.readline()
            if said == "\n":
                waiting.append((number, process))
            else:
                results[number] = json.loads(said)
    return [results[number] for number in range(len(trees))]


def compare(before: Path, after: Path, python: str, job: str, calls: int, rounds: int, seed: int) -> None:
    """Run and print one job."""
    pairs = []
    for _ in range(rounds):
        pairs.append(run((before, after), python, job, calls, seed))
        print(f"  {job}: {pairs[-1][0]['us']:.1f} -> {pairs[-1][1]['us']:.1f} µs", file=sys.stderr)
    old, new = pairs[-1]
    ratio = statistics.median(one["us"] / other["us"] for other, one in pairs)
    us = [statistics.median(pair[side]["us"] for pair in pairs) for side in (0, 1)]
    print(f"{job}: {us[0]:.1f} -> {us[1]:.1f} µs each, ratio {ratio:.3f} ({rounds} rounds of {old['count']})")
    print(f"  bytes out each: {old['bytes_all']:,.0f} -> {new['bytes_all']:,.0f}")
    for topic in sorted({*old["bytes"], *new["bytes"]}):
        records = [side["records"].get(topic, 0) for side in (old, new)]
        size = [side["bytes"].get(topic, 0) for side in (old, new)]
        same = old["digests"].get(topic) == new["digests"].get(topic) if topic != "changelog" else None
        said = {None: "", True: "equal", False: "DIFFERENT"}[same]
        print(
            f"  {topic:18} records {records[0]:.3f} -> {records[1]:.3f}, "
            f"bytes {size[0]:,.0f} -> {size[1]:,.0f}  {said}"
        )
    same = old["digests"]["knowledge"] == new["digests"]["knowledge"]
    print(f"  what a reader knows in the end: {'equal' if same else 'DIFFERENT'}")


def _jobs(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    jobs = value.split(",")
    if unknown := set(jobs) - {*JOBS}:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: some of {', '.join(JOBS)}")
    return jobs


@click.command()
@click.argument("before", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--after", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT)
@click.option("--python", default=sys.executable, help="The interpreter of both; the default is this one.")
@click.option("--jobs", callback=_jobs, default=",".join(JOBS), show_default=True)
@click.option("--calls", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def main(before: Path, after: Path, python: str, jobs: list[str], calls: int, rounds: int, seed: int) -> None:
    """Compare the job in BEFORE, a checkout, with that in this tree."""
    for job in jobs:
        compare(before.resolve(), after.resolve(), python, job, calls, rounds, seed)


if __name__ == "__main__":
    main()
