"""What is said of an error: its kind and place, and its text only where it is ours."""

from __future__ import annotations

import errno
import os
import re
import ssl
from email.utils import parsedate_to_datetime

import pytest
from aiokafka.errors import KafkaConnectionError

from stream.core.events import DecodeError
from stream.kafka.acked_producer import BufferFullError
from stream.kafka.envelope_codec import read_envelope
from stream.service.errors import describe, for_operator, safe_traceback
from stream.service.http.listening import ListenError

NUMBER = "+15005550006"


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


class TestOneLine:
    def test_the_text_of_somebody_else_is_not_repeated(self) -> None:
        assert describe(KeyError(NUMBER)) == "KeyError"
        assert describe(ValueError(f"invalid literal for int() with base 10: {NUMBER!r}")) == "ValueError"
        assert describe(KafkaConnectionError(f"no {NUMBER}")) == "KafkaConnectionError"

    def test_our_own_text_is_said(self) -> None:
        assert describe(DecodeError("missing_id", "CallSid is missing")) == (
            "DecodeError: missing_id: CallSid is missing"
        )

    def test_an_operator_is_told_our_text_alone(self) -> None:
        assert for_operator(ListenError("CALLSTREAM_GATEWAY_LISTEN: no port")) == (
            "CALLSTREAM_GATEWAY_LISTEN: no port"
        )
        assert for_operator(BufferFullError()) == "BufferFullError"
        assert for_operator(KafkaConnectionError(NUMBER)) == "KafkaConnectionError"

    def test_a_text_of_ours_is_one_line_of_bounded_length(self) -> None:
        long = describe(DecodeError("missing_id", "line\n" * 1000))
        assert "\n" not in long
        assert len(long) < 600

    def test_a_system_call_is_said_by_its_number_and_not_by_what_was_put_beside_it(self) -> None:
        full = OSError(errno.ENOSPC, f"no room for {NUMBER}", f"/data/{NUMBER}")
        assert describe(full) == f"OSError: {os.strerror(errno.ENOSPC)} (errno {errno.ENOSPC})"
        assert describe(OSError(NUMBER)) == "OSError"

    def test_a_tls_error_is_said_by_its_reason_code(self) -> None:
        broken = ssl.SSLError(1, NUMBER)
        assert describe(broken) == "SSLError"
        broken.reason = "CERTIFICATE_VERIFY_FAILED"
        assert describe(broken) == "SSLError: CERTIFICATE_VERIFY_FAILED"


class TestChain:
    def test_a_cause_and_a_context_are_told_by_kind(self) -> None:
        try:
            try:
                try:
                    {}[NUMBER]
                except KeyError:
                    int(NUMBER + "x")
            except ValueError as error:
                raise DecodeError("internal_error", "it cannot be read") from error
        except DecodeError as error:
            told = safe_traceback(error)
        assert told.splitlines()[0] == "DecodeError: internal_error: it cannot be read"
        assert "caused by ValueError" in told
        assert "while handling KeyError" in told
        assert "500555" not in told

    def test_what_was_raised_from_nothing_has_no_context(self) -> None:
        def read() -> None:
            try:
                {}[NUMBER]
            except KeyError:
                raise DecodeError("missing_id", "none") from None

        with pytest.raises(DecodeError) as caught:
            read()
        assert "KeyError" not in safe_traceback(caught.value)

    def test_the_members_of_a_group_are_told_at_any_depth(self) -> None:
        inner = ExceptionGroup(NUMBER, [raised(KeyError(NUMBER)), DecodeError("missing_id", "none")])
        told = safe_traceback(raised(ExceptionGroup(NUMBER, [inner, ValueError(NUMBER)])))
        assert [
            line.strip().removeprefix("of them ") for line in told.splitlines() if " at " not in line
        ] == [
            *("ExceptionGroup", "ExceptionGroup", "KeyError", "DecodeError: missing_id: none", "ValueError")
        ]
        assert "500555" not in told

    def test_a_note_is_not_told(self) -> None:
        error = KeyError()
        error.add_note(NUMBER)
        assert "500555" not in safe_traceback(error)

    def test_a_group_of_thousands_and_a_ring_of_causes_come_to_an_end(self) -> None:
        assert (
            safe_traceback(ExceptionGroup("many", [KeyError() for _ in range(5000)])).count("KeyError") < 20
        )
        one, other = KeyError(), ValueError()
        one.__cause__, other.__cause__ = other, one
        assert safe_traceback(one) == "KeyError\ncaused by ValueError"

    def test_our_places_are_told_by_file_line_and_function_without_the_lines_themselves(self) -> None:
        try:
            read_envelope(b"{" + NUMBER.encode())
        except DecodeError as error:
            told = safe_traceback(error).splitlines()
        assert told[0].startswith("DecodeError: not_json")
        assert all(re.fullmatch(r"  at stream/kafka/envelope_codec\.py:\d+ \w+", line) for line in told[1:])
        assert len(told) >= 3

    def test_where_a_foreign_error_was_raised_is_told_too(self) -> None:
        with pytest.raises(ValueError, match="date") as caught:
            parsedate_to_datetime(NUMBER)
        assert re.search(r"\n  at email/utils\.py:\d+ parsedate_to_datetime\Z", safe_traceback(caught.value))
