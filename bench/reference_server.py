"""The endpoint that measures its true latency (reference_server.c), compiled at startup."""

import itertools
import shutil
import subprocess
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.processes import run_process

SOURCE = Path(__file__).with_name("reference_server.c")
HEADER = Path("openssl/ssl.h")

# From the arrival of a request to the response. The true duration is in the log.
DELAY_SECONDS = 0.02

# A request may have arrived before its start according to the prober's clock.
START_TOLERANCE_SECONDS = 0.001


class ReferenceServerError(Exception):
    """The server cannot be compiled."""


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """A request in the server's log: arrival (Unix time) and durations, in seconds.

    `handshake` is the server's part of the TLS handshake, if this is the first request on its
    connection, else 0.
    """

    arrived: float
    duration: float
    handshake: float

    @property
    def duration_with_handshake(self) -> float:
        return self.duration + self.handshake


@dataclass(frozen=True, slots=True)
class ServedStream:
    """A stream in the server's log. `number` is that in the path of its request, or 0.

    `arrived` is the arrival of the request (Unix time, s). The durations (s) from there end with
    the departure of the first and the last token.
    """

    number: int
    arrived: float
    first_token: float
    last_token: float

    def time_per_token(self, tokens: int) -> float:
        """Return the mean time (s) between two of `tokens` tokens."""
        return (self.last_token - self.first_token) / (tokens - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamShape:
    """The streams that the server sends in response to POST requests.

    `first_token` is the time (seconds) from the arrival of a request to the first token, and `gap`
    that between two tokens. The true times are in the log.
    """

    first_token: float = DELAY_SECONDS
    tokens: int = 2
    gap: float = 0.0

    @property
    def seconds(self) -> float:
        return self.first_token + (self.tokens - 1) * self.gap


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running server. `url` ends with a slash; a request appends its number."""

    url: str
    log: Path


DEFAULT_SHAPE = StreamShape()


class ReferenceServer:
    """Compiles the server and starts it, with plain HTTP or TLS.

    The program, its certificate and its logs are in `directory`. `ca_file` is the certificate
    authority that clients have to trust.
    """

    def __init__(self, directory: Path) -> None:
        """Raise ReferenceServerError if there is no compiler."""
        self._directory = directory
        self._runs = itertools.count(1)
        self._program = _compile(directory)
        self.ca_file = directory / "ca.pem"
        self._certificate, self._key = directory / "server.pem", directory / "server.key"
        authority = trustme.CA()
        identity = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(self.ca_file))
        identity.cert_chain_pems[0].write_to_path(str(self._certificate))
        identity.private_key_pem.write_to_path(str(self._key))

    @contextmanager
    def run(self, *, tls: bool, streams: StreamShape = DEFAULT_SHAPE) -> Iterator[Endpoint]:
        """Run the server on loopback; its log is complete after the block."""
        log = self._directory / f"requests-{next(self._runs)}.log"
        identity = (self._certificate, self._key) if tls else ()
        delay_us, gap_us = (str(round(time * 1e6)) for time in (streams.first_token, streams.gap))
        shape = (delay_us, log, str(streams.tokens), gap_us)
        with run_process(self._program, *shape, *identity) as process:
            assert process.stdout
            port = int(process.stdout.readline())
            yield Endpoint(f"{'https' if tls else 'http'}://127.0.0.1:{port}/", log)


def _compile(directory: Path) -> Path:
    compiler = shutil.which("cc")
    if not compiler:
        raise ReferenceServerError("no C compiler `cc` on the PATH (Debian: gcc, libc6-dev)")
    program = directory / "reference_server"
    libraries = ("-lssl", "-lcrypto", "-lpthread")
    command = (compiler, "-O2", "-o", program, SOURCE, *libraries)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        hint = "no headers of OpenSSL (Debian: libssl-dev)\n" if str(HEADER) in done.stderr else ""
        raise ReferenceServerError(f"{hint}{SOURCE} does not compile:\n{done.stderr}")
    return program


def parse_log(text: str) -> Iterator[tuple[int, ServedRequest]]:
    """Yield number and request of each line `NUMBER ARRIVED DURATION HANDSHAKE` (nanoseconds)."""
    for line in text.splitlines():
        number, *times = map(int, line.split())
        yield number, ServedRequest(*(time / 1e9 for time in times))


def parse_stream_log(text: str) -> dict[int, ServedStream]:
    """Return the streams by id, from the lines `NUMBER ID ARRIVED FIRST LAST` (nanoseconds)."""
    streams = {}
    for line in text.splitlines():
        number, stream_id, *times = map(int, line.split())
        streams[stream_id] = ServedStream(number, *(time / 1e9 for time in times))
    return streams


class RequestLog:
    """The requests that a server has served, by the number in their path."""

    def __init__(self, requests: Mapping[int, list[ServedRequest]]) -> None:
        """Keep `requests`, which are in the order of arrival."""
        self._requests = requests

    @classmethod
    def parse(cls, text: str) -> "RequestLog":
        """Parse the lines of a log, in any order."""
        by_number: defaultdict[int, list[ServedRequest]] = defaultdict(list)
        for number, request in parse_log(text):
            by_number[number].append(request)
        for requests in by_number.values():
            requests.sort(key=lambda request: request.arrived)
        return cls(by_number)

    def find(self, number: int, started: float) -> ServedRequest | None:
        """Return the first request `number` that arrived after `started` (Unix time)."""
        requests = self._requests.get(number, [])
        index = bisect_left(
            requests, started - START_TOLERANCE_SECONDS, key=lambda request: request.arrived
        )
        return requests[index] if index < len(requests) else None
