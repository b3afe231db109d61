"""A real Kafka for a machine that has none: one KRaft node, started by its owner and gone with it.

Nothing here is needed where `CALLSTREAM_KAFKA` names a cluster.
The flow: `jars` and `java` find what to run, `storage` and `configuration` write what it reads, `supervisor`
runs it and watches the owner, `ownership` says who runs which data, `lifetime` is the door.
"""

from stream.broker.failure import BrokerError
from stream.broker.lifetime import Broker, embedded, start

__all__ = ["Broker", "BrokerError", "embedded", "start"]
