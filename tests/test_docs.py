"""Tests of the documents: their commands and configs are run, and their links are resolved."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest

from probe.cli.main import build_parser
from tests.docs import configs
from tools.generate import GENERATED

from .docs.markdown import Block, anchors, blocks, links, spans
from .docs.page_session import NOT_RUN, STAND_INS, page_session
from .test_architecture import EDGES, TIERS

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
    *(page for directory in ("bench", "config", "deploy", "docs", "rules")
      for page in sorted((ROOT / directory).rglob("*.md"))),
]  # fmt: skip
BLOCKS = [block for page in PAGES for block in blocks(page)]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks_in(language: str) -> pytest.MarkDecorator:
    """Parametrize a test with all code blocks in `language`."""
    selected = [block for block in BLOCKS if block.language == language]
    return pytest.mark.parametrize("block", selected, ids=str)


@pytest.mark.parametrize("path", GENERATED, ids=relative)
def test_generated_files_are_current(path: Path) -> None:
    """Each generated file equals the output of `python -m tools.generate`."""
    assert path.read_text() == GENERATED[path]()


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands(page: Path, tmp_path: Path) -> None:
    """The commands of a page, run in order, succeed and print the output that the page shows."""
    with page_session(tmp_path, page.parent) as session:
        for block in blocks(page):
            session.step(block)


@pytest.mark.parametrize("page", ALL, ids=relative)
def test_flags(page: Path) -> None:
    """Every `inference-probe ...` in the documents is a valid command line."""
    code = "".join(block.text for block in blocks(page)).replace("\\\n", "").splitlines()
    for line in (*spans(page), *code):
        if line.startswith("inference-probe ") and "..." not in line:
            assert is_valid_command(line), line


def is_valid_command(line: str) -> bool:
    """Parse a command line with the program's own parser, up to the first shell operator."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    arguments = takewhile(lambda word: word not in ("|", "||", "&", "&&", ">"), words)
    try:
        build_parser({}).parse_args(list(arguments)[1:])
    except SystemExit as error:
        return not error.code
    return True


@blocks_in("yaml")
def test_configs(block: Block, tmp_path: Path) -> None:
    """Each config, and each part of one, is valid."""
    configs.try_out(block.text, tmp_path)


@blocks_in("promql")
def test_expressions(block: Block, tmp_path: Path) -> None:
    """Prometheus accepts each expression."""
    configs.promql(block.text, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_block_is_tested(page: Path) -> None:
    """Every code block is in a language that a test covers."""
    languages = {"yaml", "sh", "promql", "text", "mermaid", "json"}
    untested = [str(block) for block in blocks(page) if block.language not in languages]
    assert untested == []


def test_exceptions_are_used() -> None:
    """Every exception from running the commands is for a command that a page has."""
    commands = "".join(block.text for block in BLOCKS if block.language == "sh")
    for prefix in (*NOT_RUN, *STAND_INS):
        assert re.search(rf"(?m)(?:^|\| ){re.escape(prefix)}\b", commands), prefix


@pytest.mark.parametrize("page", ALL, ids=relative)
def test_links(page: Path) -> None:
    """Each link leads to an existing file, and to an existing heading in it."""
    for link in links(page):
        if re.match("https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", ["docs/design.md", "CONTRIBUTING.md"])
def test_file_names(name: str) -> None:
    """Every file that is named on the pages about the code exists, in the root or in `probe/`."""
    for span in spans(ROOT / name):
        if re.fullmatch(r"[\w./-]+\.(?:py|yml|md|toml|lock)", span):
            assert (ROOT / span).exists() or (ROOT / "probe" / span).exists(), span


def test_package_graph() -> None:
    """The picture in docs/design.md has the tiers and edges of tests/test_architecture.py."""
    graph = next(b.text for b in blocks(ROOT / "docs/design.md") if b.language == "mermaid")
    edges = {
        package: set(imports.split(" & "))
        for package, imports in re.findall(r"(?m)^  (\w+) --> ([\w &]+)$", graph)
    }
    expected = {package: imports for package, imports in EDGES.items() if imports}
    assert edges == {name: edge for name, edge in expected.items() if name != "__main__"}
    tiers = re.findall(r"(?s)subgraph (\w+)\n(.*?)\n  end", graph)
    assert {name: set(packages.split()) for name, packages in tiers} == TIERS


def test_index() -> None:
    """docs/README.md lists every document, and the README links to it."""
    index = ROOT / "docs/README.md"
    listed = {(index.parent / link).resolve() for link in links(index)}
    assert set(DOCS) - listed == {index}
    assert "docs/README.md" in set(links(ROOT / "README.md"))
