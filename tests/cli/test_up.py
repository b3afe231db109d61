"""With what the roles of a household run."""

from __future__ import annotations

from stream.cli.up import SIMULATED, pace
from stream.runtime.settings import Settings, load


def test_a_simulated_day_is_short_but_for_what_is_set_otherwise() -> None:
    assert {name.removeprefix("CALLSTREAM_").lower() for name in pace(Settings())} == set(SIMULATED)
    assert load(pace(Settings())).time_factor == 60
    assert "CALLSTREAM_OVERDUE_S" not in pace(Settings(overdue_s=77.0))


def test_where_a_real_account_is_read_time_runs_as_it_does() -> None:
    assert pace(Settings(telnyx_api_key="k")) == {}
