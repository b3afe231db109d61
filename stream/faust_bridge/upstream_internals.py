"""The internals of Faust and aiokafka that callstream replaces, extends or relies on.

No other internal is touched without a line here. `digest` is of the source as it was when the fault runs
passed; `tests/faust_bridge/test_upstream_internals.py` compares it, and `tested_versions` does so at start
where another version is installed.
When a new version changes one: read what changed, check its reason here, run `make e2e`, and only then write
the new digest (the test prints it).
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import operator
import textwrap
from collections.abc import Mapping
from typing import NamedTuple


class PinnedInternal(NamedTuple):
    """One of their internals, and why it must stay as it is."""

    place: str
    """`module:qualified name`."""
    why: str
    digest: str


def digest(place: str) -> str:
    """Of the installed source of `place`."""
    module, name = place.split(":")
    found = operator.attrgetter(name)(importlib.import_module(module))
    found = getattr(
        found, "fget", getattr(found, "fun", found)
    )  # a property's getter, a service task's function
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(found)))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def is_unchanged(pinned: PinnedInternal) -> bool:
    """Whether it is there, and as it was."""
    try:
        return digest(pinned.place) == pinned.digest
    except (ImportError, AttributeError, OSError, TypeError):
        return False


Members = Mapping[str, Mapping[str, tuple[str, str]]]
"""Why and digest of each member, by `module:class` or `module`."""

_REPLACED: Members = {
    "faust.transport.consumer:Consumer": {
        "getmany": ("single records; seeks on its own when the flow stops", "e486c434b792"),
        "_wait_next_records": ("sleeps a second when all partitions are held back", "ba40cd367132"),
        "_new_offset": ("commits what was acked; offsets go with transactions", "2b29afe4dd9a"),
        "_add_gap": ("every chunk would be a gap to be filled", "f1cc1db634f5"),
        "wait_empty": ("waits for ever for the message that an agent's loop refers to", "53195dca246c"),
        "perform_seek": ("skips partitions without a commit", "2b4ceebd23de"),
        "on_partitions_revoked": ("forgets before it waits: the lanes finish first", "652177e770ee"),
        "on_partitions_assigned": ("reads offsets before former owners are fenced", "c07feb1175f7"),
    },
    "faust.transport.drivers.aiokafka:Consumer": {"_new_consumer_thread": ("our thread", "8fd0d41b1514")},
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread": {
        "_create_consumer": ("no rack; reads uncommitted without `exactly_once`", "8259d08bb468"),
        "_create_worker_consumer": ("what it gives a consumer, we give ours", "c179c0bdb975"),
        "on_thread_stop": ("waits for a broker that is away", "cdbbe53230d2"),
        "verify_event_path": ("complains of commits that Faust does not make", "3f5576be1141"),
    },
    "faust.tables.recovery:Recovery": {
        "_build_highwaters": ("waits for `end - 1`, which may be a control record", "32d70220d2a8"),
        "_build_offsets": ("the store knows where to begin", "0f5a7d62fb7d"),
        "_seek_offsets": ("seeks on its own", "d76d5a8f46fa"),
        "on_recovery_completed": ("fetchable before it has sought; clears queues after", "895e7c415a4d"),
    },
    "aiokafka.protocol.transaction": {
        "TxnOffsetCommitRequest": ("offsets without the group's member", "841e324a3ddd")
    },
    "aiokafka.protocol.commit": {
        "OffsetFetchRequest": ("reads offsets of transactions that are not finished", "09b9a30caf0a")
    },
    "aiokafka.protocol.group": {"HeartbeatRequest": ("does not say a static member's name", "61fd1d60122d")},
    "aiokafka.client:AIOKafkaClient": {
        "send": ("a broker that lets a request wait is not asked for a while", "fb1726e3ed8e"),
        "coordinator_lookup": ("believes any broker: most must agree", "38a46a4273ed"),
        "_get_conn": (
            "no connection to a broker that is not asked; none is not an error; "
            "one lock in _get_conn_lock_value",
            "1eaeaab22404",
        ),
        "_metadata_update": ("waits for each broker that hangs, and asks without a pause", "a26a9b11cf6a"),
        "bootstrap": ("waits for each address; a cancelled one leaves its connection open", "f9d734f5446b"),
        "close": ("a request through a closed client opens a new connection", "ded309a644a5"),
    },
    "faust.tables.manager:TableManager": {"recovery": ("our recovery", "9e5e10447444")},
    "faust.tables.base:Collection": {
        "_new_store": ("our stores, by partition", "0cad007da65f"),
        "apply_changelog_batch": ("the recovery has applied them", "a612598bdc30"),
    },
    "faust.stores.memory:Store": {"__post_init__": ("one dict for all partitions", "4f62b7b15f39")},
    "faust.stores.rocksdb:Store": {
        "_open_for_partition": ("an error of the disk is an exception like others", "21bf6863c5a9")
    },
    "faust.app.base:App": {"on_stop": ("ticks end before the lanes drain", "d8e7904b258c")},
}
_RELIED_ON: Members = {
    "faust.tables.recovery:Recovery": {
        "_restart_recovery": ("calls the replaced methods in this order", "f93138b040ef"),
        "need_recovery": ("false without highwaters", "c6860beac5d7"),
        "_wait": ("cancels a recovery when the next rebalance has begun", "768af810dce8"),
        "on_rebalance": ("fills active_tps before it signals the recovery", "31030bc1807f"),
    },
    "faust.transport.consumer:Consumer": {
        "_drain_messages": ("what it does with a message before the agents see it", "8f35dd7a1114"),
        "on_buffer_full": ("takes a partition out of the active ones", "edcee17978c4"),
        "on_buffer_drop": ("puts it back", "c5f80b096c71"),
        "stop_flow": ("closes the flow that getmany waits for", "aa77389dc23a"),
        "on_stop": ("drains by wait_empty", "7accc1bf4f97"),
    },
    "faust.transport.drivers.aiokafka": {
        "ConsumerRebalanceListener": ("sets the generation before the main thread is told", "f3d04f29dfb3")
    },
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread": {
        "_fetch_records": ("returns nothing when the flow has stopped", "9e7369fc572d"),
        "_seek_wait": ("seeks, then waits for the position", "98f8aa716db2"),
    },
    "faust.app.base:App": {
        "_on_partitions_revoked": ("suspends, clears, and waits by wait_empty", "c1abd58dcb37"),
        "_on_partitions_assigned": ("tables and recovery are told after the consumer", "c9c5485eb273"),
        "_stop_consumer": ("the order of a clean stop", "96573acf5f04"),
    },
    "faust.transport.conductor:ConductorCompiler": {
        "build": ("how a chunk reaches the agents' queues", "70ded0e71910")
    },
    "faust.stores.rocksdb:Store": {
        "on_rebalance": ("closes and opens partitions", "a04fdf2e065d"),
        "persisted_offset": ("the last offset, under offset_key", "6b4b2940005c"),
        "revoke_partitions": ("drops the only reference to a database", "0df43a0757fb"),
    },
    "aiokafka.consumer.fetcher:Fetcher": {
        "fetched_records": ("everything that was fetched of the partitions asked for", "e20ce0c8117f"),
        "close": ("awaits its tasks, whose cancellation it lets out: they are ended before", "eb8e175ce6f8"),
        "_proc_fetch_request": (
            "without a reset policy, an offset out of range does not move the position",
            "ace04969424f",
        ),
        "_update_fetch_positions": ("leaves a partition that was sought meanwhile alone", "1dc02ecce273"),
        "_get_actions_per_node": ("one fetch in flight for a broker, and what is in it", "fd175a69d8d4"),
        "_select_read_replica": ("whose fetch a partition is in", "da4e0ff8ec84"),
        "seek_to": ("forgets what was fetched, and its error", "10c45c3c873d"),
    },
    "aiokafka.consumer.fetcher:FetchResult": {
        "getall": ("moves the position past control records", "b638929de343")
    },
    "aiokafka.consumer.subscription_state": {
        "TopicPartitionState": ("_position, lso, timestamp", "2b83334afadf")
    },
    "aiokafka.producer.producer:AIOKafkaProducer": {
        "start": ("init_transactions: returns when the former owner is fenced", "dd4ee2867d8e"),
        "commit_transaction": ("does not look at refused batches", "8f568a6acef9"),
        "send_batch": ("the future of a batch", "ff8d65b59517"),
        "send_offsets_to_transaction": (
            "sends no generation: the member is added to its request",
            "8053778fb7d2",
        ),
    },
    "aiokafka.producer.transaction_manager:TransactionManager": {
        "maybe_add_partition_to_txn": ("asks for a partition ahead of its batch", "db7059aa8846"),
        "fatal_error": ("fails futures that nobody may await any more", "982d69337228"),
        "add_offsets_to_txn": ("takes metadata beside the offsets", "a177ec82d501"),
    },
    "aiokafka.producer.message_accumulator": {
        "BatchBuilder": ("we append to its _builder and set _relative_offset; None when full", "8050802ca751")
    },
    "aiokafka.producer.sender:Sender": {
        "_sender_routine": ("its requests are tasks of methods of `self`, kept in `tasks`", "c07b5ec56875"),
        "close": ("closing cancels the sender task", "7e10a540fd0c"),
    },
    "aiokafka.producer.message_accumulator:MessageBatch": {
        "failure": ("fails futures that nobody may await any more", "1a80d3cc49a2")
    },
    "aiokafka.conn:AIOKafkaConnection": {
        "close": ("_writer, _read_task, and _closed_fut, which is done when it is closed", "7772fd3aee39"),
        "connect": ("closes an attempt that fails, and has its transport in _protocol", "179fa038c170"),
        "send": ("takes _request_timeout as it is when it is called", "360d12e20e64"),
    },
    "aiokafka.protocol.fetch": {
        "FetchRequest": ("its fields, and the ones of a session that it sets", "ef21d383f137")
    },
    "aiokafka.consumer.group_coordinator:GroupCoordinator": {
        "_do_heartbeat": ("tells whether the group accepts the member", "5628cb32b3d2"),
        "fetch_committed_offsets": ("offsets with their metadata, asked anew", "c83e0cafbf1e"),
        "_do_fetch_commit_offsets": (
            "reads each partition's code, not that of the whole answer",
            "fcd9abe4e50f",
        ),
        "ensure_active_group": (
            "no heartbeats until an assignment is taken up: we send them while lanes are opened",
            "44c4b92c3714",
        ),
        "commit_offsets": ("shields what it sends from a cancellation", "67fb44337ca7"),
        "_on_join_prepare": (
            "hands nothing out any more when a poller is told that its partitions are revoked",
            "620a6bbc6725",
        ),
        "_on_join_complete": (
            "tells the assignor, then the poller, then anything is handed out",
            "186788a437c0",
        ),
        "close": ("its tasks are what the drop of a consumer cancels instead", "27181b0763fd"),
    },
    "aiokafka.protocol.api:Request": {"prepare": ("the newest version that both know", "af9f578c3892")},
    "aiokafka.producer.sender": {
        "TxnOffsetCommitHandler": ("reads topics, partitions and codes of an answer", "7f296a144356")
    },
    "aiokafka.protocol.group": {
        "JoinGroupRequest": ("_member_id", "61c9408bd354"),
        "SyncGroupRequest": ("_member_id", "5f47b1191292"),
    },
    "aiokafka.partitioner": {"murmur2": ("the partition of a keyed output", "62179ca18494")},
}


def _pinned(table: Members) -> tuple[PinnedInternal, ...]:
    return tuple(
        PinnedInternal(f"{owner}{'.' if ':' in owner else ':'}{name}", *row)
        for owner, members in table.items()
        for name, row in members.items()
    )


REPLACED = _pinned(_REPLACED)
"""What our subclasses and patches replace or extend."""

RELIED_ON = _pinned(_RELIED_ON)
"""What we call or expect to happen around us."""
