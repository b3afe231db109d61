"""The embedded Kafka for a machine without one: a single KRaft node that ends with its owner process.

Nothing here is used where `CALLSTREAM_KAFKA` names a cluster.
`jars` and `java` find what to run, `storage` and `configuration` write its files, `supervisor` runs it and
watches the owner, `ownership` records who runs which data, and `lifetime` starts and stops it.
"""

from stream.broker.failure import BrokerError
from stream.broker.lifetime import Broker, embedded, start

__all__ = ["Broker", "BrokerError", "embedded", "start"]
