"""How messages show what somebody wrote: on one line, not too much of it, and never a secret."""

import json

_LONGEST = 80


def quote(text: str) -> str:
    """The text in double quotes, as it stands in the file: references are not looked up."""
    written: str = getattr(text, "source", text)
    if len(written) > _LONGEST:
        written = written[:_LONGEST] + "…"
    return json.dumps(written, ensure_ascii=not written.isprintable())
