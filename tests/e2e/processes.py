"""The descendants of a process, and whether they are gone. It reads /proc and ends nothing."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.harness import wait_until


def descendants(pid: int) -> dict[int, str]:
    """Process id and command of everything that `pid` has started, directly or not."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _after_name(stat)
        if fields:
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            found[child] = _command(child)
            waiting.append(child)
    return found


def wait_gone(processes: dict[int, str], timeout_s: float) -> float:
    """Wait until none of them runs. Returns the seconds."""

    def gone() -> bool:
        return not running(processes)

    try:
        return wait_until(gone, "the processes are gone", timeout_s)
    except AssertionError:
        raise AssertionError(f"still there after {timeout_s} s: {running(processes)}") from None


def running(processes: dict[int, str]) -> dict[int, str]:
    """Those that still run the same command; a zombie does not."""
    return {pid: command for pid, command in processes.items() if _command(pid) == command}


def _after_name(stat: Path) -> list[str]:
    """State, parent and the rest of a process' stat file; empty where it has ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _command(pid: int) -> str:
    fields = _after_name(Path(f"/proc/{pid}/stat"))
    if not fields or fields[0] == "Z":
        return ""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return f"{command[:100]} … {command[-200:]}"  # Java's has its whole class path in between
