"""A request is kept as it came, and its repr shows nothing of it."""

from __future__ import annotations

from stream.gateway.receive.request import FORM, WebhookRequest, clean_text, headers_of, wire_bytes
from tests.gateway.verdicts import parsed


def test_headers_are_found_in_any_case_and_repeated_ones_are_joined() -> None:
    headers = headers_of([("x-A", "1"), ("B", "2"), ("X-a", "3")])
    request = WebhookRequest(method="POST", target="/", headers=headers)
    assert request.header("x-a") == "1, 3"
    assert request.header("b") == "2"
    assert request.header("c") is None


def test_path_and_query_are_told_apart_at_the_first_question_mark() -> None:
    targets = ("/x/y?a=?b", "/x", "/x?", "http://h.test/x?y", "*")
    requests = [parsed(WebhookRequest(method="GET", target=text)) for text in targets]
    assert [(one.path, one.query) for one in requests] == [
        ("/x/y", "a=?b"),
        ("/x", None),
        ("/x", ""),
        ("/x", "y"),
        ("", None),
    ]


def test_only_a_post_of_that_type_is_a_form() -> None:
    def one(method: str, kind: str) -> bool:
        headers = headers_of([("Content-Type", kind)])
        return parsed(WebhookRequest(method=method, target="/", headers=headers)).is_form

    assert one("POST", FORM)
    assert one("POST", " Application/X-WWW-Form-Urlencoded ; charset=UTF-8")
    assert not one("GET", FORM)
    assert not one("POST", "multipart/form-data")
    assert not one("POST", "")


def test_a_repr_shows_nothing_that_was_sent() -> None:
    request = WebhookRequest(
        method="POST",
        target="/callbacks?tenant-secret",
        headers=headers_of([("Authorization", "header-secret"), ("Content-Type", FORM)]),
        body=b"From=%2B15005550006&AccountSid=AC-secret",
    )
    for shown in (repr(request), repr(parsed(request))):
        assert "secret" not in shown
        assert "5005550006" not in shown


def test_bytes_that_are_not_text_stay_bytes_and_are_replaced_only_to_be_shown() -> None:
    assert wire_bytes("ë\udcff") == b"\xc3\xab\xff"
    assert (clean_text("ë\udcff"), clean_text("ascii")) == ("ë�", "ascii")
