"""What keeps a role from starting is one sentence."""

from __future__ import annotations

import click
import pytest
from aiokafka.errors import KafkaConnectionError

from stream.cli.support.startup import exit_on_error
from stream.gateway.tls import TlsError
from stream.service.settings import SettingsError


@pytest.mark.parametrize("error", [SettingsError("CALLSTREAM_X is wrong"), TlsError("no such key")])
def test_what_an_operator_can_mend_is_told_as_it_is(error: Exception) -> None:
    with pytest.raises(click.ClickException) as raised, exit_on_error(TlsError):
        raise error
    assert (raised.value.message, raised.value.exit_code) == (str(error), 1)


def test_a_broker_that_does_not_answer_is_told() -> None:
    with pytest.raises(click.ClickException, match=r"^the broker does not answer: "), exit_on_error():
        raise KafkaConnectionError("gone")


def test_a_fault_of_ours_is_not_hidden() -> None:
    with pytest.raises(TlsError), exit_on_error():
        raise TlsError("nobody said that it may come")
