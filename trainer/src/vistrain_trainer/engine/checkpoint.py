"""One checkpoint: a folder with the state, and a meta file that digests it.

`state.pt` is everything (weights, average, optimiser, scaler, generators, sums of the epoch, best values);
`meta.json` describes it. Two files are added later, where they apply: `evaluation.json`, what the evaluation
that was due at this step has changed; `roll-back.json`, that the run came back to this step since its loss
was not finite, and with what rates it goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from blake3 import blake3

from vistrain_api.status import LastCheckpoint
from vistrain_trainer.engine.files import replace_file, write_durably
from vistrain_trainer.engine.stages import stage

FORMAT = 2
STATE, META, EVALUATION, ROLL_BACK = "state.pt", "meta.json", "evaluation.json", "roll-back.json"


def folder_name(step: int) -> str:
    """`step-000000120`: names sort as steps do."""
    return f"step-{step:09d}"


class TornCheckpoint(Exception):
    """A checkpoint that is not whole; the text says what is wrong."""


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint folder whose meta file is whole."""

    folder: Path
    meta: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimiser steps completed in it."""
        return int(self.meta["step"])

    @property
    def position(self) -> int:
        """The next step of the plan: the steps completed, and those that early stopping left out."""
        judged = self.evaluation()
        return self.step + int((self.meta if judged is None else judged)["skipped"])

    @property
    def sha256(self) -> str:
        """Digest of the state file."""
        return str(self.meta["state"]["sha256"])

    def reference(self) -> LastCheckpoint:
        """As status names it."""
        return LastCheckpoint(
            step=self.step,
            path=f"{self.folder.parent.name}/{self.folder.name}",
            sha256=self.sha256,
            saved_at=self.meta["savedAt"],
        )

    def evaluation(self) -> dict[str, Any] | None:
        """What the evaluation at this step gave; none before it is done, or when the file is not whole."""
        return self._added(EVALUATION)

    def roll_back(self) -> dict[str, Any] | None:
        """How often the run has come back by this step, and its rates since; none when it has not."""
        return self._added(ROLL_BACK)

    def _added(self, name: str) -> dict[str, Any] | None:
        try:
            return _sealed(self.folder / name)
        except TornCheckpoint:
            return None

    def verify(self) -> None:
        """Raise TornCheckpoint unless the state file has the recorded size and digest."""
        path = self.folder / STATE
        stated = self.meta["state"]
        if not path.is_file():
            raise TornCheckpoint(f"{STATE} is missing")
        size = path.stat().st_size
        if size != stated["bytes"]:
            raise TornCheckpoint(f"{STATE} has {size} bytes, not {stated['bytes']}")
        found = blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
        if found != stated["blake3"]:
            raise TornCheckpoint(f"{STATE} has another digest than {META} says")

    def load(self) -> dict[str, Any]:
        """The state, its tensors mapped from the file; copy what is kept. No code is run from the file."""
        import torch

        state: dict[str, Any] = torch.load(
            self.folder / STATE, map_location="cpu", mmap=True, weights_only=True
        )
        return state


def open_checkpoint(folder: Path) -> StoredCheckpoint:
    """The checkpoint in a folder, its meta file read and checked. Raises TornCheckpoint."""
    meta = _sealed(folder / META)
    if meta.get("format") != FORMAT:
        raise TornCheckpoint(f"{META} has format {meta.get('format')}; this version reads {FORMAT}")
    return StoredCheckpoint(folder, meta)


def write_state(folder: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    """Write and flush the state file; its size and digests, taken while it is written."""
    import torch
    from torch.utils.serialization import config

    with (folder / STATE).open("wb", buffering=0) as raw:
        file = _DigestingFile(raw)
        try:
            # Our digests make zip's check sums superfluous; computing them would hold the interpreter's lock.
            with config.patch("save.compute_crc32", False):  # type: ignore[attr-defined]
                torch.save(dict(state), cast("IO[bytes]", file))
        except Exception:
            if file.error is not None:  # PyTorch hides what the volume said
                raise file.error from None
            raise
        stage("save.write")
        _flush(raw)
        return {"bytes": file.size, "sha256": file.sha256.hexdigest(), "blake3": file.blake3.hexdigest()}


def write_meta(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write and flush the meta file of a checkpoint that is not yet in its place."""
    write_durably(folder / META, _seal(meta))


def write_evaluation(folder: Path, evaluation: Mapping[str, Any]) -> None:
    """Add the evaluation to a checkpoint."""
    replace_file(folder / EVALUATION, _seal(evaluation))


def write_roll_back(folder: Path, roll_back: Mapping[str, Any]) -> None:
    """Add to a checkpoint that the run came back to it."""
    replace_file(folder / ROLL_BACK, _seal(roll_back))


def _flush(raw: Any) -> None:
    import os

    os.fsync(raw.fileno())


class _DigestingFile:
    """A file that digests what is written to it."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.blake3 = blake3()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.sha256.update(view)
        self.blake3.update(view)
        written = 0
        try:
            while written < len(view):
                written += self._raw.write(view[written:])
        except OSError as error:
            self.error = error
            raise
        self.size += len(view)
        return len(view)

    def flush(self) -> None:
        self._raw.flush()


def _seal(content: Mapping[str, Any]) -> bytes:
    """JSON with a digest of itself, so that a cut or changed file is known as such."""
    digest = hashlib.sha256(_canonical(content)).hexdigest()
    return json.dumps({**content, "digest": digest}, indent=1, sort_keys=True).encode() + b"\n"


def _sealed(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
        digest = content.pop("digest")
    except FileNotFoundError:
        raise TornCheckpoint(f"{path.name} is missing") from None
    except (ValueError, KeyError, AttributeError):
        raise TornCheckpoint(f"{path.name} is cut short or not JSON") from None
    if hashlib.sha256(_canonical(content)).hexdigest() != digest:
        raise TornCheckpoint(f"{path.name} has another digest than it says")
    return dict(content)


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
