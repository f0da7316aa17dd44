"""MOT sequences as `vistrain prepare nuscenes` leaves them: rates, gaps, tracks, strips, and their faults."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from support.checks import found_by, run_check
from support.pages import Page
from vistrain_trainer.checking.file_figures import counts_of
from vistrain_trainer.checking.motion_figures import motion_figures
from vistrain_trainer.checking.opening import read_content
from vistrain_trainer.checking.pictures import picture_paths
from vistrain_trainer.checking.tables import picture_names, read_tables
from vistrain_trainer.data.manifest import MANIFEST, Pictures, read
from vistrain_trainer.data.nuscenes.options import PrepareOptions
from vistrain_trainer.data.nuscenes.prepare import prepare_nuscenes

SEQUENCE = "scene-0061_CAM_FRONT"


def sequences(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/*/seqinfo.ini"))


def frames(sequence: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((sequence / "frames.csv").read_text().splitlines()))


def truth(sequence: Path) -> np.ndarray:
    return np.loadtxt(sequence / "gt" / "gt.txt", delimiter=",", ndmin=2)


def edit_frames(change: Callable[[list[dict[str, str]]], object]) -> Callable[[Path], None]:
    """Change the lines of the frames.csv of one sequence."""

    def edit(folder: Path) -> None:
        (path,) = folder.glob(f"*/{SEQUENCE}/frames.csv")
        rows = frames(path.parent)
        change(rows)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    return edit


def edit_truth(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Change the numbers of the gt.txt of one sequence."""

    def edit(folder: Path) -> None:
        (path,) = folder.glob(f"*/{SEQUENCE}/gt/gt.txt")
        np.savetxt(path, change(truth(path.parents[1])), fmt="%.10g", delimiter=",")

    return edit


def late(rows: list[dict[str, str]]) -> None:
    for row in rows[8:]:
        row["timestamp"] = str(int(row["timestamp"]) + 400_000)


def test_figures_are_those_of_the_files(prepared, tmp_path):
    result = run_check(prepared / "mot", "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    figures = found_by(result)["figures"]
    for split in ("train", "val"):
        found = [one for one in sequences(prepared / "mot") if one.parent.name == split]
        rows = [frames(one) for one in found]
        keys = sum(row["keyframe"] == "1" for of in rows for row in of)
        assert figures["key-share"]["values"][split] == pytest.approx(keys / sum(map(len, rows)))
        assert figures["interpolated-share"]["values"][split] == pytest.approx(1 - keys / sum(map(len, rows)))
        times = [np.array([int(row["timestamp"]) for row in of]) for of in rows]
        rates = [1e6 * (len(of) - 1) / (of[-1] - of[0]) for of in times]
        assert figures["slowest-rate"]["values"][split] == pytest.approx(min(rates))
        assert figures["fastest-rate"]["values"][split] == pytest.approx(max(rates))
        steps = np.concatenate([np.diff(of) for of in times]) / 1e6
        assert figures["frame-rate"]["values"][split] == pytest.approx(1 / steps.mean())
        assert figures["longest-gap"]["values"][split] == pytest.approx(steps.max())
        assert figures["gaps"]["values"][split] == (steps > 0.15).sum()
        boxes = sum(len(truth(one)) for one in found)
        assert figures["boxes-per-picture"]["values"][split] == pytest.approx(boxes / sum(map(len, rows)))
    assert figures["frame-rate"]["bound"] == {"min": pytest.approx(11.4), "max": pytest.approx(12.6)}
    assert figures["key-share"]["bound"]["min"] == pytest.approx(1 / 6 - 0.02, abs=1e-3)


def test_a_gap_is_listed_and_the_slow_sequence_named(changed_mot, tmp_path):
    folder = changed_mot(edit_frames(late))
    result = run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 3
    found = found_by(result)
    assert "slowest-rate" in found["outside"]
    split = read_split_of(folder)
    assert found["figures"]["slowest-rate"]["places"][split][0].startswith(f"{SEQUENCE}: ")
    assert found["figures"]["fastest-rate"]["places"] == {}
    gaps = found["figures"]["gaps"]
    assert gaps["values"][split] == 1
    (place,) = gaps["places"][split]
    assert place.startswith(f"{split}/{SEQUENCE}/img1/000009.jpg: ")
    assert place.endswith(" ms after the frame before")
    assert gaps["verdict"] == "no bound"
    result = run_check(folder, "--samples", 0, "--bound", "gaps=:0", "--out", tmp_path / "out", "--json")
    assert "gaps" in found_by(result)["outside"]


def read_split_of(folder: Path) -> str:
    (path,) = folder.glob(f"*/{SEQUENCE}")
    return path.parent.name


def test_a_step_of_just_150_ms_is_no_gap(changed_mot, tmp_path):
    def even(rows: list[dict[str, str]], last: int) -> None:
        for at, row in enumerate(rows):
            row["timestamp"] = str(1_532_402_927_000_000 + 83_333 * at + (last if at == len(rows) - 1 else 0))

    folder = changed_mot(edit_frames(lambda rows: even(rows, 150_000 - 83_333)))
    split = read_split_of(folder)
    found = found_by(run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json"))
    places = found["figures"]["gaps"]["places"].get(split, [])
    assert not [place for place in places if SEQUENCE in place]
    shutil.rmtree(folder)
    folder = changed_mot(edit_frames(lambda rows: even(rows, 150_001 - 83_333)))
    found = found_by(run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert [place for place in found["figures"]["gaps"]["places"][split] if SEQUENCE in place]


def test_frames_that_are_all_called_keyframes(changed_mot, tmp_path):
    folder = changed_mot(edit_frames(lambda rows: [row.update(keyframe="1") for row in rows]))
    found = found_by(run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert set(found["outside"]) == {"counts", "key-share", "interpolated-share"}
    split = read_split_of(folder)
    assert "keyframes, the manifest says" in found["figures"]["counts"]["places"][split][0]


def moved(rows: np.ndarray) -> np.ndarray:
    rows[0, 2] = 70.0
    rows[0, 4] = 40.0
    return rows


def doubled(rows: np.ndarray) -> np.ndarray:
    again = rows[:1].copy()
    again[0, 1] = rows[:, 1].max()
    other = rows[(rows[:, 0] != rows[0, 0]) | (rows[:, 1] != again[0, 1])]
    return np.concatenate([other, again])


@pytest.mark.parametrize(("figure", "change"), [("boxes-outside", moved), ("duplicate-boxes", doubled)])
def test_faulty_boxes_are_named_with_frame_and_track(figure, change, changed_mot, tmp_path):
    folder = changed_mot(edit_truth(change))
    found = found_by(run_check(folder, "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert figure in found["outside"]
    (place,) = found["figures"][figure]["places"][read_split_of(folder)]
    assert f"{SEQUENCE}/img1/" in place
    assert ", track " in place


def test_a_torn_line_is_bad_input_with_its_number(changed_mot, tmp_path):
    def tear(folder: Path) -> None:
        (path,) = folder.glob(f"*/{SEQUENCE}/gt/gt.txt")
        path.write_text(path.read_text()[:-6])

    result = run_check(changed_mot(tear), "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert f"{SEQUENCE}/gt/gt.txt:" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_sequence_in_two_splits(changed_mot, tmp_path):
    def copy(folder: Path) -> None:
        source = next(folder.glob("train/*_CAM_BACK"))
        shutil.copytree(source, folder / "val" / source.name)
        with (folder / "seqmaps" / "val.txt").open("a") as file:
            file.write(f"{source.name}\n")

    found = found_by(run_check(changed_mot(copy), "--samples", 0, "--out", tmp_path / "out", "--json"))
    assert {"shared-scenes", "foreign-scenes", "counts"} <= set(found["outside"])
    assert found["figures"]["shared-scenes"]["places"]["all"][0].endswith(" in train and val")


def test_tracks_that_exchange_their_numbers_jump(prepared):
    content = read_content(prepared / "mot")
    before = {one.kind.name: one for one in motion_figures(content)}["jump-share"].values
    split = content.splits["train"]
    boxes = split.boxes
    frame = boxes.frame[np.flatnonzero(np.diff(boxes.frame) == 0)[0]]
    here = np.flatnonzero(boxes.frame == frame)
    boxes.track[here] = np.roll(boxes.track[here], 1)
    after = {one.kind.name: one for one in motion_figures(content)}["jump-share"].values
    assert after["train"] > before["train"]
    assert after["val"] == before["val"]


def test_strips_show_consecutive_frames_with_their_own_pictures(prepared, release, tmp_path):
    result = run_check(prepared / "mot", "--samples", 3, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    found = found_by(result)
    assert found["sequences"] == {"chosenFrom": 4, "scenes": 2, "cameras": 2, "ofAll": 4}
    assert [len(one["singles"]) for one in found["samples"]] == [6, 6, 6]
    assert [one["missing"] for one in found["samples"]] == [0, 0, 0]  # found by their tokens in the tables
    assert found["figures"]["missing-pictures"]["values"] == {"train": 0, "val": 0}
    page = Page((tmp_path / "out" / "index.html").read_text())
    assert len(page.images) == 3
    for one in found["samples"]:
        assert (tmp_path / "out" / one["file"]).is_file()
        assert all((tmp_path / "out" / single).is_file() for single in one["singles"])


def test_a_picture_is_that_of_its_token(prepared, release):
    content = read_content(prepared / "mot")
    path_of = picture_paths(content, release, picture_names(read_tables(content, release)))
    rows = json.loads((release / "v1.0-mini" / "sample_data.json").read_text())
    names = {row["token"]: row["filename"] for row in rows}
    for split in content.splits.values():
        for frame, token in enumerate(split.frames.token):
            assert path_of(split, frame) == release / names[token]


def test_sequences_whose_release_is_gone_are_shown_on_grey(changed_mot, tmp_path):
    folder = changed_mot(lambda _: None, pictures=Pictures(mode="none", root=str(tmp_path / "gone")))
    found = found_by(run_check(folder, "--out", tmp_path / "out", "--json"))
    assert [one["missing"] for one in found["samples"]] == [6] * 6
    assert "missing-pictures" not in found["figures"]  # without the tables nobody knows their names
    result = run_check(folder, "--samples", 2, "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert "nor is any other that was to be shown" in result.stderr


def test_keyframes_only(release, tmp_path):
    """At two a second, these short sequences have too few steps to be judged by their rate."""
    options = PrepareOptions(root=release, formats=("mot",), fps=2, pictures="link")
    prepare_nuscenes(options, tmp_path / "two")
    result = run_check(tmp_path / "two", "--samples", 1, "--out", tmp_path / "out", "--json")
    found = found_by(result)
    assert found["outside"] == []
    assert result.exit_code == 0
    figures = found["figures"]
    assert set(figures["key-share"]["values"].values()) == {1}
    assert figures["key-share"]["bound"] == {"min": 1, "max": 1}
    assert "frame-rate" not in figures
    assert set(figures["gaps"]["values"].values()) == {0}  # a step is half a second here
    assert found["samples"][0]["missing"] == 0
    assert figures["missing-pictures"]["verdict"] == "within"
    assert "Every frame is a keyframe." in [one["text"] for one in found["sentences"]]


def test_every_layout_below_a_folder_is_checked(prepared, tmp_path):
    result = run_check(prepared, "--samples", 0, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "coco: within bounds" in result.stdout
    assert "mot: within bounds" in result.stdout
    assert (tmp_path / "out" / "coco" / "index.html").is_file()
    assert (tmp_path / "out" / "mot" / "check.json").is_file()


def test_a_release_is_to_be_prepared_first(release, tmp_path):
    result = run_check(release, "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert f"vistrain prepare nuscenes --root {release}" in result.stderr


def test_counts_of_a_manifest_are_counted_again(prepared):
    content = read_content(prepared / "mot")
    manifest = read(prepared / "mot" / MANIFEST)
    for name, split in content.splits.items():
        assert counts_of(split, content.classes) == manifest.splits[name].counts
