"""Parser of documents: code blocks, links, tables and headings."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A code block. `line` is its first line, counted from 1."""

    path: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}"


def blocks(path: Path) -> Iterator[Block]:
    """Yield the code blocks in order. An indented block has no language."""
    for token in _tokens(path):
        if token.type in ("fence", "code_block"):
            line = (token.map or [0])[0] + 1
            yield Block(path=path, line=line, language=token.info, text=token.content)


def spans(path: Path) -> Iterator[str]:
    """Yield the code spans."""
    for token in _tokens(path):
        for inner in token.children or ():
            if inner.type == "code_inline":
                yield inner.content


def links(path: Path) -> Iterator[str]:
    """Yield the targets of links and pictures, as written."""
    for token in _tokens(path):
        for inner in token.children or ():
            target = inner.attrGet("href") or inner.attrGet("src")
            if target:
                yield str(target)


def tables(path: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each table as its heading and its rows, beginning with the head."""
    heading = ""
    rows: list[list[str]] = []
    for opening, inner in pairwise(_tokens(path)):
        match opening.type:
            case "heading_open":
                heading = inner.content
            case "table_open":
                rows = []
            case "tr_open":
                rows.append([])
            case "th_open" | "td_open":
                rows[-1].append(inner.content)
            case "tbody_close":
                yield heading, rows


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub derives them."""
    tokens = _tokens(path)
    seen = Counter[str]()
    found = set()
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            words = "".join(inner.content for inner in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return found


def _tokens(path: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(path.read_text())
