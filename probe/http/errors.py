"""Exceptions of a run, in addition to those of the standard library, and their explanation."""

import errno
import re
import socket
import ssl

_UNREACHABLE = {
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
}


def is_unreachable(error: Exception) -> bool:
    """Return True if `error` says that there is no route to an address."""
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


class ProbeError(Exception):
    """Base class; the message is shown to users."""


class AddressDenied(ProbeError):
    """The network policy denies all addresses of the host."""


class MissedOwnDeadline(ProbeError):
    """The deadline passed while the client had to act: it was suspended or had no CPU time."""


class BodyTooLarge(ProbeError):
    """The body is larger than `max_bytes`."""


class ProxyError(ProbeError):
    """The proxy cannot be reached or refuses the tunnel."""


class RedirectError(ProbeError):
    """A redirect that is not followed: too many, an invalid URL, or a body for another host."""


class ResponseError(ProbeError):
    """The response is not valid HTTP, or it is incomplete."""


class BodyIncomplete(ResponseError):
    """The connection ended before the body."""

    def __init__(self) -> None:
        super().__init__("the connection was closed before the end of the body")


class EarlyResponse(ResponseError):
    """The server sent a response before the request: it belongs to no request, or to another."""

    def __init__(self) -> None:
        super().__init__("the server sent a response before the request")


class NotHttp(ResponseError):
    """The response does not begin with a status line of HTTP/1. The message is its first line."""

    def __init__(self, line: bytes) -> None:
        super().__init__(line.decode("latin-1") or "an empty line")


# Remedies by OpenSSL's code of a failed verification (`X509_V_ERR_*`).
_CERTIFICATE_ERRORS = {
    9: "the certificate is not valid yet; check the clocks of both machines",
    10: "the certificate has expired; renew it",
    18: "the certificate is not trusted: self-signed; set tls.ca_file",
    19: "the certificate is not trusted: its CA is unknown; set tls.ca_file",
    20: "the certificate is not trusted: its CA is unknown, or the server does not send its"
    " intermediate certificate; set tls.ca_file",
}

# In Python's message about a certificate for another host or address.
_OTHER_NAME = re.compile(r"certificate is not valid for '[^']*'")

# Reasons of OpenSSL for a peer that does not speak TLS. Its first bytes decide which one it is.
NO_TLS_REASONS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "HTTP_REQUEST",
)

# Remedies by the reason of another TLS error.
_NO_TLS = "the server does not speak TLS on this port; if it serves HTTP, write http://"
_CLIENT_CERTIFICATE = "the server requires a client certificate; set tls.cert_file and tls.key_file"
_TLS_ERRORS = {
    **dict.fromkeys(NO_TLS_REASONS, _NO_TLS),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _CLIENT_CERTIFICATE,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the server rejects the handshake: it may require a client"
    " certificate (tls.cert_file), or have no cipher in common",
    "TLSV1_ALERT_PROTOCOL_VERSION": "no TLS version in common; see tls.min_version",
    "UNSUPPORTED_PROTOCOL": "no TLS version in common; see tls.min_version",
    "UNEXPECTED_EOF_WHILE_READING": "the server closed the connection during the handshake:"
    " does it use TLS on this port?",
}


def describe_error(error: Exception) -> str:
    """Return the message of an error, in words and with a remedy if the error is known."""
    return explain_error(error) or str(error)


def explain_error(error: Exception) -> str | None:
    """Return the cause of a known error in words, with a remedy; None for other errors.

    The name or address that the error is about is in `error.filename`.
    """
    target = getattr(error, "filename", None) or "the address"
    match error:
        case socket.gaierror():
            text = _explain_lookup(error)
        case ssl.SSLCertVerificationError():
            text = _explain_certificate(error)
        case ssl.SSLError(reason=str(reason)):
            text = _TLS_ERRORS.get(reason, f"TLS failed: {reason.replace('_', ' ').lower()}")
        case ConnectionRefusedError():
            text = f"connection refused, nothing listens on {target}"
        case ConnectionResetError(errno=int()):  # without a number, the message is for users
            text = "the server, or a proxy in front of it, reset the connection"
        case OSError() if is_unreachable(error):
            text = f"no route to {target}: check networks and firewalls"
        case _:
            return None
    return text


def _explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    if other_name := _OTHER_NAME.search(error.verify_message):
        return f"the {other_name[0]}; correct the URL, or set tls.server_name"
    other = f"the certificate is not accepted: {error.verify_message}"
    return _CERTIFICATE_ERRORS.get(error.verify_code, other)


def _explain_lookup(error: socket.gaierror) -> str:
    name = f"the name {error.filename}" if error.filename else "the name"
    if error.errno == socket.EAI_AGAIN:
        return f"{name} could not be looked up: the name server does not respond"
    if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
        return f"{name} is unknown; check its spelling, and the name server of this machine"
    return f"{name} could not be looked up: {error.strerror}"
