"""Masking of personal data, before the fold: data that is not in the state cannot leave.

Three modes: `masked` (default) keeps the ends of a number, so that a person can recognise a call; `hashed`
replaces it by a keyed hash, so that equal numbers stay equal; `full` keeps everything except secrets.
A value is judged by the names above it (`sensitive_names`) and by its form (`phone_numbers`, `free_text`).
Masking and hashing are idempotent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from stream.core.events import DecodeError, Event, Reading
from stream.core.privacy import free_text
from stream.core.privacy.field_plans import CACHE_SIZE, LONGEST_CACHED, FieldPlan, FieldPlans
from stream.core.privacy.free_text import REDACTED, bare_url
from stream.core.privacy.phone_numbers import HASH, Show, digits_of, masked_number, replaced, shown_address
from stream.core.privacy.sensitive_names import Kind, kind_of, kind_of_header

DEPTH_LIMIT = 32
AROUND_A_BODY = 8
"""Levels around a body in what is shown of it, at most."""
SHOWN_LEVELS = DEPTH_LIMIT + AROUND_A_BODY
"""A record with more cannot be masked: it is not a worker's."""

MAX_NESTING = 3
"""Levels of texts within texts (JSON in a form in JSON) that are parsed. Deeper ones are redacted."""

_SHORTEST = 5
"""Characters of the shortest text of unknown kind that can contain anything to mask (`pin=1`)."""

_encode = msgspec.json.Encoder().encode


class _MaskedTexts(dict[str, str]):
    """A cache of `mask`, bounded in number and in length of texts."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        super().__init__()
        self.mask = mask

    def __missing__(self, text: str) -> str:
        shown = self.mask(text)
        if len(text) <= LONGEST_CACHED:
            if len(self) >= CACHE_SIZE:
                self.clear()
            self[text] = shown
        return shown


class Privacy:
    """Masks readings in one mode.

    `mode` is `masked`, `hashed` or `full`; `secret` keys the hashes (without a key, a phone number's hash is
    reversed in minutes). With one, `masked` keeps a call's numbers as `hashed` shows them beside their masks.
    Raises ValueError on another mode, and on `hashed` without a secret.
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
        self._plans = FieldPlans()
        self._addresses = _MaskedTexts(self._mask_address)
        hashes = _MaskedTexts(partial(_address, show=self._hashed))
        self._hashes = hashes if secret and mode == "masked" else None
        self._free = _MaskedTexts(self._mask_text)
        self._plain = _MaskedTexts(partial(self._mask_text, bare=False))
        self._urls = _MaskedTexts(self._mask_url)
        self._by_form: dict[Kind | None, _MaskedTexts] = {
            None: self._free,
            "free": self._free,
            "plain": self._plain,
            "url": self._urls,
            "address": self._addresses,
        }

    def address(self, text: str) -> str:
        return self._addresses[text]

    def url(self, url: str) -> str:
        return self._urls[url]

    def text(self, text: str) -> str:
        """A text of unknown kind, masked."""
        return self._free[text]

    def json(self, value: Any) -> Any:
        """Parsed JSON, masked. Raises DecodeError(`too_deep`): it may be an event or a row around a body."""
        return self._value(value, None, -AROUND_A_BODY)

    def apply(self, reading: Reading) -> None:
        """Mask a reading in place. Raises DecodeError(`too_deep`) if its body is nested too deeply."""
        event, facts = reading.event, reading.facts
        if event.attributes:
            event.attributes = self._object(event.attributes, None, 0, is_form=reading.is_form)
        if facts:
            if self._hashes is not None:
                _keep_hashes(event, facts, self._hashes)
            if number := facts.get("from"):
                facts["from"] = self._addresses[number]
            if number := facts.get("to"):
                facts["to"] = self._addresses[number]
            if direction := facts.get("direction_detail"):
                facts["direction_detail"] = self._free[direction]
            if answered_by := facts.get("answered_by"):
                facts["answered_by"] = self._free[answered_by]
            if price := facts.get("price"):
                facts["price"] = self._free[price]
        if event.error_code is not None:
            event.error_code = self._free[event.error_code]
        if event.family != "progress":
            self._apply_to_words(reading)
        if reading.hangup:
            reading.hangup = self._free[reading.hangup]

    def _apply_to_words(self, reading: Reading) -> None:
        """Fields of an open vocabulary may contain anything."""
        event, free, facts = reading.event, self._free, reading.facts
        event.name = free[event.name]
        if event.edge is not None:
            event.edge = free[event.edge]
        if event.group is not None:
            event.group = free[event.group]
        if answer := reading.answer:
            answer.endpoint = self._urls[answer.endpoint]
            if answer.method is not None:
                answer.method = free[answer.method]
        if sent := reading.sent:
            sent.endpoint = self._urls[sent.endpoint]
            sent.name = free[sent.name]
        if recording := reading.recording:
            recording.id = self._plain[recording.id]
            recording.status = free[recording.status]
        if facts and (unit := facts.get("price_unit")):
            facts["price_unit"] = free[unit]

    # -- one text

    def _hashed(self, text: str) -> str:
        if HASH.fullmatch(text) or not text:
            return text
        number = (digits_of(text) or text).encode("utf-8", "surrogatepass")
        return "h:" + hashlib.blake2b(number, digest_size=8, key=self._key).hexdigest()

    def _mask_address(self, text: str) -> str:
        return self._mask_text(text) if self._full else _address(text, self._show)

    def _mask_url(self, text: str) -> str:
        if self._full or free_text.COMMON.fullmatch(text):
            return self._mask_text(text)
        return free_text.without_persons(replaced(free_text.without_secrets(bare_url(text)), self._show))

    def _mask_text(self, text: str, bare: bool = True) -> str:
        """Mask a text by its form. Digits without a `+` are a number if `bare` is true."""
        if len(text) < _SHORTEST or free_text.COMMON.fullmatch(text):
            return text
        if ":" in text or "=" in text:
            structured = self._structured(text)
            if structured is not None:
                text, bare = structured, False
        shown = replaced(free_text.without_secrets(text), self._show, bare=bare)
        if not self._full:
            # After the numbers: a URL ends at a blank, and a masked number has fewer of them.
            shown = free_text.without_persons(free_text.without_queries(shown))
        if self._nesting == MAX_NESTING and shown != text and free_text.is_form(shown):
            # Without the blanks of its numbers it has become a form, one level too deep.
            return REDACTED
        return shown

    def _structured(self, text: str) -> str | None:
        """JSON or a form in a text, masked as such; None for another text."""
        parsed = free_text.json_in(text)
        if parsed is None and not free_text.is_form(text):
            return None
        if self._nesting == MAX_NESTING:
            return REDACTED
        self._nesting += 1
        try:
            return self._form(text) if parsed is None else self._json(text, parsed)
        except DecodeError:
            return REDACTED
        finally:
            self._nesting -= 1

    def _json(self, text: str, parsed: Any) -> str:
        shown = self._value(parsed, None, 0)
        plain = _encode(shown).decode()
        # A repeated name loses its first value when decoded: then the encoded text has fewer quotes.
        return text if shown == parsed and text.count('"') == plain.count('"') else plain

    def _form(self, text: str) -> str:
        parsed = parse_qsl(text, keep_blank_values=True)
        shown = [(self._text(name, None), self._text(value, kind_of(name))) for name, value in parsed]
        return text if shown == parsed else urlencode(shown, quote_via=quote, safe="*:/@", errors="replace")

    # -- one body

    def _object(
        self, fields: dict[str, Any], below: Kind | None, depth: int, *, is_form: bool = False
    ) -> dict[str, Any]:
        """Mask an object in place. Names that often come together share a cached plan."""
        plan = self._plans[tuple(fields)]
        if plan.by_value or below is not None or self._nesting or not (is_form or _all_texts(fields)):
            return self._unusual_object(fields, plan, below, depth)
        for name in plan.secrets:
            if fields[name]:
                fields[name] = REDACTED
        if self._full:
            for name in plan.texts:
                fields[name] = self._free[fields[name]]
        elif all(plan.text_values(fields)):
            fields.update(plan.redacted)
        else:
            for name in plan.texts:
                if fields[name]:
                    fields[name] = REDACTED
        addresses = self._addresses
        for name in plan.addresses:
            fields[name] = addresses[fields[name]]
        if (values := plan.others(fields)) not in plan.harmless:
            self._others(fields, plan, values)
        return self._renamed(fields) if plan.named else fields

    def _others(self, fields: dict[str, Any], plan: FieldPlan, values: Any) -> None:
        """Mask the values whose names say little; cache combinations that contain nothing to mask."""
        for name in plan.free:
            fields[name] = self._free[fields[name]]
        for name in plan.plain:
            fields[name] = self._plain[fields[name]]
        for name in plan.urls:
            fields[name] = self._urls[fields[name]]
        if plan.others(fields) == values:
            self._plans.add_harmless(plan, values)

    def _unusual_object(
        self, fields: dict[str, Any], plan: FieldPlan, below: Kind | None, depth: int
    ) -> dict[str, Any]:
        """Mask an object with values that are not texts, a header as a pair, or one below a telling name."""
        kinds = plan.kinds
        if plan.pair:
            name, value = plan.pair
            if type(fields[name]) is str and (header := kind_of_header(fields[name])) is not None:
                kinds = {**kinds, value: header}
        by_form: Mapping[Kind | None, _MaskedTexts] = self._by_form if not self._nesting else {}
        is_party = below == "address"
        for name, value in fields.items():
            if value is None or value is True or value is False:
                continue
            kind = kinds[name] or below
            if is_party and kind == "url":
                kind = below  # a party's `uri` is its address, not a web page
            if kind in by_form:
                if (of := type(value)) is str:
                    fields[name] = by_form[kind][value]
                    continue
                if (of is int or of is float) and kind != "address":
                    continue
            fields[name] = self._value(value, kind, depth)
        return self._renamed(fields) if plan.named else fields

    def _value(self, value: Any, kind: Kind | None, depth: int) -> Any:
        if value is None or type(value) is bool:
            return value
        if type(value) is str:
            return self._text(value, kind)
        if kind == "secret" or kind == "digits" or (kind == "text" and not self._full):
            return REDACTED
        if depth >= DEPTH_LIMIT:
            raise DecodeError("too_deep", f"nested more than {DEPTH_LIMIT} levels")
        if type(value) is dict:
            # A copy: readings of one delivery may share the inner object.
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
        if kind == "secret" or kind == "digits" or (kind == "text" and not self._full):
            return REDACTED
        if kind == "form" and not self._full and not free_text.is_structured(text):
            return REDACTED
        texts = self._by_form.get(kind, self._free)
        # Below another text nothing is cached: the result depends on the level of nesting.
        return texts.mask(text) if self._nesting else texts[text]

    def _renamed(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Mask the names. Two names with the same masked form are distinguished by their position."""
        found: dict[str, Any] = {}
        for name, value in fields.items():
            shown = self._text(name, None)
            found[f"{shown}~{len(found)}" if shown in found else shown] = value
        return found


def _address(text: str, show: Show) -> str:
    if "=" in text or "?" in text:
        # Parameters and headers of a SIP address.
        text = free_text.without_queries(free_text.without_secrets(text))
    return shown_address(text, show)


def _keep_hashes(event: Event, facts: dict[str, str], hashes: dict[str, str]) -> None:
    """Put the hashes of a call's numbers beside them: behind them in `facts`, where they follow them."""
    if number := facts.get("from"):
        event.from_hash = facts["from_hash"] = hashes[number]
    if number := facts.get("to"):
        event.to_hash = facts["to_hash"] = hashes[number]


def _all_texts(fields: dict[str, Any]) -> bool:
    """Whether all values are texts. This is the fastest check that Python has."""
    try:
        "".join(fields.values())
    except TypeError:
        return False
    return True
