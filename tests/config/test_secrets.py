"""References: looked up when needed, looked up again when they change, never shown."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from probe.config.secrets import SecretError, Secrets, Template, resolve_json


def test_a_template_puts_values_in_the_place_of_references(tmp_path: Path) -> None:
    """Variables, files beside the config, and the escape are told apart in one text."""
    (tmp_path / "token").write_text("s3cret\n")
    secrets = Secrets({"USER": "ann"}, tmp_path)

    template = Template.parse("$${x} ${env:USER}:${file:token}$")

    assert template.resolve(secrets) == "${x} ann:s3cret$"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_one_newline_at_the_end_of_a_file_is_no_part_of_the_value(
    tmp_path: Path, ending: str
) -> None:
    """Editors end files with a newline; only that one is taken away."""
    (tmp_path / "token").write_bytes(b"a\n" + ending.encode())

    value = Template.parse("${file:token}").resolve(Secrets({}, tmp_path))

    assert value == "a" + ("\n" if ending else "")


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A rotated token is used without a reload, also when a link is swapped as Kubernetes does."""
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    link = tmp_path / "token"
    link.symlink_to("one")
    secrets, template = Secrets({}, tmp_path), Template.parse("${file:token}")
    assert template.resolve(secrets) == "1"

    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(link)

    assert template.resolve(secrets) == "2"


def test_a_variable_is_read_anew() -> None:
    """The environment is asked each time."""
    environ = {"A": "1"}
    secrets, template = Secrets(environ, Path()), Template.parse("${env:A}")
    assert template.resolve(secrets) == "1"

    environ["A"] = "2"

    assert template.resolve(secrets) == "2"


def test_what_cannot_be_found_is_named(tmp_path: Path) -> None:
    """A message names the variable or the file, and why it gives no value."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(bytes(1024 * 1024 + 1))
    os.mkfifo(tmp_path / "pipe")
    secrets = Secrets({}, tmp_path)
    expected = {
        "${env:NO_SUCH}": "the environment variable NO_SUCH is not set",
        "${file:none}": "cannot read ${file:none}: no such file or directory",
        "${file:.}": "cannot read ${file:.}: not a regular file",
        "${file:pipe}": "cannot read ${file:pipe}: not a regular file",
        "${file:binary}": "cannot read ${file:binary}: not UTF-8 text",
        "${file:large}": "cannot read ${file:large}: larger than 1 MiB",
    }

    found = {}
    for source in expected:
        with pytest.raises(SecretError) as caught:
            Template.parse(source).resolve(secrets)
        found[source] = str(caught.value)

    assert found == expected


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_a_template_shows_its_references_only(show: object) -> None:
    """Neither what a reference stands for nor the words beside it get into a log."""
    assert callable(show)

    shown = show(Template.parse("Bearer abc${env:TOKEN}"))

    assert shown == "Template('***${env:TOKEN}')"


def test_whether_a_template_is_secret() -> None:
    """Only text with references is."""
    assert [Template.parse(text).has_references for text in ("a", "$${a}", "${env:A}")] == [
        False,
        False,
        True,
    ]


def test_json_is_resolved_at_any_depth() -> None:
    """Templates become text and everything else stays what it is."""
    body = {"a": [Template.parse("${env:A}"), 1, None], "b": {"c": Template.parse("x")}}

    assert resolve_json(body, Secrets({"A": "1"}, Path())) == {"a": ["1", 1, None], "b": {"c": "x"}}


def test_many_threads_share_one_cache(tmp_path: Path) -> None:
    """Readers never see half of a file that is replaced meanwhile."""
    values = [letter * 1000 for letter in "abcd"]
    target = tmp_path / "token"
    target.write_text(values[0])
    secrets, template = Secrets({}, tmp_path), Template.parse("${file:token}")

    def read() -> set[str]:
        return {template.resolve(secrets) for _ in range(200)}

    with ThreadPoolExecutor(4) as pool:
        readings = [pool.submit(read) for _ in range(4)]
        for number in range(100):
            (tmp_path / "new").write_text(values[number % 4])
            (tmp_path / "new").replace(target)
        seen = set().union(*(reading.result() for reading in readings))

    assert seen <= set(values)
