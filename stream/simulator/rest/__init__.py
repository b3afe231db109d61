"""The providers' REST resources in a box: what a poller and the official libraries read, as documented."""
