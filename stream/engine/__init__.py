"""Exactly once on partition lanes. Knows neither Faust nor a Kafka client: `group.py` says what it is given.

A partition lane (lane, in short) is one partition number of all source topics. It folds its records in
batches. One Kafka transaction commits the batches of all lanes: outputs, changelog and source offsets.

    source_reader   fetches, and hands on only what follows the records before it
    lanes           one assignment: fence the former owners, recover, open, close
      lane          queues (backlog) and gathers a batch
        commit      folds the batch (batch.Processor), commits it once, shows its states (states)
      shared_transactions   one for all lanes
    recovery/       brings the states up to the committed offsets, from the changelog
    ticks           time, as records
    status          what the worker says: metrics, health, waits, its last line
"""
