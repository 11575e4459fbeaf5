"""The servers, certificates and pools of tests/http, for the tests of the prober."""

from tests.http.conftest import authority, pool, serve

__all__ = ["authority", "pool", "serve"]
