"""The table of sources: its positions are stored, and its parts belong together."""

from __future__ import annotations

import pytest

from stream.core.fetches import PRIORITIES
from stream.core.sources import (
    CALLBACK_SOURCES,
    FETCHED_SOURCES,
    POLLED_BITS,
    POLLED_SOURCES,
    PROVIDERS,
    RETRY_SCHEDULES,
    SOURCE_BIT,
    SOURCE_BY_NAME,
    SOURCES,
    source_names,
)


def test_the_positions_that_stored_calls_use_do_not_change() -> None:
    assert (
        *("twilio_status_callback", "twilio_recording_callback", "twilio_amd_callback"),
        *("twilio_conference_callback", "twilio_other_callback", "twilio_event_stream", "twilio_call"),
        *("twilio_call_event", "twilio_insights_event", "twilio_call_summary", "telnyx_webhook"),
        *("telnyx_texml_callback", "telnyx_call_event", "telnyx_webhook_delivery"),
        *("twilio_debugger", "twilio_alert", "twilio_notification"),
    ) == SOURCES
    assert (
        *("twilio_call", "twilio_call_event", "twilio_insights_event", "twilio_call_summary"),
        *("telnyx_call_event", "twilio_notification"),
    ) == FETCHED_SOURCES


def test_every_source_is_pushed_or_polled_and_only_polled_ones_are_fetched() -> None:
    assert sorted(SOURCES) == sorted(CALLBACK_SOURCES + POLLED_SOURCES)
    assert set(FETCHED_SOURCES) <= set(POLLED_SOURCES)
    assert source_names(POLLED_BITS) == sorted(POLLED_SOURCES)


def test_bits_name_their_sources_sorted() -> None:
    bits = SOURCE_BIT["twilio_call"] | SOURCE_BIT["telnyx_webhook"] | SOURCE_BIT["twilio_amd_callback"]
    assert source_names(bits) == ["telnyx_webhook", "twilio_amd_callback", "twilio_call"]
    assert source_names(0) == []


@pytest.mark.parametrize("source", FETCHED_SOURCES)
def test_attempts_come_one_after_the_other(source: str) -> None:
    schedule = RETRY_SCHEDULES[source]
    assert list(schedule.after_s) == sorted(set(schedule.after_s))
    assert schedule.priority in PRIORITIES


@pytest.mark.parametrize("name", PROVIDERS)
def test_what_a_provider_names_is_its_own(name: str) -> None:
    provider = PROVIDERS[name]
    assert {SOURCE_BY_NAME[source].provider for source in provider} == {name}
    assert not SOURCE_BY_NAME[provider.pushed].polled
    assert SOURCE_BY_NAME[provider.heals].fetched is not None
