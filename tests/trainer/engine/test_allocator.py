"""Memory that a step frees is there for the next one."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import ctypes, resource, sys
from vistrain_trainer.engine.allocator import keep_freed_memory
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
if sys.argv[1] == "keep":
    keep_freed_memory()

def step():
    pieces = [libc.malloc(1 << 20) for _ in range(100)]
    for piece in pieces:
        libc.memset(piece, 1, 1 << 20)
    for piece in pieces:
        libc.free(piece)

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Page faults of ten steps of a hundred megabytes."""
    done = subprocess.run([sys.executable, "-c", CODE, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_pages_are_not_handed_back_between_steps():
    assert faults("keep") < faults("plain") / 10
