"""The servers, certificates and pools of tests/http, for the tests of the protocols."""

from tests.http.conftest import authority, pool, serve

__all__ = ["authority", "pool", "serve"]
