"""The label of an endpoint is a name or a place without ids, and there are few of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stream.service.metrics import worker_families as f
from stream.service.metrics.batch_counts import BatchCounts
from stream.service.metrics.family import LABEL_VALUES_CAPPED
from stream.service.metrics.gateway import GatewayMetrics
from stream.service.metrics.poller import PollerMetrics
from stream.service.metrics.registry import LabelChoice, MetricRegistry
from stream.service.metrics.series.endpoint_names import (
    CANDIDATES,
    LEAST_REQUESTS,
    MOST,
    EndpointNames,
    host_and_path,
)
from stream.service.metrics.worker import WorkerMetrics

VOICE = "https://app.example.test/voice"
CODES = ("2xx", "3xx", "4xx", "5xx", "timeout", "none")


@pytest.mark.parametrize(
    ("url", "label"),
    [
        (VOICE, "app.example.test/voice"),
        ("https://app.example.test", "app.example.test"),
        ("https://app.example.test:8443/v1/ivr/menu_main", "app.example.test/v1/ivr/menu_main"),
        (
            "https://app.example.test/2010-04-01/Accounts/AC1/Calls",
            "app.example.test/2010-04-01/Accounts/*/Calls",
        ),
        ("https://app.example.test/orders/8731", "app.example.test/orders/*"),
        ("https://app.example.test/c/0c3f-99-aa/next", "app.example.test/c/*/next"),
        ("https://app.example.test/call/+14155550123", "app.example.test/call/*"),
        ("https://app.example.test/a%20b/x", "app.example.test/*/x"),
        ("https://user:secret@app.example.test/voice?token=hush#x", "app.example.test/voice"),
        ("https://app.example.test/" + "a" * 41, "app.example.test/*"),
        ("https://app.example.test/statusCallback.php", "app.example.test/statusCallback.php"),
        ("https://app.example.test/ivr-TwiML_v2/IVR", "app.example.test/ivr-TwiML_v2/IVR"),
        ("https://app.example.test/hook/aZbKqLmNdRxYwTgH", "app.example.test/hook/*"),
        ("https://app.example.test/hook/QKZWJXVBNMRT", "app.example.test/hook/*"),
        ("https://app.example.test/hook/qwertyuiopasdfghjklzxcvbnm", "app.example.test/hook/*"),
        ("nonsense", "other"),
        ("https://[", "other"),
        ("", "other"),
    ],
)
def test_an_endpoint_is_host_and_path_without_what_may_be_an_id(url: str, label: str) -> None:
    assert host_and_path(url) == label


def test_the_busiest_get_a_label_and_keep_it_and_there_are_at_most_20() -> None:
    names = EndpointNames()
    assert names.known == ("other",)
    assert names.label(VOICE, LEAST_REQUESTS - 1) == "other"
    assert names.label(VOICE, 1) == "app.example.test/voice"
    paths = [f"https://{'a' * at}.example.test/" for at in range(1, MOST + 5)]
    found = [names.label(path, LEAST_REQUESTS) for path in paths]
    assert (len(set(found)), found[MOST - 1 :]) == (MOST, ["other"] * 5)
    assert names.label(VOICE, 0) == "app.example.test/voice"


def test_many_different_endpoints_need_no_more_room_and_a_busy_one_is_still_found() -> None:
    names = EndpointNames()
    for at in range(5 * CANDIDATES):
        names.label(f"https://h{at}.example.test/", 1)
        if at % 100 == 0:
            names.label(VOICE, 1)
    assert len(names._requests) <= CANDIDATES
    assert names.label(VOICE, 0) == "app.example.test/voice"


def test_names_of_the_settings_are_by_pattern_and_everything_else_is_other() -> None:
    names = EndpointNames([("https://app.example.test/voice/*", "ivr"), ("*/status", "status")])
    assert names.known == ("ivr", "status", "other")
    found = [
        names.label(url, 1000)
        for url in (
            f"{VOICE}/menu/1",
            "http://x.example.test/status",
            VOICE,
            "https://appxexample.test/voice/",
        )
    ]
    assert found == ["ivr", "status", "other", "other"]


def answered(metrics: WorkerMetrics, url: str, code_class: str, n: int) -> None:
    counts = BatchCounts(0)
    counts[f.APP_WEBHOOK_RESPONSES, "twilio", url, code_class] += n
    counts.durations_s[f.APP_WEBHOOK_DURATION, "twilio", url] += [0.2] * n
    metrics.add(counts)


def responses(metrics: WorkerMetrics) -> dict[tuple[str, str], float]:
    """Answers at Twilio by endpoint and class."""
    (family,) = [one for one in metrics.registry.collect() if one.name == "callstream_app_webhook_responses"]
    return {
        (one.labels["endpoint"], one.labels["code_class"]): one.value
        for one in family.samples
        if one.labels["provider"] == "twilio"
    }


def test_a_new_endpoint_has_all_its_classes_at_0_so_that_its_first_failure_is_an_increase() -> None:
    metrics = WorkerMetrics()
    assert responses(metrics) == {("other", code): 0 for code in CODES}
    answered(metrics, VOICE, "2xx", LEAST_REQUESTS)
    place = "app.example.test/voice"
    expected = {(at, code): 0.0 for at in ("other", place) for code in CODES}
    assert responses(metrics) == expected | {(place, "2xx"): LEAST_REQUESTS}
    labels = {"provider": "twilio", "endpoint": place}
    count = metrics.registry.get_sample_value("callstream_app_webhook_duration_seconds_count", labels)
    assert count == LEAST_REQUESTS


def test_named_endpoints_begin_at_0_and_others_are_counted_as_capped() -> None:
    metrics = WorkerMetrics(choice=LabelChoice([("https://app.example.test/*", "app")]))
    assert responses(metrics) == {(name, code): 0 for name in ("app", "other") for code in CODES}
    answered(metrics, VOICE, "5xx", 3)
    answered(metrics, "https://other.example.test/", "2xx", 4)
    assert responses(metrics)["app", "5xx"] == 3
    assert responses(metrics)["other", "2xx"] == 4
    capped = metrics.registry.get_sample_value(
        f"callstream_{LABEL_VALUES_CAPPED.name}", {"label": "endpoint"}
    )
    assert capped == 4


def test_an_endpoint_that_may_still_get_its_label_is_not_counted_as_capped() -> None:
    metrics = WorkerMetrics()

    def capped() -> float | None:
        name = f"callstream_{LABEL_VALUES_CAPPED.name}"
        return metrics.registry.get_sample_value(name, {"label": "endpoint"})

    answered(metrics, VOICE, "2xx", LEAST_REQUESTS - 1)
    assert capped() == 0
    for at in range(MOST):
        answered(metrics, f"https://{'a' * (at + 1)}.example.test/", "2xx", LEAST_REQUESTS)
    assert capped() == 0
    answered(metrics, VOICE, "2xx", 4)
    assert capped() == 4


def test_codes_of_the_settings_replace_the_lists() -> None:
    metrics = WorkerMetrics(choice=LabelChoice(error_codes=("99999",), sip_codes=("699",)))
    counts = BatchCounts(0)
    for code in ("99999", "13224"):
        counts[f.CALL_ERRORS, "twilio", code] += 1
    for status in (699, 404):
        counts[f.CALL_FINAL_RESPONSES, "twilio", "inbound", status] += 1
    metrics.add(counts)
    found = {
        (one.name, next(iter(set(one.labels.values()) - {"twilio", "inbound"}))): one.value
        for family in metrics.registry.collect()
        if family.name in ("callstream_call_errors", "callstream_call_final_responses")
        for one in family.samples
        if one.value
    }
    assert found == {
        ("callstream_call_errors_total", "99999"): 1,
        ("callstream_call_errors_total", "other"): 1,
        ("callstream_call_final_responses_total", "699"): 1,
        ("callstream_call_final_responses_total", "other"): 1,
    }


def test_accounts_of_the_settings_have_their_own_series_and_all_others_are_other() -> None:
    def started() -> dict[str, float]:
        (family,) = (one for one in metrics.registry.collect() if one.name == "callstream_calls_started")
        inbound = [one for one in family.samples if one.labels["direction"] == "inbound"]
        return {one.labels["account"]: one.value for one in inbound if one.labels["provider"] == "twilio"}

    metrics = WorkerMetrics(choice=LabelChoice(accounts={"AC1": "sales", "AC2": "sales", "AC3": "support"}))
    assert started() == {"sales": 0, "support": 0, "other": 0}
    counts = BatchCounts(0)
    for account in ("AC1", "AC2", "AC9", None):
        counts[f.CALLS_STARTED, "twilio", account, "inbound"] += 1
    metrics.add(counts)
    assert started() == {"sales": 2, "support": 0, "other": 2}
    capped = metrics.registry.get_sample_value(f"callstream_{LABEL_VALUES_CAPPED.name}", {"label": "account"})
    assert capped == 1
    assert b"AC9" not in metrics.exposition()[0]


REGISTRIES: dict[str, Callable[[LabelChoice], MetricRegistry]] = {
    "worker": lambda choice: WorkerMetrics(choice=choice),
    "gateway": lambda choice: GatewayMetrics(choice=choice),
    "poller": lambda choice: PollerMetrics([], choice=choice),
}


@pytest.mark.parametrize("role", REGISTRIES)
def test_a_provider_that_is_not_used_has_no_series_before_its_first_event(role: str) -> None:
    metrics = REGISTRIES[role](LabelChoice(providers=["twilio"]))
    assert b"telnyx" not in metrics.exposition()[0]
    assert b"twilio" in metrics.exposition()[0]
    metrics.dead_letter("telnyx_webhook", "not_json")
    letters = metrics.registry.get_sample_value
    assert letters("callstream_dead_letters_total", {"source": "telnyx_webhook", "reason": "not_json"}) == 1
    assert letters("callstream_dead_letters_total", {"source": "telnyx_webhook", "reason": "too_large"}) == 0
