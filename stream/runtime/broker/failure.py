"""What stands in the way of a broker, in words for the person who started it."""

from __future__ import annotations


class BrokerError(Exception):
    """No embedded broker. The message says what is missing and what to do."""


class PortTaken(BrokerError):
    """Another program listens where the broker wanted to."""


WITHOUT_IT = "or set CALLSTREAM_KAFKA to a cluster that is there already"
