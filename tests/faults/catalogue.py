"""Catalogue of all tested faults."""

from probe.result import Reason
from tests.faults import endpoints, machine
from tests.faults.endpoints import encrypted, endpoint, without_tls
from tests.faults.fault import Fault
from tests.faults.machine import with_trigger


def _of_endpoint(name: str, stage: endpoints.OpenStage, reason: Reason) -> Fault:
    """Return a fault that makes every run of its probe fail with `reason`."""
    return Fault(name=name, stage=stage, reports=frozenset({reason}))


ENDPOINT = (
    _of_endpoint(
        "the endpoint accepts the connection and sends nothing",
        endpoint(endpoints.send_nothing),
        Reason.FIRST_BYTE_TIMEOUT,
    ),
    _of_endpoint(
        "the endpoint sends no TLS handshake",
        without_tls(endpoints.send_nothing),
        Reason.TLS_TIMEOUT,
    ),
    _of_endpoint(
        "the endpoint sends one byte of the response per second",
        endpoint(endpoints.send_slowly),
        Reason.BODY_TIMEOUT,
    ),
    _of_endpoint("the endpoint refuses the connection", endpoints.closed_port, Reason.REFUSED),
    _of_endpoint(
        "the endpoint resets the connection during the TLS handshake",
        without_tls(endpoints.reset_at_first_bytes),
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint resets the connection during the request",
        endpoints.reset_during_request,
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint resets the connection before the response",
        endpoint(endpoints.reset_before_response),
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint resets the connection during the response",
        endpoint(endpoints.reset_during_response),
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint sends random bytes as its response",
        endpoint(endpoints.send_in_turn(endpoints.RANDOM_BYTES)),
        Reason.PROTOCOL,
    ),
    _of_endpoint(
        "the endpoint sends endless headers",
        endpoint(endpoints.send_endless_headers),
        Reason.PROTOCOL,
    ),
    _of_endpoint("the endpoint sends a body of 10 GB", endpoints.ten_gigabytes, Reason.TOO_LARGE),
    _of_endpoint(
        "the endpoint sends wrong chunk sizes",
        endpoint(endpoints.send_in_turn(endpoints.WRONG_CHUNK_SIZES)),
        Reason.PROTOCOL,
    ),
    _of_endpoint("the endpoint sends a gzip bomb", endpoints.gzip_bomb, Reason.ASSERTION),
    _of_endpoint(
        "the endpoint sends unencrypted bytes after the TLS handshake",
        encrypted(endpoints.send_unencrypted),
        Reason.TLS,
    ),
    _of_endpoint(
        "the endpoint has an expired certificate",
        encrypted(endpoints.send_nothing, expired=True),
        Reason.TLS,
    ),
)

NAMES = (
    _of_endpoint(
        "the name server does not respond", machine.name_lookup("hanging", timeout="1s"), Reason.DNS
    ),
    Fault(name="the name server is slow", stage=machine.name_lookup("slow"), succeeds=True),
    Fault(
        name="every second name lookup fails",
        stage=machine.name_lookup("alternating"),
        reports=frozenset({Reason.DNS}),
        succeeds=True,
    ),
    Fault(
        name="the endpoint's IPv6 address refuses connections, its IPv4 address works",
        stage=machine.first_address_refuses,
        succeeds=True,
    ),
    Fault(
        name="the endpoint's first address drops packets, its second works",
        stage=machine.first_address_drops,
        succeeds=True,
    ),
)

INTERNAL = frozenset({Reason.INTERNAL})

MACHINE = (
    Fault(
        name="the wall clock is set forward and back by one hour",
        stage=with_trigger(machine.step_clock, "clock"),
        succeeds=True,
    ),
    Fault(
        name="the daemon is stopped and continued (SIGSTOP, SIGCONT)",
        stage=with_trigger(
            machine.stop_and_continue, script=machine.SLOW_LARGE_RESPONSE, timeout="1s"
        ),
        succeeds=True,
        chance=INTERNAL,
        late=True,
    ),
    Fault(
        name="no file descriptors are available",
        stage=with_trigger(machine.exhaust_descriptors),
        reports=INTERNAL,
        succeeds=True,
        others=INTERNAL,
    ),
    Fault(
        name="no thread can be started",
        stage=machine.no_threads,
        reports=INTERNAL | {Reason.FIRST_BYTE_TIMEOUT},
        succeeds=True,
        others=INTERNAL,
    ),
    Fault(
        name="the directory of the config is deleted, with a secret file",
        stage=machine.directory_deleted,
        reports=INTERNAL,
        succeeds=True,
    ),
    Fault(
        name="the disk of the log is full, and many lines are logged",
        stage=with_trigger(machine.break_log, "full", script=machine.alternating()),
        reports=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="the log is a pipe that is not read, and many lines are logged",
        stage=with_trigger(machine.break_log, "unread", script=machine.alternating()),
        reports=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="ten concurrent scrapes",
        stage=with_trigger(machine.scrape_concurrently),
        succeeds=True,
    ),
)

FAULTS = ENDPOINT + NAMES + MACHINE
