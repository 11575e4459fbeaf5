"""All faults that the daemon is tested with."""

from probe.result import Reason
from tests.faults import endpoints, machine
from tests.faults.endpoints import endpoint, https_url_without_tls, tls_endpoint
from tests.faults.fault import Fault, OpenSetup
from tests.faults.machine import injected


def _always_fails(name: str, setup: OpenSetup, reason: Reason) -> Fault:
    """Return a fault that makes each run of the faulty probe fail for one reason."""
    return Fault(name=name, setup=setup, reasons=frozenset({reason}))


ENDPOINT_FAULTS = (
    _always_fails(
        "the endpoint accepts the connection and sends nothing",
        endpoint(endpoints.silent),
        Reason.FIRST_BYTE_TIMEOUT,
    ),
    _always_fails(
        "the endpoint sends no TLS handshake",
        https_url_without_tls(endpoints.silent),
        Reason.TLS_TIMEOUT,
    ),
    _always_fails(
        "the endpoint sends one byte of the response per second",
        endpoint(endpoints.slow_body),
        Reason.BODY_TIMEOUT,
    ),
    _always_fails("the endpoint refuses the connection", endpoints.refusing, Reason.REFUSED),
    _always_fails(
        "the endpoint resets the connection during the TLS handshake",
        https_url_without_tls(endpoints.reset_after_first_bytes),
        Reason.RESET,
    ),
    _always_fails(
        "the endpoint resets the connection during the request",
        endpoints.reset_during_request,
        Reason.RESET,
    ),
    _always_fails(
        "the endpoint resets the connection before the response",
        endpoint(endpoints.reset_before_response),
        Reason.RESET,
    ),
    _always_fails(
        "the endpoint resets the connection during the response",
        endpoint(endpoints.reset_during_response),
        Reason.RESET,
    ),
    _always_fails(
        "the endpoint sends random bytes as its response",
        endpoint(endpoints.in_turn(endpoints.RANDOM_BYTES)),
        Reason.PROTOCOL,
    ),
    _always_fails(
        "the endpoint sends endless headers",
        endpoint(endpoints.endless_headers),
        Reason.PROTOCOL,
    ),
    _always_fails("the endpoint sends a body of 10 GB", endpoints.ten_gigabytes, Reason.TOO_LARGE),
    _always_fails(
        "the endpoint sends wrong chunk sizes",
        endpoint(endpoints.in_turn(endpoints.WRONG_CHUNK_SIZES)),
        Reason.PROTOCOL,
    ),
    _always_fails(
        "the endpoint sends a body in chunks of one byte",
        endpoint(endpoints.in_turn([endpoints.ONE_BYTE_CHUNKS])),
        Reason.PROTOCOL,
    ),
    _always_fails(
        "the endpoint sends chunk extensions of 60 kB",
        endpoint(endpoints.in_turn([endpoints.LONG_CHUNK_EXTENSIONS])),
        Reason.PROTOCOL,
    ),
    _always_fails(
        "the endpoint sends invalid status lines, such as `HTTP/1.1 +200`",
        endpoint(endpoints.in_turn(endpoints.INVALID_STATUS_LINES)),
        Reason.PROTOCOL,
    ),
    _always_fails(
        "the endpoint sends its response before the request",
        endpoints.response_before_request,
        Reason.PROTOCOL,
    ),
    Fault(
        name="the endpoint sends a surplus response on a reused connection",
        setup=endpoint(endpoints.TWO_RESPONSES, **endpoints.REUSE),
        succeeds=True,
    ),
    Fault(
        name="the endpoint sends a surplus response on a reused connection with TLS",
        setup=tls_endpoint(endpoints.TWO_RESPONSES, **endpoints.REUSE),
        succeeds=True,
    ),
    _always_fails("the endpoint sends a gzip bomb", endpoints.gzip_bomb, Reason.ASSERTION),
    _always_fails(
        "the endpoint sends a body for which the pattern needs much memory",
        endpoints.expensive(endpoints.MANY_LETTERS, {"body_matches": r"(.|\n)*zq$"}),
        Reason.ASSERTION,
    ),
    _always_fails(
        "the endpoint sends a large JSON document, which the JSONPath searches completely",
        endpoints.expensive(endpoints.MANY_OBJECTS, {"json": {"$..result": {"exists": True}}}),
        Reason.ASSERTION,
    ),
    _always_fails(
        "the endpoint sends 150,000 values for one condition",
        endpoints.expensive(
            endpoints.MANY_NUMBERS, {"json": {"$[*]": {"in": [*range(1, 200), 0]}}}
        ),
        Reason.ASSERTION,
    ),
    _always_fails(
        "the endpoint sends unencrypted bytes after the TLS handshake",
        tls_endpoint(endpoints.plain_bytes_after_handshake),
        Reason.TLS,
    ),
    _always_fails(
        "the endpoint has an expired certificate",
        tls_endpoint(endpoints.silent, expired=True),
        Reason.TLS,
    ),
)

NAME_SERVER_FAULTS = (
    _always_fails(
        "the name server does not respond",
        machine.lookup("no-response.test", "no response", timeout="1s"),
        Reason.DNS,
    ),
    Fault(name="the name server is slow", setup=machine.lookup("slow.test", "slow"), succeeds=True),
    Fault(
        name="every second name lookup fails",
        setup=machine.lookup("flapping.test", "every second fails"),
        reasons=frozenset({Reason.DNS}),
        succeeds=True,
    ),
    Fault(
        name="the endpoint's IPv6 address refuses connections, its IPv4 address works",
        setup=machine.ipv6_refuses,
        succeeds=True,
    ),
    Fault(
        name="the endpoint's first address drops packets, its second works",
        setup=machine.first_address_drops,
        succeeds=True,
    ),
)

INTERNAL = frozenset({Reason.INTERNAL})

# Faults that affect the whole daemon.
MACHINE_FAULTS = (
    Fault(
        name="the wall clock is set forward and back by one hour",
        setup=injected(machine.step_clock, patch="clock"),
        succeeds=True,
    ),
    Fault(
        name="the daemon is stopped and continued (SIGSTOP, SIGCONT)",
        setup=injected(machine.stop_and_continue, script=machine.BUSY_ENDPOINT, timeout="1s"),
        succeeds=True,
        occasional_reasons=INTERNAL,
        skips_late_ticks=True,
    ),
    Fault(
        name="no file descriptors are available",
        setup=injected(machine.exhaust_descriptors),
        reasons=INTERNAL,
        succeeds=True,
        healthy_reasons=INTERNAL,
    ),
    Fault(
        name="no thread can be started",
        setup=machine.no_threads,
        reasons=INTERNAL | {Reason.FIRST_BYTE_TIMEOUT},
        succeeds=True,
        healthy_reasons=INTERNAL,
    ),
    Fault(
        name="the directory of the config is deleted, with a secret file",
        setup=machine.directory_deleted,
        reasons=INTERNAL,
        succeeds=True,
    ),
    Fault(
        name="the disk of the log is full, and many lines are logged",
        setup=injected(
            machine.redirect_log, patch="log to full disk", script=machine.EVERY_SECOND_FAILS
        ),
        reasons=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="the log is a pipe that is not read, and many lines are logged",
        setup=injected(
            machine.redirect_log, patch="log to unread pipe", script=machine.EVERY_SECOND_FAILS
        ),
        reasons=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="ten concurrent scrapes",
        setup=injected(machine.scrape_concurrently),
        succeeds=True,
    ),
)

# Other probes of the same daemon are unaffected, so these faults can share a daemon.
SHARED_FAULTS = (*ENDPOINT_FAULTS, *NAME_SERVER_FAULTS)

FAULTS = (*SHARED_FAULTS, *MACHINE_FAULTS)
