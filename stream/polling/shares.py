"""What one poller may use of an account, of all that the account may.

The rule of this file: the shares of all members together are the ceilings, no more and no less, and each
member knows its own without asking the others.
"""

from __future__ import annotations


def rate_share(rate: float, owned: int, partitions: int) -> float:
    """Requests a second of a member that owns so many of all partitions."""
    return rate * owned / partitions if partitions > 0 else 0.0


def slots_share(concurrency: int, rank: int, active: int) -> int:
    """Requests at once of the member of this rank (from 0) among so many that own partitions.

    Slot `i` is of the member `i % active`: those of a low rank have one more where it does not divide.
    """
    if not 0 <= rank < active:
        return 0
    return len(range(rank, concurrency, active))
