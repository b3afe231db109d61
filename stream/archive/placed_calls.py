"""The query behind rows that are made from a call's record and its events: many calls at once, from a place
in their order, in both directions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, or_, select

from stream.archive.store.schema import events

MOST_LISTED_EVENTS = 50_000
"""Events of all calls of one answer."""

CallRowOf = Row[*tuple[Any, ...]]


class RowsOfCalls(msgspec.Struct):
    """- `calls`: rows of `calls` with their record's `body`, in order.
    - `bodies`: their events, by the number of the call, in the order of its timeline.
    - `cut`: there are more events than MOST_LISTED_EVENTS.
    """

    calls: Sequence[CallRowOf]
    bodies: dict[int, list[str]]
    cut: bool


def rows_from(connection: Connection, asked: Select[*tuple[Any, ...]], source: str | None) -> RowsOfCalls:
    """`asked`: a `call_list` with records. `source`: only events from there, and all of calls that have not
    ended.
    """
    found = connection.execute(asked).all()
    bodies: dict[int, list[str]] = defaultdict(list)
    told = select(events.c.call_no, events.c.body)
    told = told.where(
        events.c.day.in_({row.day for row in found}), events.c.call_no.in_([row.no for row in found])
    )
    if source is not None:
        unended = [row.no for row in found if not row.revision]
        of_source = events.c.body.contains(f'"source":"{source}"', autoescape=True)
        told = told.where(or_(of_source, events.c.call_no.in_(unended)) if unended else of_source)
    told = told.order_by(events.c.call_no, events.c.at_us, events.c.number, events.c.id)
    lines = connection.execute(told.limit(MOST_LISTED_EVENTS + 1)).all() if found else []
    for line in lines[:MOST_LISTED_EVENTS]:
        bodies[line.call_no].append(line.body)
    return RowsOfCalls(found, bodies, len(lines) > MOST_LISTED_EVENTS)
