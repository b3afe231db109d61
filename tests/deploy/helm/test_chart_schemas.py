"""Every rendered manifest has the fields that Kubernetes and the operators have, and no others."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.helm.chart import CHART, TOOLS, VALUES, helm, manifests, needs_helm, of_kind

kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate is not installed: `make deploy-check` installs it"
)

OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()
CUSTOM = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule", "HTTPRoute"}

pytestmark = needs_helm


@pytest.mark.parametrize("values", VALUES)
def test_helm_finds_nothing_to_object_to(values: str) -> None:
    linted = helm("lint", "--strict", str(CHART), "-f", str(VALUES[values]))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", VALUES)
def test_manifests_are_those_of_kubernetes(values: str, version: str) -> None:
    for one in manifests(values):
        if one["kind"] not in CUSTOM:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("values", VALUES)
def test_custom_resources_are_those_of_their_operators(values: str) -> None:
    for one in manifests(values):
        if one["kind"] in CUSTOM:
            jsonschema.validate(one, custom_schemas()[one["apiVersion"], one["kind"]])


def test_every_custom_resource_is_rendered_by_some_values() -> None:
    assert {kind for kind in CUSTOM for values in VALUES if of_kind(values, kind)} == CUSTOM


@cache
def custom_schemas() -> dict[tuple[str, str], Any]:
    """The schema of each custom resource, by version and kind."""
    found = {}
    for path in (TOOLS / "crds").glob("*.yaml"):
        definition = yaml.safe_load(path.read_text())["spec"]
        for version in definition["versions"]:
            schema = _strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            found[f"{definition['group']}/{version['name']}", definition["names"]["kind"]] = schema
    return found


def _strict(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(one) for name, one in schema.items()}
    if "properties" in strict and strict.get("type") == "object" and "additionalProperties" not in strict:
        strict["additionalProperties"] = bool(strict.get("x-kubernetes-preserve-unknown-fields"))
    if isinstance(pattern := strict.get("pattern"), str):
        strict["pattern"] = pattern.replace("^(?i)", "(?i)^")  # Go's place for it
    if strict.pop("x-kubernetes-int-or-string", False):
        strict.pop("anyOf", None)
        strict["type"] = ["integer", "string"]
    return strict
