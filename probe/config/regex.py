"""Regular expressions of a config: syntax of `re`, with a time limit for each search."""

import re
import warnings
from dataclasses import dataclass, field
from typing import Any, Self

# A brace that does not begin a repetition, or an escape (group 1).
_LITERAL_BRACE = re.compile(r"(\\N\{|\\.)|\{(?!(?:\d+(?:,\d*)?|,\d*)\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TimedRegex:
    """A compiled regular expression. Two are equal if their texts are equal."""

    text: str
    # A regex.Pattern. Its module is imported when the first expression is compiled.
    _compiled: Any = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile `text`; raise ValueError with the message of `re` if it is invalid."""
        # Imported here because few configs have an expression, to save memory.
        import regex  # noqa: PLC0415

        try:
            with warnings.catch_warnings():
                # `re` warns that "[[a]" may change its meaning in a later Python.
                warnings.simplefilter("ignore", FutureWarning)
                re.compile(text)
            return cls(text, regex.compile(_escape_braces(text), regex.VERSION0))
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the text only: the compiled code differs between processes for the same text."""
        return TimedRegex.parse, (self.text,)

    def search(self, text: str, *, timeout: float | None = None) -> bool:
        """Return whether the expression matches somewhere in `text`.

        Raises TimeoutError after `timeout` seconds of CPU time, counted over all threads. Other
        threads run during the search, whereas `re` would block them without limit.
        """
        return bool(self._compiled.search(text, timeout=timeout, concurrent=True))


def _escape_braces(text: str) -> str:
    # `{` is a literal to `re` where no repetition follows, but to `regex` it begins a fuzzy match.
    return _LITERAL_BRACE.sub(lambda match: match[1] or r"\{", text)
