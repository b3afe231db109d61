"""An account with refused credentials is not read while others are, and is read again once accepted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import stopped_after, wait_until
from tests.e2e.poller import PARTITIONS, Poller, send_requests, wait_committed
from tests.e2e.rubbish_accounts import Kind, PlantedSecrets, fetch, results_of, rubbish_provider, table
from tests.real_broker import RealBroker

pytestmark = pytest.mark.e2e

Note = Callable[[str, object], None]

STOP_S = 10.0
RECOVERY_S = 120.0

REFUSED = Kind("refused", "auth_error", None, "auth_error", "auth_error")
PLAIN = Kind("plain", "success", None, None, "success")


def test_a_refused_account_is_not_read_until_it_is_accepted_again(
    broker: RealBroker, prefix: str, tmp_path: Path, record_property: Note
) -> None:
    planted = PlantedSecrets()
    with rubbish_provider() as (provider, rubbish, _):
        tables = [table(kind, provider.url, planted) for kind in (REFUSED, PLAIN)]
        poller = Poller(broker, prefix, tmp_path, tables, environ={"CALLSTREAM_POLL_INTERVAL_S": "2"})

        def state(kind: Kind, name: str) -> float:
            return poller.counted("poll_account_state", provider="twilio", account=kind.alias, state=name)

        def asked(kind: Kind) -> int:
            return sum(path.startswith(f"/{kind.name}/") for path, _ in list(provider.seen))

        def read_at_s(kind: Kind) -> float:
            return poller.counted(
                "poll_last_success_timestamp_seconds", source="twilio_call", account=kind.alias
            )

        with stopped_after(poller.process):
            poller.process.start()
            poller.wait_owns(PARTITIONS)
            wait_until(lambda: state(REFUSED, "refused") == 1, "the account is refused", 60)
            wait_until(lambda: read_at_s(PLAIN) > 0, "the other account is read", 60)
            before, windows_before = asked(REFUSED), read_at_s(PLAIN)
            refused = [fetch(REFUSED, number) for number in range(30)]
            undisturbed = [fetch(PLAIN, number) for number in range(100, 130)]
            send_requests(broker, prefix, [*refused, *undisturbed])
            wait_committed(broker, prefix)
            wait_until(lambda: read_at_s(PLAIN) > windows_before, "the other account's window goes on", 60)
            # At most the probe, and the request of the window.
            asked_meanwhile = asked(REFUSED) - before
            states = (state(REFUSED, "refused"), state(PLAIN, "running"), read_at_s(REFUSED))
            ready = poller.get_text("/readyz")

            rubbish.forgiven.add("refused")
            began_s = time.monotonic()
            wait_until(lambda: state(REFUSED, "running") == 1, "the account is accepted again", RECOVERY_S)
            recovered_s = time.monotonic() - began_s
            wait_until(lambda: read_at_s(REFUSED) > 0, "its window is read", RECOVERY_S)
            again = [fetch(REFUSED, number) for number in range(200, 210)]
            send_requests(broker, prefix, again)
            wait_committed(broker, prefix)
            code, _ = poller.process.terminate(STOP_S)
        results = results_of(broker, prefix)

    record_property("recovered_s", round(recovered_s, 1))
    print(f"\nrefused: asked meanwhile {asked_meanwhile}, accepted again after {recovered_s:.1f} s")
    assert {results[one.id]["reads"][0]["outcome"] for one in refused} == {"auth_error"}
    assert {results[one.id]["reads"][0]["outcome"] for one in [*undisturbed, *again]} == {"success"}
    assert asked_meanwhile <= 2
    assert states == (1, 1, 0)
    assert ready[0] == 200
    assert json.loads(ready[1])
    assert "the provider refuses the credentials" in ready[1]
    assert code == 0
