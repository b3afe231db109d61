"""Breaks the alert rules in one place at a time, and counts how many of these mutants promtool's tests catch.

Usage: python -m tests.deploy.mutate_rules [--list]      (`make rules` runs it)

Thresholds and durations are halved and doubled. Comparisons, operators and matchers are turned round.
Selectors, labels, words of a list and offsets are left out. Exit code 1 when fewer than 95 % are caught.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from deploy.prometheus import render

RULES = Path(__file__).parent / "rules"
LEAST_CAUGHT = 0.95
LONG = {"calls_compared.test.yml", "calls_a_week_ago.test.yml"}
"""Tests of hours and days, which run last."""
QUICK = "kpis.test.yml"
NOT_BROKEN = {"runbook"}
"""Values that are text only: each alert's annotations are compared as a whole."""

_MATCHER = r'\w+(=~|!~|!=|=)"[^"]*"'
LEFT_OUT = re.compile(rf"(?<=, ){_MATCHER}(, )?|(?<=\{{){_MATCHER}|\$\{{series\}}(, )?| offset \S+?(?=\))")

TURNED = {">": "<", "<": ">", ">=": "<", "==": "!=", "=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
TURNED |= {"and": "or", "or": "and", "unless": "and", "sum": "max", "max": "min", "min": "max"}
TURNED |= {"critical": "warning", "warning": "critical", "info": "warning"}


class Mutant(NamedTuple):
    """`name`: what is broken; `files`: the rule files by name, one of them broken."""

    name: str
    files: dict[str, str]


def broken_values(value: Any) -> Iterator[Any]:
    """What a value may be confused with."""
    if isinstance(value, int | float):
        yield from (value * 2, value / 2)
    elif match := render.DURATION.fullmatch(value):
        seconds = int(match[1]) * render.UNITS_MS[match[2]] // 1000
        yield from (f"{seconds * 2}s", f"{seconds // 2}s")
    elif "|" in value:
        yield from without_a_word(value)
    elif value == "10.0":
        yield from ("6.0", "20.0")
    else:
        yield 'job=~".+"'


def without_a_word(words: str) -> Iterator[str]:
    """A list of alternatives, each time with one of them left out."""
    parts = words.split("|")
    yield from ("|".join(parts[:n] + parts[n + 1 :]) for n in range(len(parts)))


def broken_lines(line: str) -> Iterator[str]:
    """A line of an expression, or of labels, with one thing broken."""
    for sign in re.finditer(r'(?<= )(>=|==|>|<|and|or|unless)(?= )|(?<=\w)(=~|!~|!=|=)(?=")', line):
        yield line[: sign.start()] + TURNED[sign[0]] + line[sign.end() :]
    for word in re.finditer(r"\b(sum|max|min)(?= by|\()|(?<=severity: )\w+", line):
        yield line[: word.start()] + TURNED[word[0]] + line[word.end() :]
    for labels in re.finditer(r"(?<=by \()[^)]+", line):
        for less in without_a_word(labels[0].replace(", ", "|")):
            yield line[: labels.start()] + less.replace("|", ", ") + line[labels.end() :]
    for words in re.finditer(r'(?<=")[\w|]+\|[\w|]+(?=")', line):
        yield from (line[: words.start()] + less + line[words.end() :] for less in without_a_word(words[0]))
    for selector in LEFT_OUT.finditer(line):
        yield line[: selector.start()] + line[selector.end() :]
    for quantile in re.finditer(r"(?<=histogram_quantile\()0\.\d+", line):
        yield (
            line[: quantile.start()] + ("0.50" if quantile[0] != "0.50" else "0.95") + line[quantile.end() :]
        )


def mutants() -> Iterator[Mutant]:
    values = render.read_values()
    intact = render.rule_files(values)
    for name, value in values.items():
        for other in broken_values(value) if name not in NOT_BROKEN else ():
            yield Mutant(f"{name}: {value} -> {other}", render.rule_files(values | {name: other}))
    for template in sorted((render.HERE / "templates").iterdir()):
        lines = template.read_text().splitlines()
        for number, line in enumerate(lines):
            if line.lstrip().startswith(("#", "summary:", "description:", "runbook_url:", "- name:")):
                continue
            for other in broken_lines(line):
                text = "\n".join((*lines[:number], other, *lines[number + 1 :]))
                name = f"{template.name}:{number + 1}: {line.strip()} -> {other.strip()}"
                yield Mutant(name, intact | {render.file_name(template): render.render(text, values)})


def changed_rules(intact: str, text: str) -> set[str]:
    """The names of the alerts and recorded series that differ."""
    before, after = (
        [rule for group in yaml.safe_load(one)["groups"] for rule in group["rules"]] for one in (intact, text)
    )
    return {old.get("alert") or old["record"] for old, new in zip(before, after, strict=True) if old != new}


def concerned(mutant: Mutant, intact: dict[str, str]) -> list[str]:
    """The tests that can see a mutant: they name what it changes, or what reads that."""
    names: set[str] = set()
    for name, text in mutant.files.items():
        if text != intact[name]:
            names |= changed_rules(intact[name], text)
    rules = [
        rule
        for text in intact.values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    ]
    for _ in range(2):  # an alert reads a recorded series, which reads another
        names |= {r.get("alert") or r["record"] for r in rules if any(n in r["expr"] for n in names)}
    return [
        path.name
        for path in sorted(RULES.glob("*.test.yml"))
        if any(name in path.read_text() for name in names)
    ]


def is_caught(mutant: Mutant, tests: list[str]) -> bool:
    """Whether one of the tests fails on the broken rules."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "deploy/prometheus")
        rules.mkdir(parents=True)
        for name, text in mutant.files.items():
            (rules / name).write_text(text)
        place = Path(folder, "tests/deploy/rules")
        shutil.copytree(RULES, place)
        return any(
            subprocess.run(
                ["promtool", "test", "rules", test], cwd=place, capture_output=True, check=False
            ).returncode
            for test in tests
        )


def main() -> None:
    if shutil.which("promtool") is None:
        required = bool(os.environ.get("CALLSTREAM_REQUIRE_TOOLS"))
        print("mutants of the alert rules: skipped: promtool is not installed")
        sys.exit(required)
    intact = render.rule_files(render.read_values())
    all_of_them = [one for one in mutants() if one.files != intact]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        caught = list(pool.map(lambda one: is_caught(one, concerned(one, intact)), all_of_them))
    for mutant, was_caught in zip(all_of_them, caught, strict=True):
        if not was_caught or "--list" in sys.argv:
            print("caught  " if was_caught else "survived", mutant.name)
    share = sum(caught) / len(caught)
    print(f"mutants of the alert rules: {sum(caught)} of {len(caught)} caught ({share:.1%})")
    sys.exit(share < LEAST_CAUGHT)


if __name__ == "__main__":
    main()
