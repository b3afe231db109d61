"""What of a number a caller is shown, and what the audit log says of it."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from stream.api.access.caller import Caller
from stream.api.numbers import audit, shown_call
from stream.archive.questions import CallFilter
from tests.archive.kept import an_archive
from tests.archive.test_reader import a_record

NUMBER = "+442071838750"
READS, READS_NOT = Caller("reads", None, True), Caller("reads-not", None, False)


def test_the_record_in_a_list_is_masked_as_its_call(tmp_path: Path) -> None:
    with an_archive(tmp_path) as (keeper, archive):
        keeper.keep([a_record(1, to=NUMBER)])
        (call,) = archive.calls(CallFilter(), with_records=True).items
    assert [
        NUMBER[1:].encode() in msgspec.json.encode(shown_call(call, one)) for one in (READS, READS_NOT)
    ] == [
        True,
        False,
    ]
    assert shown_call(call, READS_NOT).record is not None


def test_each_call_whose_number_was_read_is_in_the_log_and_none_of_which_only_a_mask_is_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = [(f"twilio:CA{number}", {"to": NUMBER}) for number in range(45)]
    with caplog.at_level(logging.INFO, "callstream.api.audit"):
        keys = audit(READS, [*told, ("twilio:CA99", {"to": "+44********50"})])
    assert keys == [key for key, _ in told]
    assert [line.count("twilio:CA") for line in caplog.messages] == [20, 20, 5]
    assert "CA99" not in caplog.text
