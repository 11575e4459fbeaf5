"""Runs llama.cpp's HTTP server: `python -m tests.llm.llama_server MODEL` prints its address."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def llama_server(model: Path, *, embeddings: bool = False) -> Iterator[str]:
    """Serve `model`, or only its `embeddings`, and yield the URL of the server."""
    command = [sys.executable, "-m", __name__, str(model), *(["embeddings"] if embeddings else [])]
    log = model.with_suffix(".log")
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            assert process.stdout
            for line in process.stdout:
                if line.startswith("http://"):
                    yield line.strip()
                    break
            else:
                raise AssertionError(log.read_text()[-2000:])
        finally:
            process.kill()


def main() -> None:
    """Serve the model of the first argument until the process is killed.

    With the second argument `embeddings`, it computes embeddings.
    """
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = 2048
    parameters.n_parallel = 2
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    if sys.argv[2:] == ["embeddings"]:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
