"""Prometheus as a process, also with history that it has not scraped itself."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from probe.demo import http
from probe.demo.stack import free_port

# Prometheus deletes older data.
RETENTION = "10y"


@contextmanager
def running_prometheus(
    binary: str, directory: Path, config: Mapping[str, Any], *flags: str
) -> Iterator[str]:
    """Run a Prometheus whose data is in `directory`, and yield its URL."""
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(dict(config)))
    address = f"127.0.0.1:{free_port()}"
    command = (
        binary,
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--storage.tsdb.retention.time={RETENTION}",
        f"--web.listen-address={address}",
        *flags,
    )
    log = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_until_ready(f"http://{address}/-/ready")
            yield f"http://{address}"
        finally:
            process.terminate()


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while not http.is_ok(url):
        assert time.monotonic() < deadline, url
        time.sleep(0.1)


def backfill(directory: Path, lines: Sequence[str], *, promtool: str = "promtool") -> None:
    """Write samples into the data of a Prometheus in `directory`, which is not running.

    `lines` are those of the OpenMetrics format, with times in seconds.
    """
    program = shutil.which(promtool)
    assert program, "install prometheus, which has promtool"
    file = directory / "history.om"
    file.write_text("\n".join([*lines, "# EOF\n"]))
    command = (program, "tsdb", "create-blocks-from", "openmetrics")
    subprocess.run(
        [*command, "--max-block-duration=768h", "--quiet", str(file), str(directory / "data")],
        check=True,
        capture_output=True,
    )
