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
        "the endpoint accepts and hangs", endpoint(endpoints.hanging), Reason.FIRST_BYTE_TIMEOUT
    ),
    _of_endpoint(
        "the endpoint accepts and hangs, and should speak TLS",
        pretending(endpoints.hanging),
        Reason.TLS_TIMEOUT,
    ),
    _of_endpoint(
        "the endpoint drips its answer, a byte a second",
        endpoint(endpoints.dripping),
        Reason.BODY_TIMEOUT,
    ),
    _of_endpoint("the endpoint resets the connection at once", endpoints.nobody, Reason.REFUSED),
    _of_endpoint(
        "the endpoint resets it in the TLS handshake", pretending(endpoints.resetting), Reason.RESET
    ),
    _of_endpoint(
        "the endpoint resets it in the request", endpoints.resetting_the_send, Reason.RESET
    ),
    _of_endpoint(
        "the endpoint resets it before the answer",
        endpoint(endpoints.resetting_the_wait),
        Reason.RESET,
    ),
    _of_endpoint(
        "the endpoint resets it in the answer", endpoint(endpoints.resetting_the_body), Reason.RESET
    ),
    _of_endpoint(
        "the endpoint answers with garbage",
        endpoint(endpoints.cycling(endpoints.GARBAGE)),
        Reason.PROTOCOL,
    ),
    _of_endpoint(
        "the endpoint sends headers without end", endpoint(endpoints.flooding), Reason.PROTOCOL
    ),
    _of_endpoint("the endpoint sends a body of 10 GB", endpoints.ten_gigabytes, Reason.TOO_LARGE),
    _of_endpoint(
        "the endpoint lies about the sizes of chunks",
        endpoint(endpoints.cycling(endpoints.LIES)),
        Reason.PROTOCOL,
    ),
    _of_endpoint("the endpoint sends a gzip bomb", endpoints.gzip_bomb, Reason.ASSERTION),
    _of_endpoint(
        "the endpoint breaks TLS after the handshake", encrypted(endpoints.breaking), Reason.TLS
    ),
    _of_endpoint(
        "the endpoint has an expired certificate",
        encrypted(endpoints.hanging, expired=True),
        Reason.TLS,
    ),
)

NAMES = (
    _of_endpoint("the name server is dead", machine.names("dead", timeout="1s"), Reason.DNS),
    Fault(name="the name server is slow", stage=machine.names("slow"), succeeds=True),
    Fault(
        name="every other lookup fails",
        stage=machine.names("flapping"),
        reports=frozenset({Reason.DNS}),
        succeeds=True,
    ),
    Fault(
        name="the endpoint's IPv6 address refuses, its IPv4 address answers",
        stage=machine.first_address_refuses,
        succeeds=True,
    ),
    Fault(
        name="the endpoint's first address drops packets, its second answers",
        stage=machine.first_address_drops,
        succeeds=True,
    ),
)

OURS = frozenset({Reason.INTERNAL})

MACHINE = (
    Fault(
        name="the wall clock is set forth and back by an hour",
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
        name="no file descriptor is left",
        stage=struck(machine.take_the_descriptors),
        reports=OURS,
        succeeds=True,
        others=OURS,
    ),
    Fault(
        name="no thread starts",
        stage=machine.no_threads,
        reports=OURS | {Reason.FIRST_BYTE_TIMEOUT},
        succeeds=True,
        others=OURS,
    ),
    Fault(
        name="the config's directory is gone, and a secret with it",
        stage=machine.directory_gone,
        reports=OURS,
        succeeds=True,
    ),
    Fault(
        name="the disk is full for the log, and there is much to tell",
        stage=struck(machine.spoil_the_log, "full", script=machine.alternating()),
        reports=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="the log goes to a pipe that nobody reads, and there is much to tell",
        stage=struck(machine.spoil_the_log, "unread", script=machine.alternating()),
        reports=frozenset({Reason.HTTP_5XX}),
        succeeds=True,
    ),
    Fault(
        name="ten scrapes at once",
        stage=struck(machine.scrape_ten_times_at_once),
        succeeds=True,
    ),
)

FAULTS = ENDPOINT + NAMES + MACHINE
