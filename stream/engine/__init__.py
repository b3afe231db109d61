"""Exactly once on partition lanes.

A lane is one partition number of all source topics.
It folds its records in batches and commits each batch in one Kafka transaction: outputs, changelog, source
offsets.
"""
