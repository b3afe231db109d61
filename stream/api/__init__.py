"""The query API: what the archive holds, over HTTP, for those who hold a token."""
