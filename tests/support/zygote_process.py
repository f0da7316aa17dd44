"""Runs `vistrain` commands in forks of a process that has imported everything already.

Importing PyTorch takes seconds, and the law of resume is proved by scores of starts. A fork begins where the
import has ended; from there on it is the command, with its own environment, signals and files.

Reads jobs as JSON lines {"arguments", "program", "environment", "log"}; answers {"code"}, negative for a
signal.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import sys

from vistrain_trainer import cli
from vistrain_trainer.engine import stages


def child(job: dict[str, object]) -> None:
    log = os.open(str(job["log"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(job["environment"])  # type: ignore[call-overload]
    stages.plan(os.environ.get(stages.ENV_TEST_SIGNALS, ""))
    program = job["program"]
    sys.argv = [str(program or "vistrain"), *job["arguments"]]  # type: ignore[misc]
    code = 0
    try:
        if program is None:
            cli.main()
        else:
            runpy.run_path(str(program), run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def main() -> None:
    engine = ("engine.run", "engine.training", "engine.comparison")
    for name in ("cli.app", *engine, "detectors.yolox", "evaluation.examination"):
        importlib.import_module(f"vistrain_trainer.{name}")
    for name in ("event_pb2", "summary_pb2"):
        importlib.import_module(f"tensorboard.compat.proto.{name}")
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            try:
                child(json.loads(line))
            finally:
                os._exit(1)
        _, status = os.waitpid(process, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


main()
