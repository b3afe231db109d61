"""Texts that are known to have nothing to mask, so that nobody looks for it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.privacy import free_text
from stream.core.privacy.masking import Privacy

NOTHING = re.compile(r"(?!)")
FIELDS = ("note", "date_created", "url", "sid")
"""Of unknown kind, plain, a URL, plain."""


@given(
    text=st.from_regex(free_text.COMMON, fullmatch=True), mode=st.sampled_from(("masked", "hashed", "full"))
)
def test_a_common_text_is_what_comes_of_it_where_it_is_looked_into(text: str, mode: str) -> None:
    row = dict.fromkeys(FIELDS, text) | {"inner": {"note": text}, "form": f"note={text}", "other": None}
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(free_text, "COMMON", NOTHING)
        looked_into = Privacy(mode, "secret").json(row)
    assert Privacy(mode, "secret").json(row) == looked_into


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-29T00:45:29.246029Z",
        "2026-11-29T00:45:29Z",
        "Sun, 29 Nov 2026 00:45:29 +0000",
        "/2010-04-01/Accounts/AC8680230f4477433c7935a967bcc6def1/Calls/CA8680230f4477433c7935a967bcc6def1.json",
        "https://insights.twilio.com/v2/Voice/CA8680230f4477433c7935a967bcc6def1/Summary",
    ],
)
def test_times_and_paths_of_rows_are_common(text: str) -> None:
    assert free_text.COMMON.fullmatch(text)
