"""Files that a config names: each can be read, and is no larger than one that is meant."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationInfo

from probe.config.quoting import quote
from probe.config.types import ConfigType, require_text


class File(ConfigType):
    """A file that can be read, seen from the directory in the context's `base`."""

    def __init__(self, largest: int) -> None:
        """`largest` is in MiB."""
        self._largest = largest
        about = f"The name of a file of {largest} MiB at most."
        described = {"type": "string", "minLength": 1, "description": about}
        super().__init__(self._path, described, reference=False)

    def _path(self, value: Any, info: ValidationInfo) -> Path:
        written = require_text(str(value) if isinstance(value, Path) else value)
        base: Path = (info.context or {}).get("base", Path())
        if not written or "\0" in written:
            raise ValueError("expected the name of a file")
        if "-----BEGIN" in written:  # it may be a key: nobody is shown it
            raise ValueError("expected the name of a file, not what is in it")
        path = base / str(written)
        try:
            wrong = self._wrong(path)
        except OSError as error:
            raise ValueError(f"cannot read {quote(written)}: {error.strerror}") from None
        if wrong:
            raise ValueError(f"{wrong}: {quote(written)}")
        return path

    def _wrong(self, path: Path) -> str | None:
        """Why it is not to be read; raises OSError where it cannot be."""
        if not path.is_file():
            return "not a file" if path.exists() else "no such file"
        path.open("rb").close()
        too_large = path.stat().st_size > self._largest * 1024**2
        return f"larger than {self._largest} MiB" if too_large else None


Pem = Annotated[Path, File(4)]
Body = Annotated[Path, File(64)]
