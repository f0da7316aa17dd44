"""The page of a check: its tables against the data, its sentences, nothing from elsewhere."""

from __future__ import annotations

import errno
import json
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from support.checks import run_check
from support.pages import Page
from vistrain_trainer.checking import samples


@pytest.fixture(scope="module")
def checked(world, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("checked") / "out"
    assert run_check(world, "--out", out).exit_code == 0
    return out


def documents(world: Path) -> dict[str, dict]:
    return {
        path.stem: json.loads(path.read_text()) for path in sorted((world / "annotations").glob("*.json"))
    }


def test_tables_are_those_of_the_data(checked, world):
    page = Page((checked / "index.html").read_text())
    (figures,) = page.tables["figures"]
    assert figures.rows[0] == ["figure", "verdict", "all", "train", "val", "bound", "name for --bound"]
    assert set(figures.column("verdict")) == {"within", "no bound"}
    of = {row[-1]: row for row in figures.rows[1:]}
    assert of["boxes-outside"] == [
        "boxes that leave their picture",
        "within",
        "–",
        "0",
        "0",
        "none",
        "boxes-outside",
    ]
    splits, classes = page.tables["classes"]
    for name, document in documents(world).items():
        boxes, pictures = document["annotations"], document["images"]
        assert splits.by_first[name][2:] == [str(len(pictures)), str(len(boxes))]
        names = {one["id"]: one["name"] for one in document["categories"]}
        for kind in names.values():
            count = sum(names[one["category_id"]] == kind for one in boxes)
            row = next(row for row in classes.rows if row[1] == kind)
            assert row[classes.rows[0].index(name)] == str(count)
        touching = sum(
            min(x, y, 224 - x - w, 128 - y - h) < 0.5 for x, y, w, h in (one["bbox"] for one in boxes)
        )
        share = float(of["border-share"][2 + ["all", "train", "val"].index(name)].removesuffix(" %"))
        assert share == pytest.approx(100 * touching / len(boxes), rel=5e-3)
    assert [row[1] for row in classes.rows[1:]] == json.loads((world / "manifest.json").read_text())[
        "classes"
    ]


def test_histograms_hold_every_box(checked, world):
    page = Page((checked / "index.html").read_text())
    assert set(page.charts) == {
        f"chart-{key}" for key in ("width", "height", "aspect", "distance", "visibility")
    }
    stored = json.loads((checked / "check.json").read_text())["histograms"]
    for name, document in documents(world).items():
        boxes = document["annotations"]
        for key, of in (
            ("width", lambda one: one["bbox"][2]),
            ("distance", lambda one: one["distance"]),
            ("visibility", lambda one: one["visibility"]),
        ):
            edges, counts = stored[key]["edges"], stored[key]["counts"][name]
            assert sum(counts) == len(boxes)
            for at, (low, high) in enumerate(pairwise(edges)):
                last = at == len(counts) - 1
                assert counts[at] == sum(low <= of(one) and (of(one) < high or last) for one in boxes), (
                    key,
                    low,
                )
            line = next(line for line in page.charts[f"chart-{key}"]["lines"] if line["label"] == name)
            assert sum(line["y"]) == pytest.approx(200)  # each bin's share at both of its ends
    assert page.charts["chart-width"]["logarithmic"]
    assert "logarithmic" not in page.charts["chart-distance"]


def test_the_story_is_computed(checked, world):
    page = Page((checked / "index.html").read_text())
    total = sum(len(document["annotations"]) for document in documents(world).values())
    assert (
        f"holds 20 pictures with {total} boxes: train with 16 pictures and val with 4 pictures"
        in page.texts["story"]
    )
    assert "Its 5 scenes and 2 cameras make 10 sequences." in page.texts["story"]
    assert "figures that have a bound are within it" in page.texts["story"]
    assert page.texts["outcome"] == "within bounds"
    assert "vistrain prepare synthetic" in page.texts["command"]


def test_the_page_needs_nothing_from_elsewhere(checked):
    page = Page((checked / "index.html").read_text())
    assert len(page.images) == 12
    assert all(address.startswith("data:") for address in page.addresses)
    for anchor in page.anchors:
        assert anchor.startswith("#") or (checked / anchor).is_file()


def test_equal_data_make_equal_files(checked, world, tmp_path):
    assert run_check(world, "--out", tmp_path / "again").exit_code == 0
    for path in checked.rglob("*"):
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(checked)).read_bytes() == path.read_bytes()


def test_what_is_outside_is_said_on_top(spoilt, tmp_path):
    def widen(found: dict) -> None:
        found["val"]["annotations"][0]["bbox"] = [200.0, 20.0, 40.0, 30.0]

    result = run_check(spoilt(widen), "--samples", 0, "--out", tmp_path / "out")
    assert result.exit_code == 3
    text = (tmp_path / "out" / "index.html").read_text()
    page = Page(text)
    assert page.texts["outcome"] == "outside bounds: boxes-outside"
    assert "1 is outside it: boxes that leave their picture." in page.texts["story"]
    assert "Boxes that leave their picture: val 1 (bound: none), such as val: CAM_" in text
    figures, places = page.tables["figures"]
    assert figures.by_first["boxes that leave their picture"][0] == "outside"
    assert ["boxes that leave their picture", "val"] in [row[:2] for row in places.rows]
    assert "samples" not in page.sections  # a page without pictures is a whole page


def test_a_full_disk_is_told_and_leaves_the_earlier_check(world, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert run_check(world, "--samples", 1, "--out", out).exit_code == 0
    before = (out / "index.html").read_bytes()

    def full(path: Path, *_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(samples, "_write", full)
    result = run_check(world, "--samples", 1, "--out", out)
    assert result.exit_code == 74
    assert "cannot be written (No space left on device)" in result.stderr
    assert (out / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_several_data_sets_below_a_folder(world, tmp_path):
    root = tmp_path / "prepared"
    for name in ("one", "two"):
        shutil.copytree(world, root / name)
    result = run_check(root, "--samples", 1, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0
    assert [found["dataset"] for found in json.loads(result.stdout)["checks"]] == [
        str(root / "one"),
        str(root / "two"),
    ]
    assert (tmp_path / "out" / "one" / "index.html").is_file()
    assert (tmp_path / "out" / "two" / "index.html").is_file()


def test_an_earlier_check_is_replaced_and_nothing_else(world, tmp_path):
    out = tmp_path / "out"
    assert run_check(world, "--samples", 4, "--out", out).exit_code == 0
    assert run_check(world, "--samples", 1, "--out", out).exit_code == 0
    assert len(list((out / "pictures").iterdir())) == 1
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.jpg").write_bytes(b"cat")
    result = run_check(world, "--out", other)
    assert result.exit_code == 64
    assert "it is there, and is no earlier check" in result.stderr
    assert (other / "cat.jpg").read_bytes() == b"cat"


def test_a_folder_that_has_more_than_checks_is_not_replaced(world, tmp_path):
    """Such as the folder one works in, which has the folder `check`."""
    work = tmp_path / "work"
    assert run_check(world, "--samples", 0, "--out", work / "check").exit_code == 0
    (work / "thesis.tex").write_text("years")
    assert run_check(world, "--out", work).exit_code == 64
    (work / "check" / "notes.txt").write_text("hours")
    assert run_check(world, "--out", work / "check").exit_code == 64
    assert (work / "thesis.tex").read_text() == "years"
    assert (work / "check" / "notes.txt").read_text() == "hours"


def test_data_are_not_replaced_by_their_check(world, tmp_path):
    folder = tmp_path / "world"
    shutil.copytree(world, folder)
    assert run_check(folder, "--out", folder).exit_code == 64
    assert run_check(folder, "--out", tmp_path).exit_code == 64
    assert (folder / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "there is no such folder"),
        ("empty", "there is no manifest.json in it, nor in a folder of it"),
    ],
)
def test_what_is_no_data_set_is_refused(name, message, tmp_path):
    (tmp_path / "empty").mkdir()
    result = run_check(tmp_path / name, "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert message in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"images": [', "it is not whole JSON"),
        (b'{"images": [], "annotations": []}', "missing required field `categories`"),
        (
            b'{"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}',
            "its categories are not",
        ),
    ],
)
def test_a_torn_or_foreign_annotation_file_is_named(content, message, spoilt, tmp_path):
    folder = spoilt(lambda _: None)
    (folder / "annotations" / "val.json").write_bytes(content)
    result = run_check(folder, "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert f"{folder / 'annotations' / 'val.json'}: " in result.stderr
    assert message in result.stderr
