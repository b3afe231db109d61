"""How many CPUs this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def usable_cpus(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The CPUs of the process's affinity, within the limit of its control group; at least 1.

    The limit (cgroup v2) is that of a container (`--cpus`, `limits.cpu`) or of a unit (`CPUQuota=`).
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        group = own.read_text().rpartition("::")[2].strip().lstrip("/")
        quota, period = (groups / group / "cpu.max").read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):  # no control group, or one without a limit: `max`
        return count
