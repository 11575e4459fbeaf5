"""How the values of a config are written: each kind reads its own, and describes it to editors.

A reader takes what YAML gave and returns what the program uses; it raises ValueError with a
sentence for people that never holds the value of a reference.
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from probe.config import units
from probe.config.errors import quote
from probe.config.regex import TimedRegex
from probe.config.secrets import ResolvedText, Template

NO_VALUE_MESSAGE = "no value; write one, or remove the key"
REFERENCE_SCHEMA = {"type": "string", "pattern": r"\$\{(env|file):"}

Reader = Callable[[Any, ValidationInfo], Any]
JsonSchema = dict[str, Any]


class NotTextError(ValueError):
    """Something that YAML did not read as text; whoever knows the file says how to quote it."""


class ConfigType:
    """Annotates a field with the way it is written: its reader and its JSON Schema."""

    def __init__(self, read: Reader, schema: JsonSchema, *, reference: bool = True) -> None:
        self._read = read
        self._schema = {"anyOf": [schema, REFERENCE_SCHEMA]} if reference else schema

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        return dict(self._schema)


def require_text(value: Any) -> str:
    """The value if it is text; the words for it if it is not."""
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError(NO_VALUE_MESSAGE)
    if isinstance(value, (bool, int, float)):
        raise NotTextError(str(value).lower())
    raise ValueError(f"expected text, not {describe_type(value)}")


def describe_type(value: Any) -> str:
    """What people call a value of this type."""
    names: dict[type, str] = {
        dict: "a mapping",
        list: "a list",
        tuple: "a list",
        bool: "true or false",
    }
    return names.get(type(value), "text" if isinstance(value, str) else "a number")


def to_plain(value: Any) -> Any:
    """JSON in which text is nothing but text: references have become what they stand for."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def to_template(value: Any) -> Template:
    """The template that the loader has looked up, or that the text is."""
    if isinstance(value, Template):
        return value
    return (
        value.template if isinstance(value, ResolvedText) else Template.parse(require_text(value))
    )


def pattern_schema(expression: str, **more: Any) -> JsonSchema:
    """The JSON Schema of text that is an expression from end to end."""
    return {"type": "string", "pattern": f"^(?:{expression})$", **more}


class Duration(ConfigType):
    """Seconds, written "250ms" or "1m30s", between two bounds, both of them allowed."""

    def __init__(self, shortest: str, longest: str) -> None:
        self._range = (shortest, longest)
        examples = ["250ms", "5s", "1m30s"]
        about = f"A duration from {shortest} to {longest}."
        described = pattern_schema(units.DURATION_PATTERN, examples=examples, description=about)
        super().__init__(self._seconds, described)

    def _seconds(self, value: Any, _: ValidationInfo) -> float:
        if number := _bare_number(value):
            unit = "ms" if Decimal(number) >= 100 else "s"
            raise ValueError(f"a duration needs a unit; write {number}{unit}")
        seconds = units.parse_duration(require_text(value))
        shortest, longest = self._range
        if not units.parse_duration(shortest) <= seconds <= units.parse_duration(longest):
            raise ValueError(f"{quote(value)} is not between {shortest} and {longest}")
        return seconds


def _bare_number(value: Any) -> str | None:
    """The number, if there is no unit; not if it is what a reference stands for."""
    plain_text = isinstance(value, str) and not isinstance(value, ResolvedText)
    is_bare = _is_number(value) or (plain_text and re.fullmatch(units.NUMBER, value))
    return units.format_number(value) if is_bare else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _size(value: Any, _: ValidationInfo) -> int:
    if number := _bare_number(value):
        raise ValueError(f"a size needs a unit; write {number}B, or one such as 1MiB")
    size = units.parse_size(require_text(value))
    if not 1 <= size <= 1024**3:
        raise ValueError(f"{quote(value)} is not between 1B and 1GiB")
    return size


def _percentage(value: Any, _: ValidationInfo) -> float:
    if number := _bare_number(value):
        percent = Decimal(number) * (100 if Decimal(number) <= 1 else 1)
        raise ValueError(f"a percentage needs its sign; write {units.format_number(percent)}%")
    share = units.parse_percentage(require_text(value))
    if not 0 < share < 1:
        raise ValueError(f"{quote(value)} is not between 0% and 100%, both excluded")
    return share


def _boolean(value: Any, _: ValidationInfo) -> bool:
    choice = {"true": True, "false": False}.get(value) if isinstance(value, ResolvedText) else value
    if not isinstance(choice, bool):
        raise ValueError(NO_VALUE_MESSAGE if value is None else "expected true or false")
    return choice


class Integer(ConfigType):
    """A whole number between two bounds, both of them allowed."""

    def __init__(self, least: int, most: int) -> None:
        self._range = (least, most)
        super().__init__(self._read_int, {"type": "integer", "minimum": least, "maximum": most})

    def _read_int(self, value: Any, _: ValidationInfo) -> int:
        least, most = self._range
        number = value
        if isinstance(value, ResolvedText) and re.fullmatch("[0-9]{1,9}", value):
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise ValueError(f"expected a whole number from {least} to {most}")
        return number


def _number(value: Any, _: ValidationInfo) -> float:
    try:
        number = float(value) if _is_number(value) or isinstance(value, ResolvedText) else math.nan
    except ValueError:
        number = math.nan
    except OverflowError:
        raise ValueError("a number with too many digits; write a shorter one") from None
    if not math.isfinite(number):
        raise ValueError("expected a number")
    return number


class EnumChoice(ConfigType):
    """One of the words of an enum. YAML's numbers are taken for words, so that 4 is "4"."""

    def __init__(self, words: type[StrEnum]) -> None:
        self._words = words
        values: list[str | int] = [word.value for word in words]
        values += [int(value) for value in values if str(value).isdigit()]
        super().__init__(self._choose, {"enum": values})

    def _choose(self, value: Any, _: ValidationInfo) -> StrEnum:
        written = str(value) if isinstance(value, int) else value
        *words, last = (word.value for word in self._words)
        known = f"{', '.join(words)} or {last}"
        if written is None or not isinstance(written, str):
            raise ValueError(NO_VALUE_MESSAGE if written is None else f"expected {known}")
        try:
            return self._words(written)
        except ValueError:
            raise ValueError(f"expected {known}, not {quote(written)}") from None


def _name(value: Any, _: ValidationInfo) -> str:
    written = require_text(value)
    if not re.fullmatch(NAME_PATTERN, written):
        advice = "use letters, digits and . _ : / -, first a letter or digit, 200 at most"
        raise ValueError(f"not a name: {quote(written)}; {advice}")
    return str(written)


NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}"


def _network(value: Any, _: ValidationInfo) -> IPv4Network | IPv6Network:
    written = require_text(value)
    try:
        return ip_network(str(written))
    except ValueError:
        advice = "write an address and a length, such as 10.0.0.0/8 or fd00::/8"
        raise ValueError(
            f"not a network: {quote(written)}; {_aligned(written) or advice}"
        ) from None


def _aligned(written: str) -> str | None:
    """The network that an address with bits right of the mask is in."""
    if isinstance(written, ResolvedText):
        return None
    try:
        return f"write {ip_network(written, strict=False)}"
    except ValueError:
        return None


def _regex(value: Any, _: ValidationInfo) -> TimedRegex:
    written = require_text(value)
    try:
        return TimedRegex.parse(str(written))
    except ValueError as error:
        # The words of the error may hold a part of the value that a reference stands for.
        why = "" if isinstance(written, ResolvedText) else f"; {error}"
        raise ValueError(f"not a regular expression: {quote(written)}{why}") from None


class File(ConfigType):
    """A file that can be read, seen from the directory in the context's `base`."""

    def __init__(self, max_mib: int) -> None:
        """Accept files of at most `max_mib` MiB."""
        self._max_mib = max_mib
        about = f"The name of a file of {max_mib} MiB at most."
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
        too_large = path.stat().st_size > self._max_mib * 1024**2
        return f"larger than {self._max_mib} MiB" if too_large else None


Name = Annotated[
    str,
    ConfigType(_name, pattern_schema(NAME_PATTERN, description="Letters, digits and . _ : / -")),
]
Text = Annotated[
    str, ConfigType(lambda value, _: str(require_text(value)), {"type": "string"}, reference=False)
]
Boolean = Annotated[bool, ConfigType(_boolean, {"type": "boolean"})]
Number = Annotated[float, ConfigType(_number, {"type": "number"})]
Size = Annotated[
    int,
    ConfigType(
        _size,
        pattern_schema(
            units.SIZE_PATTERN,
            examples=["512B", "10kB", "1MiB"],
            description="A size from 1B to 1GiB.",
        ),
    ),
]
Percentage = Annotated[
    float,
    ConfigType(
        _percentage,
        pattern_schema(
            units.PERCENTAGE_PATTERN,
            examples=["99%", "99.9%"],
            description="A percentage between 0% and 100%, both excluded.",
        ),
    ),
]
Network = Annotated[
    IPv4Network | IPv6Network,
    ConfigType(
        _network, {"type": "string", "examples": ["10.0.0.0/8", "fd00::/8"]}, reference=False
    ),
]
Regex = Annotated[
    TimedRegex, ConfigType(_regex, {"type": "string", "format": "regex"}, reference=False)
]
Json = Annotated[Any, ConfigType(lambda value, _: to_plain(value), {}, reference=False)]
PemFile = Annotated[Path, File(4)]
BodyFile = Annotated[Path, File(64)]
