"""What the documents say is so: commands and configs in them are run, links lead somewhere."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from probe.cli.main import build_parser
from tests.docs import REFERENCES, configs

from .docs.markdown import Block, anchors, blocks, links, spans
from .docs.walk import NOT_RUN, STAND_INS, walk

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [
    ROOT / "README.md",
    *DOCS,
    ROOT / "config/examples/README.md",
    ROOT / "deploy/kubernetes/README.md",
]
ALL = [
    *sorted(ROOT.glob("*.md")),
    *(page for room in ("bench", "config", "deploy", "docs", "rules")
      for page in sorted((ROOT / room).rglob("*.md"))),
]  # fmt: skip
BLOCKS = [block for page in PAGES for block in blocks(page)]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def in_language(name: str) -> pytest.MarkDecorator:
    found = [block for block in BLOCKS if block.language == name]
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.mark.parametrize("path", REFERENCES, ids=relative)
def test_references_are_in_step(path: Path) -> None:
    """They say what the code says; `python -m tests.docs` writes them."""
    assert path.read_text() == REFERENCES[path]()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands(page: Path, tmp_path: Path) -> None:
    """Who does what the page says, line by line, sees what it shows."""
    with walk(tmp_path, page.parent) as walked:
        for block in blocks(page):
            walked.step(block)


@pytest.mark.parametrize("page", ALL, ids=relative)
def test_flags(page: Path) -> None:
    """Wherever a text says `inference-probe ...`, there is such a command with such flags."""
    code = "".join(block.text for block in blocks(page)).replace("\\\n", "").splitlines()
    for line in (*spans(page), *code):
        if line.startswith("inference-probe ") and "..." not in line:
            assert understood(line), line


def understood(line: str) -> bool:
    """By the command itself, up to where the shell goes on."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    ours = takewhile(lambda word: word not in ("|", "||", "&", "&&", ">"), words)
    try:
        build_parser({}).parse_args(list(ours)[1:])
    except SystemExit as end:
        return not end.code
    return True


@in_language("yaml")
def test_configs(block: Block, tmp_path: Path) -> None:
    """Each config is valid, and so is each piece of one."""
    configs.try_out(block.text, tmp_path)


@in_language("promql")
def test_expressions(block: Block, tmp_path: Path) -> None:
    """Prometheus takes each expression."""
    configs.promql(block.text, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_block_is_tried_out(page: Path) -> None:
    """None is in a language that no test here looks at."""
    tried = {"yaml", "sh", "promql", "text", "mermaid", "json"}
    strange = [str(block) for block in blocks(page) if block.language not in tried]
    assert strange == []


def test_what_is_not_run_is_there() -> None:
    """No exception is made for a command that no page has."""
    commands = "".join(block.text for block in BLOCKS if block.language == "sh")
    for beginning in (*NOT_RUN, *STAND_INS):
        assert re.search(rf"(?m)(?:^|\| ){re.escape(beginning)}\b", commands), beginning


@pytest.mark.parametrize("page", ALL, ids=relative)
def test_links(page: Path) -> None:
    """Each leads to a file that is there, and to a heading in it."""
    for link in links(page):
        if re.match("https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_index() -> None:
    """Every document is in docs/README.md, and the README leads there."""
    index = ROOT / "docs/README.md"
    listed = {(index.parent / link).resolve() for link in links(index)}
    assert set(DOCS) - listed == {index}
    assert "docs/README.md" in set(links(ROOT / "README.md"))
