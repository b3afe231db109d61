"""Reads by time: windows, backfills and their stored progress."""
