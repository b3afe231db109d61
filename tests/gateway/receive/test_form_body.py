"""Forms and queries, byte for byte, with empty and repeated parameters."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.gateway.receive.records import as_object
from stream.gateway.receive.request import PARAMETERS_LIMIT, RequestRefusedError, last, pairs

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", []),
        (b"&&", []),
        (b"a", [(b"a", b"")]),
        (b"a=", [(b"a", b"")]),
        (b"=b", [(b"", b"b")]),
        (b"a=b=c", [(b"a", b"b=c")]),
        (b"a=1&b=&a=2", [(b"a", b"1"), (b"b", b""), (b"a", b"2")]),
        (b"From=%2B15005550006&To=+1", [(b"From", b"+15005550006"), (b"To", b" 1")]),
        (b"To=client:zo%C3%AB&x%3Dy=%26", [(b"To", "client:zoë".encode()), (b"x=y", b"&")]),
        (b"a=%zz%4&b=%ff%00", [(b"a", b"%zz%4"), (b"b", b"\xff\x00")]),
        (b"a=1;b=2", [(b"a", b"1;b=2")]),
        ("a=ë".encode(), [(b"a", "ë".encode())]),
    ],
)
def test_parameters_are_read_as_bytes(raw: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert pairs(raw) == expected


@given(st.lists(st.tuples(texts, texts), max_size=8))
def test_what_the_standard_library_writes_is_read_as_it_reads_it(parameters: list[tuple[str, str]]) -> None:
    raw = urlencode(parameters).encode()
    read = [(name.decode(), value.decode()) for name, value in pairs(raw)]
    assert read == parse_qsl(raw.decode(), keep_blank_values=True)


def test_a_thousand_parameters_are_read_and_one_more_is_not() -> None:
    assert len(pairs(b"&".join([b"a=1"] * PARAMETERS_LIMIT))) == PARAMETERS_LIMIT
    with pytest.raises(RequestRefusedError, match="more parameters than a provider sends"):
        pairs(b"&" * PARAMETERS_LIMIT)


def test_a_repeated_parameter_is_a_list_in_its_order() -> None:
    parameters = pairs(b"E=ringing&CallSid=CA1&E=&E=ringing")
    assert as_object(parameters) == ({"E": ["ringing", "", "ringing"], "CallSid": "CA1"}, True)
    assert [last(parameters, name) for name in (b"E", b"CallSid", b"x")] == ["ringing", "CA1", None]


def test_what_is_not_utf8_is_replaced_and_said() -> None:
    assert as_object(pairs(b"a=%ff&%fe=1")) == ({"a": "�", "�": "1"}, False)


@given(
    st.lists(
        st.sampled_from([b"%", b"=", b"%4", b"%41", b"%e2", b"+", b"a", b"G", b"\n", b"\r", b" ", b"\xff"])
    )
)
def test_escapes_are_decoded_as_the_standard_library_does(parts: list[bytes]) -> None:
    value = b"".join(parts)
    assert pairs(b"name=" + value) == [(b"name", unquote_to_bytes(value.replace(b"+", b" ")))]
