"""How messages show what somebody wrote: on one line, not too much of it, and never a secret."""

import json
import re

_LONGEST = 80

_REFERENCE = r"\$\{[^}]*\}"
_NO_REFERENCE = r"\$(?!\{[^}]*\})"
_USER = rf"(?:{_REFERENCE}|{_NO_REFERENCE}|[^/?#$])*@"
_PATH = rf"(?:{_REFERENCE}|{_NO_REFERENCE}|[^?#$])*"
_URL = re.compile(rf"(?:((?:[a-z][a-z0-9+.-]*:)?//)(?:{_USER})?)?({_PATH})", re.IGNORECASE)
_PLAIN_URL = re.compile(r"(?:((?:[a-z][a-z0-9+.-]*:)?//)(?:[^/?#]*@)?)?([^?#]*)", re.IGNORECASE)


def quote(text: str) -> str:
    """The text in double quotes, as it stands in the file: references are not looked up."""
    written: str = getattr(text, "source", text)
    if len(written) > _LONGEST:
        written = written[:_LONGEST] + "…"
    return json.dumps(written, ensure_ascii=not written.isprintable())


def shown_key(key: str) -> str:
    """A key up to its first colon or blank: where these are confused, the rest is a value."""
    name = re.split(r"[:\s]", key, maxsplit=1)[0]
    return key if name == key else f"{name}…"


def quote_url(text: str) -> str:
    """The same of something that should be a URL: whatever could be a user, password, query or
    fragment in it is not shown.
    """
    written: str = getattr(text, "source", text)
    without_user = re.sub(r"^([^:/?#@]*:?//)?.*@", r"\1***@", written, flags=re.DOTALL)
    return quote(re.sub(r"([?#]).*", r"\1***", without_user, flags=re.DOTALL))


def shown_url(url: str) -> str:
    """A URL of a config as it may be shown to anybody: without user, password, query and fragment;
    references stay references.
    """
    return _shown(_URL, url)


def public_url(url: str) -> str:
    """The same of a URL that somebody else wrote: it has no references, and takes no longer to read
    than it is long.
    """
    return _shown(_PLAIN_URL, url)


def _shown(form: re.Pattern[str], url: str) -> str:
    found = form.match(url)
    return f"{found[1] or ''}{found[2]}" if found else ""
