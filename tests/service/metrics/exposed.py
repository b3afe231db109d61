"""The families of a scrape that are callstream's own, and not its process's."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def own_families(exposition: bytes) -> dict[str, tuple[str, set[str]]]:
    """(type, labels) of each by name."""
    shown = {}
    for family in text_string_to_metric_families(exposition.decode()):
        if family.name.startswith("callstream_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            shown[name] = (family.type, {label for one in family.samples for label in one.labels} - {"le"})
    return shown
