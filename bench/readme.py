"""The results in bench/README.md. Each bench writes its own section."""

from pathlib import Path

from tools.markdown import replace_between_marks

README = Path(__file__).with_name("README.md")


def publish(mark: str, text: str, readme: Path = README) -> None:
    """Replace the results between the marks; raise ValueError if there are none."""
    readme.write_text(replace_between_marks(readme.read_text(), mark, text))
