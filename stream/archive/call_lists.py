"""The query behind each list of calls: by the time of their start, from a place on, in both directions.

A filter by several values of one column (the forms of a number at two ends, some outcomes) would have the
database sort all calls that match. Each value has its own index in the order of the list instead: the first
calls of each value are taken, and the first of these.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, select, tuple_, union

from stream.archive.conditions import Conditions, NumberForms, call_conditions, number_conditions
from stream.archive.questions import CallFilter
from stream.archive.store.schema import calls, records

Place = tuple[int, int]
"""Where a call is in the order of lists: when it began, in microseconds since 1970, and its number."""

_PLACE = (calls.c.at_us, calls.c.no)


def call_list(
    wanted: CallFilter,
    number: NumberForms | None,
    limit: int,
    place: Place | None = None,
    *,
    newer: bool = False,
    with_records: bool = False,
) -> Select[*tuple[Any, ...]]:
    """The nearest calls before a place, newest first, or (`newer`) after it, oldest first; without a place,
    from the beginning.

    - `number`: how the filter's number may stand in the rows.
    - `with_records`: each with the `body` of its record.
    """
    alternatives, rest = _alternatives(wanted, number)
    conditions = call_conditions(rest, None)
    if place is not None:
        here = tuple_(*place)
        conditions.append(tuple_(*_PLACE) > here if newer else tuple_(*_PLACE) < here)
    order = _PLACE if newer else tuple(column.desc() for column in _PLACE)
    asked = every_call(with_records=with_records).order_by(*order).limit(limit)
    if not alternatives:
        return asked.where(*conditions)
    first_of = select(*_PLACE).where(*conditions).order_by(*order).limit(limit)
    each = [first_of.where(one).subquery() for one in alternatives]
    first = union(*(select(one.c.no) for one in each)).subquery()
    return asked.where(calls.c.no.in_(select(first.c.no)))


def _alternatives(wanted: CallFilter, number: NumberForms | None) -> tuple[Conditions, CallFilter]:
    """Conditions of which one must hold, each with an index of its own, and what is left of the filter."""
    c = calls.c
    if number is not None:
        return number_conditions(number), wanted
    for name in ("fault", "status", "outcome"):
        values = getattr(wanted, name)
        if len(values) > 1:
            return [c[name] == one for one in values], msgspec.structs.replace(wanted, **{name: ()})
    return [], wanted


def every_call(*, with_records: bool) -> Select[*tuple[Any, ...]]:
    if not with_records:
        return select(calls)
    both = calls.outerjoin(records, records.c.call_no == calls.c.no)
    return select(calls, records.c.body).select_from(both)
