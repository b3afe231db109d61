"""Writes the dashboards and the alert rules beside this folder.

Usage: make dashboards
"""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.builders.alert_rules import alert_rules
from deploy.grafana.builders.application_webhooks import application_webhooks
from deploy.grafana.builders.archive_api import archive_api
from deploy.grafana.builders.calls import calls
from deploy.grafana.builders.one_call import one_call
from deploy.grafana.builders.pipeline import pipeline
from deploy.grafana.builders.polling import polling

GRAFANA = Path(__file__).parents[1]


def files() -> dict[Path, str]:
    """Every generated file and its content."""
    built = (calls(), application_webhooks(), pipeline(), polling(), archive_api(), one_call())
    return {
        **{GRAFANA / "dashboards" / f"{dashboard.uid}.json": as_json(dashboard) for dashboard in built},
        GRAFANA / "provisioning" / "alerting" / "rules.yaml": alert_rules(built),
    }


def as_json(dashboard: Dashboard) -> str:
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for path, content in files().items():
        path.write_text(content)


if __name__ == "__main__":
    main()
