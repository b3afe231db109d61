"""Questions about calls and alerts that the query API or the archive answers."""
