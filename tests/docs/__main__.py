"""Writes docs/config.md and docs/metrics.md: `python -m tests.docs`."""

from tests.docs import REFERENCES

if __name__ == "__main__":
    for path, text in REFERENCES.items():
        path.write_text(text())
