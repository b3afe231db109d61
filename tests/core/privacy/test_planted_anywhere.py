"""Numbers, addresses and secrets at any depth of any source's body are in no output."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.core.privacy.masking import Privacy
from tests.core.privacy import planted
from tests.core.privacy.planted_bodies import Place
from tests.core.privacy.planted_places import PLACES
from tests.core.privacy.test_masking import applied
from tests.core.privacy.test_planted import MODES, leaves, whole_call

SOURCES = {place.source: place for place in reversed(PLACES)}
"""One body of each source."""

FORMS = ("callback", "texml")

UNMISTAKABLE = ("+14155550142", "+1 (415) 555-0142", "(415) 555-0142", "415-555-0142", *planted.ADDRESSES)
"""Numbers and addresses that are masked below every name, an id's included."""

NAMES = (
    "x",
    "Lead",
    "message",
    "to",
    "From",
    "Url",
    "nested",
    "CallerName",
    "callbackUrl",
    "SipHeader_X-Y",
    "0",
)
IDS = ("conference_id", "PhoneNumberSid", "occurredAt", "duration_ms", "code")


class Plant(NamedTuple):
    """A value, and the text in it that must not be found."""

    value: Any
    text: str


def found(plant: Plant, written: str) -> list[str]:
    """Parts of the text that were written, quotes escaped."""
    return [part for part in plant.text.split('"') if len(part) > 5 and part in written]


numbers = st.builds(
    lambda text, form: st.just(Plant(form.format(text), text)),
    st.sampled_from(planted.SPELLINGS + planted.ADDRESSES),
    st.sampled_from(("{}", *planted.TEXTS, *planted.URLS)),
).flatmap(lambda made: made)
secrets = st.sampled_from((planted.SECRET, planted.DIGITS_PRESSED, "hunter2=hunter2&x", "4242 4242")).map(
    lambda text: Plant(text, text)
)


def under(names: tuple[str, ...], leaves_: st.SearchStrategy[Plant]) -> st.SearchStrategy[Plant]:
    return st.builds(lambda name, leaf: Plant({name: leaf.value}, leaf.text), st.sampled_from(names), leaves_)


_unmistakable = st.sampled_from(UNMISTAKABLE).map(lambda text: Plant(text, text))
personal = under(NAMES, numbers) | under(IDS, _unmistakable)
secret = under(planted.SECRET_NAMES, secrets)


def deeper(plants: st.SearchStrategy[Plant]) -> st.SearchStrategy[Plant]:
    """The same within objects, lists, JSON in a text, and headers as pairs."""
    wraps = st.sampled_from(
        (
            lambda value: {"inner": value},
            lambda value: {"list": [1, value, None]},
            lambda value: {"json": _as_json(value)},
            lambda value: {"a": {"b": [[value]]}, "count": 3},
        )
    )
    return st.builds(
        lambda plant, chosen: Plant(_wrapped(plant.value, chosen), plant.text),
        plants,
        st.lists(wraps, max_size=3),
    )


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _wrapped(value: Any, wraps: list[Any]) -> Any:
    for wrap in wraps:
        value = wrap(value)
    return value


def sown(place: Place, plant: dict[str, Any]) -> Place:
    """The body with the planted value. A form is flat, so deep values are JSON in a text."""
    body = copy.deepcopy(place.body)
    if any(form in place.source for form in FORMS):
        body |= {
            name: value if type(value) is str else msgspec.json.encode(value).decode()
            for name, value in plant.items()
        }
        return place._replace(body=body)
    inner: Any = body
    if "Payload" in body:
        # The Debugger's form, with all that is worth knowing as JSON in a text.
        inner = msgspec.json.decode(body["Payload"])
        inner["webhook"]["request"]["parameters"] |= plant
        inner |= plant
        body["Payload"] = _as_json(inner)
        return place._replace(body=body)
    for name in ("data", "payload", "request", "parameters", "metadata", "webhook"):
        if type(inner.get(name)) is dict:
            inner = inner[name]
    inner |= plant
    return place._replace(body=body)


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(max_examples=16, deadline=None)
def test_a_number_at_any_depth_leaves_in_no_output(source: str, data: st.DataObject) -> None:
    plant = data.draw(deeper(personal))
    place = sown(SOURCES[source], plant.value)
    for mode in ("masked", "hashed"):
        assert found(plant, leaves(whole_call(place), mode)) == []


@pytest.mark.parametrize("source", SOURCES)
@given(data=st.data())
@settings(max_examples=16, deadline=None)
def test_a_secret_at_any_depth_leaves_in_no_output_of_any_mode(source: str, data: st.DataObject) -> None:
    plant = data.draw(deeper(secret))
    place = sown(SOURCES[source], plant.value)
    for mode in MODES:
        assert found(plant, leaves(whole_call(place), mode)) == []


@given(plant=deeper(personal) | deeper(secret), mode=st.sampled_from(MODES))
@example(
    plant=Plant(
        _wrapped({"x": "dest=415 555 0142&attempt=2"}, [lambda value: {"json": _as_json(value)}] * 3), ""
    ),
    mode="masked",
)
@settings(max_examples=120, deadline=None)
def test_what_is_masked_or_hashed_is_not_masked_again(plant: Plant, mode: str) -> None:
    privacy = Privacy(mode, "s3cret")
    once = applied(privacy, copy.deepcopy(plant.value)).event.attributes
    assert applied(privacy, copy.deepcopy(once)).event.attributes == once


_characters = st.text(
    st.sampled_from("+0123456789 -.()%2B@:;=&?/'\"<>{}[]\\,xabcdefhipstln*#_T"), max_size=60
)


@given(_characters, st.sampled_from(MODES))
@settings(max_examples=160, deadline=None)
def test_no_text_is_shown_otherwise_the_second_time(text: str, mode: str) -> None:
    privacy = Privacy(mode, "s3cret")
    once = privacy.text(text)
    assert privacy.text(once) == once
    once = privacy.address(text)
    assert privacy.address(once) == once


@pytest.mark.parametrize("mode", ["masked", "hashed"])
def test_a_person_in_front_of_an_address_leaves_in_no_url(mode: str) -> None:
    told = {"Url": f"KeyError: '{planted.ADDRESSES[6]}'", "To": "x"}
    assert planted.PERSON not in str(applied(Privacy(mode, "s"), told).event.attributes)
    assert planted.PERSON not in Privacy().url(planted.ADDRESSES[6])
