"""Personal data is masked before it is folded: what the state does not hold, nothing can show.

Three modes: `masked` (default) keeps the ends of a number so that a person can recognise a call, `hashed`
puts a keyed hash in its place so that equal numbers stay equal, `full` shows what was sent but for secrets.
A value is judged by the names that it stands below (`sensitive`) and by what it looks like (`numbers`,
`free_text`). What is masked is not masked again, and a hash is not hashed again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from stream.core.events import DecodeError, Reading
from stream.core.privacy import free_text
from stream.core.privacy.field_plans import LONGEST_REMEMBERED, REMEMBERED, Plan, Plans
from stream.core.privacy.free_text import BLOT, bare_url
from stream.core.privacy.masked_forms import HASH, masked_number, shown_address
from stream.core.privacy.phone_numbers import Show, digits_of, replaced
from stream.core.privacy.sensitive_names import Kind, kind_of, kind_of_header

DEPTH_LIMIT = 32
MOST_NESTED = 3
"""Texts within texts (JSON in a form in JSON) that are taken apart; what is deeper is blotted out."""

_SHORTEST = 5
"""Characters of the shortest text that can hold something to mask where its name says nothing (`pin=1`)."""

_encode = msgspec.json.Encoder().encode


class _Memory(dict[str, str]):
    """What `look` says of a text, looked at once for equal texts. Bounded in number and in length."""

    def __init__(self, look: Callable[[str], str]) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, text: str) -> str:
        shown = self._look(text)
        if len(text) <= LONGEST_REMEMBERED:
            if len(self) >= REMEMBERED:
                self.clear()
            self[text] = shown
        return shown


class Privacy:
    """How numbers, addresses and texts leave.

    `mode` is `masked`, `hashed` or `full`; `secret` keys the hashes (a hash of a phone number without a key
    is read back in minutes). Raises ValueError on another mode, and on `hashed` without a secret.
    """

    def __init__(self, mode: str = "masked", secret: str = "") -> None:
        if mode not in {"masked", "hashed", "full"}:
            raise ValueError(f"unknown privacy mode {mode!r}: masked, hashed or full")
        if mode == "hashed" and not secret:
            raise ValueError("privacy mode hashed needs a secret")
        self.mode = mode
        self._key = hashlib.sha256(secret.encode()).digest()
        shown: dict[str, Show] = {"masked": masked_number, "hashed": self._hashed, "full": str}
        self._show = shown[mode]
        self._full = mode == "full"
        self._nesting = 0
        self._plans = Plans()
        self._addresses = _Memory(self._look_at_address)
        self._free = _Memory(self._look_at_free)
        self._plain = _Memory(self._look_at_plain)
        self._urls = _Memory(self._look_at_url)

    def address(self, text: str) -> str:
        """A number or an address as it leaves."""
        return self._addresses[text]

    def url(self, url: str) -> str:
        """A URL as it leaves."""
        return self._urls[url]

    def text(self, text: str) -> str:
        """A text of which nothing is known as it leaves."""
        return self._free[text]

    def apply(self, reading: Reading) -> None:
        """Mask what a reading carries, in place. Raises DecodeError(`too_deep`) on a body nested too far."""
        event, facts = reading.event, reading.facts
        if event.attributes:
            event.attributes = self._object(event.attributes, None, 0)
        if facts:
            if number := facts.get("from"):
                facts["from"] = self._addresses[number]
            if number := facts.get("to"):
                facts["to"] = self._addresses[number]
            if direction := facts.get("direction"):
                facts["direction"] = self._free[direction]
            if answered_by := facts.get("answered_by"):
                facts["answered_by"] = self._free[answered_by]
            if price := facts.get("price"):
                facts["price"] = self._free[price]
                if unit := facts.get("price_unit"):
                    facts["price_unit"] = self._free[unit]
        if event.error_code is not None:
            event.error_code = self._free[event.error_code]
        if event.family != "progress":
            self._apply_to_words(reading)
        if reading.hangup:
            reading.hangup = self._free[reading.hangup]

    def _apply_to_words(self, reading: Reading) -> None:
        """What an open vocabulary is read into may hold anything."""
        event, free = reading.event, self._free
        event.name = free[event.name]
        if event.edge is not None:
            event.edge = free[event.edge]
        if event.group is not None:
            event.group = free[event.group]
        if answer := reading.answer:
            answer.endpoint = self._urls[answer.endpoint]
            if answer.method is not None:
                answer.method = free[answer.method]
        if recording := reading.recording:
            recording.status = free[recording.status]

    # -- one text

    def _hashed(self, text: str) -> str:
        if HASH.fullmatch(text) or not text:
            return text
        number = (digits_of(text) or text).encode("utf-8", "surrogatepass")
        return "h:" + hashlib.blake2b(number, digest_size=8, key=self._key).hexdigest()

    def _look_at_address(self, text: str) -> str:
        if self._full:
            return self._look_at_free(text)
        return shown_address(text, self._show)

    def _look_at_url(self, text: str) -> str:
        if self._full:
            return self._look_at_free(text)
        return free_text.without_persons(replaced(free_text.without_secrets(bare_url(text)), self._show))

    def _look_at_plain(self, text: str) -> str:
        return self._look(text, bare=False)

    def _look_at_free(self, text: str) -> str:
        return self._look(text, bare=True)

    def _look(self, text: str, bare: bool) -> str:
        """A text by what it looks like. Digits without a `+` are a number where `bare` is true."""
        if len(text) < _SHORTEST:
            return text
        if ":" in text or "=" in text:
            structured = self._structured(text)
            if structured is not None:
                text, bare = structured, False
        shown = replaced(free_text.without_secrets(text), self._show, bare=bare)
        if not self._full:
            # Behind the numbers: a masked one has fewer blanks, at which a URL ends.
            shown = free_text.without_persons(free_text.without_queries(shown))
        if self._nesting == MOST_NESTED and shown != text and free_text.is_form(shown):
            # Without the blanks of its numbers it is one more text within a text.
            return BLOT
        return shown

    def _structured(self, text: str) -> str | None:
        """JSON and forms in a text are masked as what they are; None for another text."""
        told = free_text.json_in(text)
        if told is None and not free_text.is_form(text):
            return None
        if self._nesting == MOST_NESTED:
            return BLOT
        self._nesting += 1
        try:
            return self._form(text) if told is None else self._json(text, told)
        except DecodeError:
            return BLOT
        finally:
            self._nesting -= 1

    def _json(self, text: str, told: Any) -> str:
        shown = self._value(told, None, 0)
        plain = _encode(shown).decode()
        # A name that comes twice hides its first value from whoever decodes it: fewer quotes are left.
        return text if shown == told and text.count('"') == plain.count('"') else plain

    def _form(self, text: str) -> str:
        told = parse_qsl(text, keep_blank_values=True)
        shown = [(self._text(name, None), self._text(value, kind_of(name))) for name, value in told]
        return text if shown == told else urlencode(shown, quote_via=quote, safe="*:/@", errors="replace")

    # -- one body

    def _object(self, fields: dict[str, Any], below: Kind | None, depth: int) -> dict[str, Any]:
        """Masks in place: names that always come together are looked up together."""
        plan = self._plans.of(fields)
        if plan.pair or below is not None or self._nesting or not _all_texts(fields):
            return self._unusual_object(fields, plan, below, depth)
        for name in plan.secrets:
            if fields[name]:
                fields[name] = BLOT
        if self._full:
            for name in plan.texts:
                fields[name] = self._free[fields[name]]
        else:
            for name in plan.texts:
                if fields[name]:
                    fields[name] = BLOT
        addresses = self._addresses
        for name in plan.addresses:
            fields[name] = addresses[fields[name]]
        if plan.others is not None and (told := plan.others(fields)) not in plan.harmless:
            self._others(fields, plan, told)
        return self._renamed(fields) if plan.named else fields

    def _others(self, fields: dict[str, Any], plan: Plan, told: Any) -> None:
        """The values whose names say little. Values that came together and were harmless are remembered."""
        for name in plan.free:
            fields[name] = self._free[fields[name]]
        for name in plan.plain:
            fields[name] = self._plain[fields[name]]
        for name in plan.urls:
            fields[name] = self._urls[fields[name]]
        if plan.others is not None and plan.others(fields) == told:
            self._plans.remember(plan, told)

    def _unusual_object(
        self, fields: dict[str, Any], plan: Plan, below: Kind | None, depth: int
    ) -> dict[str, Any]:
        """Values that are no texts, a header as a pair, or an object below a name that says what is in it."""
        kinds = plan.kinds
        if plan.pair:
            name, value = plan.pair
            if type(fields[name]) is str and (kind := kind_of_header(fields[name])) is not None:
                kinds = {**kinds, value: kind}
        for name, value in fields.items():
            fields[name] = self._value(value, kinds[name] or below, depth)
        return self._renamed(fields) if plan.named else fields

    def _value(self, value: Any, kind: Kind | None, depth: int) -> Any:
        if value is None or type(value) is bool:
            return value
        if type(value) is str:
            return self._text(value, kind)
        if kind == "secret" or kind == "digits" or (kind == "text" and not self._full):
            return BLOT
        if depth >= DEPTH_LIMIT:
            raise DecodeError("too_deep", f"nested more than {DEPTH_LIMIT} levels")
        if type(value) is dict:
            # A copy: readings of one delivery may share what is inside.
            return self._object(dict(value), "address" if kind == "address" else None, depth + 1)
        if type(value) is list:
            return self._list(value, kind, depth + 1)
        return value if kind != "address" or self._full else self._addresses[str(value)]

    def _list(self, items: list[Any], kind: Kind | None, depth: int) -> list[Any]:
        if len(items) == 2 and type(items[0]) is str:
            header = kind_of_header(items[0])
            if header is not None:
                return [self._text(items[0], kind), self._value(items[1], header, depth)]
        return [self._value(item, kind, depth) for item in items]

    def _text(self, text: str, kind: Kind | None) -> str:
        if not text:
            return text
        if kind == "secret" or kind == "digits":
            return BLOT
        if kind == "text" and not self._full:
            return BLOT
        if self._nesting:
            # What is remembered must not depend on how deep it was found.
            return self._look_by_kind(text, kind)
        if kind == "address":
            return self._addresses[text]
        if kind == "url":
            return self._urls[text]
        return self._plain[text] if kind == "plain" else self._free[text]

    def _look_by_kind(self, text: str, kind: Kind | None) -> str:
        if kind == "address":
            return self._look_at_address(text)
        if kind == "url":
            return self._look_at_url(text)
        return self._look(text, bare=kind != "plain")

    # -- names that are numbers

    def _renamed(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Names as they leave. Two that mask to one are told apart by their place."""
        found: dict[str, Any] = {}
        for name, value in fields.items():
            shown = self._text(name, None)
            found[f"{shown}~{len(found)}" if shown in found else shown] = value
        return found


def _all_texts(fields: dict[str, Any]) -> bool:
    """The cheapest way that Python has to ask."""
    try:
        "".join(fields.values())
    except TypeError:
        return False
    return True
