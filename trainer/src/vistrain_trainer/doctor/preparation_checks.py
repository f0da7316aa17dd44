"""Checks of how the data that a manifest names were prepared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from vistrain_trainer.data import admission
from vistrain_trainer.data.coco import CocoDetection
from vistrain_trainer.data.volume_manifests import VolumeManifests
from vistrain_trainer.doctor.finding import Check, Finding, refused
from vistrain_trainer.doctor.manifest_case import ManifestCase
from vistrain_trainer.doctor.words import counted
from vistrain_trainer.errors import BadInput


def _usable(case: ManifestCase) -> tuple[dict[str, CocoDetection], VolumeManifests | None]:
    """The splits, with the manifests of their volume; without where one is faulty, which `prepared` tells."""
    splits = case.readable()
    try:
        manifests = case.files.manifests if splits else None
        for split in splits.values():
            case.files.manifests.beside(split.annotations)
    except BadInput:
        return splits, None
    return splits, manifests


def _told(case: ManifestCase, fault: BadInput) -> Finding:
    """A refusal; of a run that has begun, which is not asked again, a warning."""
    found = refused(fault)
    if case.folder is None or not (case.folder / "identity.json").exists():
        return found
    return replace(found, severity="warning", symptom=f"A new run would be refused: {fault.problem}")


def _class_order(case: ManifestCase) -> Iterator[Finding]:
    splits, manifests = _usable(case)
    classes = case.manifest.spec.dataset.classes
    if manifests is None:
        return
    for name, split in splits.items():
        fault = admission.order_fault(classes, split, manifests)
        order = admission.ids_order(split)
        if fault is not None:
            yield _told(case, fault)
            return
        if manifests.beside(split.annotations) is None and order != tuple(classes):
            yield Finding(
                severity="warning",
                field="spec.dataset.classes",
                symptom="The weights number the classes otherwise than the annotation file's ids do",
                cause=f"{case.files.splits[name].stated} has the order {list(order)}, the manifest "
                f"{list(classes)}",
                remedy="Nothing, if this order is meant: names are matched. Else list the classes in the "
                "file's order",
            )
            return


def _reserve(case: ManifestCase) -> Iterator[Finding]:
    splits, manifests = _usable(case)
    if manifests is None:
        return
    try:
        for fault in admission.reserve_faults(splits, manifests):
            yield _told(case, fault)
    except BadInput as unknown:  # a manifest elsewhere is faulty, or the names of the reserve are gone
        yield _told(case, unknown)


def _prepared(case: ManifestCase) -> Iterator[Finding]:
    for name, split in case.readable().items():
        try:
            beside = case.files.manifests.beside(split.annotations)
        except BadInput as fault:
            yield _told(case, fault)
            return
        if beside is None or case.files.manifests.state(split.annotations) != "changed":
            continue
        prepared = beside.manifest.splits.get(split.annotations.stem)
        was = "" if prepared is None else f", of {_size(prepared.counts.images, prepared.counts.annotations)}"
        yield Finding(
            severity="warning",
            field=f"{case.files.splits[name].field}.annotations",
            symptom=f"{case.files.splits[name].stated} is not the file that was prepared: the command "
            f"in {beside.path} does not make it again",
            cause=f"It was changed since{was}; now it is of {_size(len(split), split.annotation_count)}",
            remedy="Prepare the data set again, or keep a file of your own beside the prepared one, under "
            "another name",
        )


def _size(images: int, boxes: int) -> str:
    return f"{counted(images, 'image')} and {boxes} boxes"


def _splits(case: ManifestCase) -> Iterator[Finding]:
    splits, manifests = _usable(case)
    if manifests is not None:
        for fault in admission.shared_scenes(splits, manifests):
            yield _told(case, fault)
    if not {"train", "validation"} <= splits.keys():
        return
    train, validation = splits["train"], splits["validation"]
    field = "spec.dataset.validation.annotations"
    shared = _paths(train) & _paths(validation)
    if shared:
        yield Finding(
            severity="warning",
            field=field,
            symptom=f"{len(shared)} of {len(validation)} validation images are trained on: metrics look "
            "better than they are",
            cause="train and validation name the same annotation file"
            if train.annotations == validation.annotations
            else f"train and validation list the same images, such as {min(shared)}",
            remedy="Name an annotation file of images that are not trained on",
        )
    elif len(validation) > len(train):
        yield Finding(
            severity="warning",
            field=field,
            symptom=f"Fewer images are trained on ({len(train)}) than judged on ({len(validation)})",
            cause="The annotation files of train and validation have most likely changed places: "
            f"train is {case.files.splits['train'].stated}, validation "
            f"{case.files.splits['validation'].stated}",
            remedy="Exchange spec.dataset.train and spec.dataset.validation; state expectImages in both, and "
            "a wrong file is refused",
        )


def _paths(split: CocoDetection) -> set[str]:
    return {os.path.normpath(split.image_path(index)) for index in range(len(split))}


CHECKS = (
    Check(
        "class-order",
        "the annotation files and their manifest, with `--volume`",
        "classes in another order than the data were prepared with; or than the ids, without a manifest",
        _class_order,
    ),
    Check(
        "reserve",
        "the scenes and pictures of train and validation, and the volume's manifests, with `--volume`",
        "pictures that are held back for the final judgement, in train or validation",
        _reserve,
    ),
    Check(
        "prepared",
        "the annotation files and the volume's manifests, with `--volume`",
        "a manifest that is torn or of another version; a file that was changed since it was prepared",
        _prepared,
    ),
    Check(
        "splits",
        "the scenes and images of the splits, with `--volume`",
        "scenes or images that are trained on and judged by; train and validation that have changed places",
        _splits,
    ),
)
