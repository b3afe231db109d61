"""HTTP of every role: the server and its connections, health endpoints, the client."""
