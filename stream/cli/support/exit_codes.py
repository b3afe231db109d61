"""The exit codes of all commands. `callstream --help` and the README show this table."""

from __future__ import annotations

DONE = 0
FAILED = 1
MISUSE = 2
TOPIC_MISMATCH = 3
NO_KAFKA = 4
NO_ARCHIVE = 5
START_AGAIN = 75
VERSIONS_DIFFER = 78
INTERRUPTED = 130
TERMINATED = 143

EXIT_CODES = {
    DONE: "Done, or stopped as asked (roles and `up`: by SIGTERM or Ctrl-C).",
    FAILED: "It failed, or something is wrong. The last lines say what.",
    MISUSE: "The command line, a setting or a given file cannot be used. Nothing was done.",
    TOPIC_MISMATCH: "A topic has other partitions or another policy than callstream needs.",
    NO_KAFKA: "Kafka does not answer, refuses, or cannot be started.",
    NO_ARCHIVE: "Neither the query API nor the archive can be read.",
    70: "A worker stopped because of a fault in callstream. Report its log.",
    START_AGAIN: "A role lost Kafka or its group. Start it again: nothing is lost.",
    VERSIONS_DIFFER: "The workers of a group do not run the same version.",
    INTERRUPTED: "Stopped by Ctrl-C before it was done.",
    TERMINATED: "Stopped by SIGTERM before it was done.",
}
"""What each code means, as a sentence or two of Markdown. 70, 75 and 78 are those of sysexits.h."""
