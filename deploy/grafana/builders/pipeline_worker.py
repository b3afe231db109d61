"""The second half of the dashboard *Pipeline*: the worker, what it finds wrong, Kafka, the processes."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.grafana.builders import limits
from deploy.grafana.builders import queries as q
from deploy.grafana.builders.panels import (
    BYTES,
    CORES,
    COUNT,
    PER_MINUTE,
    PER_SECOND,
    SECONDS,
    SHARE,
    AnyPanel,
    Query,
    lines,
    quantiles,
)

PUSHED = f'source=~"{limits.VALUES["pushed_sources"]}"'
"""Sources whose events the provider sends at once; those that are read later would hide them."""

OURS = "and on (instance, job) callstream_build_info"
"""Series of a process's own, of callstream's processes only."""


def throughput() -> Sequence[AnyPanel]:
    return [
        lines(
            "Processed, by result",
            "Events a second. `late`: after the call's end.",
            Query(q.per_second("events_processed_total", q.SOURCE, by="result"), "{{result}}"),
            unit=PER_SECOND,
            stacked="normal",
            width=8,
        ),
        lines(
            "Lag, by topic",
            "Records that wait to be processed. If it keeps rising, run more workers, at most one a "
            "partition.",
            Query(q.total("consumer_lag_messages", by="topic"), "{{topic}}"),
            unit=COUNT,
            limits=limits.LAG,
            width=8,
        ),
        lines(
            "Processing time of one event",
            f"Quantiles within {q.WINDOW}. If it rises, the worker needs more CPU, or one more worker.",
            *quantiles("processing_duration_seconds"),
            unit=SECONDS,
            width=8,
        ),
        lines(
            "Transactions",
            "Committed transactions a second. A batch of events is one transaction.",
            Query(q.per_second("transaction_duration_seconds_count"), "committed"),
            unit=PER_SECOND,
            width=8,
        ),
        lines(
            "Duration of a transaction",
            f"Quantiles within {q.WINDOW}. If it rises, look at the broker's disk.",
            *quantiles("transaction_duration_seconds"),
            unit=SECONDS,
            limits=limits.SLOW_WRITES,
            width=8,
        ),
        lines(
            "Calls in memory",
            "Entries of the table, and calls that ticks must look at. It follows traffic and "
            "`CALLSTREAM_SETTLE_S`.",
            Query(q.total("table_entries", by="table"), "table {{table}}"),
            Query(q.total("due_calls"), "due"),
            Query(q.total("troubled_calls"), "troubled"),
            unit=COUNT,
            width=8,
        ),
    ]


def integrity() -> Sequence[AnyPanel]:
    return [
        lines(
            "Duplicates, by how they were recognized",
            "Duplicates are normal: providers retry, and resources repeat what callbacks have told.",
            Query(q.per_second("events_deduplicated_total", q.SOURCE, by="match"), "{{match}}"),
            unit=PER_SECOND,
            stacked="normal",
            width=8,
        ),
        lines(
            "Share of duplicates, by source",
            f"Among the events that providers send, within {q.WINDOW}. If it rises, the gateway's answers "
            "are slow or lost.",
            Query(
                q.ratio(
                    q.increase("events_processed_total", q.SOURCE, PUSHED, 'result="duplicate"', by="source"),
                    q.increase("events_processed_total", q.SOURCE, PUSHED, by="source"),
                ),
                "{{source}}",
            ),
            unit=SHARE,
            limits=limits.DUPLICATES,
            most=1,
            width=8,
        ),
        lines(
            "Out of order",
            "Events that arrived after a later event of their call. They are applied in order. "
            "`clock ahead`: reports that a gateway or poller dated in the future; correct its clock.",
            Query(f"{q.per_minute('events_out_of_order_total', q.SOURCE, by='source')} > 0", "{{source}}"),
            Query(f"{q.per_minute('scope_reports_ahead_total')} > 0", "clock ahead"),
            unit=PER_MINUTE,
            width=8,
        ),
        lines(
            "Sequence gaps",
            "Missing sequence numbers: found, closed (by a late callback, or by a read), and expired. On "
            "expired: run a poller. `unreadable`: those of another format, which show no gaps.",
            Query(q.per_minute("sequence_gaps_detected_total", q.SOURCE), "found"),
            Query(q.per_minute("sequence_gaps_closed_total", q.SOURCE, by="by"), "closed: {{by}}"),
            Query(f"{q.per_minute('sequence_numbers_unreadable_total', q.SOURCE)} > 0", "unreadable"),
            unit=PER_MINUTE,
            width=6,
        ),
        lines(
            "Open sequence gaps",
            "Gaps that wait for a late callback or a read. If they keep rising: does the poller run?",
            Query(f"{q.total('sequence_gaps_open', q.SOURCE, by='source')} > 0", "{{source}}"),
            unit=COUNT,
            width=6,
        ),
        lines(
            "Dead letters, by reason",
            "Records that could not be read or processed. `callstream dead-letters list --since 1h` "
            "prints them. Has the provider changed a format?",
            Query(q.per_minute("dead_letters_total", q.SOURCE, by="reason"), "{{reason}}"),
            unit=PER_MINUTE,
            limits=limits.ANY_PER_MINUTE,
            width=6,
        ),
        lines(
            "Errors while processing",
            "Errors of agents and lanes; only those that occurred. `aborted`, `refused` and `fenced` are "
            "transactions that did not commit and were repeated. The worker's log has the rest.",
            Query(f"{q.per_minute('processing_errors_total', by='agent, error')} > 0", "{{agent}} {{error}}"),
            unit=PER_MINUTE,
            limits=limits.ANY_PER_MINUTE,
            width=6,
        ),
    ]


def kafka() -> Sequence[AnyPanel]:
    return [
        lines(
            "Written, by topic",
            "Messages acknowledged, a second; only topics that were written to.",
            Query(
                f"""{q.per_second("produce_messages_total", 'outcome="success"', by="topic")} > 0""",
                "{{topic}}",
            ),
            unit=PER_SECOND,
            stacked="normal",
            width=8,
        ),
        lines(
            "Writes failed, by topic",
            "Messages that Kafka did not accept. Does the broker run, does it authorize the role, is its "
            "disk full?",
            Query(q.per_minute("produce_messages_total", 'outcome="error"', by="topic"), "{{topic}}"),
            unit=PER_MINUTE,
            limits=limits.ANY_PER_MINUTE,
            width=8,
        ),
        lines(
            "Time until acknowledged, p99",
            f"99 of 100 writes within {q.WINDOW} were faster, by topic. If it rises, look at the broker's "
            "disk and its followers.",
            Query(q.quantile(0.99, "produce_duration_seconds", by="topic"), "{{topic}}"),
            unit=SECONDS,
            limits=limits.SLOW_WRITES,
            width=8,
        ),
    ]


def recovery() -> Sequence[AnyPanel]:
    return [
        lines(
            "Workers, by state",
            "How many worker processes are in each state.",
            Query(q.total("worker_state", by="state"), "{{state}}"),
            unit=COUNT,
            stacked="normal",
            width=8,
        ),
        lines(
            "Rebalances",
            "Rebalances that workers saw. Many: workers restart, or lack CPU or memory.",
            Query(q.increase("rebalances_total", by="instance, process"), "{{instance}} {{process}}"),
            unit=COUNT,
            limits=limits.REBALANCES,
            width=8,
        ),
        lines(
            "Duration of a rebalance",
            "The mean, until tables are recovered. Recovery reads the changelog.",
            Query(q.mean("rebalance_duration_seconds"), "mean"),
            unit=SECONDS,
            limits=limits.LONG_REBALANCE,
            width=8,
        ),
        lines(
            "Recovery",
            "Messages of the changelog that are still to be replayed. It should fall; where it stands still, "
            "look at the broker.",
            Query(q.total("table_recovery_remaining_messages", by="table"), "{{table}}"),
            unit=COUNT,
        ),
        lines(
            "Calls removed from memory",
            "By reason. On max_age: calls without an end.",
            Query(q.per_minute("table_evictions_total", by="reason"), "{{reason}}"),
            unit=PER_MINUTE,
        ),
    ]


def processes() -> Sequence[AnyPanel]:
    return [
        lines(
            "Roles, as Prometheus sees them",
            "Processes that can be scraped, by role. Without a gateway nothing is received; without a worker "
            "nothing is processed.",
            Query(f"sum by (role) (up{{{limits.VALUES['series']}}})", "{{role}}"),
            unit=COUNT,
            stacked="normal",
            width=6,
        ),
        lines(
            "CPU",
            "Cores that each process uses. A worker and a gateway use at most one.",
            Query(f"rate(process_cpu_seconds_total[{q.RATE}]) {OURS}", "{{role}} {{instance}} {{process}}"),
            unit=CORES,
            limits=limits.BUSY_CORE,
            width=6,
        ),
        lines(
            "Memory",
            "Resident memory. A worker's follows its table.",
            Query(f"process_resident_memory_bytes {OURS}", "{{role}} {{instance}} {{process}}"),
            unit=BYTES,
            width=6,
        ),
        lines(
            "Log messages, by level",
            "Errors and warnings; read the role's log.",
            Query(
                q.per_minute("log_messages_total", 'level=~"error|warning"', by="role, level"),
                "{{role}} {{level}}",
            ),
            unit=PER_MINUTE,
            width=6,
        ),
        lines(
            "Processes, by version",
            "More than one version: an upgrade is under way.",
            Query("count by (version) (callstream_build_info)", "{{version}}"),
            unit=COUNT,
            stacked="normal",
            width=6,
        ),
        lines(
            "Label values folded into other",
            "Values of labels that are in no list and count as `other`. Nothing is lost but the detail: set "
            "the list, or accept it.",
            Query(q.per_minute("label_values_capped_total", by="label"), "{{label}}"),
            unit=PER_MINUTE,
            width=6,
        ),
        lines(
            "Files refused that were read again",
            "Workers that refused their file of alert rules at the last SIGHUP, and APIs that refused a "
            "file of tokens: they keep what they had. `callstream config check` says why.",
            Query(f"{q.total('config_last_reload_successful', by='instance')} == bool 0", "{{instance}}"),
            unit=COUNT,
            limits=limits.ANY,
            width=6,
        ),
        lines(
            "Partitions of pollers",
            "Partitions of the requests for reads that each poller serves; 0 on standby. Where the sum is 0: "
            "is Kafka reached?",
            Query(q.total("poll_owned_partitions", by="instance"), "{{instance}}"),
            unit=COUNT,
            stacked="normal",
            width=6,
        ),
    ]
