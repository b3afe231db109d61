"""Which account owns a call: the one that a signature or credentials proved, not the one that a body names.

A token is valid for its own account only. A delivery that names another account is a dead letter, and so is
a second account's delivery for a call that a first one owns: it changes nothing of that call.
Telnyx signs for all accounts with one key and makes its own ids, so its calls have no owner.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.core.call.state import Call
from stream.core.events import DecodeError, Envelope, Reading
from stream.core.sources import SOURCE_BY_NAME, TWILIO_CALL


def check_signer(envelope: Envelope, readings: Sequence[Reading]) -> None:
    """Raise `invalid_field` if a signed delivery names another account than its signer's.

    Polled rows are exempt: the provider lists only the rows that belong to the credentials.
    """
    signer = envelope.account
    for reading in readings:
        account = reading.event.account
        if account == signer or account is None or signer is None:
            continue
        if envelope.delivery.verified and not SOURCE_BY_NAME[envelope.source].polled:
            raise DecodeError("invalid_field", "the body names another account than the one that signed it")


def admit(call: Call | None, readings: Sequence[Reading], envelope: Envelope) -> None:
    """Raise `key_mismatch` if another account owns the call."""
    if call is None or not call.proven:
        return
    named = readings[0].event.account
    if named is None or named == call.account:
        return
    if SOURCE_BY_NAME[envelope.source].polled and envelope.account == call.account:
        # A row of the owner may repeat a URL that has another account in it.
        for reading in readings:
            reading.event.account = call.account
        return
    raise DecodeError("key_mismatch", "the call that the key names is another account's")


def claim_ownership(call: Call, reading: Reading, envelope: Envelope) -> bool:
    """Make the first account that proves itself the owner of the call.

    True if that changes the call's account.
    """
    if call.proven:
        return False
    owner = _proven_account(reading, envelope)
    if owner is None:
        return False
    call.proven = True
    if call.account == owner:
        return False
    call.facts["account"] = call.account = owner
    return True


def _proven_account(reading: Reading, envelope: Envelope) -> str | None:
    event = reading.event
    if event.provider != "twilio" or not envelope.delivery.verified:
        return None
    if reading.remark is not None:
        # The request that an entry of the error log is about may name another account's call.
        return None
    if SOURCE_BY_NAME[envelope.source].polled and event.source != TWILIO_CALL:
        return envelope.account or event.account
    return event.account or envelope.account
