"""The certificate authority of the receivers."""

from tests.http.conftest import authority

__all__ = ["authority"]
