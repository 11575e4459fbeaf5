"""Advice of `check` about prompts that a server may have in its cache."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import lint_settings, make_settings

# 300 characters are about 75 tokens.
LONG = "word " * 60
SHORT = "word " * 50
STREAM = {"content": "$.text"}


def cache_advice(directory: Path, **keys: Any) -> list[str]:
    (directory / "prompt.txt").write_text("hi")
    probe = {"name": "chat", "url": "http://127.0.0.1:9/", **keys}
    advice = lint_settings(make_settings(directory, probe))
    return [text for text in advice if "prompt cache" in text]


def of_body(directory: Path, body: Any) -> list[str]:
    return cache_advice(directory, json=body, stream=STREAM)


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": LONG},
        {"messages": [{"role": "user", "content": LONG}]},
        {"messages": [{"role": "system", "content": SHORT}, {"role": "user", "content": SHORT}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": LONG}]}]},
        {"input": LONG},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": LONG}]}]},
        {"instructions": LONG, "input": "hi"},
        {"system": [{"type": "text", "text": LONG}], "messages": [{"content": "{{nonce}} hi"}]},
        {"contents": [{"role": "user", "parts": [{"text": LONG}]}]},
        {"inputs": LONG, "parameters": {}},
        {"text_input": LONG},
        {"prompt": f"hi {{{{nonce}}}} {LONG}"},
        {"prompt": f"{LONG} {{{{nonce}}}}"},
        {"prompt": f"${{file:prompt.txt}}{LONG}"},
    ],
)
def test_a_long_prompt_without_a_nonce_at_its_beginning(tmp_path: Path, body: Any) -> None:
    """The advice says what to write, and which counter shows hits of the cache."""
    (advice,) = of_body(tmp_path, body)
    assert "tokens and does not begin with {{nonce}}" in advice
    assert 'inference_probe_tokens_total{kind="cached"}' in advice


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": SHORT},
        {"prompt": f"{{{{nonce}}}} {LONG}"},
        {"messages": [{"role": "user", "content": f"{{{{nonce}}}} {LONG}"}]},
        {"contents": [{"parts": [{"text": f"{{{{nonce}}}} {LONG}"}]}]},
        {"prompt": "hi", "stop": LONG},
        {"messages": [{"role": LONG, "content": None}, 1, None]},
        [LONG],
    ],
)
def test_other_bodies(tmp_path: Path, body: Any) -> None:
    """A prompt is short, begins with a nonce, or the text is not a part of it."""
    assert of_body(tmp_path, body) == []


def test_a_body_that_is_text(tmp_path: Path) -> None:
    """It may be JSON."""
    keys = {"stream": STREAM, "headers": {"Content-Type": "application/json"}}
    assert len(cache_advice(tmp_path, body=json.dumps({"prompt": LONG}), **keys)) == 1
    assert cache_advice(tmp_path, body=LONG, **keys) == []
    assert cache_advice(tmp_path, body="[" * 100_000, **keys) == []


def test_a_response_that_is_no_stream(tmp_path: Path) -> None:
    """It has no time to the first token."""
    assert cache_advice(tmp_path, json={"prompt": LONG}) == []


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("openai-chat", [{"role": "user", "content": LONG}]),
        ("openai-responses", [{"role": "user", "content": LONG}]),
        ("anthropic-messages", [{"role": "user", "content": [{"type": "text", "text": LONG}]}]),
        ("gemini", [{"role": "user", "parts": [{"text": LONG}]}]),
        ("bedrock-converse", [{"role": "user", "content": [{"text": LONG}]}]),
    ],
)
def test_protocols(tmp_path: Path, name: str, messages: Any) -> None:
    """A protocol adds the nonce, also to messages in parts. `nonce: false` accepts the cache."""

    def advice(**more: Any) -> list[str]:
        fields = {"model": "m", "messages": messages, **more}
        return cache_advice(tmp_path, protocol={name: fields})

    assert advice() == []
    assert advice(nonce=False) == []
    # Servers read the system prompt before the nonce in the messages.
    assert len(advice(extra={"system": LONG})) == 1
