"""The archive: what left callstream, for as long as its retention, in SQLite or PostgreSQL."""
