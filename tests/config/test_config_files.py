"""Files that cannot be read or are too large."""

import os
from pathlib import Path

import pytest

from probe.config.errors import ConfigError
from probe.config.loader import load
from tests.config.loading import URL, load_problems


@pytest.mark.parametrize(
    ("name", "reason"), [("none.yml", "no such file or directory"), (".", "is a directory")]
)
def test_an_unreadable_file(tmp_path: Path, name: str, reason: str) -> None:
    """A missing config is a problem without a line."""
    file = tmp_path / name

    with pytest.raises(ConfigError) as caught:
        load(file, environ={})

    assert str(caught.value) == f"{file}: cannot read the config: {reason}"


def test_a_pipe_is_rejected(tmp_path: Path) -> None:
    """Reading from a pipe could block."""
    file = tmp_path / "probe.yml"
    os.mkfifo(file)

    with pytest.raises(ConfigError) as caught:
        load(file, environ={})

    assert str(caught.value) == f"{file}: cannot read the config: not a regular file"


def test_too_large_a_config(tmp_path: Path) -> None:
    """It is rejected before parsing, and at most the limit is read."""
    file = tmp_path / "probe.yml"
    config = f"probes: [{{name: a, url: '{URL}'}}]\n#"
    file.write_text(config)
    os.truncate(file, 2**40)
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    assert str(caught.value) == f"{file}: cannot read the config: larger than 4 MiB"

    file.write_text(config.ljust(4 * 2**20, "#"))
    assert len(load(file, environ={}).probes) == 1


def test_too_large_files_named_in_a_config(tmp_path: Path) -> None:
    """A log as a body, or a disk as a certificate, is rejected."""
    for name, size in (("body", 64), ("most", 4)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size * 2**20)
        (tmp_path / f"{name}+").touch()
        os.truncate(tmp_path / f"{name}+", size * 2**20 + 1)
    text = f"""probes:
  - {{name: a, url: '{URL}', body_file: body, tls: {{ca_file: most}}}}
  - {{name: b, url: '{URL}', body_file: body+, tls: {{ca_file: most+, cert_file: most+}}}}
"""
    assert load_problems(tmp_path, text) == [
        'probe.yml:3:64: probes[1].body_file: larger than 64 MiB: "body+"',
        'probe.yml:3:86: probes[1].tls.ca_file: larger than 4 MiB: "most+"',
        'probe.yml:3:104: probes[1].tls.cert_file: larger than 4 MiB: "most+"',
    ]
