"""A manifest under examination, with the folders of its volumes where they are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from vistrain_api.detector import DetectorTraining
from vistrain_api.initialization import CheckpointRef
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.doctor.finding import Unseen
from vistrain_trainer.engine import source_run
from vistrain_trainer.engine.data_files import DataFiles, SplitFiles, data_files
from vistrain_trainer.engine.prepared import NotPrepared, shared_by
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput


@dataclass(frozen=True)
class ManifestCase:
    """What checks of a manifest look at; everything is read once."""

    manifest: DetectorTraining
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folder by claim, as `--volume` names them."""
    folder: Path | None = None
    """The run folder, where it is known."""
    runs: Mapping[str, Path] = field(default_factory=dict)
    """Folder by name of run, as `--run` names them."""
    volumes: Volumes | None = None
    """Where a start finds its claims: then a claim without a folder is refused, and not left out."""

    def claim(self, name: str, at: str, sub_path: str | None = None) -> Path:
        """The folder of a claim, which the field `at` names. Raises Unseen, BadInput."""
        if self.volumes is not None:
            return self.volumes.folder(name, at, sub_path)
        if name not in self.folders:
            raise Unseen(f"say --volume {name}=DIR to have this looked at")
        return Volumes(self.folders, in_pod=False).folder(name, at, sub_path)

    @cached_property
    def files(self) -> DataFiles:
        """Where the data set's files are. Raises Unseen, BadInput."""
        dataset = self.manifest.spec.dataset
        self.claim(dataset.volume.claim_name, "spec.dataset.volume.claimName")
        if self.volumes is not None:
            return data_files(dataset, self.volumes)
        try:
            return data_files(dataset, Volumes(self.folders, in_pod=False, shared=self._shared()))
        except NotPrepared as error:  # before a start it is made, so nothing is wrong
            raise Unseen(f"{error.problem}; `vistrain prepare manifest` makes it") from error

    def _shared(self) -> Path:
        """The folder that run folders lie in."""
        if self.folder is not None:
            return shared_by(self.folder, self.manifest.spec.dataset)
        return self.folders.get(self.manifest.spec.checkpoint.volume.claim_name, Path("runs"))

    @property
    def run_folder(self) -> Path:
        """Where the run is, or will be, without a cluster. Raises Unseen, BadInput."""
        if self.folder is not None:
            return self.folder
        checkpoint = self.manifest.spec.checkpoint
        root = self.claim(checkpoint.volume.claim_name, "spec.checkpoint.volume.claimName")
        return root / (checkpoint.path or self.manifest.metadata.name)

    @cached_property
    def initial_checkpoint(self) -> CheckpointRef | None:
        """The checkpoint that the run starts from, also by another run's name. Raises Unseen, BadInput."""
        initialization = self.manifest.spec.initialization
        if initialization.run is None:
            return initialization.checkpoint
        name = initialization.run.name
        if name not in self.runs:
            raise Unseen(f"say --run {name}=DIR to have this looked at")
        resolved, _ = source_run.resolve(self.manifest, {name: self.runs[name]})
        return resolved.spec.initialization.checkpoint

    def initial_folder(self, checkpoint: CheckpointRef) -> Path:
        """Where that checkpoint is. Raises Unseen, BadInput."""
        run = self.manifest.spec.initialization.run
        if run is not None:
            return self.runs[run.name] / checkpoint.path
        at = "spec.initialization.checkpoint.volume.claimName"
        return self.claim(checkpoint.volume.claim_name, at) / checkpoint.path

    @cached_property
    def splits(self) -> dict[str, CocoDetection | BadInput]:
        """Each split as the trainer reads it, or what the trainer says of it. Raises Unseen, BadInput."""
        return {name: self._read(split) for name, split in self.files.splits.items()}

    def readable(self) -> dict[str, CocoDetection]:
        """The splits that the trainer accepts. Raises Unseen; nothing when the volume's folder is wrong."""
        try:
            return {name: split for name, split in self.splits.items() if isinstance(split, CocoDetection)}
        except BadInput:  # the check `data` tells
            return {}

    def _read(self, split: SplitFiles) -> CocoDetection | BadInput:
        try:
            return split.read(self.manifest.spec.dataset)
        except BadInput as error:
            return error
