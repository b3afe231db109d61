"""File descriptors: how many a process may have, and how many of them connections may use.

Connections never use up those that the role itself needs for Kafka, its files and its log.
"""

from __future__ import annotations

import resource

RESERVE = 96
"""Reserved for Kafka's sockets, the log, data files and the 32 connections of the role's own HTTP."""

FEWEST = 16
"""Connections that are allowed even where the limit leaves no room: slow service is better than none."""


def raise_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it. Unlimited is C's largest `int`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some systems show a hard limit that they do not grant: the soft one stays
    return (1 << 31) - 1 if soft == resource.RLIM_INFINITY else soft


def connections_at_most(wanted: int, limit: int) -> int:
    """How many connections to allow, up to `wanted`, where `limit` descriptors can be open."""
    return max(FEWEST, min(wanted, limit - RESERVE))
