"""`callstream notify test` says what the sink answered, and never where it is or with which key."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from stream.broker.ports import free_port
from stream.cli.main import main
from tests.e2e.poller import run_in_thread
from tests.notify.sinks.stub_sinks import stub_sinks


def tried(url: str, name: str = "chat") -> tuple[int, str]:
    sink = {"name": "chat", "type": "slack", "url": f"{url}/services/T0/B0/planted"}
    done = CliRunner().invoke(
        main, ["notify", "test", name], env={"CALLSTREAM_NOTIFY_SINKS": json.dumps([sink])}
    )
    assert "planted" not in done.output
    return done.exit_code, done.output


def test_a_sink_that_takes_every_shape_is_told_so() -> None:
    with run_in_thread(stub_sinks()) as stub:
        assert tried(stub.url) == (
            0,
            "a condition opens: taken\nfive facts about calls: taken\nthe condition ends: taken\n",
        )
        assert len(stub.payloads("slack")) == 3
        stub.answers = {"slack": [404]}
        code, said = tried(stub.url)
    assert code == 1
    assert "a condition opens: failed (status 404)" in said
    assert "the sink chat did not take all of them" in said


def test_a_sink_that_is_not_there_and_one_that_is_not_configured() -> None:
    code, said = tried(f"http://127.0.0.1:{free_port()}")
    assert (code, "failed (ClientConnectorError)" in said) == (1, True)
    code, said = tried("http://127.0.0.1:9", "mail")
    assert (code, "CALLSTREAM_NOTIFY_SINKS has no sink mail" in said) == (2, True)


def test_without_a_sink_there_is_the_log(caplog: pytest.LogCaptureFixture) -> None:
    done = CliRunner().invoke(main, ["notify", "test", "log"])
    assert done.exit_code == 0
    assert any("A test: the application answers 500" in line for line in caplog.messages)
