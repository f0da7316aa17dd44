"""Samples moved from one split to another: exactly so many, near-duplicates together, and back again."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import msgspec
import pytest
from typer.testing import CliRunner, Result

from support.drainage import GROUPS, LAYOUTS, contents, write_drainage
from support.trees import snapshot
from support.yolo_dataset import NAMES, picture
from vistrain_trainer.data import manifest as manifests
from vistrain_trainer.data.cli import app
from vistrain_trainer.data.manifest import SceneRef
from vistrain_trainer.data.rebalance.journal import JOURNAL, read_journal
from vistrain_trainer.data.sets.opening import home_of, open_set
from vistrain_trainer.data.sets.stated import split_digest


def run(data: list[str], *arguments: object) -> Result:
    return CliRunner().invoke(app, ["rebalance", *data, *map(str, arguments)])


def moved(data: list[str], *arguments: object) -> dict[str, Any]:
    result = run(data, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(data: list[str], *arguments: object) -> str:
    """The message; that nothing was touched is seen here."""
    home = home_of(data)
    before = snapshot(home)
    result = run(data, *arguments)
    assert result.exit_code == 64, result.output
    assert snapshot(home) == before
    return result.stderr


def vegetation(count: object, *more: object) -> tuple[object, ...]:
    return ("--class", "vegetation", "--count", count, *more)


def of_class(split: dict[str, list[Any]], name: str) -> tuple[int, int]:
    """Images with a class, and boxes of it."""
    counts = [sum(kind == name for kind, _ in rows) for rows in split.values()]
    return sum(count > 0 for count in counts), sum(counts)


def group(name: str) -> str:
    """Pictures of one group of near-duplicates are alike up to the member's number."""
    return name.rsplit("-", 1)[0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("unit", "count"), [("images", 4), ("instances", 5)])
def test_exactly_so_many_move_and_come_back(tmp_path: Path, layout: str, unit: str, count: int) -> None:
    data = write_drainage(tmp_path / "data", layout)
    before, tree = contents(data), snapshot(tmp_path / "data")
    arguments = vegetation(count, "--unit", unit)

    planned = moved(data, *arguments, "--dry-run")
    assert planned["dryRun"]
    assert snapshot(tmp_path / "data") == tree

    change = moved(data, *arguments)
    assert not change["dryRun"]
    assert change["moved"] == planned["moved"]
    assert change["state"] == "applied"
    after = contents(data)
    gone = {Path(one["name"]).name for one in change["moved"]}
    assert (
        gone == before["train"].keys() - after["train"].keys() == after["val"].keys() - before["val"].keys()
    )
    assert {**after["train"], **after["val"]} == {**before["train"], **before["val"]}
    assert after["test"] == before["test"]
    at = ("images", "instances").index(unit)
    assert of_class(after["val"], "vegetation")[at] - of_class(before["val"], "vegetation")[at] == count
    assert not {group(name) for name in after["train"]} & {group(name) for name in after["val"]}

    found = open_set(data)
    for state, splits in (("before", before), ("after", after)):
        for name in ("train", "val"):
            stated = change[state][name]
            assert stated["images"] == len(splits[name])
            assert stated["annotations"] == sum(map(len, splits[name].values()))
            for kind in NAMES:
                images, boxes = of_class(splits[name], kind)
                assert stated["perClass"][kind] == {"images": images, "instances": boxes}
    for name in ("train", "val"):
        assert change["after"][name]["digest"] == split_digest(found.splits[name])

    undone = moved(data, "--undo")
    assert undone["moved"] == change["moved"]
    assert snapshot(tmp_path / "data") == tree


def test_equal_seeds_move_equal_images_and_others_do_not(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    chosen = {}
    for seed in range(20):
        change = moved(data, *vegetation(2, "--dry-run", "--seed", seed))
        chosen[seed] = tuple(one["name"] for one in change["moved"])
    groups = {group(Path(name).name) for names in chosen.values() for name in names}
    assert groups == {"train-00", "train-01", "train-02", "train-04", "train-07"}
    copy = write_drainage(tmp_path / "elsewhere" / "copy")
    assert tuple(one["name"] for one in moved(copy, *vegetation(2, "--seed", 3))["moved"]) == chosen[3]


def test_near_duplicates_move_whole_or_not_at_all(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    sizes = Counter(group(name) for name in contents(data)["train"])
    for seed in range(8):
        change = moved(data, *vegetation(3, "--dry-run", "--seed", seed))
        went = Counter(group(Path(one["name"]).name) for one in change["moved"])
        assert all(sizes[name] == count for name, count in went.items())
        assert sum(one["instances"] > 0 for one in change["moved"]) == 3
        by_group: dict[str, set[int | None]] = {}
        for one in change["moved"]:
            by_group.setdefault(group(Path(one["name"]).name), set()).add(one["group"])
        assert all(len(numbers) == 1 for numbers in by_group.values())
        assert all((numbers == {None}) == (sizes[name] == 1) for name, numbers in by_group.items())
    loose = moved(data, *vegetation(3, "--dry-run", "--keep-together", "off"))
    assert loose["keepTogether"] is None
    assert all(one["group"] is None for one in loose["moved"])


def test_a_group_that_is_in_both_splits_is_told_and_united_when_it_moves(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    folder = tmp_path / "data"
    for kind, suffix in (("images", "png"), ("labels", "txt")):
        old = folder / kind / "train" / f"train-00-1.{suffix}"
        old.rename(folder / kind / "val" / old.name)
    left = moved(data, "--class", "rock_toe", "--count", 2, "--dry-run")  # the group of train-03
    assert {group(Path(one["name"]).name) for one in left["moved"]} == {"train-03"}
    assert left["straddling"] == 1
    united = moved(data, "--class", "rock_toe", "--count", 3)
    assert united["straddling"] == 0
    assert "train-00-2.png" in contents(data)["val"]


@pytest.mark.parametrize(
    ("unit", "count", "message"),
    [
        ("images", 8, "train has 7 images of vegetation. Say at most 7"),
        ("instances", 11, "train has 10 boxes of vegetation. Say at most 10"),
        ("images", 6, None),
        ("instances", 9, None),
    ],
)
def test_counts_that_cannot_be_met(tmp_path: Path, unit: str, count: int, message: str | None) -> None:
    """Groups of 2, 1, 1, 2 and 1 images with 3, 1, 1, 2 and 3 boxes: every number can be had."""
    data = write_drainage(tmp_path / "data")
    if message is not None:
        assert f"--count: {count}: {message}" in refused(data, *vegetation(count, "--unit", unit))
    else:
        assert moved(data, *vegetation(count, "--unit", unit))["count"] == count


def test_an_impossible_count_names_the_nearest_possible_ones(tmp_path: Path) -> None:
    pairs = {"train": [[[3], [3]], [[3], [3]], [[3], [3], [3, 3]], [[0]]], "val": [[[0]]]}
    data = write_drainage(tmp_path / "data", groups=pairs)
    text = refused(data, *vegetation(6))
    assert "images that stay together hold 2 to 3 images of vegetation" in text
    assert "no choice of them holds exactly 6. Say --count 5 or --count 7, or a smaller distance" in text
    assert "Say --count 2, or a smaller" in refused(data, *vegetation(1))
    assert moved(data, *vegetation(6, "--keep-together", "off"))["count"] == 6


def test_ids_stay_where_they_are_free_and_change_where_they_are_taken(tmp_path: Path) -> None:
    unique = write_drainage(tmp_path / "unique", "coco")
    change = moved(unique, *vegetation(4))
    assert change["renumbered"] == 0

    bare = write_drainage(tmp_path / "bare", "coco-bare")
    documents = {
        name: json.loads((tmp_path / "bare" / "annotations" / f"{name}.json").read_text())
        for name in ("train", "val")
    }
    change = moved(bare, *vegetation(4))
    assert change["renumbered"] > 0
    after = json.loads((tmp_path / "bare" / "annotations" / "val.json").read_text())
    for kind in ("images", "annotations"):
        ids = [record["id"] for record in after[kind]]
        assert len(set(ids)) == len(ids)
        assert after[kind][: len(documents["val"][kind])] == documents["val"][kind]
    names = {category["id"]: category["name"] for category in documents["train"]["categories"]}
    notes = {one["note"]: names[one["category_id"]] for one in documents["train"]["annotations"]}
    added = [one for one in after["annotations"] if one["note"].startswith("train")]
    own = {category["id"]: category["name"] for category in after["categories"]}
    assert added
    assert all(own[one["category_id"]] == notes[one["note"]] for one in added)
    for one in change["moved"]:
        assert (tmp_path / "bare" / "images" / "val" / one["name"]).is_file()
        assert not (tmp_path / "bare" / "images" / "train" / one["name"]).exists()


def test_changes_are_taken_back_one_by_one(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data", "coco")
    states = [snapshot(tmp_path / "data")]
    for seed in (1, 2):
        moved(data, *vegetation(2, "--seed", seed))
        states.append(snapshot(tmp_path / "data"))
    moved(data, "--class", "vegetation", "--count", 1, "--from", "val", "--to", "train")
    assert [change.number for change in read_journal(tmp_path / "data").changes] == [1, 2, 3]
    for state in reversed(states):
        moved(data, "--undo")
        assert snapshot(tmp_path / "data") == state
    assert "no rebalancing of this data set is recorded" in refused(data, "--undo")


def test_undo_refuses_when_something_has_changed_since(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    change = moved(data, *vegetation(4))
    target = next(
        tmp_path / "data" / move["target"] for move in change["moves"] if move["target"].endswith(".txt")
    )
    source = (
        tmp_path
        / "data"
        / next(move["source"] for move in change["moves"] if tmp_path / "data" / move["target"] == target)
    )
    content = target.read_bytes()
    target.write_bytes(content + b"1 0.5 0.5 0.1 0.1\n")
    assert f"{target}: its content is another: the data set has changed" in refused(data, "--undo")
    target.unlink()
    assert f"{target}: it is no longer there" in refused(data, "--undo")
    target.write_bytes(content)
    source.write_bytes(content)
    assert f"there is a new file at {source}" in refused(data, "--undo")
    source.unlink()
    moved(data, "--undo")


@pytest.mark.parametrize("layout", ["coco", "lists"])
def test_undo_refuses_when_a_rewritten_file_has_changed_since(tmp_path: Path, layout: str) -> None:
    data = write_drainage(tmp_path / "data", layout)
    tree = snapshot(tmp_path / "data")
    path = tmp_path / "data" / ("val.txt" if layout == "lists" else "annotations/val.json")
    moved(data, *vegetation(4))
    content = path.read_bytes()
    path.write_bytes(content + b"\n")
    assert f"{path}: it is not as the rebalancing left it" in refused(data, "--undo")
    path.write_bytes(content)
    kept = next((tmp_path / "data" / ".rebalance").rglob("before/0"))
    shutil.copy(kept, tmp_path / "kept")
    kept.unlink()
    assert "it is no longer what" in refused(data, "--undo")
    shutil.copy(tmp_path / "kept", kept)
    moved(data, "--undo")
    assert snapshot(tmp_path / "data") == tree


def test_new_pictures_beside_do_not_hinder_an_undo(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    moved(data, *vegetation(4))
    cv2.imwrite(str(tmp_path / "data" / "images" / "val" / "new.png"), picture(99))
    moved(data, "--undo")
    assert "new.png" in contents(data)["val"]


def test_folders_that_were_made_go_again(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    for kind in ("images", "labels"):
        inner = tmp_path / "data" / kind / "train" / "site" / "a"
        inner.mkdir(parents=True)
        for path in list((tmp_path / "data" / kind / "train").glob("train-0[24]*")):
            path.rename(inner / path.name)
    shutil.rmtree(tmp_path / "data" / "labels" / "val")
    tree = snapshot(tmp_path / "data")
    moved(data, *vegetation(7))
    assert (tmp_path / "data" / "labels" / "val" / "site" / "a" / "train-02-0.txt").is_file()
    moved(data, "--undo")
    assert snapshot(tmp_path / "data") == tree


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_the_manifest_says_what_is_so_afterwards(tmp_path: Path, layout: str) -> None:
    data = write_drainage(tmp_path / "data", layout)
    path = tmp_path / "data" / "manifest.json"
    if layout != "coco":
        made = tmp_path / "made"
        CliRunner().invoke(app, ["convert", "--from", data[0], "--to", "coco", "--out", str(made)])
        found = manifests.read(made / "manifest.json")
        files = {
            name.relative_to(tmp_path / "data").as_posix(): "0" for name in (tmp_path / "data").rglob("*.txt")
        }
        path.write_bytes(manifests.encode(msgspec.structs.replace(found, format="yolo", files=files)))
    content = json.loads(path.read_text())
    content["splits"]["train"]["counts"] |= {"keyFrames": 12, "interpolatedFrames": 0}
    path.write_text(json.dumps(content))
    before = manifests.read(path)
    change = moved(data, *vegetation(4))
    after = manifests.read(path)
    for name in ("train", "val"):
        counts = after.splits[name].counts
        assert counts.images == change["after"][name]["images"]
        assert counts.per_class == {
            kind: one["instances"] for kind, one in change["after"][name]["perClass"].items()
        }
    assert after.splits["train"].counts.key_frames == change["after"]["train"]["images"]
    assert after.splits["val"].counts.key_frames is None
    assert after.splits["test"] == before.splits["test"]
    assert after.digest == manifests.digest_of(after.files) != before.digest
    assert all((tmp_path / "data" / name).is_file() for name in after.files)
    assert len(after.files) == len(before.files)
    assert after.notes[-1] == f"rebalanced by `{change['command']}`"
    if layout == "coco":
        for name, digest in after.files.items():
            assert manifests.hashlib.sha256((tmp_path / "data" / name).read_bytes()).hexdigest() == digest


def edit_manifest(folder: Path, **changes: dict[str, Any]) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    for split, change in changes.items():
        content["splits"][split] |= change
    path.write_text(json.dumps(content))


def test_nothing_is_taken_from_a_reserve_or_added_to_it(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data", "coco")
    edit_manifest(tmp_path / "data", test={"reserved": True})
    for ends in (("--from", "test", "--to", "val"), ("--from", "train", "--to", "test")):
        assert "test: the split is reserved for the final judgement" in refused(data, *vegetation(1, *ends))
    moved(data, *vegetation(1))


def test_scenes_move_whole_in_files_and_manifest(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data", "coco")
    scenes: dict[str, list[dict[str, str]]] = {}
    for split in ("train", "val"):
        path = tmp_path / "data" / "annotations" / f"{split}.json"
        document = json.loads(path.read_text())
        for at, image in enumerate(document["images"]):
            image["scene_token"] = f"{split}-token-{at // 4}"
        path.write_text(json.dumps(document))
        tokens = sorted({image["scene_token"] for image in document["images"]})
        scenes[split] = [{"name": f"scene {token}", "token": token} for token in tokens]
    edit_manifest(tmp_path / "data", **{split: {"scenes": found} for split, found in scenes.items()})
    change = moved(data, *vegetation(4, "--keep-together", "off"))
    of_split = {
        split: {
            image["scene_token"]
            for image in json.loads((tmp_path / "data" / f"annotations/{split}.json").read_text())["images"]
        }
        for split in ("train", "val")
    }
    assert not of_split["train"] & of_split["val"]
    manifest = manifests.read(tmp_path / "data" / "manifest.json")
    for split, tokens in of_split.items():
        assert {scene.token for scene in manifest.splits[split].scenes} == tokens
        assert all(isinstance(scene, SceneRef) for scene in manifest.splits[split].scenes)
    assert any(token.startswith("train") for token in of_split["val"])
    assert all(one["group"] is not None for one in change["moved"])

    text = refused(data, *vegetation(1))
    assert "scenes that stay together hold" in text
    assert "smaller distance" not in text

    path = tmp_path / "data" / "annotations" / "train.json"
    path.write_text(path.read_text().replace("scene_token", "scenery"))
    assert "the files do not say which scene an image is of" in refused(data, *vegetation(1))


def test_a_copied_folder_is_taken_back_where_it_lies_now(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    tree = snapshot(tmp_path / "data")
    moved(data, *vegetation(4))
    shutil.move(tmp_path / "data", tmp_path / "mounted")
    moved([str(tmp_path / "mounted")], "--undo")
    assert snapshot(tmp_path / "mounted") == tree


def test_linked_pictures_move_as_links(tmp_path: Path) -> None:
    source = write_drainage(tmp_path / "source")
    arguments = ["convert", "--from", source[0], "--to", "yolo", "--out", str(tmp_path / "data")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    data = [str(tmp_path / "data")]
    moved(data, *vegetation(4))
    links = list((tmp_path / "data" / "images" / "val").iterdir())
    assert len(links) > 4
    assert all(path.is_symlink() and path.is_file() for path in links)
    assert (tmp_path / "source" / "images" / "train" / "train-00-0.png").is_file()
    moved(data, "--undo")

    deeper = tmp_path / "data" / "images" / "train" / "site"
    deeper.mkdir()
    for path in [*(tmp_path / "data" / "images" / "train").glob("train-07*")]:
        (deeper / path.name).symlink_to(os.path.relpath(path.resolve(), deeper))
        path.unlink()
    label = tmp_path / "data" / "labels" / "train" / "site" / "train-07-0.txt"
    label.parent.mkdir()
    (tmp_path / "data" / "labels" / "train" / "train-07-0.txt").rename(label)
    yaml = tmp_path / "data" / "data.yaml"
    yaml.write_text(yaml.read_text().replace("val: images/val", "val: images/val/more"))
    (tmp_path / "data" / "images" / "val" / "more").mkdir()
    for path in list((tmp_path / "data" / "images" / "val").glob("*.png")):
        (tmp_path / "data" / "images" / "val" / "more" / path.name).symlink_to(path.resolve())
    assert "the link would lead elsewhere" in refused(data, *vegetation(7))


def test_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    folder = tmp_path / "data"
    every = vegetation(7)
    for taken in ("images/val/train-00-0.png", "labels/val/train-00-0.txt"):
        (folder / taken).write_bytes(b"")
        if taken.endswith("png"):
            cv2.imwrite(str(folder / taken), picture(50))
        assert "there is a file of that name in the other split" in refused(data, *every)
        (folder / taken).unlink()
    cv2.imwrite(str(folder / "images" / "val" / "train-00-0.jpg"), picture(50))
    assert f"{folder}/labels/val/train-00-0.txt: there is a file" in refused(data, *every)
    (folder / "images" / "val" / "train-00-0.jpg").unlink()
    moved(data, *every)

    bare = write_drainage(tmp_path / "bare", "coco-bare")
    cv2.imwrite(str(tmp_path / "bare" / "images" / "val" / "train-00-0.png"), picture(50))
    assert "there is a picture of that name in the other split" in refused(bare, *every)


def test_a_list_and_a_folder_are_not_mixed(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    yaml, folder = tmp_path / "data" / "data.yaml", tmp_path / "data"
    (folder / "val.txt").write_text("\n".join(map(str, (folder / "images" / "val").iterdir())))
    yaml.write_text(yaml.read_text().replace("val: images/val", "val: val.txt"))
    text = refused(data, *vegetation(1))
    assert re.search(r"train is a folder \(.*train\), val is a list of pictures \(.*val\.txt\)", text)
    back = ("--class", "rock_toe", "--count", 1, "--from", "val", "--to", "train")
    assert "val is a list of pictures" in refused(data, *back)


def test_other_requests_that_cannot_be_met(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    assert "--class: crest: is unknown. choose from rock_toe" in refused(
        data, "--class", "crest", "--count", 1
    )
    assert "--from: test2: there is no such split" in refused(data, *vegetation(1, "--from", "test2"))
    assert "--to: train: is where samples come from" in refused(data, *vegetation(1, "--to", "train"))
    assert "--count: 0: is out of bounds" in refused(data, *vegetation(0))
    assert "--seed: -1" in refused(data, *vegetation(1, "--seed", -1))
    assert "give 0 to 63, or say off" in refused(data, *vegetation(1, "--keep-together", 64))
    assert "is no number of bits" in refused(data, *vegetation(1, "--keep-together", "near"))
    assert "--class: nothing: is needed" in refused(data, "--count", 1)
    assert "--count: nothing: is needed" in refused(data, "--class", "vegetation")
    assert "is one too many" in refused(data, "--undo", "--finish")
    only = write_drainage(tmp_path / "only", groups={"train": [[[3]], [[3]]], "val": [[[0]]]})
    assert "nothing would be left in train" in refused(only, *vegetation(2))
    assert "Name another class or split" in refused(only, "--class", "toe_drain", "--count", 1)
    yaml = tmp_path / "data" / "data.yaml"
    yaml.write_text(yaml.read_text().replace("test: images/test", "test: images/train"))
    assert "of its pictures are in test too" in refused(data, *vegetation(1))


def test_coco_whose_pictures_are_elsewhere(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data", "coco")
    (tmp_path / "data" / "images").rename(tmp_path / "pictures")
    assert "none can be compared. Name their folder with --images" in refused(data, *vegetation(4))
    moved(data, *vegetation(4, "--images", tmp_path / "pictures"))
    moved(data, "--undo")
    moved(data, *vegetation(4, "--keep-together", "off"))


def test_one_command_at_a_time(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data")
    other = os.open(tmp_path / "data", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    assert "another command is changing the data set" in refused(data, *vegetation(1))
    os.close(other)
    moved(data, *vegetation(1))


def test_what_moves_is_said(tmp_path: Path) -> None:
    data = write_drainage(tmp_path / "data", "coco-bare")
    tried = run(data, *vegetation(4, "--dry-run"))
    assert "would move " in tried.stdout
    result = run(data, *vegetation(4))
    assert result.exit_code == 0
    assert "vegetation" in result.stdout
    assert re.search(r"10 in 7 → \d+ in 3", result.stdout)
    assert "records have a new id" in result.stdout
    assert "are kept together in" in result.stdout
    assert "nothing was interrupted" in run(data, "--finish").stdout
    result = run(data, "--undo")
    assert "taken back: " in result.stdout
    assert not (tmp_path / "data" / JOURNAL).exists()
    assert len(GROUPS["train"]) == 8
