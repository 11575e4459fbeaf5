"""The functions of `probe.config.loader`, called in a child process."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.config.child_process import ChildProcess
from probe.config.config_bytes import read_config_file

if TYPE_CHECKING:  # imported while the child process works
    from probe.config.settings import Settings


class ChildProcessLoader:
    """Validates configs in child processes, so that this process never imports the models.

    Its methods raise the errors of the functions, and ChildProcessError if a process fails.
    """

    def __init__(self, meanwhile: Callable[[], object] | None = None) -> None:
        """`meanwhile` is called while a child process works, e.g. to import modules."""
        self._meanwhile = meanwhile

    def load(
        self, path: Path, *, environ: Mapping[str, str], name: str | None = None
    ) -> "Settings":
        # The file is read in this process: `/dev/stdin` and `/dev/fd/3` are others in the child.
        name = name or str(path)
        content = read_config_file(path, name)
        return self.parse(content, name=name, base=path.parent, environ=environ)

    def parse(
        self, content: bytes, *, name: str, base: Path, environ: Mapping[str, str]
    ) -> "Settings":
        return self._call("parse", content=content, name=name, base=base, environ=dict(environ))

    def from_flags(
        self,
        *,
        url: str,
        slo: str | None = None,
        interval: str | None = None,
        json: str | None = None,
        name: str | None = None,
        environ: Mapping[str, str],
    ) -> "Settings":
        return self._call(
            "from_flags",
            url=url,
            slo=slo,
            interval=interval,
            json=json,
            name=name,
            environ=dict(environ),
        )

    def _call(self, function: str, **arguments: Any) -> "Settings":
        with ChildProcess(f"probe.config.loader:{function}", **arguments) as process:
            if self._meanwhile:
                self._meanwhile()
            settings: Settings = process.result()
            return settings
