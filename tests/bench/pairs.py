"""Two trees in turn: what a job costs and writes in this tree and in another one, as a ratio.

    python -m tests.bench.pairs ../before --jobs callback,life --rounds 5

The harness is this tree's, so both get the same records. A machine's speed drifts, so rounds are interleaved
and the median of the rounds' own ratios counts. Equal digests say that the outputs are equal byte for byte;
equal `knowledge`, that a reader knows the same in the end.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from tests.bench.offline import JOBS

ROOT = Path(__file__).resolve().parents[2]


def run(tree: Path, python: str, job: str, calls: int, seed: int) -> dict[str, Any]:
    """The result of a job with the program of `tree` and the harness of this one."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tests").symlink_to(ROOT / "tests")
        command = [python, "-m", "tests.bench.offline", job, "--calls", str(calls), "--seed", str(seed)]
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{folder}:{tree}", "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            check=True,
        )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def compare(before: Path, after: Path, python: str, job: str, calls: int, rounds: int, seed: int) -> None:
    """Run and print one job."""
    pairs = []
    for number in range(rounds):
        order = (before, after) if number % 2 == 0 else (after, before)
        found = {tree: run(tree, python, job, calls, seed) for tree in order}
        pairs.append((found[before], found[after]))
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
