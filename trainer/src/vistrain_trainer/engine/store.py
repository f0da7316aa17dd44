"""The checkpoints of a run folder: found, published, named in the index, and let go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from vistrain_trainer.engine.checkpoint import (
    StoredCheckpoint,
    TornCheckpoint,
    folder_name,
    open_checkpoint,
    write_meta,
    write_state,
)
from vistrain_trainer.engine.fence import Fence
from vistrain_trainer.engine.files import replace_file, sync_folder
from vistrain_trainer.engine.stages import stage

INDEX = "index.json"
_PARTIAL, _DISCARDED = ".partial-", ".discarded-"


class CheckpointStore:
    """`checkpoints/` of a run folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Steps of all checkpoint folders, whole or not, oldest first."""
        if not self.folder.is_dir():
            return []
        names = (path.name for path in self.folder.iterdir() if path.name.startswith("step-"))
        return sorted(int(name[5:]) for name in names if name[5:].isdigit())

    def path(self, step: int) -> Path:
        """Folder of a step's checkpoint."""
        return self.folder / folder_name(step)

    def newest_whole(
        self,
        passed_over: Callable[[int, str], None],
        among: Callable[[int], bool] = lambda step: True,
    ) -> StoredCheckpoint | None:
        """The newest checkpoint that is whole; a torn one that is newer goes to `passed_over(step, why)`.

        Only steps for which `among` holds are looked at.
        """
        for step in filter(among, reversed(self.steps())):
            try:
                checkpoint = open_checkpoint(self.path(step))
                checkpoint.verify()
            except TornCheckpoint as torn:
                passed_over(step, str(torn))
            else:
                return checkpoint
        return None

    def prepare(self) -> None:
        """Make the folder, and clear what a killed process left half-written."""
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.iterdir():
            if path.name.startswith((_PARTIAL, _DISCARDED, f".{INDEX}.")):
                _remove(path)

    def publish(self, state: Mapping[str, Any], meta: Mapping[str, Any], fence: Fence) -> StoredCheckpoint:
        """Write a checkpoint beside, flush it, and give it its name. On an error nothing of it stays.

        Raises:
            Fenced: a newer attempt owns the folder.
            OSError: the volume failed.
        """
        step = int(meta["step"])
        fence.check()
        stage("save.begin")
        partial = self.folder / f"{_PARTIAL}{folder_name(step)}-{fence.token.sequence}"
        try:
            partial.mkdir()
            written = write_state(partial, state)
            stage("save.meta")
            write_meta(partial, {**meta, "state": written})
            sync_folder(partial)
            fence.check()
            stage("save.rename")
            target = self.path(step)
            if target.exists():  # torn, and passed over when this attempt started
                self._discard(target)
            partial.rename(target)
        except BaseException:
            _remove(partial)
            raise
        sync_folder(self.folder)
        stage("save.renamed")
        return open_checkpoint(target)

    def write_index(self, index: Mapping[str, Any]) -> None:
        """Name the last and the best checkpoint."""
        replace_file(self.folder / INDEX, json.dumps(index, indent=1).encode() + b"\n")

    def retain(self, last: int, besides: Collection[int], up_to: int) -> None:
        """Let go of all but the newest `last` checkpoints and those of the steps `besides`.

        Only steps up to `up_to`, the one just written, are looked at: a later one is torn, and must not
        count.
        """
        steps = [step for step in self.steps() if step <= up_to]
        for step in steps[:-last]:
            if step not in besides:
                self._discard(self.path(step))
                stage("save.discard")

    def discard_after(self, step: int) -> None:
        """Let go of all checkpoints after a step."""
        for later in self.steps():
            if later > step:
                self._discard(self.path(later))

    def _discard(self, folder: Path) -> None:
        # Renamed first: a folder that is half removed must not look like a torn checkpoint.
        gone = folder.with_name(f"{_DISCARDED}{folder.name}")
        _remove(gone)
        folder.rename(gone)
        _remove(gone)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
