"""Label files: boxes and polygons, and every faulty row told by file, line and value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vistrain_trainer.data.yolo.labels import (
    STRICT,
    Fault,
    Labels,
    Leniency,
    encode_labels,
    label_of,
    raise_first,
    read_labels,
)
from vistrain_trainer.errors import BadInput

LENIENT = Leniency(polygons="to-boxes", duplicates="drop")


def read(path: Path, text: str, leniency: Leniency = STRICT, classes: int = 4) -> Labels:
    path.write_text(text)
    faults: list[Fault] = []
    labels, present = read_labels(path, classes, leniency, faults)
    assert present
    raise_first(faults)
    return labels


@pytest.mark.parametrize(
    ("picture", "label"),
    [
        ("d/images/train/a.jpg", "d/labels/train/a.txt"),
        ("images/x/images/a.b.PNG", "images/x/labels/a.b.txt"),
        ("d/train/images/a.jpg", "d/train/labels/a.txt"),
        ("d/photos/a.jpg", "d/photos/a.txt"),
        ("d/images2/a.jpg", "d/images2/a.txt"),
        ("d/images.jpg", "d/images.txt"),
    ],
)
def test_labels_are_where_the_layout_has_them(picture: str, label: str) -> None:
    assert label_of(Path(picture)) == Path(label)


def test_rows_are_class_centre_and_size(tmp_path: Path) -> None:
    found = read(tmp_path / "a.txt", "\ufeff3 0.5 0.25 0.2 0.1\n\n  0.0\t1 0 1 0.5 \r\n")
    assert found.classes.tolist() == [3, 0]
    assert found.boxes.tolist() == [[0.5, 0.25, 0.2, 0.1], [1, 0, 1, 0.5]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 0.5 0.5 0.2", "it has 4 columns"),
        ("1 0.5 0.5 0.2 0.2 0.9", "it has 6 columns"),
        ("4 0.5 0.5 0.2 0.2", "class 4 is none of 0 to 3"),
        ("-1 0.5 0.5 0.2 0.2", "class -1 is none of"),
        ("1.5 0.5 0.5 0.2 0.2", "class 1.5 is none of"),
        ("1 0.5 1.2 0.2 0.2", "1.2 is not within 0 and 1"),
        ("1 0.5 -0.001 0.2 0.2", "-0.001 is not within 0 and 1"),
        ("1 0.5 nan 0.2 0.2", "'nan' is not a number"),
        ("1 0.5 0,5 0.2 0.2", "'0,5' is not a number"),
        ("1 0.5 1_0 0.2 0.2", "'1_0' is not a number"),
        ("toe 0.5 0.5 0.2 0.2", "'toe' is not a number"),
        ("2 0.1 0.1 0.2 0.2", "it repeats line 1"),
        ("2 0.1 0.1 0.2 0.2 0.1 0.2", "it is a polygon where a box is expected"),
    ],
)
def test_a_faulty_row_is_told_by_file_line_and_value(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(BadInput) as caught:
        read(path, f"2 0.1 0.1 0.2 0.2\n1 0.5 0.5 0.1 0.1\n{row}\n")
    assert str(caught.value).startswith(f"{path}:3: {row}: {message}")
    assert caught.value.remedy


def test_equal_faults_are_counted(tmp_path: Path) -> None:
    polygon = "1 0.1 0.1 0.3 0.1 0.3 0.4"
    faults: list[Fault] = []
    for name, text in (("a", f"{polygon}\n2 {polygon[2:]}\n"), ("b", f"9 0 0 0 0\n3 {polygon[2:]}\n")):
        path = tmp_path / f"{name}.txt"
        path.write_text(text)
        read_labels(path, 4, STRICT, faults)
    with pytest.raises(BadInput) as caught:
        raise_first(faults)
    assert "(as 2 other rows in 2 files, and 1 other row with other faults)" in str(caught.value)
    assert "--polygons to-boxes" in caught.value.remedy


def test_polygons_become_their_bounds(tmp_path: Path) -> None:
    found = read(tmp_path / "a.txt", "1 0.2 0.3 0.6 0.35 0.4 0.9\n0 0.5 0.5 0.1 0.1\n", LENIENT)
    np.testing.assert_allclose(found.boxes[0], [0.4, 0.6, 0.4, 0.6])
    assert found.polygons == 1
    assert len(found.boxes) == 2


def test_duplicates_are_dropped_or_kept_and_counted(tmp_path: Path) -> None:
    text = "1 0.5 0.5 0.1 0.1\n1 0.50 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n"
    for policy, rows in (("drop", 2), ("keep", 3)):
        found = read(tmp_path / "a.txt", text, Leniency(duplicates=policy))  # type: ignore[arg-type]
        assert (len(found.classes), found.duplicates) == (rows, 1)


def test_a_missing_file_is_no_fault_and_another_that_cannot_be_read_is(tmp_path: Path) -> None:
    faults: list[Fault] = []
    labels, present = read_labels(tmp_path / "none.txt", 4, STRICT, faults)
    assert not present
    assert not len(labels.classes)
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "binary.txt").write_bytes(b"\xff\xd8\xff\xe0")
    for name in ("folder.txt", "binary.txt"):
        read_labels(tmp_path / name, 4, STRICT, faults)
    assert [fault.problem for fault in faults] == [
        "the file cannot be read: Is a directory",
        "the file cannot be read: it is not text",
    ]
    with pytest.raises(BadInput, match=r"folder\.txt: the file: the file cannot be read"):
        raise_first(faults)


shares = st.floats(0, 1)


@given(rows=st.lists(st.tuples(st.integers(0, 3), shares, shares, shares, shares), max_size=6, unique=True))
def test_what_is_written_is_read_to_less_than_a_millionth_of_a_pixel(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, float, float, float]]
) -> None:
    classes = np.array([row[0] for row in rows], np.int64)
    boxes = np.array([row[1:] for row in rows], np.float64).reshape(-1, 4)
    text = encode_labels(classes, boxes).decode()
    keep = Leniency(duplicates="keep")  # two rows may differ by less
    found = read(tmp_path_factory.mktemp("labels") / "a.txt", text, keep)
    assert found.classes.tolist() == classes.tolist()
    assert np.abs(found.boxes - boxes).max(initial=0) * 20_000 < 1e-6
    assert "e" not in text


def test_usual_labels_are_written_as_they_were(tmp_path: Path) -> None:
    text = "1 0.500000 0.123456 0.100000 0.000001\n"
    found = read(tmp_path / "a.txt", text)
    assert encode_labels(found.classes, found.boxes).decode() == text
