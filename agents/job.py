"""The job of an installation: the processor that its settings ask for, in a worker and in a backtest."""

from __future__ import annotations

from agents.processor import CallProcessor
from stream.core.alerting.rules import Rules
from stream.core.policy import CallPolicy
from stream.core.privacy.masking import Privacy
from stream.kafka.topics import Topics
from stream.service.metrics.worker import WorkerMetrics
from stream.service.settings import WorkerSettings, privacy_key


def call_processor(
    chosen: WorkerSettings, topics: Topics, metrics: WorkerMetrics, rules: Rules
) -> CallProcessor:
    """The processor for these settings, which judges by `rules`. Raises SettingsError."""
    return CallProcessor(
        topics,
        CallPolicy(
            settle_s=chosen.settle_s,
            gap_grace_s=chosen.gap_grace_s,
            revision_quiet_s=chosen.revision_quiet_s,
            overdue_s=chosen.overdue_s,
            max_age_s=chosen.max_age_s,
            account_alias=chosen.account_alias,
            polled=chosen.poll_sources,
            time_factor=chosen.time_factor,
            public_url=chosen.public_url,
            account_names=chosen.metric_accounts,
            alert_rules=rules,
        ),
        Privacy(chosen.privacy, privacy_key(chosen)),
        metrics,
        deployment=chosen.topic_prefix.rstrip(".-_") or "callstream",
        errors_limit=chosen.max_errors_in_a_row,
    )
