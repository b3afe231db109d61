"""The documents name only what exists: links, paths, commands, make targets, settings, topics, fields."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import astuple, fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson
import pytest
from jsonschema import Draft202012Validator

from stream.cli.main import main
from stream.contracts.documents import document
from stream.core import sources
from stream.core.alerting.condition_alerts import RESOLVED as RESOLVED_CONDITIONS
from stream.core.call.alerts import RESOLVED as RESOLVED_FACTS
from stream.kafka import topics
from stream.service.settings import Settings, variable

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
FILE_ENDINGS = (".py", ".md", ".toml", ".yaml", ".json", ".svg", ".txt", ".sha256")
TREES = ("stream", "agents", "tests", "docs", ".ci", "deploy")


class Code(NamedTuple):
    """A code span, or one line of a fenced block."""

    page: str
    line: int
    text: str


@cache
def codes() -> tuple[Code, ...]:
    return tuple(_codes())


def _codes() -> Iterator[Code]:
    for page in PAGES:
        fenced = False
        for number, line in enumerate(page.read_text().splitlines(), 1):
            if line.startswith("```"):
                fenced = not fenced
            elif fenced:
                yield Code(page.name, number, line.strip())
            else:
                yield from (Code(page.name, number, span) for span in re.findall(r"`([^`]+)`", line))


def those(pattern: str) -> list[Code]:
    """The codes in which the pattern is found."""
    found = [code for code in codes() if re.search(pattern, code.text)]
    assert found
    return found


@cache
def tree() -> tuple[Path, ...]:
    return tuple(
        path.relative_to(ROOT)
        for top in TREES
        for path in (ROOT / top).rglob("*")
        if "__pycache__" not in path.parts
    )


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if f"({page.relative_to(ROOT)})" not in readme] == []


def test_the_readme_is_short_and_every_page_begins_with_its_title() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200
    assert [page.name for page in PAGES if not page.read_text().startswith("# ")] == []


def test_every_path_exists() -> None:
    for code in those(rf"^({'|'.join(map(re.escape, TREES))})/"):
        path = code.text.split()[0]
        assert not any(letter in path for letter in "<*"), f"{code}: a path that can be checked, please"
        assert (ROOT / path).exists(), code
        assert path.endswith("/") == (ROOT / path).is_dir(), code


def test_every_file_named_without_its_folder_exists() -> None:
    names = {path.name for path in tree()}
    for code in those(rf"^[\w.-]+({'|'.join(map(re.escape, FILE_ENDINGS))})$"):
        assert (ROOT / code.text).exists() or code.text in names, code


def test_every_folder_named_without_its_parent_exists() -> None:
    made = (ROOT / ".gitignore").read_text().splitlines()
    names = {path.name for path in tree() if (ROOT / path).is_dir()}
    for code in those(r"^[\w-]+/$"):
        name = code.text.rstrip("/")
        assert code.text in made or (ROOT / name).is_dir() or name in names, code


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_folder_of_the_product_is_described(page: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / page).read_text(), re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`([^`]+/)`", row)}
    folders = {f"{path.parent}/" for path in tree() if path.name == "__init__.py" and len(path.parts) <= 3}
    product = {folder for folder in folders if folder.startswith(("stream/", "agents/"))} - {"stream/"}
    assert product <= described


def test_every_command_and_its_options_exist() -> None:
    for code in those(r"(^|/)callstream( |$)"):
        try:
            check_command(code)
        except (AssertionError, IndexError, KeyError, ValueError, click.BadParameter) as error:
            pytest.fail(f"{code}: {error!r}")


def check_command(code: Code) -> None:
    words = shlex.split(code.text, comments=True)
    start = next(at for at, word in enumerate(words) if word == "callstream" or word.endswith("/callstream"))
    command: click.Command = main
    rest = words[start + 1 :]
    if rest and not rest[0].startswith("-"):
        found = main.get_command(click.Context(main), rest[0])
        assert found is not None, f"the command {rest[0]} does not exist"
        command, rest = found, rest[1:]
    if isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    check_words(command, rest)


def check_words(command: click.Command, words: list[str]) -> None:
    """Raises where an option does not exist, or a value is none of an option's or argument's choices.

    A word in capitals stands for a value.
    """
    options = {
        name: option
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith("-")
    }
    arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    left = list(words)
    while left:
        word = left.pop(0)
        if word.startswith("-"):
            if word == "--help":
                continue
            parameter: click.Parameter = options[word]
            if getattr(parameter, "is_flag", False):
                continue
            value = left.pop(0)
        else:
            parameter, value = arguments.pop(0), word
        if not value.isupper() and not isinstance(parameter.type, click.File | click.Path):
            parameter.type.convert(value, parameter, None)


@cache
def all_options() -> frozenset[str]:
    context = click.Context(main)
    commands = [
        command for name in main.list_commands(context) if (command := main.get_command(context, name))
    ]
    commands += [
        one for group in commands if isinstance(group, click.Group) for one in group.commands.values()
    ]
    return frozenset(
        name
        for command in commands
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
    )


def test_every_option_named_alone_is_one_of_some_command() -> None:
    assert [code for code in those(r"^--[a-z]") if code.text.split()[0] not in all_options()] == []


def test_the_readme_lists_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    listed = re.findall(r"^\| `callstream ([a-z-]+)", readme, re.MULTILINE)
    assert sorted(listed) == sorted(main.list_commands(click.Context(main)))


def make_targets() -> dict[str, str]:
    """What `make help` shows: each target and its help."""
    return dict(re.findall(r"^([a-z0-9-]+):.*## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_target_exists() -> None:
    targets = make_targets().keys()
    assert [code for code in those(r"^make [a-z]") if not set(code.text.split()[1:]) <= targets] == []


def test_every_make_target_has_its_help() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == make_targets().keys()


def test_every_module_that_is_run_exists() -> None:
    run = those(r"^python -m ")
    assert [code for code in run if importlib.util.find_spec(code.text.split()[2]) is None] == []


def test_every_setting_exists() -> None:
    names = {variable(about) for about in fields(Settings)}
    secret = {f"{variable(about)}_FILE" for about in fields(Settings) if about.metadata["secret"]}
    known = {*names, *secret, "CALLSTREAM_CONFIG"}
    unknown = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"CALLSTREAM_[A-Z0-9_]*[A-Z0-9]", page.read_text())
        if name not in known
    }
    assert unknown == set()


def test_every_topic_exists() -> None:
    known = set(astuple(topics.names("calls.")))
    named = {name for page in PAGES for name in re.findall(r"calls\.[a-z.-]+\.v\d+", page.read_text())}
    assert named <= known
    listed = re.findall(
        r"^\| `(calls[.-][^`]+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    assert set(listed) == known


def test_the_page_on_polling_has_each_source_with_the_times_of_its_reads() -> None:
    page = (ROOT / "docs" / "polling.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page, re.MULTILINE))
    assert rows.keys() == set(sources.POLLED_SOURCES)
    for name, row in rows.items():
        schedule = sources.RETRY_SCHEDULES.get(name)
        after_s = schedule.after_s if schedule else ()
        expected = [f"{time / 60 if time % 60 == 0 else time:g}" for time in after_s if time]
        assert re.findall(r"\d+", row) == expected, name


def test_the_page_on_alert_rules_has_every_reason_why_an_alert_is_resolved() -> None:
    page = (ROOT / "docs" / "alert-rules.md").read_text()
    assert [code for code in (*RESOLVED_FACTS, *RESOLVED_CONDITIONS) if f"`{code}`" not in page] == []


def test_every_metric_exists() -> None:
    declared = "".join(path.read_text() for path in (ROOT / "stream" / "service" / "metrics").rglob("*.py"))
    named = {name for page in PAGES for name in re.findall(r"\bcallstream_([a-z_]+)", page.read_text())}
    assert {name for name in named if f'"{name}"' not in declared} == set()


@pytest.mark.parametrize(
    ("topic", "schema"), [("events", "event"), ("ended", "call_record"), ("alerts", "alert")]
)
def test_a_sample_is_what_its_schema_says(topic: str, schema: str) -> None:
    readme = (ROOT / "README.md").read_text()
    sample = re.search(rf"\(`calls\.{topic}\.v1`\).*?```json\n(.*?)```", readme, re.DOTALL)
    assert sample is not None
    shortened = Draft202012Validator(without_required(document(schema, closed=True)))
    assert [error.message for error in shortened.iter_errors(orjson.loads(sample[1]))] == []


def without_required(schema: Any) -> Any:
    """A JSON Schema by which any field may be left out."""
    if isinstance(schema, list):
        return [without_required(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: without_required(one) for name, one in schema.items() if name not in ("required", "allOf")}


@pytest.mark.parametrize("name", ["metrics", "settings"])
def test_a_generated_page_is_what_its_script_makes(name: str) -> None:
    made = runpy.run_path(str(ROOT / "docs" / "scripts" / f"{name}_page.py"))["page"]()
    assert (ROOT / "docs" / f"{name}.md").read_text() == made, "run `make docs`"


def test_the_picture_tells_nothing_of_the_machine_that_made_it() -> None:
    picture = (ROOT / "docs" / "live-view.svg").read_text()
    drawn = " ".join(element.text or "" for element in ElementTree.fromstring(picture).iter())
    assert "callstream watch" in drawn.replace("\xa0", " ")
    assert set(re.findall(r"https?://([\w.]+)", drawn)) <= {"127.0.0.1", "app.example.test"}
    assert set(re.findall(r"\d+\.\d+\.\d+\.\d+", drawn)) == {"127.0.0.1"}
    assert re.findall(r"/(?:tmp|home|root|work|Users|var)/", picture) == []
    assert re.findall(r"@font-face|@import|<image", picture) == []
