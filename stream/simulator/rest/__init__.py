"""The providers' REST resources: what a poller and the official libraries read, as documented."""
