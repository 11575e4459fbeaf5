"""Protocols of model servers: what a request and its response look like."""
