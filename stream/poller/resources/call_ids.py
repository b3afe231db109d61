"""A call's id on its way into a URL.

The rule of this file: ids come from records that others wrote, so none may change which resource is asked.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.:-]{1,128}\Z")


class CallIdError(ValueError):
    """It is no call's id."""


def in_path(call_id: str) -> str:
    """The id as a segment of a path. Raises CallIdError for one that is none of a provider's."""
    return quote(_checked(call_id), safe=":")


def in_query(call_id: str) -> str:
    """The id as a parameter's value, not yet quoted. Raises CallIdError as above."""
    return _checked(call_id)


def _checked(call_id: str) -> str:
    if _ID.match(call_id) is None:
        raise CallIdError("a call's id has 1 to 128 letters, digits and `_.:-`")
    return call_id
