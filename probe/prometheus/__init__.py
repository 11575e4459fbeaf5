"""Client of the HTTP API of Prometheus, and of servers with the same API."""
