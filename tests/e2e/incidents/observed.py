"""A real Prometheus and Alertmanager with the shipped rules and routes, in which time runs faster, and the
pager that they call.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from deploy.prometheus.render import read_values, rule_files, shortened
from stream.broker.ports import free_port
from stream.cli.local.observability import (
    Programs,
    alertmanager_command,
    prometheus_command,
    routes,
)
from stream.simulator.incidents import INCIDENTS
from tests.e2e.harness import wait_until

BEGUN_S, RESOLVED_S = 120.0, 300.0
LASTING = {"CallstreamConditionFiring"}
"""A condition ends after ten quiet minutes of event time, and only the rules' time runs faster here."""

CHANGED_VALUES = """
[traffic_vanished]
compared_with = "60m"
min_calls_then = 5
[call_failure_ratio]
min_calls = 10
[ineffective_attempts]
min_attempts = 10
[duplicates]
min_events = 20
[worker_not_running]
for_all = "10m"
[label_values]
window = "15m"
[down]
for = "60m"
"""
"""A window of seconds has fewer calls than one of minutes, and there is no last week. A test does not wait
for the window of an hour to pass. A busy machine answers a scrape late, and its worker waits for seconds:
a role is not down at once."""


class Page(NamedTuple):
    """One alert of a notification."""

    at_s: float
    name: str
    severity: str
    status: str
    labels: Mapping[str, str]


@dataclass
class Observed:
    """What Prometheus says now, and what has reached the pager so far."""

    url: str
    pages: list[Page] = field(default_factory=list)

    def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = self._asked("alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def story(self, began_s: float) -> str:
        """The pages, with their seconds since `began_s` of the monotonic clock."""
        return "\n".join(
            f"{page.at_s - began_s:6.1f} s {page.status} {page.name} {dict(page.labels)}"
            for page in self.pages
        )

    def paged(self) -> set[str]:
        """The names of the alerts that have ever reached the pager."""
        return {page.name for page in self.pages if page.status == "firing"}

    def open(self) -> set[str]:
        """The names of those that fire, or whose end has not reached the pager."""
        last = {tuple(sorted(page.labels.items())): page for page in self.pages}
        return self.firing() | {page.name for page in last.values() if page.status == "firing"}

    def targets_up(self) -> bool:
        targets = self._asked("targets")["activeTargets"]
        return bool(targets) and all(target["health"] == "up" for target in targets)

    def broken_rules(self) -> list[str]:
        rules = [rule for group in self._asked("rules")["groups"] for rule in group["rules"]]
        assert rules
        return [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] == "err"]

    def _asked(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}", timeout=10) as answer:
            return json.load(answer)["data"]


@contextmanager
def observed(
    programs: Programs, directory: Path, targets: Mapping[str, str], *, faster: float, every_s: float = 1.0
) -> Iterator[Observed]:
    """Durations of the rules are `faster` times shorter; everything is scraped and evaluated `every_s`."""
    assert programs.alertmanager is not None
    seen = Observed(f"http://127.0.0.1:{free_port()}")
    alertmanager = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        pager = stack.enter_context(_pager(seen.pages))
        # The shipped waits are for people: ten seconds to five minutes.
        config = re.sub(r"(group_wait|group_interval): \w+", r"\1: 1s", routes(pager))
        stack.enter_context(
            _running(
                alertmanager_command(programs.alertmanager, directory / "alertmanager", alertmanager, config),
                directory / "alertmanager.log",
            )
        )
        command = prometheus_command(
            programs.prometheus,
            directory / "prometheus",
            seen.url.removeprefix("http://"),
            targets=targets,
            alertmanager=alertmanager,
            rules=_rules(directory / "rules", faster),
            every_s=every_s,
        )
        stack.enter_context(_running(command, directory / "prometheus.log"))
        wait_until(lambda: answers(f"{seen.url}/-/ready"), "Prometheus is ready", 60)
        wait_until(lambda: answers(f"http://{alertmanager}/-/ready"), "Alertmanager is ready", 60)
        wait_until(seen.targets_up, "every role is scraped", 30)
        yield seen


def fires_and_resolves(
    name: str, seen: Observed, output: Callable[[], str], *, lasts_s: float, besides: Set[str] = frozenset()
) -> None:
    """Follow an incident of which `output` tells: its alerts reach the pager, no others do but `besides`, and
    when it is over they resolve.
    """
    incident = INCIDENTS[name]
    expected, possible = set(incident.alerts), {*incident.possible, *besides}
    wait_until(lambda: f"{name} begins." in output(), "it begins", BEGUN_S)
    began_s = time.monotonic()
    assert seen.broken_rules() == []
    assert seen.paged() <= besides, f"healthy traffic raises no alert:\n{seen.story(began_s)}"
    try:
        wait_until(lambda: expected <= seen.paged(), f"{expected} reach the pager", lasts_s + 30)
        wait_until(lambda: f"{name} is over." in output(), "it is over", lasts_s + 10)
        over_s = time.monotonic()
        wait_until(
            lambda: seen.open() <= {*besides, *LASTING},
            "every alert resolves and the pager hears of it",
            RESOLVED_S,
        )
    finally:
        print(f"{name}:\n{seen.story(began_s)}", file=sys.stderr)
    print(f"all has resolved {time.monotonic() - over_s:.0f} s after its end", file=sys.stderr)
    assert seen.paged() <= expected | possible


def _rules(directory: Path, faster: float) -> Path:
    directory.mkdir()
    changed = directory / "values.toml"
    changed.write_text(CHANGED_VALUES)
    for name, text in rule_files(shortened(read_values(changed), faster)).items():
        (directory / name).write_text(text)
    return directory


@contextmanager
def _pager(pages: list[Page]) -> Iterator[str]:
    """Receives what Alertmanager sends. Yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            notification = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in notification["alerts"]:
                labels = alert["labels"]
                pages.append(
                    Page(time.monotonic(), labels["alertname"], labels["severity"], alert["status"], labels)
                )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield
    except BaseException:
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
        raise
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False
