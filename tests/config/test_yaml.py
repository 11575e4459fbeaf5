"""YAML files: scalars, keys, aliases, and files that are not YAML."""

from pathlib import Path
from typing import Any

import pytest

from probe.config.errors import ConfigError
from probe.config.loader import load
from probe.config.yaml import YamlDocument
from tests.config.loading import URL, load_config, load_problems


def test_aliases(tmp_path: Path) -> None:
    """A problem in an anchor is reported for each alias."""
    text = f"""
probes:
  - {{name: a, url: '{URL}', tls: &tls {{server_name: a, min: 1}}}}
  - {{name: b, url: '{URL}', tls: *tls}}
"""
    assert [problem.split(": ", 2)[1] for problem in load_problems(tmp_path, text)] == [
        "probes[0].tls.min",
        "probes[1].tls.min",
    ]
    assert len(load_config(tmp_path, text.replace(", min: 1", "")).probes) == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"probes:\n  - \xff", "probe.yml:2:5: not UTF-8 text; save the file with that encoding"),
        (b"a: \0", "probe.yml:1:4: a character that YAML does not allow; remove it"),
        (
            b'a: "\\ud800"',
            "probe.yml:1:4: a: a lone surrogate is not a character; write the character itself",
        ),
        (b'a: "\\UFFFFFFFF"', "probe.yml:1:7: this escape is not a character"),
        (b"", "probe.yml:1:1: the file is empty; write at least one probe under `probes`"),
        (b"a: " + b"[" * 60, "probe.yml:1:53: nested more than 50 levels deep"),
        (b"a: " + b"9" * 5000, "probe.yml:1:4: a: a number with too many digits"),
        (b"a: 0x" + b"9" * 5000, "probe.yml:1:4: a: a number with too many digits"),
        (b"!!int a: 1", "probe.yml:1:1: a: a key must be text; put it into quotes"),
    ],
)
def test_unreadable_yaml(tmp_path: Path, content: bytes, problem: str) -> None:
    """Each problem has a message and a location."""
    (tmp_path / "probe.yml").write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "probe.yml", environ={})

    assert f"{tmp_path}/{problem}" in map(str, caught.value.problems)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("on", "Off", "yes", "no", "y", "=", "<<", "null-ish")),
        *((word, word) for word in ("12:30", "2026-01-01", "1_000", "0b11", "-0x1F", "1.2.3")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("", "~", "null", "Null", "NULL")),
        *((word, 31) for word in ("31", "+31", "0x1F", "0o37")),
        *((word, 1000.0) for word in ("1e3", "1E+3", "1000.", "1000.0")),
        *((word, -0.5) for word in ("-.5", "-0.5", "-5e-1")),
        ("0", 0),
        ("-17", -17),
    ],
)
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    """Words such as `on`, times, dates and numbers with underscores are text; 1e3 is a number."""
    document = YamlDocument(f"a: {text}".encode(), file="probe.yml")

    assert (document.value, document.problems) == ({"a": value}, ())
    assert type(document.value["a"]) is type(value)


@pytest.mark.parametrize("key", ["on", "no", "y", "2026-01-01", "12:30"])
def test_keys_that_only_yaml_1_1_converts_are_text(key: str) -> None:
    """A JSON body may have the key `on` or `y`."""
    assert YamlDocument(f"{{{key}: 1}}".encode(), file="probe.yml").value == {key: 1}


def test_an_alias_bomb_is_rejected(tmp_path: Path) -> None:
    """A optional lines cannot expand to a billion values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]

    (problem,) = load_problems(tmp_path, "\n".join(lines))

    assert problem.endswith("aliases expand this value too many times; use fewer aliases")


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    (tmp_path / "probe.yml").write_text(f"probes: [{{name: a, url: '{URL}'}}]", "utf-8-sig")

    assert len(load(tmp_path / "probe.yml", environ={}).probes) == 1
