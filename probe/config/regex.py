"""A regular expression of a config, as `re` reads it, the search for which comes to an end."""

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from regex import Pattern

_BRACE = re.compile(r"(\\N\{|\\.)|\{(?!(?:\d+(?:,\d*)?|,\d*)\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TimedRegex:
    """Two are the same when they are written in the same way."""

    text: str
    _compiled: "Pattern[str]" = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError with what `re` has to say of a text that is none."""
        import regex  # noqa: PLC0415  (memory: few probes need it)

        try:
            with warnings.catch_warnings():
                # "[[a]" may come to mean something else in a later Python; no news for the log.
                warnings.simplefilter("ignore", FutureWarning)
                re.compile(text)
            return cls(text, regex.compile(_literal(text), regex.VERSION0))
        except (re.error, regex.error, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from None

    def search(self, text: str, *, timeout: float | None = None) -> bool:
        """Whether a text has it. Raises TimeoutError after so much CPU time (seconds) of all
        threads together, which go on meanwhile: `re` would hold all of them up, without end.
        """
        return bool(self._compiled.search(text, timeout=timeout, concurrent=True))


def _literal(text: str) -> str:
    """The same for `regex`, to which braces that are none to `re` would mean "almost"."""
    return _BRACE.sub(lambda found: found[1] or r"\{", text)
