"""The settings as documents show them: each with its default, its meaning and the roles that read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from stream.service.settings import (
    GatewaySettings,
    PollerSettings,
    RoleSettings,
    Settings,
    WorkerSettings,
    variable,
)

ROLES: dict[str, type[RoleSettings]] = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "poller": PollerSettings,
}


class Variable(NamedTuple):
    """A setting as documents show it. `roles`: those that read it."""

    name: str
    default: str
    meaning: str
    roles: tuple[str, ...]
    secret: bool


def variables() -> Iterator[Variable]:
    """Every setting, in the order of the roles."""
    of_role = {role: {about.name for about in fields(slice_)} for role, slice_ in ROLES.items()}
    for about in fields(Settings):
        assert about.default is not MISSING
        roles = tuple(role for role, names in of_role.items() if about.name in names) or ("simulator",)
        yield Variable(
            variable(about), _text(about.default), about.metadata["meaning"], roles, about.metadata["secret"]
        )


def table() -> str:
    """The settings as a Markdown table, as docs/settings.md shows it."""
    rows = ["| setting | default | meaning | read by |", "|---|---|---|---|"]
    for one in variables():
        file = " (or `…_FILE`)" if one.secret else ""
        default = f"`{one.default}`" if one.default else "–"
        roles = ", ".join(one.roles) if set(one.roles) != set(ROLES) else "all"
        rows.append(f"| `{one.name}`{file} | {default} | {one.meaning} | {roles} |")
    return "\n".join(rows)


def _text(default: Any) -> str:
    return ",".join(default) if isinstance(default, tuple) else str(default)
