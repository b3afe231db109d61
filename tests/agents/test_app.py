"""The worker's app: the job on its lanes has what the settings say."""

from __future__ import annotations

import pytest

from agents.app import build
from stream.core.policy import CallPolicy
from stream.service.settings import SettingsError, load


def test_the_core_decides_by_the_settings_of_the_installation() -> None:
    chosen = load(
        {
            "CALLSTREAM_KAFKA": "127.0.0.1:1",
            "CALLSTREAM_SETTLE_S": "7001",
            "CALLSTREAM_GAP_GRACE_S": "11",
            "CALLSTREAM_REVISION_QUIET_S": "6",
            "CALLSTREAM_OVERDUE_S": "14401",
            "CALLSTREAM_MAX_AGE_S": "86401",
            "CALLSTREAM_ACCOUNT_ALIAS": "main",
            "CALLSTREAM_POLL_SOURCES": "twilio_call",
            "CALLSTREAM_TIME_FACTOR": "2",
            "CALLSTREAM_PUBLIC_URL": "https://callbacks.example.test",
        }
    )
    policy = CallPolicy(
        settle_s=7001,
        gap_grace_s=11,
        revision_quiet_s=6,
        overdue_s=14401,
        max_age_s=86401,
        account_alias="main",
        polled=("twilio_call",),
        time_factor=2,
        public_url="https://callbacks.example.test",
    )
    assert build(chosen).lanes._processor.folder.policy == policy


def test_hashes_of_numbers_need_a_key() -> None:
    chosen = load({"CALLSTREAM_KAFKA": "127.0.0.1:1", "CALLSTREAM_PRIVACY": "hashed"})
    with pytest.raises(SettingsError, match="CALLSTREAM_PRIVACY=hashed needs CALLSTREAM_PRIVACY_KEY"):
        build(chosen)
