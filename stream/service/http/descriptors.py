"""File descriptors: how many a process may have, and how many of them connections may take.

The rule of this file: what a role needs for itself (Kafka, its files, its log) is never taken by those who
connect to it.
"""

from __future__ import annotations

import resource

RESERVE = 96
"""Kept from connections: Kafka's sockets, log, data files, the 32 connections of the role's own HTTP."""

FEWEST = 16
"""Connections where the limit leaves room for none: serving badly is better than not at all."""


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one. Returns what holds then; unlimited is the largest
    number that `int` of C has.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some systems show a limit that they do not grant: what there is has to do
    return (1 << 31) - 1 if soft == resource.RLIM_INFINITY else soft


def connections_at_most(wanted: int, limit: int) -> int:
    """How many connections there may be where `wanted` would do and `limit` descriptors can be open."""
    return max(FEWEST, min(wanted, limit - RESERVE))
