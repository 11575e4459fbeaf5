"""Every fault that the daemon is held against."""

from probe.result import Reason
from tests.faults import endpoints, machine
from tests.faults.endpoints import encrypted, endpoint, pretending
from tests.faults.fault import Fault
from tests.faults.machine import struck


def _of_endpoint(name: str, stage: endpoints.OpenStage, reason: Reason) -> Fault:
    """One that makes every run fail for one reason and touches nobody else."""
    return Fault(name=name, stage=stage, reports=frozenset({reason}))


ENDPOINT = (
    _of_endpoint(
        "the endpoint accepts the connection and sends nothing",
        endpoint(endpoints.hanging),
        Reason.FIRST_BYTE_TIMEOUT,
    ),
    _of_endpoint(
        "the endpoint sends no TLS handshake",
        pretending(endpoints.hanging),
        Reason.TLS_TIMEOUT,
    ),
    _of_endpoint(
        "the endpoint sends one byte of the response per second",
        endpoint(endpoints.dripping),
        Reason.BODY_TIMEOUT,
    ),
    _of_endpoint("the endpoint refuses the connection", endpoints.nobody, Reason.REFUSED),
    _of_endpoint(
        "the endpoint resets the connection during the TLS handshake",
        pretending(endpoints.resetting),
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint resets the connection during the request",
        endpoints.resetting_the_send,
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint resets the connection before the response",
        endpoint(endpoints.resetting_the_wait),
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint resets the connection during the response",
        endpoint(endpoints.resetting_the_body),
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint sends random bytes as its response",
        endpoint(endpoints.cycling(endpoints.GARBAGE)),
        Reason.PROTOCOL,
    ),
    _of_endpoint(
        "the endpoint sends endless headers", endpoint(endpoints.flooding), Reason.PROTOCOL
    ),
    _of_endpoint("the endpoint sends a body of 10 GB", endpoints.ten_gigabytes, Reason.TOO_LARGE),
    _of_endpoint(
        "the endpoint sends wrong chunk sizes",
        endpoint(endpoints.cycling(endpoints.LIES)),
        Reason.PROTOCOL,
    ),
    _of_endpoint("the endpoint sends a gzip bomb", endpoints.gzip_bomb, Reason.ASSERTION),
    _of_endpoint(
        "the endpoint sends unencrypted bytes after the TLS handshake",
        encrypted(endpoints.breaking),
        Reason.TLS,
    ),
    _of_endpoint(
        "the endpoint has an expired certificate",
        encrypted(endpoints.hanging, expired=True),
        Reason.TLS,
    ),
)

NAMES = (
    _of_endpoint(
        "the name server does not respond", machine.names("dead", timeout="1s"), Reason.DNS
    ),
    Fault(name="the name server is slow", stage=machine.names("slow"), succeeds=True),
    Fault(
        name="every second name lookup fails",
        stage=machine.names("flapping"),
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

OURS = frozenset({Reason.INTERNAL})

MACHINE = (
    Fault(
        name="the wall clock is set forward and back by one hour",
        stage=struck(machine.step_the_clock, "clock"),
        succeeds=True,
    ),
    Fault(
        name="the daemon is stopped and continued (SIGSTOP, SIGCONT)",
        stage=struck(machine.stop_and_continue, script=machine.BUSY, timeout="1s"),
        succeeds=True,
        chance=OURS,
        late=True,
    ),
    Fault(
        name="no file descriptors are available",
        stage=struck(machine.take_the_descriptors),
        reports=OURS,
        succeeds=True,
        others=OURS,
    ),
    Fault(
        name="no thread can be started",
        stage=machine.no_threads,
        reports=OURS | {Reason.FIRST_BYTE_TIMEOUT},
        succeeds=True,
        others=OURS,
    ),
    Fault(
        name="the directory of the config is deleted, with a secret file",
        stage=machine.directory_gone,
        reports=OURS,
        succeeds=True,
    ),
    Fault(
        name="the disk of the log is full, and many lines are logged",
        stage=struck(machine.spoil_the_log, "full", script=machine.alternating()),
        reports=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="the log is a pipe that is not read, and many lines are logged",
        stage=struck(machine.spoil_the_log, "unread", script=machine.alternating()),
        reports=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="ten concurrent scrapes",
        stage=struck(machine.scrape_ten_times_at_once),
        succeeds=True,
    ),
)

FAULTS = ENDPOINT + NAMES + MACHINE
