"""The archive's tables, their migrations, and what the writer does to them in the words of each database."""
