"""Config with a secret in each possible place, a server that repeats them, a search for leaks."""

import base64
import gzip
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trustme
import yaml

from tests.raw_servers import Peer, Received, free_port, http_response
from tests.server.http_server_fixture import bcrypt_hash

MARKER = "m4rk3r"
# A secret that is not quoted in the config.
NUMBER = "70772077"
# A secret that each encoding changes.
ENCODED = f'{MARKER}-"t\\o/k&n é+{MARKER}'
ENVIRONMENT = {
    "TOKEN": ENCODED,
    "PART": f"{MARKER}-path",
    "PASSWORD": f"{MARKER}%2Bpw",
    "DEEP": f"{MARKER}-'deep' <b> \u2603",
    "EXPECTED": f'{MARKER}"expected\\d',
    "HOST": f"Proxy-{MARKER}.invalid",
    "HOOK": f"{MARKER}+x=ü|&y",
    "HEADER": f"Bearer {MARKER}-in-a-header",
}
PASSWORD = f"{MARKER}-web"
HASH = bcrypt_hash(PASSWORD)


def echo_request(received: Received) -> dict[str, Any]:
    """Return all data of a request, as an endpoint may repeat them."""
    headers = dict(received.headers)
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    basic = base64.b64decode(encoded).decode() if scheme == "Basic" else ""
    body = received.body.decode()
    return {
        "token": headers.get("x-token", ""),
        "authorization": headers.get("authorization", ""),
        "basic": basic,
        "target": received.line,
        "headers": headers,
        "body": body,
        "parsed": json.loads(body) if body else None,
        "quoted": [quote(value) for value in (*headers.values(), basic)],
        "html": html.escape(body),
    }


def respond(received: Received, how: str) -> bytes:
    """Return a response that repeats the secrets of the request in the way `how`."""
    data = echo_request(received)
    as_json = json.dumps(data).encode()
    headers = [f"X-Echo: {data['token']}", f"X-Target: {data['target']}"]
    headers.append(f"X-Words: {data['headers'].get('x-words', '').partition(' ')[2]}")
    headers.append(f"Set-Cookie: session={MARKER}-of-a-user")
    path = quote(data["token"].replace("/", "_"))
    responses = {
        "ok": http_response(b"fine"),
        "echo": http_response(as_json, *headers),
        "plain": http_response(json.dumps(data, ensure_ascii=False).encode(), *headers),
        "raw": http_response(received.head, status="503 Busy"),
        "html": http_response(data["html"].encode(), status="500 Oops"),
        "zipped": http_response(
            gzip.compress(as_json), "Content-Encoding: gzip", status="429 Slow"
        ),
        "padded": http_response(b"." * 1000 + as_json, status="404 None"),
        "valued": http_response(json.dumps("." * 70 + data["token"]).encode()),
        "status": f"HTTP/1.1 {data['token']}\r\n\r\n".encode("latin-1"),
        "garbage": f"{data['token']}\r\n\r\n".encode("latin-1"),
        "length": http_response(b"", f"Content-Length: {data['token']}"),
        "encoding": http_response(b"x", f"Content-Encoding: {data['token']}"),
        "moved": http_response(b"", f"Location: /raw/{path}?{path}", status="302 Found"),
        "407": http_response(as_json, *headers, status=f"407 {data['token']}"),
    }
    return responses.get(how, responses["echo"])


def script(peer: Peer) -> None:
    while received := peer.request():
        target = received.line.split()[1].removeprefix(f"http://model.invalid:{peer.server.port}")
        how = "407" if received.line.startswith("CONNECT") else target.split("/")[1]
        if how == "reset":
            peer.reset()
        elif how == "silent":
            peer.silence()
        peer.send(respond(received, how))


def make_config(port: int, tls_port: int, key: Path) -> dict[str, Any]:
    """Return a config with secrets in all places, whose probes fail for all reasons."""
    fails = {"equals": "no"}
    known = "${env:EXPECTED}"
    user = f"{MARKER}-user:${{env:PASSWORD}}@"
    home = f"http://{user}127.0.0.1:{port}"
    rest = f"${{env:PART}}?q={MARKER}-query&sig=${{env:PART}}"
    proxy = f"http://{MARKER}-proxy:${{file:proxy.txt}}@127.0.0.1"
    expectations: dict[str, Any] = {
        **{how: {} for how in ("ok", "reset", "silent", "raw", "html", "zipped", "padded")},
        **{how: {} for how in ("status", "garbage", "length", "moved")},
        "encoding": {"body_matches": "no"},
        "valued": {"json": {"$": fails}},
        "echo/header": {"headers": {"X-Echo": fails}},
        "echo/target": {"headers": {"X-Target": {"matches": "no"}}},
        "echo/all": {"json": {"$": fails}},
        "echo/wanted": {"json": {"$.token": {"equals": "Bearer ${env:TOKEN}"}}},
        "echo/pattern": {"body_matches": "no ${env:PART}"},
        "echo/known": {"body_matches": f"no {known}"},
        "echo/known/equals": {"json": {"$.basic": {"equals": ["no", {"no": known}]}}},
        "echo/known/in": {"json": {"$.basic": {"in": ["no", known]}}},
        "echo/known/matches": {"json": {"$.basic": {"matches": f"no {known}"}}},
        "echo/known/header": {"headers": {"X-Echo": {"equals": f"no {known}"}}},
        "echo/words": {"headers": {"X-Words": fails}},
        "echo/cookie": {"headers": {"Set-Cookie": {"matches": "no"}}},
        **{f"echo/{part}": {"json": {f"$.{part}": fails}} for part in ("body", "html", "basic")},
        **{f"plain/{part}": {"json": {f"$.{part}": fails}} for part in ("quoted", "parsed")},
        "plain/authorization": {"json": {"$.authorization": {"min": 3}}},
    }
    probes = [
        {"name": how, "url": f"{home}/{how}/{rest}", "expect": expect}
        for how, expect in expectations.items()
    ]
    special_probes: dict[str, dict[str, Any]] = {
        "refused": {"url": f"http://{user}127.0.0.1:{free_port()}/{rest}"},
        "denied": {"url": f"http://{user}127.1.1.1:{port}/{rest}"},
        "tls": {
            "url": f"https://{user}127.0.0.1:{tls_port}/ok/{rest}",
            "tls": {"cert_file": str(key), "key_file": str(key)},
        },
        "named": {"url": f"http://{user}${{file:host.txt}}:{port}/raw/{rest}"},
        "proxied": {"url": f"http://model.invalid:{port}/raw/{rest}", "proxy": f"{proxy}:{port}"},
        "tunnel": {"url": f"https://{user}model.invalid/{rest}", "proxy": f"{proxy}:{port}"},
        "lost": {"url": f"{home}/ok/{rest}", "headers": {"X-File": "${file:rotated.txt}"}},
        "cased": {"url": "http://model.invalid/", "proxy": "http://${env:HOST}:3128"},
        "hook": {"url": f"{home}/raw/${{env:HOOK}}/x"},
        "hook/header": {
            "url": f"{home}/echo/${{env:HOOK}}/x",
            "expect": {"headers": {"X-Target": fails}},
        },
        "whole": {"url": "${env:WHOLE}", "expect": {"headers": {"X-Target": fails}}},
        "form": {"url": f"{home}/html/", "body": f"a=b&client_secret={MARKER}", "json": None},
        "text": {
            "url": f"{home}/html/",
            "body": f'{{"pin": {{"keys": ["{MARKER}"]}}}}',
            "json": None,
        },
        "elsewhere": {"url": f"{home}/ok/", "proxy": f"{proxy}:{free_port()}"},
    }
    headers = {
        "X-Token": "${env:TOKEN}",
        "X-Api-Key": f"{MARKER}-literal",
        "Cookie": f"session={MARKER}-cookie; a=b",
        "X-File": "Bearer ${file:token.txt}",
        "X-Words": "${env:HEADER}",
    }
    return {
        "networks": {"deny": ["127.1.1.1/32"]},
        "defaults": {
            "interval": "1s",
            "timeout": "700ms",
            "startup_grace": "0s",
            "redirects": 2,
            "headers": headers,
            "method": "POST",
            "json": {
                "deep": [{"er": "${env:DEEP}"}],
                "api_key": f"{MARKER}-key",
                "credentials": {"pins": [f"{MARKER}-pin", int(f"{NUMBER}9")]},
                "data": "${file:token.txt}",
            },
        },
        "probes": [*probes, *({"name": name, **keys} for name, keys in special_probes.items())],
    }


@dataclass
class SecretFixture:
    """A directory with configs full of secrets, and all outputs that may leak them."""

    directory: Path
    port: int
    tls_port: int
    authority: trustme.CA
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def probe(self) -> Path:
        return self.directory / "probe.yml"

    @property
    def web(self) -> Path:
        return self.directory / "web.yml"

    @property
    def environ(self) -> dict[str, str]:
        whole = f"http://127.0.0.1:{self.port}/echo/{MARKER}/hooks"
        return {**ENVIRONMENT, "WHOLE": whole, "PYTHONDEVMODE": "1"}

    def write_files(self) -> None:
        (self.directory / "token.txt").write_text(f"{MARKER}/file+token\n")
        (self.directory / "proxy.txt").write_text(f"{MARKER}-proxy-pw\n")
        (self.directory / "rotated.txt").write_text(f"{MARKER}\n")
        (self.directory / "host.txt").write_text("127.0.0.1\n")
        issued = self.authority.issue_cert("127.0.0.1")
        parts = (issued.private_key_pem, *issued.cert_chain_pems)
        pem = b"".join(part.bytes() for part in parts)
        self.key = self.directory / "key.pem"
        self.key.write_bytes(f"{MARKER}\n".encode() + pem)
        self.key_lines = issued.private_key_pem.bytes().decode().splitlines()[1:-1]
        self.probe.write_text(yaml.safe_dump(make_config(self.port, self.tls_port, self.key)))
        users = {"basic_auth_users": {"ann": HASH}}
        tls = {"tls_server_config": {"cert_file": str(self.key), "key_file": str(self.key)}}
        self.web.write_text(yaml.safe_dump({**users, **tls}))

    def invalidate_secret_files(self) -> None:
        """Change secrets to values that are invalid as a header and as a host name."""
        (self.directory / "rotated.txt").write_text(f"{MARKER}\u20ac\n")
        (self.directory / "host.txt").write_text(f"{MARKER * 12}.invalid\n")

    def write_invalid_config(self) -> None:
        """Write a config whose mistakes are in secrets."""
        bad = {
            "url": f"http://{MARKER}:{MARKER}@127.0.0.1:99999/?{MARKER}",
            "proxy": f"http://{MARKER}:{MARKER}@/",
            "method": "G T",
            "body": int(NUMBER),
            "headers": {
                "X-Api-Key": int(NUMBER),
                "X-End": f"{MARKER} ",
                "X-No": f"{MARKER}\n",
                "X-Open": f"${{env:PW@{MARKER}",
                f"X-Blank:{MARKER}": None,
            },
        }
        misplaced = {
            "name": f"http://{MARKER}:{MARKER}@h/?{MARKER}",
            "url": "http://127.0.0.1/",
            "body_file": f'{{"token": "{MARKER}"}}',
            f"token={MARKER}": None,
            f"{MARKER}-unknown": 1,
            "headers": {f"{MARKER}abc": 1, f"X={MARKER}": "x", f"{MARKER}/+=": "x"},
            "tls": {"ca_file": f"http://{MARKER}@h/ca.pem", "cert_file": f"{MARKER} x"},
        }
        defaults = f"\n  headers: {{X-Time: {NUMBER}_1, X-Date: {NUMBER}:12}}\n"
        defaults += f"  json: {{pin: {NUMBER}_2, {MARKER}: 007, {MARKER}/+: {{a: 007}}}}\n"
        probes = [{"name": "bad", **bad}, misplaced, misplaced]
        text = yaml.safe_dump({"probes": probes})
        self.probe.write_text(f"defaults:{defaults}{text}")

    def record(self, source: str, text: str) -> None:
        self.outputs[source] = text

    def leaks(self) -> list[str]:
        """Return the outputs that contain a secret, with the text around it."""
        needles = [MARKER, NUMBER, HASH, *self.key_lines]
        return [
            f"{source}: {text[max(0, at - 80) : at + 80]!r}"
            for source, output in self.outputs.items()
            for text in (output, "\n".join(decode_base64_parts(output)))
            for needle in needles
            if (at := text.find(needle)) >= 0
        ]


def decode_base64_parts(text: str) -> Iterator[str]:
    """Yield the decodings of all parts of a text that may be base64, at any offset."""
    runs = set(re.findall(r"[A-Za-z0-9+/_-]{8,}", text))
    for run in (run.replace("-", "+").replace("_", "/") for run in runs):
        for start in range(4):
            piece = run[start:]
            yield base64.b64decode(piece[: len(piece) // 4 * 4]).decode("latin-1")
