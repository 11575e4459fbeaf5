"""Runs scripts of k6 in Chromium, with replacements of k6's modules that record what they get.

There is no k6 in the tests: they show that a script is valid JavaScript, what it sends and counts,
and its options. How k6 schedules and measures is not tested.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Page

_MODULES = {
    "k6/http": """
        export default {
          expectedStatuses: (...statuses) => ({ statuses }),
          request: (method, url, body, params) => {
            const bytes = body instanceof ArrayBuffer ? [...new Uint8Array(body)] : null;
            globalThis.record.requests.push({ method, url, body: bytes ?? body, params });
            return globalThis.responses[globalThis.scenario.iterationInTest];
          },
        };""",
    "k6/execution": "export default { get scenario() { return globalThis.scenario; } };",
    "k6/metrics": """
        export class Rate {
          constructor(name) { this.name = name; globalThis.record.samples[name] = []; }
          add(value) { globalThis.record.samples[this.name].push(value); }
        }""",
}

_IMPORTS = {name: f"data:text/javascript,{quote(code)}" for name, code in _MODULES.items()}

_PAGE = f'<script type="importmap">{json.dumps({"imports": _IMPORTS})}</script>'

_RUN = """
async ({ script, environ, files, responses, elapsed }) => {
  globalThis.__ENV = environ;
  globalThis.record = { requests: [], samples: {} };
  globalThis.responses = responses;
  globalThis.open = (path, mode) => {
    if (!(path in files)) throw new Error(`no file ${path}`);
    const bytes = new Uint8Array(files[path]);
    return mode === 'b' ? bytes.buffer : new TextDecoder().decode(bytes);
  };
  globalThis.scenario = { startTime: Date.now() - elapsed * 1000, iterationInTest: 0 };
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
  const module = await import(url);
  for (; scenario.iterationInTest < responses.length; scenario.iterationInTest++) {
    module.default();
  }
  return { ...record, options: module.options };
}"""


@dataclass(frozen=True, slots=True)
class K6Run:
    """What a script has done."""

    options: Mapping[str, Any]
    requests: Sequence[Mapping[str, Any]]
    """Arguments of the requests: `method`, `url`, `body` (text, or numbers of bytes), `params`."""
    samples: Mapping[str, Sequence[bool]]
    """Values by the name of the metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class K6Response:
    """A response of k6. Times are milliseconds; the status 0 is that of a failed request."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = "{}"
    blocked: float = 1
    duration: float = 2

    def document(self) -> dict[str, Any]:
        timings = {"blocked": self.blocked, "duration": self.duration}
        headers = dict(self.headers)
        return {"status": self.status, "headers": headers, "body": self.body, "timings": timings}


def run_k6_script(
    page: Page,
    script: str,
    responses: Sequence[K6Response] = (K6Response(),),
    *,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
    elapsed_seconds: float = 0,
) -> K6Run:
    """Run an iteration of `script` for each of `responses`, of a step that has begun before."""
    page.set_content(_PAGE)
    arguments = {
        "script": script,
        "environ": dict(environ or {}),
        "files": {path: list(content) for path, content in (files or {}).items()},
        "responses": [response.document() for response in responses],
        "elapsed": elapsed_seconds,
    }
    return K6Run(**page.evaluate(_RUN, arguments))
