"""Splitting a page: every row unchanged, and a broken row alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.poller.resources import page_json
from stream.poller.resources.resource import PageError

ROWS = [
    b'{"big": 1234567890123456789012345, "price":-0.0140,"f":1.10e+05}',
    b'{"a":1,"a":2,  "n":{"x":[ ]}}',
    b'{"esc":"\\u00e9\\/\\ud83d\\ude00","raw":"zo\xc3\xab"}',
    b"null",
    b"12",
    b'"text, with ] and }"',
    b"[1,[2]]",
]
BROKEN = {
    "half a surrogate pair": rb'{"name":"\ud83d"}',
    "a wrong escape": rb'{"name":"\x41"}',
    "nested too deep": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "no UTF-8": b'{"name":"\xff\xfe"}',
    "a line feed in a text": b'{"name":"a\nb"}',
    "a number with a zero before it": b'{"n":007}',
    "a quote that is escaped": rb'{"n":"\"]}","m":NaN}',
}


def page(*found: bytes) -> bytes:
    return b'{ "end" : 0 ,"odd":{"x":[1]},"calls":[ ' + b" ,\n".join(found) + b' ],"next_page_uri":null}\n'


def taken(body: bytes) -> list[bytes]:
    return page_json.elements(page_json.members(body), "calls")


def test_each_row_is_unchanged() -> None:
    assert taken(page(*ROWS)) == ROWS
    assert taken(page()) == []


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_broken_row_does_not_change_other_rows(broken: bytes) -> None:
    body = page(*ROWS, broken, *ROWS)
    assert taken(body) == [*ROWS, broken, *ROWS]
    members = page_json.members(body)
    assert (list(members), page_json.value(members, "odd")) == (
        ["end", "odd", "calls", "next_page_uri"],
        {"x": [1]},
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"<html>busy</html>", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b'{"calls":[]} trailing', "not_json"),
        (b'{"calls":[{"sid":"CA1"},{"sid', "not_json"),
        (b'{"calls":[{"sid":"CA1"}', "not_json"),
        (b'{"calls":[{"sid":"\\ud83d"}', "not_json"),
        (b'{"calls":[{"sid":"\\ud83d"]}}', "not_json"),
        (b'{"calls":[{"sid":"\\ud83d"]]}', "not_json"),
        (b'{"calls":[{"sid":"\\ud83d"},]}', "not_json"),
        (b'{"calls":[{"sid":"\\ud83d"} {}]}', "not_json"),
        (b'{"calls":[{"sid":"\\ud83d"}],}', "not_json"),
        (b'{"calls" [{"sid":"\\ud83d"}]}', "not_json"),
        (b"[]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "invalid_field"),
        (b'{"calls":null}', "invalid_field"),
        (b'{"calls":{"0":{}}}', "invalid_field"),
    ],
)
def test_a_body_that_is_not_a_page_is_an_error_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(PageError) as raised:
        taken(body)
    assert raised.value.reason == reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(
    st.lists(JSON, max_size=3), st.sampled_from([*BROKEN.values(), None]), st.booleans(), st.integers(0, 3)
)
def test_rows_survive_other_members(
    values: list[object], broken: bytes | None, ascii_: bool, at: int
) -> None:
    written = [json.dumps(value, ensure_ascii=ascii_).encode("utf-8", "surrogatepass") for value in values]
    if broken is not None:
        written.insert(at, broken)
    assert taken(page(*written)) == written


@given(st.binary(max_size=40) | st.text('{}[]",:\\a1 ', max_size=30).map(str.encode))
def test_any_bytes_are_a_page_or_a_page_error(body: bytes) -> None:
    try:
        members = page_json.members(body)
    except PageError:
        return
    assert all(type(raw) is bytes for raw in members.values())


def test_a_link_is_a_text_that_is_not_empty() -> None:
    assert [page_json.link(value) for value in ("/a", "", None, 0, False, ["/a"])] == ["/a", *[None] * 5]


@pytest.mark.parametrize("last", [b"1", b"NaN"], ids=["whole", "broken"])
@pytest.mark.parametrize(
    "rows_in_it", [page_json.MAX_ROWS + 1, page_json.MAX_COMMAS + 2], ids=["many", "crowded"]
)
def test_a_page_of_more_rows_than_any_resource_returns_is_refused(rows_in_it: int, last: bytes) -> None:
    with pytest.raises(PageError) as raised:
        taken(b'{"calls":[' + b"1," * (rows_in_it - 1) + last + b"]}")
    assert raised.value.reason == "too_large"


def test_a_page_has_no_more_members_than_rows() -> None:
    with pytest.raises(PageError) as raised:
        page_json.members(b'{"a":1' + b',"a":1' * (page_json.MAX_COMMAS + 1) + b"}")
    assert raised.value.reason == "too_large"


def test_the_largest_page_is_parsed_whatever_is_in_its_rows() -> None:
    full = [b"{}"] * page_json.MAX_ROWS
    crowded = [b'{"a":[' + b"1," * page_json.MAX_COMMAS + b"1]}"] * 2
    assert taken(page(*full)) == full
    assert taken(page(*crowded)) == crowded
