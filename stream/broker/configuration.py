"""The broker's configuration for a small machine: `server.properties`, log4j2 and Java's arguments.

Its files are named as Java finds them from their directory, in which it is run: in these files a comma, a
backslash or a letter beyond Latin-1 in the path of a directory would make it another path.
"""

from __future__ import annotations

from collections.abc import Mapping

HEAP = "512m"

BROKER: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    # Topics are created by `callstream topics`, with the right number of partitions.
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(2 * 1024 * 1024 + 64 * 1024),
    # One node.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The default of 50 is for large clusters; here each is a file to open at every start.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # A worker that starts alone does not wait for others.
    "group.initial.rebalance.delay.ms": "0",
    # Until the controller has dropped a killed broker, it refuses the restarted one.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # A node without others needs fewer threads, each of which looks for work several times a second,
    # and writes no empty metadata record every half second.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "group.coordinator.threads": "1",
    "metadata.max.idle.interval.ms": "10000",
    # The cleaner's default takes a quarter of this heap.
    "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
}

_LOGGING = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd'T'HH:mm:ss.SSSXXX}} %p %m (%c{{1}})%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = info
rootLogger.appenderRefs = file
rootLogger.appenderRef.file.ref = file
"""


def properties(logs: str, *, port: int, controller_port: int, more: Mapping[str, str] = {}) -> str:
    """The text of `server.properties` for data in `logs`.

    `more`: settings that are added; their `listeners` are listeners beside ours.
    """
    listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
    settings = {
        **BROKER,
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "log.dirs": logs,
        **more,
    }
    for name in ("listeners", "advertised.listeners"):
        if name in more:
            settings[name] = f"{listeners},{more[name]}"
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def logging(log: str) -> str:
    """The text of a log4j2 configuration that keeps at most 30 MB."""
    return _LOGGING.format(log=log)


def java_arguments(logging_file: str) -> list[str]:
    """For a broker that shares two cores with its clients: a single-threaded collector, the quick compiler.

    The optimising one takes a tenth of a core for minutes at ordinary load. At 20 000 records a second the
    broker costs as much with either: most of its work is in the kernel and in what both compile alike.
    """
    return [
        f"-Xmx{HEAP}",
        "-Xms128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={logging_file}",
    ]
