"""How a worker's process tells why it ends."""

from __future__ import annotations

import pytest

from stream.runtime.lanes.process import CRASHED, STOPPED, exiting


def test_a_faust_command_that_fails_tells_the_kind_of_error_and_not_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended, exiting(print_exception=True):
        raise KeyError("+15005550006")
    assert ended.value.code == CRASHED
    said = capsys.readouterr().err
    assert said.startswith("KeyError")
    assert "500555" not in said


def test_one_that_succeeds_ends_with_0() -> None:
    with pytest.raises(SystemExit) as ended, exiting():
        pass
    assert ended.value.code == STOPPED
