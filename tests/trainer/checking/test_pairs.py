"""The share of visible pairs of annotation and picture: from the manifest, or else from the tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from support.checks import change_manifest, found_by, run_check
from vistrain_trainer.checking.content import Content
from vistrain_trainer.checking.opening import read_content
from vistrain_trainer.checking.pair_figures import EXPECTED, pair_figures
from vistrain_trainer.data.classes import PRESETS, class_of
from vistrain_trainer.data.manifest import SceneRef


def table(release: Path, name: str) -> list[dict]:
    return json.loads((release / "v1.0-mini" / f"{name}.json").read_text())


def test_all_pairs_are_annotations_times_cameras(prepared, release, tmp_path):
    found = found_by(run_check(prepared / "coco", "--samples", 0, "--out", tmp_path / "out", "--json"))
    boxes = sum(counts["annotations"] for counts in found["counts"].values())
    annotations = table(release, "sample_annotation")
    category = {row["token"]: row["name"] for row in table(release, "category")}
    instance = {row["token"]: category[row["category_token"]] for row in table(release, "instance")}
    of_classes = sum(
        class_of(instance[row["instance_token"]]) in PRESETS["nuscenes-tracking"] for row in annotations
    )
    figures = found["figures"]
    assert figures["visible-share"]["values"]["all"] == pytest.approx(boxes / (2 * len(annotations)))
    assert figures["seen-share"]["values"]["all"] == pytest.approx(boxes / (2 * of_classes))
    assert figures["visible-share"]["verdict"] == "no bound"  # two cameras, two scenes


def test_a_share_outside_its_bounds(prepared, tmp_path):
    out = ("--samples", 0, "--out", tmp_path / "out", "--json")
    result = run_check(prepared / "coco", "--visible-share", "0.9:1", *out)
    assert result.exit_code == 3
    assert found_by(result)["outside"] == ["visible-share"]
    assert run_check(prepared / "coco", "--visible-share", "0.01:0.9", *out).exit_code == 0


@pytest.mark.parametrize("layout", ["coco", "mot"])
def test_the_tables_tell_what_the_manifest_does_not(layout, prepared, release, tmp_path):
    out = ("--samples", 0, "--out", tmp_path / "out", "--json")
    stated = found_by(run_check(prepared / layout, *out))["figures"]
    folder = tmp_path / layout
    shutil.copytree(prepared / layout, folder)
    change_manifest(folder, dropped={})
    assert "visible-share" not in found_by(run_check(folder, *out))["figures"]
    counted = found_by(run_check(folder, "--root", release, *out))["figures"]
    for figure in ("visible-share", "seen-share"):
        assert counted[figure]["values"] == stated[figure]["values"]
    assert counted["other-source"]["verdict"] == "within"


def test_tables_of_another_release(prepared, release, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(release / "v1.0-mini", other / "v1.0-mini")
    path = other / "v1.0-mini" / "sample_annotation.json"
    rows = json.loads(path.read_text())
    rows[0]["translation"][0] += 1.0
    path.write_text(json.dumps(rows))
    result = run_check(
        prepared / "coco", "--root", other, "--samples", 0, "--out", tmp_path / "out", "--json"
    )
    assert result.exit_code == 3
    assert found_by(result)["outside"] == ["other-source"]


def test_a_root_without_a_release(prepared, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run_check(prepared / "coco", "--root", tmp_path / "empty", "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert str(tmp_path / "empty") in result.stderr


def whole(content: Content, **changes: object) -> Content:
    """As if it were all of v1.0-trainval, with six cameras."""
    manifest = content.manifest
    scenes = tuple(SceneRef(name=f"scene-{number:04d}", token=f"{number:032x}") for number in range(850))
    splits = {"train": msgspec.structs.replace(manifest.splits["train"], scenes=scenes)}
    source = msgspec.structs.replace(manifest.source, version="v1.0-trainval")
    members = {"splits": splits, "source": source, "cameras": tuple("ABCDEF"), **changes}
    return Content(content.folder, msgspec.structs.replace(manifest, **members), content.splits)


def test_the_expected_share_binds_whole_trainval_with_six_cameras_only(prepared):
    content = read_content(prepared / "coco")
    dropped = {"otherClass": 250, "outsideThePicture": 595, "lineOrPoint": 0, "under1Pixel": 0}

    def visible(content: Content, kept: int):
        return next(iter(pair_figures(content, kept, dropped)))

    assert EXPECTED.holds(0.15)
    assert EXPECTED.holds(0.16)
    assert visible(whole(content), 155).verdict == "within"
    assert visible(whole(content), 60).verdict == "outside"
    assert visible(content, 60).verdict == "no bound"
    for changes in (
        {"cameras": ("CAM_FRONT",)},
        {"visibility": (3, 4)},
        {"classes": PRESETS["nuscenes-vehicles"]},
        {"splits": content.manifest.splits},
    ):
        assert visible(whole(content, **changes), 60).verdict == "no bound"
