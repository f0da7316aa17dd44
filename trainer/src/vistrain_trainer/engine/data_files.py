"""Where the files of a run's data set are: as its manifest states them, or as a preparation made them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vistrain_api.dataset import DetectionDataset, DetectionSplit
from vistrain_api.preparation import Preparation, PreparedSplit
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.manifest import MANIFEST, read
from vistrain_trainer.data.volume_manifests import VolumeManifests
from vistrain_trainer.engine import prepared
from vistrain_trainer.engine.volumes import Volumes
from vistrain_trainer.errors import BadInput

_VOLUME = "spec.dataset.volume.claimName"
_PREPARED = {"train": "train", "validation": "val", "test": "test"}
"""A preparation's name of each split."""


@dataclass(frozen=True)
class SplitFiles:
    """One split."""

    name: str
    """train, validation or test."""
    annotations: Path
    images: Path
    """The folder that file names are relative to."""
    stated: str
    """The annotation file as the manifest names it; its path where it was prepared."""
    folder: str
    """The image folder, relative to the data set's; empty where it is that itself."""
    field: str
    """Of the manifest."""
    expect_images: int | None
    expect_annotations: int | None

    @property
    def images_field(self) -> str:
        """The field that says where images are."""
        return f"{self.field}.images" if self.folder else "spec.dataset.volume.subPath"

    def read(self, dataset: DetectionDataset) -> CocoDetection:
        """The split. Raises BadInput where it is not as stated."""
        return CocoDetection(
            self.annotations,
            self.images,
            dataset.classes,
            expect_images=self.expect_images,
            expect_annotations=self.expect_annotations,
            field=self.field,
        )


@dataclass(frozen=True)
class DataFiles:
    """A data set."""

    root: Path
    """The folder that image folders are relative to."""
    splits: dict[str, SplitFiles]
    """train, validation and, where there is one, test."""
    searched: tuple[Path, Path]
    """The folder in which manifests of data sets are looked for, and the one in it that holds this one."""

    @cached_property
    def manifests(self) -> VolumeManifests:
        """What the data set, and others beside it, say of themselves."""
        return VolumeManifests(*self.searched)


def data_files(dataset: DetectionDataset, volumes: Volumes) -> DataFiles:
    """Where the files of a data set are; of the stated ones none is looked at.

    Raises:
        BadInput: a folder is not there, or what is expected cannot be.
        NotPrepared: the manifest names raw data, and the data set is not made of them yet.
    """
    volume = dataset.volume
    root = volumes.folder(volume.claim_name, _VOLUME, volume.sub_path)
    if dataset.prepare is not None:
        folder = prepared.require(dataset, volumes.shared)
        return DataFiles(root, _made(dataset.prepare, root, folder), (volumes.shared, folder))
    stated = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    splits = {name: _stated(name, split, root) for name, split in stated.items() if split is not None}
    return DataFiles(root, splits, (volumes.folder(volume.claim_name, _VOLUME), root))


def _stated(name: str, split: DetectionSplit, root: Path) -> SplitFiles:
    return SplitFiles(
        name=name,
        annotations=root / split.annotations,
        images=root / split.images,
        stated=split.annotations,
        folder=split.images,
        field=f"spec.dataset.{name}",
        expect_images=split.expect_images,
        expect_annotations=split.expect_annotations,
    )


def _made(preparation: Preparation, root: Path, folder: Path) -> dict[str, SplitFiles]:
    made = read(folder / MANIFEST).splits
    found = {}
    for name, given in _PREPARED.items():
        expected: PreparedSplit | None = getattr(preparation, name)
        if given not in made:
            if name == "test" and expected is None:
                continue
            raise BadInput(
                field=f"{prepared.FIELD}.{name}",
                value=preparation.nuscenes.splits,
                problem=f"the data set in {folder} has no split {given}, only {', '.join(made)}",
                remedy="State other splits"
                if expected is None
                else "Remove the field, or state other splits",
            )
        path = folder / "annotations" / f"{given}.json"
        found[name] = SplitFiles(
            name=name,
            annotations=path,
            images=root,
            stated=str(path),
            folder="",
            field=f"{prepared.FIELD}.{name}",
            expect_images=None if expected is None else expected.expect_images,
            expect_annotations=None if expected is None else expected.expect_annotations,
        )
    return found
