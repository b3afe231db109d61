"""Whose a call is: the account that a signature or credentials proved, not the one that a body claims.

The rule of this file: a token speaks for its own account. What it says of another's is a dead letter, and so
is what a second account says of a call that is a first one's: it changes nothing of that call.
Telnyx signs with one key for all accounts and makes its own ids: its calls have no owner.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.core.call.state import Call
from stream.core.events import DecodeError, Envelope, Reading
from stream.core.sources import SOURCE_BY_NAME, TWILIO_CALL


def check_signer(envelope: Envelope, readings: Sequence[Reading]) -> None:
    """Raises `invalid_field` where a signed delivery speaks of another account than its signer's.

    A row says whose it is: the provider lists to credentials only what is theirs.
    """
    signer = envelope.account
    if signer is None or envelope.delivery.get("verified") is not True:
        return
    if SOURCE_BY_NAME[envelope.source].polled:
        return
    for reading in readings:
        if reading.event.account != signer and reading.event.account is not None:
            raise DecodeError("invalid_field", "the body names another account than the one that signed it")


def admit(call: Call | None, readings: Sequence[Reading], envelope: Envelope) -> None:
    """Raises `key_mismatch` where the call is another account's."""
    if call is None or not call.proven:
        return
    named = readings[0].event.account
    if named is None or named == call.account:
        return
    if SOURCE_BY_NAME[envelope.source].polled and envelope.account == call.account:
        # A row of the owner's own may repeat an address with another account in it.
        for reading in readings:
            reading.event.account = call.account
        return
    raise DecodeError("key_mismatch", "the call that the key names is another account's")


def own(call: Call, reading: Reading, envelope: Envelope) -> bool:
    """Makes the call the account's that proved to be its own, if one did and no other was there before.

    True if that changes what is known of the call's account.
    """
    if call.proven:
        return False
    owner = _proven(reading, envelope)
    if owner is None:
        return False
    call.proven = True
    if call.account == owner:
        return False
    call.facts["account"] = call.account = owner
    return True


def _proven(reading: Reading, envelope: Envelope) -> str | None:
    event = reading.event
    if event.provider != "twilio" or envelope.delivery.get("verified") is not True:
        return None
    if SOURCE_BY_NAME[envelope.source].polled and event.source != TWILIO_CALL:
        return envelope.account or event.account
    return event.account or envelope.account
