"""URLs of other sites with a placeholder, for the links on the pages."""

import re
from urllib.parse import urlsplit

TRACE_ID_PLACEHOLDER = "{trace_id}"


def find_link_problem(template: str, placeholder: str) -> str | None:
    """Return why a browser cannot open `template`, or why a page must not show it; None if it can.

    Braces are allowed only in `placeholder`, such as `{probe}`.
    """
    if re.search(r"//[^/?#]*@", template):
        return "the pages show this URL; write it without user and password"
    try:
        parts = urlsplit(template)
        has_host = bool(parts.hostname) and parts.port != 0
        is_absolute = parts.scheme in ("http", "https") and has_host
    except ValueError:
        is_absolute = False
    if not is_absolute or not re.fullmatch(r"[!-~]+", template):
        return "not an absolute http or https URL"
    if re.search("[{}]", template.replace(placeholder, "")):
        return f"the only placeholder is {placeholder}; write %7B and %7D for other braces"
    return None
