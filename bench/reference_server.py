"""The endpoint that knows the truth (truth.c), compiled on the spot."""

import shutil
import subprocess
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from bench.processes import started

SOURCE = Path(__file__).with_name("reference_server.c")
HEADER = Path("openssl/ssl.h")
DELAY = 0.02
"""Seconds after which the endpoint answers; how long it really took is in its log."""

EARLY = 0.001
"""Seconds by which a prober's date of its start may be off."""


class NoTruth(Exception):
    """The endpoint cannot be compiled."""


@dataclass(frozen=True, slots=True)
class Served:
    """A request that was answered: when it arrived (Unix time), what it took and, if it was the
    first on its connection, the server's half of the TLS handshake before; in seconds.
    """

    arrived: float
    took: float
    handshake: float

    @property
    def whole(self) -> float:
        return self.took + self.handshake


@dataclass(frozen=True, slots=True)
class Endpoint:
    url: str
    """Ends with a slash; a request goes to a number behind it."""
    log: Path


class Truth:
    """Starts endpoints, plain and with TLS; their program, certificate and logs are in `directory`.

    `authority` is the file with the certificate that a client has to trust.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._program = _compile(directory)
        self.authority = directory / "authority.pem"
        self._certificate, self._key = directory / "server.pem", directory / "server.key"
        authority = trustme.CA()
        identity = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(self.authority))
        identity.cert_chain_pems[0].write_to_path(str(self._certificate))
        identity.private_key_pem.write_to_path(str(self._key))

    @contextmanager
    def serving(self, *, tls: bool) -> Iterator[Endpoint]:
        """An endpoint on loopback; its log is complete after the block."""
        log = self._directory / "truth.log"
        identity = (self._certificate, self._key) if tls else ()
        with started(self._program, str(round(DELAY * 1e6)), log, *identity) as process:
            assert process.stdout
            port = int(process.stdout.readline())
            yield Endpoint(f"{'https' if tls else 'http'}://127.0.0.1:{port}/", log)


def _compile(directory: Path) -> Path:
    """The program; raises NoTruth with what is missing."""
    compiler = shutil.which("cc")
    if not compiler:
        raise NoTruth("no C compiler `cc` on the PATH (Debian: gcc, libc6-dev)")
    program = directory / "truth"
    libraries = ("-lssl", "-lcrypto", "-lpthread")
    command = (compiler, "-O2", "-o", program, SOURCE, *libraries)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        hint = "no headers of OpenSSL (Debian: libssl-dev)\n" if str(HEADER) in done.stderr else ""
        raise NoTruth(f"{hint}{SOURCE} does not compile:\n{done.stderr}")
    return program


def entries(text: str) -> Iterator[tuple[int, Served]]:
    """What lines of `NUMBER ARRIVED TOOK HANDSHAKE` (nanoseconds) say of requests by number."""
    for line in text.splitlines():
        number, *spans = map(int, line.split())
        yield number, Served(*(span / 1e9 for span in spans))


class Log:
    """What an endpoint has served, by the number in the request's path."""

    def __init__(self, served: Mapping[int, list[Served]]) -> None:
        """Each list is in the order of arrival."""
        self._served = served

    @classmethod
    def read(cls, text: str) -> "Log":
        """From its text, in any order."""
        served: defaultdict[int, list[Served]] = defaultdict(list)
        for number, one in entries(text):
            served[number].append(one)
        for requests in served.values():
            requests.sort(key=lambda one: one.arrived)
        return cls(served)

    def find(self, number: int, started: float) -> Served | None:
        """What came of a probe that started then (Unix time, seconds): the next to arrive."""
        requests = self._served.get(number, [])
        place = bisect_left(requests, started - EARLY, key=lambda one: one.arrived)
        return requests[place] if place < len(requests) else None
