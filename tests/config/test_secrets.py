"""References to secrets: resolving, reading again after changes, and redaction in `repr`."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from probe.config.secrets import SecretError, Secrets, Template, resolve_json


def test_a_template_replaces_references(tmp_path: Path) -> None:
    """Variables, files and the escape `$${` may occur in one text."""
    (tmp_path / "token").write_text("s3cret\n")
    secrets = Secrets({"USER": "ann"}, tmp_path)

    template = Template.parse("$${x} ${env:USER}:${file:token}$")

    assert template.resolve(secrets) == "${x} ann:s3cret$"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_one_newline_at_the_end_of_a_file_is_removed(tmp_path: Path, ending: str) -> None:
    """Editors end files with a newline. Further newlines belong to the value."""
    (tmp_path / "token").write_bytes(b"a\n" + ending.encode())

    value = Template.parse("${file:token}").resolve(Secrets({}, tmp_path))

    assert value == "a" + ("\n" if ending else "")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """A rotated token needs no reload, also if a link is replaced as Kubernetes does."""
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    link = tmp_path / "token"
    link.symlink_to("one")
    secrets, template = Secrets({}, tmp_path), Template.parse("${file:token}")
    assert template.resolve(secrets) == "1"

    (tmp_path / "new").symlink_to("two")
    (tmp_path / "new").replace(link)

    assert template.resolve(secrets) == "2"


def test_a_variable_is_read_each_time() -> None:
    """Changes of the environment are seen."""
    environ = {"A": "1"}
    secrets, template = Secrets(environ, Path()), Template.parse("${env:A}")
    assert template.resolve(secrets) == "1"

    environ["A"] = "2"

    assert template.resolve(secrets) == "2"


def test_references_without_a_value(tmp_path: Path) -> None:
    """The message names the variable or the file, and the reason."""
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

    messages = {}
    for source in expected:
        with pytest.raises(SecretError) as caught:
            Template.parse(source).resolve(secrets)
        messages[source] = str(caught.value)

    assert messages == expected


def test_no_thread_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system has no thread left, the reference has no value. Later reads succeed again."""
    (tmp_path / "token").write_text("s3cret")
    secrets, template = Secrets({}, tmp_path), Template.parse("${file:token}")

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(SecretError, match=r"file:token}: can't start new thread"):
            template.resolve(secrets)
    assert template.resolve(secrets) == "s3cret"


@pytest.mark.parametrize("format_template", [repr, str, "{}".format])
def test_repr_of_a_template(format_template: object) -> None:
    """It shows references, but neither their values nor the other text."""
    assert callable(format_template)

    text = format_template(Template.parse("Bearer abc${env:TOKEN}"))

    assert text == "Template('***${env:TOKEN}')"


def test_has_references() -> None:
    """The escape `$${` is not a reference."""
    assert [Template.parse(text).has_references for text in ("a", "$${a}", "${env:A}")] == [
        False,
        False,
        True,
    ]


def test_resolve_json() -> None:
    """Templates at any depth become text. Other values stay the same."""
    body = {"a": [Template.parse("${env:A}"), 1, None], "b": {"c": Template.parse("x")}}

    assert resolve_json(body, Secrets({"A": "1"}, Path())) == {"a": ["1", 1, None], "b": {"c": "x"}}


def test_concurrent_reads(tmp_path: Path) -> None:
    """Readers never see a part of a file that is being replaced."""
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
