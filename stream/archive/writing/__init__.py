"""How the archive is written: a batch of the topics' records after another, each record once."""
