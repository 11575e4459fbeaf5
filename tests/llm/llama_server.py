"""Runs llama.cpp's HTTP server: `python -m tests.llm.llama_server MODEL` prints its address."""

import argparse
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def llama_server(model: Path, *, embeddings: bool = False, slots: int = 2) -> Iterator[str]:
    """Serve `model`, or only its `embeddings`, and yield the URL of the server.

    It computes the responses to at most `slots` requests at a time.
    """
    command = [sys.executable, "-m", __name__, str(model), f"--slots={slots}"]
    if embeddings:
        command.append("--embeddings")
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
    """Serve a model until the process is killed."""
    import xllamacpp

    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--embeddings", action="store_true")
    args = parser.parse_args()

    parameters = xllamacpp.CommonParams()
    parameters.model.path = args.model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = 2048
    parameters.n_parallel = args.slots
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    if args.embeddings:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
