"""Bytecode of templates in memory. Imports Jinja2."""

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class MappingBytecodeCache(BytecodeCache):
    """Bytecode of templates, in a mapping that can be passed to another process."""

    def __init__(self, codes: dict[str, bytes]) -> None:
        """`codes` maps template keys to bytecode; compiled templates are added."""
        self._codes = codes

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._codes.get(bucket.key):
            # Jinja2 ignores it, and compiles the template, if its source is another one.
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key] = bucket.bytecode_to_string()
