"""Writes a tiny language model with random weights, in the format of llama.cpp (GGUF).

It says nothing meaningful, but llama.cpp computes each token as that of a real model.
"""

from itertools import product
from pathlib import Path

import gguf
import numpy as np

CONTEXT_TOKENS = 2048
HEADS = 4
SYLLABLES = ("ba", "de", "fi", "go", "ku", "la", "me", "ni")
CHAT_TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"

# The byte tokens let llama.cpp encode any prompt.
_SPECIAL = ["<unk>", "<s>", "</s>"]
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_WORDS = ["\u2581" + "".join(pair) for pair in product(SYLLABLES, SYLLABLES)]


def write_tiny_model(path: Path, *, width: int = 64, layers: int = 2) -> None:
    """Write a model to `path`. Width and layers determine how long a token takes."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(width // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_vocabulary(writer)
    _add_weights(writer, width, layers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter) -> None:
    tokens = [*_SPECIAL, *_BYTES, *_WORDS]
    kinds = gguf.TokenType
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL]
    types += [kinds.BYTE] * len(_BYTES) + [kinds.NORMAL] * len(_WORDS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([int(kind) for kind in types])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_weights(writer: gguf.GGUFWriter, width: int, layers: int) -> None:
    random = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(0, 0.05, shape).astype(np.float32)

    vocabulary = len(_SPECIAL) + len(_BYTES) + len(_WORDS)
    output = weights(vocabulary, width) * 20
    # Words are more likely than bytes, of which some are no text, and than the end.
    output[: len(_SPECIAL) + len(_BYTES)] *= 0.05
    ones = np.ones(width, np.float32)
    writer.add_tensor("token_embd.weight", weights(vocabulary, width) * 20)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)
    for layer in range(layers):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{name}.weight", ones)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}.{name}.weight", weights(width, width))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{block}.{name}.weight", weights(2 * width, width))
        writer.add_tensor(f"{block}.ffn_down.weight", weights(width, 2 * width))
