"""What a client's certificate says, as `ssl.SSLSocket.getpeercert` gives it."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

_NAMES = {"DNS", "email", "URI"}


def certificate_names(certificate: Mapping[str, Any]) -> set[str]:
    """Its alternative names: of hosts, addresses, people and services."""
    found = certificate.get("subjectAltName", ())
    addresses = {str(ip_address(value.strip())) for kind, value in found if kind == "IP Address"}
    return {value for kind, value in found if kind in _NAMES} | addresses


def certificate_subject(certificate: Mapping[str, Any]) -> str:
    """What to call its owner: the common name, else the first alternative name."""
    for part in certificate.get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return min(certificate_names(certificate), default="a certificate")
