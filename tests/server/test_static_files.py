"""Routes of static files."""

import asyncio
from pathlib import Path

from starlette.requests import Request

from probe.server.static_files import static_routes


def test_other_files(tmp_path: Path) -> None:
    """A file of an unknown type is served as bytes, and a directory is skipped."""
    (tmp_path / "page.css~").write_text("old")
    (tmp_path / "page.css").write_text("new")
    (tmp_path / "directory.css").mkdir()
    style, backup = static_routes(tmp_path)
    assert (style.path, backup.path) == ("/static/page.css", "/static/page.css~")
    response = asyncio.run(backup.endpoint(Request({"type": "http", "headers": []})))
    assert response.body == b"old"
    assert response.headers["Content-Type"] == "application/octet-stream"
