"""What the signature doctor says: one sentence, and the setting that fixes it.

A sentence holds hosts, ports and names of settings. It never holds a token, a key, a number, or more of a
path or a query than the operator has to type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One difference between the signed request and the received one.

    `says` completes "the signature fits if …", `mend` is what to do, `setting` the variable to change.
    """

    says: str
    mend: str
    setting: str | None = None


class Choice(NamedTuple):
    """A value that may have been signed; `change` None where it is the one that the gateway uses."""

    value: Any
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`fits`: True as it is, False if a change was found with which it does, None where none was."""

    fits: bool | None
    sentence: str
    settings: tuple[str, ...] = ()


FITS = Diagnosis(True, "The signature fits: the gateway takes this request.")


def fits_if(provider: str, changes: list[Change]) -> Diagnosis:
    """The diagnosis of a request whose signature fits with `changes`."""
    says = " and ".join(dict.fromkeys(change.says for change in changes))
    mends = "; ".join(dict.fromkeys(change.mend for change in changes))
    settings = dict.fromkeys(change.setting for change in changes if change.setting is not None)
    return Diagnosis(False, f"{provider}'s signature fits if {says}: {mends}.", tuple(settings))


def masked(account: str) -> str:
    """An account's id as it may be shown: its first two and last four characters."""
    shown = len(account) > 8 and account.isascii() and account.isalnum()
    return f"{account[:2]}…{account[-4:]}" if shown else "…"
