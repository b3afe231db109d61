"""An archive with calls of two accounts, as a worker writes them: the same calls with other ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from stream.archive.reader import Archive
from tests.api.clients import ACCOUNT_A, ACCOUNT_B
from tests.archive.kept import an_archive, told_by
from tests.cases.playing import play
from tests.replay.replaying import read_trace

TRACES = ("amd", "busy", "spam-block", "webhook-fails-with-fallback")
ACCOUNT_OF_TRACES, CALLS_OF_TRACES = "AC0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a", "CA00000000"
CASES = Path(__file__).parents[1] / "cases"
LEG_OF_CASE = "c3f1d6a0-0000-11ef-8000-02420a0d7e70"
LEG = "{}-0000-11ef-8000-02420a0d7e70"
MARK_OF_B = "bbbbbbb"
"""In the ids of all calls and of the account of B, and nowhere else."""


def told_of(
    account: str, trace: str, privacy: str = "masked"
) -> list[tuple[str, bytes | None, bytes | None]]:
    """What a worker writes of a trace whose calls are of this account, with ids of their own."""
    letter = account[-1]
    place = f"{TRACES.index(trace):x}" if trace in TRACES else "f"
    text = orjson.dumps(read_trace(trace)).decode()
    text = text.replace(ACCOUNT_OF_TRACES, account).replace(CALLS_OF_TRACES, f"CA{letter * 7}{place}")
    case: dict[str, Any] = orjson.loads(text)
    return told_by(play({**case, "privacy": privacy}).written)


def telnyx_of(account: str) -> list[tuple[str, bytes | None, bytes | None]]:
    """The same of a call of Telnyx, which the poller has read, too."""
    case = (CASES / "telnyx" / "24-polled-detection-after-greeting.json").read_text()
    case = case.replace(LEG_OF_CASE, LEG.format(account[-1] * 8)).replace("c3f1ca00", account[-1] * 8)
    written = told_by(play(orjson.loads(case)).written)
    # Telnyx' records name no account: it is that of the configured key.
    return [
        (role, key, None if value is None else orjson.dumps({**orjson.loads(value), "account": account}))
        for role, key, value in written
    ]


@contextmanager
def archive_of(
    folder: Path, accounts: Sequence[str], privacy: str = "masked", *, telnyx: bool = False
) -> Iterator[Archive]:
    """An archive with the calls of these accounts at Twilio, and of one at Telnyx."""
    folder.mkdir(exist_ok=True)
    with an_archive(folder) as (keeper, archive):
        for account in accounts:
            for trace in TRACES:
                keeper.keep(told_of(account, trace, privacy))
            if telnyx:
                keeper.keep(telnyx_of(account))
        yield archive


A_AND_B = (ACCOUNT_A, ACCOUNT_B)
