"""What is asked for, from the parameters of a URL: each is declared once, with its words in the document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Request
from litestar.params import QueryParameter

from stream.api.access.authentication import caller_of
from stream.api.access.caller import Caller
from stream.api.problems import InvalidParameter, Refused
from stream.archive.questions import AlertFilter, CallFilter

PAGE = 50
LARGEST_PAGE = 500
MOST_VALUES = 20
LONGEST = 200
"""Characters of a parameter's value."""

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""No control characters: some databases refuse them."""

LONGEST_S = 1_000_000_000

AskedStatus = Literal[
    "queued", "initiated", "ringing", "in-progress", "busy", "no-answer", "canceled", "failed", "completed"
]
AskedOutcome = Literal["answered", "busy", "no_answer", "canceled", "rejected", "failed", "unknown"]
AskedFault = str
AskedSeverity = Literal["critical", "warning", "info"]


def _text(description: str) -> Any:
    return QueryParameter(description=description, max_length=LONGEST, pattern=PRINTABLE)


def repeated(description: str) -> Any:
    """A parameter with several values, any of which fits."""
    return QueryParameter(description=f"{description} May be repeated.", max_items=MOST_VALUES)


Limit = Annotated[int, QueryParameter(description="Items of a page.", ge=1, le=LARGEST_PAGE)]
After = Annotated[
    str | None,
    QueryParameter(
        description="The `next` of the page before, as it is.", max_length=LONGEST, pattern=PRINTABLE
    ),
]
Account = Annotated[list[str] | None, repeated("The provider's id of the account.")]
Since = Annotated[
    datetime | None,
    QueryParameter(description="From this time on: RFC 3339 with a zone, as in `2026-11-29T00:00:00Z`."),
]
Until = Annotated[datetime | None, QueryParameter(description="Before this time.")]
Provider = Annotated[Literal["twilio", "telnyx"] | None, QueryParameter(description="The provider.")]


async def call_filter(
    request: Request[Any, Any, Any],
    account: Account = None,
    provider: Provider = None,
    since: Since = None,
    until: Until = None,
    status: Annotated[list[AskedStatus] | None, repeated("The call's status.")] = None,
    outcome: Annotated[list[AskedOutcome] | None, repeated("How the call ended.")] = None,
    fault: Annotated[list[AskedFault] | None, repeated("Whose fault a failed call was.")] = None,
    direction: Annotated[
        Literal["inbound", "outbound"] | None, QueryParameter(description="The call's direction.")
    ] = None,
    number: Annotated[
        str | None,
        _text("A number or address of one of the ends. Where only masks are kept, all with its mask."),
    ] = None,
    sip_response_code: Annotated[
        int | None, QueryParameter(description="The final SIP response code.", ge=100, le=699)
    ] = None,
    error_code: Annotated[str | None, _text("One of the provider's error codes of the call.")] = None,
    min_duration_s: Annotated[
        float | None, QueryParameter(description="Seconds of talk, at least.", ge=0, le=LONGEST_S)
    ] = None,
    max_duration_s: Annotated[
        float | None, QueryParameter(description="Seconds of talk, at most.", ge=0, le=LONGEST_S)
    ] = None,
    complete: Annotated[
        bool | None,
        QueryParameter(
            description="Whether all sources have told of it; a call that has not ended is neither."
        ),
    ] = None,
) -> CallFilter:
    """Which calls are asked for, within the accounts of the caller's token."""
    return CallFilter(
        accounts=allowed(account, caller_of(request)),
        provider=provider,
        since=_aware("since", since),
        until=_aware("until", until),
        status=tuple(status or ()),
        outcome=tuple(outcome or ()),
        fault=_texts("fault", fault),
        direction=direction,
        number=number,
        sip_response_code=sip_response_code,
        error_code=error_code,
        min_duration_s=min_duration_s,
        max_duration_s=max_duration_s,
        complete=complete,
    )


async def alert_filter(
    request: Request[Any, Any, Any],
    account: Account = None,
    since: Since = None,
    until: Until = None,
    rule: Annotated[str | None, _text("The rule's id, as in `call.failed`.")] = None,
    severity: Annotated[AskedSeverity | None, QueryParameter(description="How bad it is.")] = None,
    episode_state: Annotated[
        Literal["firing", "resolved"] | None,
        QueryParameter(name="state", description="Whether it fires or is over."),
    ] = None,
    key: Annotated[str | None, _text("The call that it is about.")] = None,
    fingerprint: Annotated[str | None, _text("The condition: the same in every episode.")] = None,
) -> AlertFilter:
    """Which alerts are asked for, within the accounts of the caller's token."""
    return AlertFilter(
        accounts=allowed(account, caller_of(request)),
        since=_aware("since", since),
        until=_aware("until", until),
        rule=rule,
        severity=severity,
        state=episode_state,
        key=key,
        fingerprint=fingerprint,
    )


def allowed(asked: list[str] | None, caller: Caller) -> frozenset[str] | None:
    """The accounts that are asked for and that the caller may read; None: all."""
    if asked is None:
        return caller.accounts
    wanted = frozenset(_texts("account", asked))
    return wanted if caller.accounts is None else wanted & caller.accounts


def invalid(name: str, reason: str) -> Refused:
    """A parameter cannot be used: 400."""
    return Refused(
        400, "A parameter of the request cannot be used.", invalid=[InvalidParameter(name, reason)]
    )


def _aware(name: str, at: datetime | None) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise invalid(name, "must have a time zone, as in 2026-11-29T00:00:00Z (`+` is `%2B` in a URL)")
    return at


def _texts(name: str, values: list[str] | None) -> tuple[str, ...]:
    if not all(len(one) <= LONGEST and one.isprintable() for one in values or ()):
        raise invalid(name, f"must be printable and at most {LONGEST} characters")
    return tuple(values or ())
