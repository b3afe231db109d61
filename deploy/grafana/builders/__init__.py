"""What Grafana shows, in Python: one file a dashboard, and the alert rules made from those of Prometheus.

`make dashboards` writes the JSON and YAML that Grafana reads.
"""
