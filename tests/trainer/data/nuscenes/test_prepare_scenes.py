"""Which scenes go where: named splits and files of them, the reserve, and the check of what was written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.nuscenes_release import write_release
from vistrain_trainer.data.artifact import write_file
from vistrain_trainer.data.nuscenes.disjoint import require_disjoint
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes
from vistrain_trainer.data.nuscenes.reader import read_release
from vistrain_trainer.data.nuscenes.splits import custom_560_140
from vistrain_trainer.errors import BadInput


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_release(tmp_path / "raw")
    return tmp_path / "raw"


def prepare(raw: Path, out: Path, **options: Any) -> dict[str, Any]:
    """The manifest of a COCO data set."""
    prepare_nuscenes(PrepareOptions(root=raw, **options), out)
    manifest: dict[str, Any] = json.loads((out / "coco" / "manifest.json").read_text())
    return manifest


def scenes(manifest: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [each["name"] for each in split["scenes"]] for name, split in manifest["splits"].items()}


def lists(folder: Path, content: object, name: str = "lists.json") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_official_splits_are_restricted_to_the_scenes_that_are_there(raw: Path, tmp_path: Path) -> None:
    manifest = prepare(raw, tmp_path / "out")
    assert scenes(manifest) == {"train": ["scene-0001", "scene-0002"], "val": ["scene-0003"]}
    assert manifest["splits"]["val"]["scenes"][0]["token"] == "scene-token-2"
    assert manifest["splitLists"] == "official"
    assert manifest["notes"] == [
        "train: the release has 2 of its 700 scenes",
        "val: the release has 1 of its 150 scenes",
    ]
    assert not (tmp_path / "out" / "coco" / "reserved.json").exists()


def test_the_custom_cut_holds_back_the_official_val(tmp_path: Path) -> None:
    cut = custom_560_140()
    names = (cut["train"][0], cut["train"][1], cut["val"][0], cut["test"][0])
    write_release(tmp_path / "raw", scenes=names)
    manifest = prepare(tmp_path / "raw", tmp_path / "out", splits="custom-560-140")
    assert scenes(manifest) == {"train": sorted(names[:2]), "val": [names[2]], "test": [names[3]]}
    assert [split.get("reserved", False) for split in manifest["splits"].values()] == [False, False, True]
    held = json.loads((tmp_path / "out" / "coco" / "reserved.json").read_text())
    token = manifest["splits"]["test"]["scenes"][0]["token"]
    document = json.loads((tmp_path / "out" / "coco" / "annotations" / "test.json").read_text())
    pictures = {Path(image["file_name"]).name: token for image in document["images"]}
    samples = {image["sample_token"]: token for image in document["images"]}
    assert held == pictures | samples
    assert "reserved.json" in manifest["files"]


def test_the_custom_cut_is_of_one_version_only(tmp_path: Path) -> None:
    write_release(tmp_path / "raw", scenes=("scene-0061", "scene-0103"), version="v1.0-mini")
    with pytest.raises(BadInput, match=r"it is a cut of v1\.0-trainval, and this is v1\.0-mini"):
        prepare(tmp_path / "raw", tmp_path / "out", splits="custom-560-140")


@pytest.mark.parametrize("name", ["lists.json", "lists.yaml"])
def test_a_file_names_splits_and_the_reserve(raw: Path, tmp_path: Path, name: str) -> None:
    content = {
        "train": ["scene-0003"],
        "hard": ["scene-0001", "scene-0004"],
        "unseen": ["scene-0005"],
        "reserved": ["hard", "unseen"],
    }
    manifest = prepare(raw, tmp_path / "out", splits=lists(tmp_path, content, name))
    assert scenes(manifest) == {"train": ["scene-0003"], "hard": ["scene-0001"]}
    assert manifest["splits"]["hard"]["reserved"]
    assert manifest["splitLists"] == name
    assert f"--splits {name} " in manifest["command"]
    assert manifest["notes"] == [
        "hard: the release has 1 of its 2 scenes",
        "unseen: the release has none of its 1 scenes",
        "1 scenes of the release are in no split",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"train": ["scene-0001"], "val": ["scene-0002", "scene-0001"]}, "scene-0001 is in train and in val"),
        ({"train": ["scene-0001"], "test": ["scene-0001"], "reserved": ["test"]}, "is in train and in test"),
        ({"train": ["scene-0001", "scene-0001"]}, "a scene is in train twice"),
        ({"train": ["scene-0001", "scene-9999"]}, "scene-9999, in train, is no scene of v1.0-trainval"),
        ({"train": ["scene-0001"], "reserved": ["test"]}, "reserved names test, which is no split of it"),
        ({"train": ["scene-0004"]}, "none of its scenes is in the release"),
        ({"train": "scene-0001"}, "train is no list of names"),
        ({"../train": ["scene-0001"]}, "'../train' is no name for a split"),
        (["scene-0001"], "it is no mapping"),
        ('{"train": [', "it is not JSON or YAML"),
    ],
)
def test_files_that_cannot_be_meant_are_refused(
    raw: Path, tmp_path: Path, content: object, problem: str
) -> None:
    with pytest.raises(BadInput, match=re.escape(problem)):
        prepare(raw, tmp_path / "out", splits=lists(tmp_path, content))
    assert not (tmp_path / "out" / "coco").exists()


def test_a_name_that_is_no_file_is_refused_with_those_that_exist(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no such file\. say official or custom-560-140"):
        prepare(raw, tmp_path / "out", splits="offical")


def test_a_version_of_ones_own_is_split_by_a_file(tmp_path: Path) -> None:
    write_release(tmp_path / "raw", scenes=("drive-1", "drive-2"), version="v1.0-own")
    with pytest.raises(BadInput, match=r"v1\.0-own: is no version of nuScenes.*name a file of splits"):
        prepare(tmp_path / "raw", tmp_path / "out")
    given = lists(tmp_path, {"train": ["drive-1"], "val": ["drive-2"]})
    assert scenes(prepare(tmp_path / "raw", tmp_path / "out", splits=given))["val"] == ["drive-2"]


@pytest.mark.parametrize("layout", ["coco", "yolo", "mot"])
def test_a_scene_in_two_splits_is_found_in_what_was_written(raw: Path, tmp_path: Path, layout: Any) -> None:
    release = read_release(raw, None, ("CAM_FRONT",), sweeps=True)
    content = {
        "coco": ("annotations/{}.json", '{{"images":[{{"scene_token":"scene-token-{}"}}]}}'),
        "yolo": ("labels/{}/" + Path(release.frames.file_name[0].decode()).stem + ".txt", ""),
        "mot": ("{}/any/frames.csv", "frame,token\n1,data-{}-CAM_FRONT-3,0,0\n"),
    }
    path, text = content[layout]
    write_file(tmp_path / "made" / path.format("train"), text.format(0).encode())
    require_disjoint(tmp_path / "made", layout, ["train"], release)
    write_file(tmp_path / "made" / path.format("val"), text.format(0).encode())
    with pytest.raises(BadInput, match="scene-token-0: the scene of this token is in train and in val"):
        require_disjoint(tmp_path / "made", layout, ["train", "val"], release)
