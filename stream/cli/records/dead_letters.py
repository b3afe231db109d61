"""`callstream dead-letters`: lists dead letters, shows one, and writes them back to their topics.

Exit code 0: all that was chosen is written back, now or before. 1: some cannot be; the last lines say why.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from typing import Any, NamedTuple, TypeVar

import click
import orjson

from stream.cli.records.tail import ANSWER_S, cells
from stream.cli.support.exit_codes import DONE, FAILED
from stream.cli.support.progress import ProgressLine
from stream.cli.support.startup import exit_on_error, naming_obstacle, quiet_clients, required_bootstrap
from stream.cli.support.terminal import Fault, Misuse, say
from stream.cli.support.time_args import parse_time
from stream.core.privacy.masking import Privacy
from stream.core.sources import SOURCES
from stream.kafka.client.connection import Connection, connection
from stream.kafka.dead_letters.letter import StoredLetter, hopeless, read_letter
from stream.kafka.dead_letters.redrive import Redriven, each_letter, opened_redrive
from stream.kafka.errors import OffsetOutOfRangeError
from stream.kafka.partitions import TopicPartition
from stream.kafka.topic_reader import ends_of, read_from, require_topic
from stream.kafka.topics import Topics, names
from stream.kafka.transactional_producer import Fenced, TransactionFailed
from stream.service.metrics.label_values import DEAD_LETTER_REASONS
from stream.service.settings import load

EXAMPLES = 20
"""Letters that cannot be written back and are named; the others are counted."""

OTHER_REDRIVE = "another redrive of these topics has begun, or took over: run the command again"
GONE = "does not exist, or its retention time is over"
NOT_FOUND = "it does not exist, its retention time is over, or another option leaves it out"
TOO_LARGE = "its topic takes no record of this size: raise max.message.bytes"

_MASKED = Privacy()

Result = TypeVar("Result")


class Selection(NamedTuple):
    """Which letters are meant. An empty tuple or None: all."""

    ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    since_us: int | None = None
    until_us: int | None = None

    def has(self, letter: StoredLetter) -> bool:
        return (
            (not self.ids or letter.id in self.ids)
            and (not self.reasons or letter.why.get("reason") in self.reasons)
            and (self.since_us is None or letter.at_us >= self.since_us)
            and (self.until_us is None or letter.at_us < self.until_us)
            and (not self.sources or letter.source in self.sources)
        )


class Opened(NamedTuple):
    """What every subcommand needs."""

    cluster: Connection
    topics: Topics
    prefix: str

    def place(self, letter_id: str) -> tuple[TopicPartition, int]:
        """The partition and the offset that an id names. Raises NoLetterIdError."""
        topic, _, place = letter_id.partition(":")
        partition, _, offset = place.partition(":")
        if topic != self.topics.dead_letters or not (partition.isdecimal() and offset.isdecimal()):
            raise NoLetterIdError(
                f"an ID is {self.topics.dead_letters}:partition:offset, as `list` prints it"
            )
        return TopicPartition(topic, int(partition)), int(offset)

    async def letters(self, selection: Selection, notes: Redriven) -> AsyncGenerator[StoredLetter, None]:
        async with aclosing(each_letter(self.cluster, self.topics.dead_letters, notes)) as found:
            async for letter in found:
                if selection.has(letter):
                    yield letter


class GoneError(Exception):
    """The letter does not exist, or no longer."""

    def __init__(self, letter_id: str) -> None:
        super().__init__(f"dead letter {letter_id} {GONE}")


class NoLetterIdError(ValueError):
    """A text in the place of a letter's id is none."""


def choosing(command: Callable[..., None]) -> Callable[..., None]:
    """The options that select letters."""
    for option in (
        click.option("--until", metavar="TIME", help="Written before this time."),
        click.option("--since", metavar="TIME", help="Written since this time."),
        click.option(
            "--source", "sources", multiple=True, type=click.Choice((*SOURCES, "unknown")), metavar="SOURCE"
        ),
        click.option("--reason", "reasons", multiple=True, type=click.Choice(DEAD_LETTER_REASONS)),
    ):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")


@click.group("dead-letters")
def command() -> None:
    """List dead letters, show one, and write them back to the topics that they came from.

    A TIME is 2026-03-02T10:00:00Z, or relative such as 2h or 3d ago. An ID is topic:partition:offset, as
    `list` prints it.
    """
    quiet_clients()


@command.command("list", short_help="List them, one a line.")
@choosing
@json_option
def list_letters(as_json: bool, **chosen: Any) -> None:
    """One line a letter: ID, time, reason, stage, source, key, error, and whether it was redriven."""
    selection = _selection(**chosen)
    found = _run(lambda opened: _list(opened, selection, as_json), as_json)
    if not as_json:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in found.most_common())
        say(f"{found.total():,} dead letters{': ' if counts else ''}{counts}", err=True)


@command.command("show", short_help="Show all of one.")
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Do not mask what the provider sent: numbers, names, secrets.")
@json_option
def show_letter(letter_id: str, raw: bool, as_json: bool) -> None:
    """Show all of one dead letter: why, where from, its headers and its value."""
    shown = _run(lambda opened: _show(opened, letter_id, None if raw else _MASKED), as_json)
    if as_json:
        say(orjson.dumps(shown).decode())
        return
    for name, said in shown.items():
        if name != "headers":
            say(name, said if isinstance(said, str) else orjson.dumps(said).decode())
    for name, said in shown["headers"].items():
        say(f"header {name}", said)


@command.command("redrive", short_help="Write them back to their topics.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@choosing
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@click.option("--dry-run", is_flag=True, help="Write nothing, say what would be written.")
@json_option
def redrive_letters(
    ids: tuple[str, ...], everything: bool, dry_run: bool, as_json: bool, **chosen: Any
) -> None:
    """Write dead letters back to their topics, with their original key and bytes, each once.

    A letter that was redriven before is left alone, and so is one that the worker would refuse again.

    \b
    callstream dead-letters redrive --reason internal_error --since 2h --dry-run
    callstream dead-letters redrive calls.dead-letters.v1:3:17
    """
    selection = _selection(ids=ids, **chosen)
    if everything == any(selection):
        raise Misuse("name what to redrive: an ID, --reason, --source, --since, --until, or --all alone")
    said = _run(lambda opened: _redrive(opened, selection, dry_run=dry_run, quiet=as_json), as_json)
    if as_json:
        say(orjson.dumps({"dry_run": dry_run, **said}).decode())
    else:
        verb = "would be redriven" if dry_run else "redriven"
        before, left = said["redriven_before"], said["not_redriven"]
        say(f"{said['redriven']:,} {verb}, {before:,} were before, {left:,} cannot be")
        for one in said["examples"]:
            say(one["id"], one["why"])
        if left > len(said["examples"]):
            say(f"and {left - len(said['examples']):,} more")
    raise SystemExit(FAILED if said["not_redriven"] else DONE)


def _selection(
    reasons: tuple[str, ...],
    sources: tuple[str, ...],
    since: str | None,
    until: str | None,
    ids: tuple[str, ...] = (),
) -> Selection:
    now_us = time.time_ns() // 1000
    try:
        times = [parse_time(text, now_us) if text is not None else None for text in (since, until)]
    except ValueError as error:
        raise Misuse(str(error)) from None
    return Selection(ids, reasons, sources, *times)


def _run(job: Callable[[Opened], Coroutine[Any, Any, Result]], as_json: bool) -> Result:
    away = (TransactionFailed, TimeoutError)
    with exit_on_error(NoLetterIdError, away=away, as_json=as_json):
        settings = load()
        cluster = connection(settings, "dead-letters", required_bootstrap(settings))
        opened = Opened(cluster, names(settings.topic_prefix), settings.topic_prefix)
        try:
            with naming_obstacle(cluster, as_json=as_json):
                return asyncio.run(_ready(opened, job))
        except (GoneError, Fenced) as error:
            says = OTHER_REDRIVE if isinstance(error, Fenced) else str(error)
            raise Fault(says, FAILED, as_json=as_json) from None


async def _ready(opened: Opened, job: Callable[[Opened], Coroutine[Any, Any, Result]]) -> Result:
    await require_topic(opened.cluster, opened.topics.dead_letters, within_s=ANSWER_S)
    return await job(opened)


async def _redriven(opened: Opened, selection: Selection) -> tuple[Redriven, int]:
    """The notes of all redrives until now, and how many letters are meant."""
    notes, count = Redriven(), 0
    async for _ in opened.letters(selection, notes):
        count += 1
    return notes, count


async def _list(opened: Opened, selection: Selection, as_json: bool) -> Counter[str]:
    notes, _ = await _redriven(opened, selection)
    found: Counter[str] = Counter()
    async for letter in opened.letters(selection, notes):
        found[letter.why.get("reason", "unknown")] += 1
        about = {**_about(letter, _MASKED), "redriven": letter in notes}
        if as_json:
            say(orjson.dumps(about).decode())
        else:
            about["redriven"] = "redriven" if about["redriven"] else ""
            columns = ("id", "at", "reason", "stage", "source", "key", "error", "redriven")
            say(*(str(about[name] or "-" if name != "redriven" else about[name]) for name in columns))
    return found


def _about(letter: StoredLetter, privacy: Privacy | None) -> dict[str, Any]:
    key = letter.key.decode("utf-8", "replace") if letter.key is not None else None
    return {
        "id": letter.id,
        "at": letter.at,
        "source": letter.source,
        "key": privacy.text(key) if privacy is not None and key is not None else key,
        **letter.why,
    }


async def _show(opened: Opened, letter_id: str, privacy: Privacy | None) -> dict[str, Any]:
    partition, offset = opened.place(letter_id)
    ends = await ends_of(opened.cluster, [partition.topic])
    if partition not in ends:
        raise GoneError(letter_id)
    notes, letter = Redriven(), None
    try:
        async with read_from(opened.cluster, {partition: offset}) as reader:
            while not await reader.has_reached({partition: ends[partition]}):
                for some in (await reader.read()).values():
                    for record in some:
                        read = read_letter(record)
                        if not isinstance(read, StoredLetter):
                            notes.add(record.partition, read)
                        elif read.id == letter_id:
                            letter = read
    except OffsetOutOfRangeError:
        pass
    if letter is None:
        raise GoneError(letter_id)
    text = cells(None, letter.value, privacy)[1]
    shown = privacy.text if privacy is not None else str
    return {
        **_about(letter, privacy),
        "redriven": letter in notes,
        "value": text if letter.value is not None else None,
        "headers": {name: shown(said) for name, said in letter.own_texts.items()},
    }


async def _redrive(opened: Opened, selection: Selection, *, dry_run: bool, quiet: bool) -> dict[str, Any]:
    seen = before = 0
    not_found = set(selection.ids)
    left: Counter[str] = Counter()
    examples: list[dict[str, str]] = []

    def leave(letter_id: str, why: str) -> None:
        left[why] += 1
        if len(examples) < EXAMPLES:
            examples.append({"id": letter_id, "why": why})

    for letter_id in selection.ids:
        opened.place(letter_id)
    async with AsyncExitStack() as stack:
        redrive = None
        if not dry_run:
            redrive = await stack.enter_async_context(opened_redrive(opened.cluster, opened.prefix))
        notes, count = await _redriven(opened, selection)
        shown = stack.enter_context(ProgressLine(quiet=quiet))
        async for letter in opened.letters(selection, notes):
            seen += 1
            not_found.discard(letter.id)
            if letter in notes:
                before += 1
            elif (why := hopeless(letter, opened.topics)) is not None:
                leave(letter.id, why)
            elif redrive is not None:
                await redrive.add(letter)
            shown.show("redrive", f"{seen:,} of {count:,}", min(1.0, seen / max(count, 1)))
        if redrive is not None:
            await redrive.flush()
            for letter in redrive.refused:
                leave(letter.id, TOO_LARGE)
    for letter_id in sorted(not_found):
        seen += 1
        leave(letter_id, NOT_FOUND)
    return {
        "redriven": seen - before - left.total(),
        "redriven_before": before,
        "not_redriven": left.total(),
        "examples": examples,
    }
