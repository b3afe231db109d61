"""Alerts: the rules, the record, and the episodes of facts and conditions."""
