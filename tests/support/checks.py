"""`vistrain prepare check` run, and manifests that fit data that were changed on purpose."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from click.testing import Result
from typer.testing import CliRunner

from vistrain_trainer.cli.app import app
from vistrain_trainer.data.manifest import MANIFEST, RESERVED, digest_of, encode, read

Document = dict[str, Any]


def run_check(*arguments: object) -> Result:
    """`vistrain prepare check` with the given words."""
    return CliRunner().invoke(app, ["prepare", "check", *map(str, arguments)])


def found_by(result: Result) -> dict[str, Any]:
    """The only check that was printed as JSON."""
    (found,) = json.loads(result.stdout)["checks"]
    return dict(found)


def sign(folder: Path, documents: Mapping[str, Document]) -> None:
    """Give a COCO data set's manifest the counts of its documents and the digests of its files."""
    manifest = read(folder / MANIFEST)
    splits = {}
    for name, record in manifest.splits.items():
        document = documents[name]
        names = {one["id"]: one["name"] for one in document["categories"]}
        of = Counter(names[one["category_id"]] for one in document["annotations"])
        counts = msgspec.structs.replace(
            record.counts,
            images=len(document["images"]),
            annotations=len(document["annotations"]),
            per_class={kind: of[kind] for kind in manifest.classes},
        )
        splits[name] = msgspec.structs.replace(record, counts=counts)
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest.files}
    change_manifest(folder, splits=splits, files=files, digest=digest_of(files))


def reserve(folder: Path, split: str) -> None:
    """Hold a split of a COCO data set back, also by the names of its pictures."""
    manifest = read(folder / MANIFEST)
    images = json.loads((folder / "annotations" / f"{split}.json").read_text())["images"]
    held = {image["file_name"].split("/")[-1]: image["scene_token"] for image in images}
    content = json.dumps(held).encode()
    (folder / RESERVED).write_bytes(content)
    splits = {
        name: msgspec.structs.replace(record, reserved=name == split)
        for name, record in manifest.splits.items()
    }
    files = {**manifest.files, RESERVED: hashlib.sha256(content).hexdigest()}
    change_manifest(folder, splits=splits, files=files)


def change_manifest(folder: Path, **members: Any) -> None:
    """Replace members of a manifest."""
    manifest = read(folder / MANIFEST)
    (folder / MANIFEST).write_bytes(encode(msgspec.structs.replace(manifest, **members)))
