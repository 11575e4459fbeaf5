"""Progress of a command on stderr: notes, and on a terminal one line that replaces itself."""

from typing import TextIO

BAR_CHARS = 20


def bar(ratio: float) -> str:
    """Return a bar that is filled up to `ratio`: `[#####...............]`."""
    done = round(BAR_CHARS * ratio)
    return f"[{'#' * done}{'.' * (BAR_CHARS - done)}]"


class ProgressLine:
    """Writes to `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        self._chars = 0

    def show(self, text: str) -> None:
        """Write `text` in place of the last one. Without a terminal, nothing is written."""
        if self.is_terminal and (text or self._chars):
            self._stream.write(f"\r{text.ljust(self._chars)}" + ("" if text else "\r"))
            self._stream.flush()
            self._chars = len(text)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self.show("")
        print(text, file=self._stream, flush=True)
