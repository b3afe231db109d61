"""The poller: the providers' REST resources, read completely and within a budget, rows landed verbatim."""
