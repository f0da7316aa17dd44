"""Runs buildah on an image store of the dev cluster's own."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vistrain_devcluster.config import ClusterConfig


class BuildahError(RuntimeError):
    """buildah failed; the message holds its command and the end of what it wrote."""


def store() -> Path:
    """The folder of the image store, apart from the machine's own images."""
    return ClusterConfig.from_environment().cache / "images"


def command(*args: str) -> list[str]:
    """The command line of ``buildah ARGS`` on the dev cluster's store."""
    folder = store()
    return [
        "buildah",
        f"--root={folder / 'storage'}",
        f"--runroot={folder / 'run'}",
        "--storage-driver=overlay",
        *args,
    ]


def environment() -> dict[str, str]:
    """buildah's environment: chroot isolation needs no runtime, no control group and no network set-up."""
    temporary = store() / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    # Layers are staged in TMPDIR: gigabytes, and /tmp may be memory.
    return {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(temporary)}


def run(*args: str, follow: Callable[[str], None] | None = None, log: Path | None = None) -> str:
    """Runs ``buildah ARGS`` and returns its standard output, stripped. Raises :class:`BuildahError`.

    With ``log`` both streams go to that file, each line also to ``follow``, and the result is all of it.
    """
    if log is None:
        done = subprocess.run(command(*args), env=environment(), capture_output=True, text=True, check=False)
        _check(args, done.returncode, done.stderr)
        return done.stdout.strip()
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as out,
        subprocess.Popen(
            command(*args),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            out.write(line)
            if follow:
                follow(line.rstrip("\n"))
    text = log.read_text(errors="replace")
    _check(args, process.returncode, f"{text}\n(all of it: {log})")
    return text.strip()


def _check(args: Sequence[str], code: int, written: str) -> None:
    if code:
        tail = "\n".join(written.strip().splitlines()[-25:])
        raise BuildahError(f"`buildah {' '.join(args)}` ended with {code}:\n{tail}")


def image_id(reference: str) -> str | None:
    """The id of the image that ``reference`` names in the store; None when there is none."""
    done = subprocess.run(
        command("inspect", "--type=image", "--format={{.FromImageID}}", reference),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None


@contextmanager
def working_container(image: str) -> Iterator[tuple[str, Path]]:
    """A container of ``image`` (or ``scratch``), its files mounted: its name, and where they are."""
    name = run("from", "--pull-never", image)
    try:
        yield name, Path(run("mount", name))
    finally:
        run("rm", name)


@contextmanager
def alone() -> Iterator[None]:
    """Holds the store for a build: one at a time, and what an interrupted one left is removed first.

    Every :func:`working_container` is made inside of such a hold, or the next build takes it for a left-over.
    """
    store().mkdir(parents=True, exist_ok=True)
    with (store() / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        run("rm", "--all")
        yield
