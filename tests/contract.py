"""Endpoints, daemons and commands for the tests of the public contract."""

import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import bcrypt
import requests
import trustme
import yaml

from tests.commands import CommandProcess, Running, command_process, running

ROOT = Path(__file__).parent.parent
USER = ("ann", "secret")


@dataclass(frozen=True)
class Setup:
    """Two daemons that have probed everything in the config; `guarded` has users and lifecycle."""

    plain: Running
    guarded: Running
    commands: CommandProcess
    config: Path
    url: str

    def invoke(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr of a command line."""
        process = self.commands.invoke(*arguments, environ=environ)
        return process.returncode, process.stdout, process.stderr


class Model(BaseHTTPRequestHandler):
    """An endpoint: /ok with server timing, /redirect to it, and /fail."""

    def do_GET(self) -> None:
        status = {"/ok": 200, "/redirect": 302}.get(self.path, 500)
        self.send_response(status)
        self.send_header("Location", "/ok")
        times = ("queue", "preprocess", "compute", "postprocess", "load", "total")
        self.send_header("Server-Timing", ", ".join(f"{name};dur=1" for name in times))
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Log nothing."""


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve the endpoint until the end of the block; yield its host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


@contextmanager
def started(directory: Path) -> Iterator[Setup]:
    """Start endpoints and daemons, and wait until each probe has finished twice."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    authority.cert_pem.write_to_path(directory / "ca.pem")
    with ExitStack() as stack:
        # No line of a help text is wrapped.
        commands = stack.enter_context(command_process(environ={"COLUMNS": "1000"}))
        host, secure = stack.enter_context(serving()), stack.enter_context(serving(tls))
        fast = {"name": "fast", "target": "99%", "latency": "499ms"}
        available = {"name": "available", "target": "99.9%", "alert": "ticket"}
        objectives = [fast, available]
        labels = {"model": "toy"}
        limits = {"tokens_per_day": "1G", "cost_per_day": 1, "requests_per_hour": "1M"}
        spending = {"price": {"input": 1, "currency": "USD"}, "budget": limits}
        probes: list[dict[str, object]] = [
            {
                "name": "ok",
                "url": f"http://{host}/ok",
                "labels": labels,
                "capacity": {"safe_rate": "140/s"},
                "objectives": objectives,
            },
            {"name": "fail", "url": f"http://{host}/fail", "objectives": objectives},
            {"name": "redirect", "url": f"http://{host}/redirect", "redirects": 1, **spending},
            {"name": "tls", "url": f"https://{secure}/ok", "tls": {"ca_file": "ca.pem"}},
        ]
        defaults = {"interval": "200ms", "startup_grace": "0s"}
        config, web = directory / "probe.yml", directory / "web.yml"
        config.write_text(yaml.safe_dump({"defaults": defaults, "probes": probes}))
        password = bcrypt.hashpw(USER[1].encode(), bcrypt.gensalt(4)).decode()
        web.write_text(yaml.safe_dump({"basic_auth_users": {USER[0]: password}}))
        flags = (f"--web.config.file={web}", "--web.enable-lifecycle")
        plain = stack.enter_context(running(f"--config.file={config}"))
        guarded = stack.enter_context(running(f"--config.file={config}", *flags))
        for daemon in (plain, guarded):
            _wait_for_results(daemon, len(probes))
        yield Setup(plain, guarded, commands, config, f"http://{host}")


def _wait_for_results(daemon: Running, probes: int) -> None:
    end = time.monotonic() + 30
    pattern = re.compile(r"^inference_probe_runs_total\{.*\} (.*)$", re.MULTILINE)
    while True:
        runs = pattern.findall(requests.get(f"{daemon.url}/metrics", auth=USER, timeout=10).text)
        if len(runs) == probes and min(map(float, runs)) >= 2:
            return
        assert time.monotonic() < end, daemon.log()
        time.sleep(0.05)
