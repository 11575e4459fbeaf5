"""Types of config values: validators for pydantic, and the JSON Schema of each type.

A validator takes a value as YAML gives it, or ResolvedText, and returns the value that the program
uses. It raises ValueError with a message for users. The message must not contain the value of a
reference: quote the value that was passed in, not the text that `require_text` returns.
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import core_schema

from probe.config import units
from probe.config.errors import is_file_name, quote, quote_name
from probe.config.regex import TimedRegex
from probe.config.secrets import ResolvedText, Template

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}"
NO_VALUE_MESSAGE = "no value; write one, or remove the key"
MAX_PEM_FILE_MIB = 4
MAX_BODY_FILE_MIB = 64
REFERENCE_SCHEMA = {"type": "string", "pattern": r"\$\{(env|file):"}

Annotation = tuple[PlainValidator, WithJsonSchema]
JsonSchema = dict[str, Any]


class NotTextError(ValueError):
    """A scalar that is not text in YAML. The message is the scalar, e.g. `true`."""


def scalar(
    validate: Callable[..., Any], schema: JsonSchema, *, allow_reference: bool = True
) -> Annotation:
    """Return the annotation of a type: `Annotated[float, *scalar(...)]`.

    `validate` takes the value, and optionally pydantic's ValidationInfo. With
    `allow_reference`, the schema also allows a reference.
    """
    return (
        PlainValidator(validate),
        WithJsonSchema({"anyOf": [schema, REFERENCE_SCHEMA]} if allow_reference else schema),
    )


class _ScalarOrList:
    """Annotation of a list that also accepts a scalar, as a list of one item."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_to_list, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        array = handler(schema)
        # A mapping is never an item, even in a list of any values.
        item = array["items"] or {"type": ["string", "number", "boolean"]}
        return {"anyOf": [item, array]}


SCALAR_OR_LIST = _ScalarOrList()


def _to_list(value: Any) -> Any:
    """Return a list of the scalar `value`, and any other value as it is."""
    is_scalar = isinstance(value, (str, bool, int, float, ResolvedText))
    return [value] if is_scalar else value


def pattern_schema(pattern: str, **keywords: Any) -> JsonSchema:
    """Return the JSON Schema of text that `pattern` matches from end to end."""
    return {"type": "string", "pattern": f"^(?:{pattern})$", **keywords}


def require_text(value: Any) -> str:
    """Return the text of `value`, with its references resolved."""
    if isinstance(value, str):
        return value
    if isinstance(value, ResolvedText):
        return value.text
    if value is None:
        raise ValueError(NO_VALUE_MESSAGE)
    if isinstance(value, (bool, int, float)):
        raise NotTextError(str(value).lower())
    raise ValueError(f"expected text, not {describe_type(value)}")


def describe_type(value: Any) -> str:
    """Return the name of the type of `value` for messages."""
    names: dict[type, str] = {
        str: "text",
        ResolvedText: "text",
        dict: "a mapping",
        list: "a list",
        tuple: "a list",
        bool: "true or false",
        type(None): "no value",
    }
    return names.get(type(value), "a number")


def to_plain(value: Any) -> Any:
    """Return the JSON `value` with its references resolved."""
    if isinstance(value, ResolvedText):
        return value.text
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def to_template(value: Any) -> Template:
    """Return the template of `value`, with its references unresolved."""
    if isinstance(value, ResolvedText):
        return value.template
    return Template.parse(require_text(value))


def duration(min_text: str, max_text: str) -> Annotation:
    """Return the annotation of a duration (seconds) between two bounds, both allowed."""

    def validate(value: Any) -> float:
        if number := _bare_number(value):
            unit = "ms" if Decimal(number) >= 100 else "s"
            raise ValueError(f"a duration needs a unit; write {number}{unit}")
        seconds = units.parse_duration(require_text(value), quoted=quote(value))
        if not units.parse_duration(min_text) <= seconds <= units.parse_duration(max_text):
            raise ValueError(f"{quote(value)} is not between {min_text} and {max_text}")
        return seconds

    schema = pattern_schema(
        units.DURATION_PATTERN,
        examples=["250ms", "5s", "1m30s"],
        description=f"A duration from {min_text} to {max_text}.",
    )
    return scalar(validate, schema)


def _bare_number(value: Any) -> str | None:
    """Return the digits of `value` if it is a number without a unit.

    The value of a reference never is, because messages show the digits.
    """
    is_bare = _is_number(value) or (
        isinstance(value, str) and re.fullmatch(units.NUMBER_PATTERN, value)
    )
    return units.format_number(value) if is_bare else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _size(value: Any) -> int:
    if number := _bare_number(value):
        raise ValueError(f"a size needs a unit; write {number}B, or one such as 1MiB")
    size = units.parse_size(require_text(value), quoted=quote(value))
    if not 1 <= size <= 1024**3:
        raise ValueError(f"{quote(value)} is not between 1B and 1GiB")
    return size


def _percentage(value: Any) -> float:
    if number := _bare_number(value):
        percent = Decimal(number) * (100 if Decimal(number) <= 1 else 1)
        raise ValueError(f"a percentage needs its sign; write {units.format_number(percent)}%")
    ratio = units.parse_percentage(require_text(value), quoted=quote(value))
    if not 0 < ratio < 1:
        raise ValueError(f"{quote(value)} is not between 0% and 100%, both excluded")
    return ratio


def _rate(value: Any) -> float:
    if number := _bare_number(value):
        raise ValueError(f"a rate needs its unit; write {number}/s")
    text = require_text(value)
    if re.fullmatch(units.NUMBER_PATTERN, text):  # the value of a reference
        raise ValueError(f"a rate needs its unit, such as 140/s: {quote(value)}")
    # The advice about a spelling shows the number, which must not be that of a reference.
    rate = units.parse_rate(text, quoted=None if isinstance(value, str) else quote(value))
    if not 0 < rate <= 1_000_000:
        raise ValueError(f"{quote(value)} is not between 0/s, excluded, and 1000000/s")
    return rate


def _boolean(value: Any) -> bool:
    if isinstance(value, ResolvedText):
        value = {"true": True, "false": False}.get(value.text)
    elif value is None:
        raise ValueError(NO_VALUE_MESSAGE)
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def integer(minimum: int, maximum: int) -> Annotation:
    """Return the annotation of an integer between two bounds, both allowed."""

    def validate(value: Any) -> int:
        number = value
        if isinstance(value, ResolvedText) and re.fullmatch("[0-9]{1,9}", value.text):
            number = int(value.text)
        if type(number) is not int or not minimum <= number <= maximum:
            raise ValueError(f"expected a whole number from {minimum} to {maximum}")
        return number

    return scalar(validate, {"type": "integer", "minimum": minimum, "maximum": maximum})


def to_number(value: Any) -> float:
    """Return a finite number, which may come from a reference."""
    number = math.nan
    try:
        if isinstance(value, ResolvedText):
            number = float(value.text)
        elif _is_number(value):
            number = float(value)
    except ValueError:
        pass
    except OverflowError:
        raise ValueError("a number with too many digits; write a shorter one") from None
    if not math.isfinite(number):
        raise ValueError("expected a number")
    return number


def choice(enum: type[StrEnum]) -> Annotation:
    """Return the annotation of a member of `enum`. The number 4 in YAML is the member "4"."""
    *names, last = (member.value for member in enum)
    expected = f"expected {', '.join(names)} or {last}"

    def validate(value: Any) -> StrEnum:
        if value is None:
            raise ValueError(NO_VALUE_MESSAGE)
        text = str(value) if isinstance(value, int) else value
        if not isinstance(text, (str, ResolvedText)):
            raise ValueError(expected)
        try:
            return enum(require_text(text))
        except ValueError:
            raise ValueError(f"{expected}, not {quote(text)}") from None

    numbers = [int(name) for name in (*names, last) if name.isdigit()]
    return scalar(validate, {"enum": [*names, last, *numbers]})


def _name(value: Any) -> str:
    name = require_text(value)
    if not re.fullmatch(NAME_PATTERN, name):
        advice = "use letters, digits and . _ : / -, first a letter or digit, 200 at most"
        raise ValueError(f"not a name: {quote_name(value)}; {advice}")
    return name


def _network(value: Any) -> IPv4Network | IPv6Network:
    text = require_text(value)
    try:
        return ip_network(text)
    except ValueError:
        advice = "write an address and a length, such as 10.0.0.0/8 or fd00::/8"
        if isinstance(value, str):  # not the value of a reference, which may be a secret
            advice = _network_of_host(text) or advice
        raise ValueError(f"not a network: {quote(value)}; {advice}") from None


def _network_of_host(text: str) -> str | None:
    """Return advice for an address with host bits: `10.0.0.1/8` is in 10.0.0.0/8."""
    try:
        return f"write {ip_network(text, strict=False)}"
    except ValueError:
        return None


def _regex(value: Any) -> TimedRegex:
    text = require_text(value)
    try:
        return TimedRegex.parse(text)
    except ValueError as error:
        # The message of `re` may contain a part of the text, which may be a secret.
        detail = f"; {error}" if isinstance(value, str) else ""
        raise ValueError(f"not a regular expression: {quote(value)}{detail}") from None


def file(max_mib: int) -> Annotation:
    """Return the annotation of a readable file of at most `max_mib` MiB.

    Relative paths start at `base` of the validation context.
    """

    def validate(value: Any, info: ValidationInfo) -> Path:
        written = str(value) if isinstance(value, Path) else value
        name = require_text(written)
        if not name or "\0" in name:
            raise ValueError("expected the name of a file")
        path: Path = (info.context or {}).get("base", Path()) / name
        try:
            problem = _file_problem(path, max_mib)
        except OSError as error:
            problem = f"cannot read the file: {error.strerror}"
        if problem and not is_file_name(name):  # perhaps a private key, so it is not quoted
            raise ValueError(f"{problem}; write the name of a file, not what is in it")
        if problem:
            raise ValueError(f"{problem}: {quote(written)}")
        return path

    description = f"The name of a file of {max_mib} MiB at most."
    schema = {"type": "string", "minLength": 1, "description": description}
    return scalar(validate, schema, allow_reference=False)


def _file_problem(path: Path, max_mib: int) -> str | None:
    """Return why the file must not be read; raise OSError if it cannot be read."""
    if not path.is_file():
        return "not a file" if path.exists() else "no such file"
    path.open("rb").close()
    too_large = path.stat().st_size > max_mib * 1024**2
    return f"larger than {max_mib} MiB" if too_large else None


_NAME_SCHEMA = pattern_schema(NAME_PATTERN, description="Letters, digits and . _ : / -")
_SIZE_SCHEMA = pattern_schema(
    units.SIZE_PATTERN,
    examples=["512B", "10kB", "1MiB"],
    description="A size from 1B to 1GiB.",
)
_PERCENTAGE_SCHEMA = pattern_schema(
    units.PERCENTAGE_PATTERN,
    examples=["99%", "99.9%"],
    description="A percentage between 0% and 100%, both excluded.",
)
_RATE_SCHEMA = pattern_schema(
    units.RATE_PATTERN,
    examples=["140/s", "0.5/s"],
    description="Requests per second, such as 140/s.",
)
_NETWORK_SCHEMA = {"type": "string", "examples": ["10.0.0.0/8", "fd00::/8"]}
_REGEX_SCHEMA = {"type": "string", "format": "regex"}

Name = Annotated[str, *scalar(_name, _NAME_SCHEMA)]
Text = Annotated[str, *scalar(require_text, {"type": "string"}, allow_reference=False)]
Boolean = Annotated[bool, *scalar(_boolean, {"type": "boolean"})]
Number = Annotated[float, *scalar(to_number, {"type": "number"})]
Size = Annotated[int, *scalar(_size, _SIZE_SCHEMA)]
Percentage = Annotated[float, *scalar(_percentage, _PERCENTAGE_SCHEMA)]
Rate = Annotated[float, *scalar(_rate, _RATE_SCHEMA)]
Network = Annotated[
    IPv4Network | IPv6Network, *scalar(_network, _NETWORK_SCHEMA, allow_reference=False)
]
Regex = Annotated[TimedRegex, *scalar(_regex, _REGEX_SCHEMA, allow_reference=False)]
Json = Annotated[Any, *scalar(to_plain, {}, allow_reference=False)]
PemFile = Annotated[Path, *file(MAX_PEM_FILE_MIB)]
BodyFile = Annotated[Path, *file(MAX_BODY_FILE_MIB)]
