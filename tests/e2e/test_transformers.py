"""`transformers serve` with a tiny random model, which is made on the spot."""

import os
import sys
from pathlib import Path

import pytest

from probe.demo.stack import HOST, Stack, free_port
from probe.result import Phase
from tests.e2e.environments import install, run
from tests.probing import run as run_probe

pytestmark = pytest.mark.timing

# 1.2 GB with a torch without CUDA, see CONTRIBUTING.md.
REQUIREMENTS = ("transformers[serving]==5.24.0", "torch==2.13.0")

TOKENS = 12

# A Llama of 115,000 parameters, and a tokenizer with a token for each byte.
SAVE = """
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {token: number for number, token in enumerate(["<unk>", "<s>", "</s>", *alphabet])}
bytes_only = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bytes_only.decoder = decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=bytes_only, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
)
tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
tokenizer.save_pretrained("tiny")

torch.manual_seed(1)
config = LlamaConfig(
    vocab_size=len(vocabulary), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=4, bos_token_id=1, eos_token_id=2,
)
model = LlamaForCausalLM(config)
# The tokens are letters: other bytes may be no text, and special tokens may end the stream.
letters = [vocabulary[letter] for letter in "abcdefghijklmnopqrstuvwxyz"]
weights = torch.zeros_like(model.lm_head.weight)
weights[letters] = 50 * model.lm_head.weight[letters]
model.lm_head.weight.data = weights
model.save_pretrained("tiny")
"""


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config) -> Path:
    cache = pytestconfig.cache
    assert cache
    return install(cache.mkdir("transformers"), sys.executable, REQUIREMENTS)


@pytest.fixture
def server(stack: Stack, programs: Path) -> str:
    """Start `transformers serve`, and return its URL."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    run(str(programs / "python"), "-c", SAVE, cwd=stack.directory, environment=environment)
    url = f"http://{HOST}:{(port := free_port())}"
    command = [str(programs / "transformers"), "serve", str(stack.directory / "tiny")]
    where = [f"--host={HOST}", f"--port={port}", "--device=cpu"]
    # Its imports take seven seconds on an idle machine.
    stack.start(
        "transformers",
        [*command, *where],
        ready_url=f"{url}/health",
        environment=environment,
        timeout_seconds=240,
    )
    return url


@pytest.mark.full
@pytest.mark.timeout(900)  # the first run installs 1.2 GB
def test_streams(server: str, tmp_path: Path) -> None:
    """Three protocols succeed.

    The server sends the headers and the role before it computes the first token, and ends a chat
    without `[DONE]`.
    """
    for name in ("openai-chat", "openai-completions", "openai-responses"):
        fields = {"model": str(tmp_path / "tiny"), "prompt": "ba de fi", "max_tokens": TOKENS}
        result = run_probe(server, protocol={name: fields}, timeout="60s")

        assert result.failure is None, f"{name}: {result.failure}"
        assert result.stream
        assert result.stream.tokens.output == TOKENS
        assert result.stream.time_per_output_token
        assert result.phases[Phase.FIRST_TOKEN] > 0
        if name == "openai-chat":
            assert result.stream.finish_reason == "length"
            assert result.stream.time_to_first_chunk
            assert result.stream.time_to_first_token
            assert result.stream.time_to_first_chunk < result.stream.time_to_first_token
