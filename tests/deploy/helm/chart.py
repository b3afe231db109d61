"""The chart, rendered by Helm: manifests, and the pod of each role.

Helm and the schemas of custom resources come from `make deploy-check`. Without Helm these tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tree import ROOT

CHART = ROOT / "deploy" / "helm" / "callstream"
VALUES = {path.name.removesuffix("-values.yaml"): path for path in sorted(CHART.glob("ci/*-values.yaml"))}
TOOLS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callstream" / "tools"

HELM = shutil.which("helm") or shutil.which("helm", path=str(TOOLS))
needs_helm = pytest.mark.skipif(
    HELM is None and "REQUIRE_HELM" not in os.environ,
    reason="Helm is not installed: `make deploy-check` builds it",
)

Manifest = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert HELM is not None, "Helm is not installed"
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, check=False)


def template(values: str, *arguments: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """What an installation named `calls-1` in the namespace `voice` consists of."""
    given = ("-n", "voice", "--kube-version", "1.30", "-f", str(VALUES[values]))
    return helm("template", "calls-1", str(chart), *given, *arguments)


@cache
def manifests(values: str) -> tuple[Manifest, ...]:
    rendered = template(values)
    assert rendered.returncode == 0, rendered.stderr
    return tuple(one for one in yaml.safe_load_all(rendered.stdout) if one)


def of_kind(values: str, kind: str) -> list[Manifest]:
    return [one for one in manifests(values) if one["kind"] == kind]


def only(values: str, kind: str) -> Manifest:
    (found,) = of_kind(values, kind)
    return found


def of_name(values: str, kind: str, role: str) -> Manifest:
    """The one of a role."""
    (found,) = [one for one in of_kind(values, kind) if one["metadata"]["name"].endswith(f"-{role}")]
    return found


def pods(values: str) -> dict[str, Manifest]:
    """The pod template of each role, and of the job that creates the topics."""
    found = {}
    for kind in ("Deployment", "StatefulSet", "Job"):
        for one in of_kind(values, kind):
            pod = one["spec"]["template"]
            found[pod["metadata"]["labels"]["app.kubernetes.io/component"]] = pod
    return found


def container(pod: Manifest) -> Manifest:
    (found,) = pod["spec"]["containers"]
    return found


def environment(pod: Manifest, secrets: Path) -> dict[str, str]:
    """A pod's environment. `secrets`: where its secrets are mounted instead. Its name is `callstream-0`."""
    found = {}
    for one in container(pod)["env"]:
        assert one["name"] not in found, "Kubernetes takes the last of two without a word"
        if "valueFrom" in one:
            assert one["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
        found[one["name"]] = one.get("value", "callstream-0").replace("/run/secrets/callstream", str(secrets))
    return found


def mounted_secrets(pod: Manifest) -> dict[str, tuple[str, str]]:
    """The Secret and key of each file that is mounted from one."""
    return {
        item["path"]: (source["secret"]["name"], item["key"])
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        for item in source["secret"]["items"]
    }
