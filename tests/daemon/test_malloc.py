"""What the daemon keeps of memory that it needed for a moment."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from probe.daemon import malloc

if "settle" in sys.argv:
    memory.settle()

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6

def work():
    "Large pieces for a moment, and between them small ones that stay."
    for _ in range(3):
        large = []
        for _ in range(40):
            large.append(bytes(1 << 20))
            small.append(bytes(5000))

small = []
before = resident()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident() - before)
"""


def kept(*arguments: str) -> float:
    """MB that stay after eight threads have had 40 MB each."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return float(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: reads /proc/self/statm")
def test_large_pieces_go_back() -> None:
    """Bodies of answers do not make the daemon larger for good: 5 MB stay, and 126 without."""
    assert kept("settle") < 30
