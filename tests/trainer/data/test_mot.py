"""Reading of MOT sequences: columns as they stand, and every fault told by file, line and value."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.mot_sequence import FRAMES, GT, INFO, TRACKS, write_sequence, write_split
from vistrain_trainer.data.mot.boxes import read_detections, read_truth
from vistrain_trainer.data.mot.frames import read_frames, read_tracks
from vistrain_trainer.data.mot.info import read_info, read_seqmap
from vistrain_trainer.data.mot.sequence import read_sequence, read_split
from vistrain_trainer.errors import BadInput

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def go(text: str) -> Path:
        path = tmp_path / "file.txt"
        path.write_text(text, newline="")
        return path

    return go


def test_a_sequence_is_read_as_it_stands(tmp_path: Path) -> None:
    sequence = read_sequence(write_sequence(tmp_path / "scene-0001_CAM_FRONT"), classes=3)
    assert sequence.name == sequence.info.name == "scene-0001_CAM_FRONT"
    assert (sequence.info.frame_rate, sequence.info.length) == (12, 3)
    assert (sequence.info.width, sequence.info.height) == (1600, 900)
    assert (sequence.info.image_folder, sequence.info.image_suffix) == ("img1", ".jpg")
    truth = sequence.truth
    assert truth.frame.tolist() == [1, 1, 2, 3]
    assert truth.track.tolist() == [1, 2, 1, 1]
    assert truth.box[1].tolist() == [100, 50.25, 12, 8]
    assert truth.label.tolist() == [0, 2, 0, 0]
    assert truth.counts.tolist() == [True, True, True, False]
    assert truth.visibility == pytest.approx([0.9, 0.5, 0.9, 0.2])
    assert sequence.tracks == {1: "i1", 2: "i2"}
    assert sequence.frames is not None
    assert sequence.frames.token == ("aa", "bb", "cc")
    assert sequence.frames.keyframe.tolist() == [True, False, False]
    assert sequence.frame_interval == pytest.approx(0.075)  # 50 and 100 ms, and not the nominal 1/12 s


def test_a_sequence_of_others_has_no_tables_of_ours(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "MOT17-02")
    for name in ("frames.csv", "tracks.csv"):
        (folder / name).unlink()
    (folder / "gt" / "gt.txt").write_text(
        "".join(line[:-3] + "\n" for line in GT.splitlines())
    )  # nine columns
    sequence = read_sequence(folder)
    assert (sequence.frames, sequence.tracks) == (None, {})
    assert sequence.frame_interval == pytest.approx(1 / 12)
    assert len(sequence.truth) == 4


def test_a_file_of_mot15_reads_as_one_class(write: Write) -> None:
    path = write("1,1,10,20,30,40,1,-1,-1,-1\n2,1,12,20,30,40,0,-1,-1,-1\n")
    truth = read_truth(path, classes=1)
    assert truth.label.tolist() == [0, 0]
    assert np.isnan(truth.visibility).all()
    assert truth.counts.tolist() == [True, False]
    with pytest.raises(BadInput, match="it is of one class, as files of MOT15 are, and there are 7"):
        read_truth(path, classes=7)
    with pytest.raises(BadInput, match=rf"^{path}:2: -1: the class is not a whole number, 0 to 6"):
        read_truth(write("1,1,10,20,30,40,1,0,1,-1\n2,1,12,20,30,40,1,-1,-1,-1\n"), classes=7)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_a_sequence_of_nothing(write: Write, text: str) -> None:
    assert len(read_truth(write(text), classes=7)) == 0
    assert len(read_detections(write(text), classes=7)) == 0


def test_blank_lines_and_line_ends_of_windows_do_not_matter(write: Write) -> None:
    plain = read_truth(write(GT))
    for text in (GT.replace("\n", "\r\n"), f"\n{GT.replace(chr(10), chr(10) * 2)}\n", GT.rstrip("\n")):
        read = read_truth(write(text))
        assert all(np.array_equal(getattr(read, name), getattr(plain, name)) for name in vars(plain))


GOOD = "1,1,10,20,30,40,1,0,0.9,-1"


@pytest.mark.parametrize(
    ("line", "value", "problem"),
    [
        ("1,2,10,20,30", "1,2,10,20,30", "it has 5 values, not 9 to 10"),
        ("1,2,10,20,30,40,1,0,0.9", "1,2,10,20,30,40,1,0,0.9", "it has 9 values, the lines before 10"),
        ("1,2,10,20,30,40,1,0,0.9,-1,", "1,2,10,20,30,40,1,0,0.9,-1,", "it has 11 values, not 9 to 10"),
        ("1,2,10,,30,40,1,0,0.9,-1", "nothing", "it is not a finite number"),
        ("1,2,10,nan,30,40,1,0,0.9,-1", "nan", "it is not a finite number"),
        ("1,2,10,1e999,30,40,1,0,0.9,-1", "1e999", "it is not a finite number"),
        ("1,2,10,1_0,30,40,1,0,0.9,-1", "1_0", "it is not a finite number"),
        ("1,2,10,\N{BULLET},30,40,1,0,0.9,-1", "\N{BULLET}", "it is not a finite number"),
        ("0,2,10,20,30,40,1,0,0.9,-1", "0", "the frame is not a whole number, 1 to 5"),
        ("6,2,10,20,30,40,1,0,0.9,-1", "6", "the frame is not a whole number, 1 to 5"),
        ("1.5,2,10,20,30,40,1,0,0.9,-1", "1.5", "the frame is not a whole number"),
        ("1,0,10,20,30,40,1,0,0.9,-1", "0", "the track's id is not a whole number, at least 1"),
        ("1,2147483648,10,20,30,40,1,0,0.9,-1", "2147483648", "the track's id is not a whole number"),
        ("1,1,10,20,30,40,1,0,0.9,-1", "1", "the track is in this frame twice"),
        ("1,2,10,20,0,40,1,0,0.9,-1", "0", "the width is not above 0"),
        ("1,2,10,20,30,-4,1,0,0.9,-1", "-4", "the height is not above 0"),
        ("1,2,10,20,30,40,0.7,0,0.9,-1", "0.7", "whether it counts is not a whole number, 0 to 1"),
        ("1,2,10,20,30,40,1,7,0.9,-1", "7", "the class is not a whole number, 0 to 6"),
        ("1,2,10,20,30,40,1,0,1.2,-1", "1.2", "the visibility is not from 0 to 1"),
    ],
)
def test_a_faulty_line_of_truth(write: Write, line: str, value: str, problem: str) -> None:
    path = write(f"{GOOD}\n\n{line}\n2,2,1,1,1,1,1,0,1,-1\n")
    with pytest.raises(BadInput) as refused:
        read_truth(path, frames=5, classes=7)
    assert (refused.value.field, refused.value.value) == (f"{path}:3", value)
    assert refused.value.problem.startswith(problem)


@given(st.binary(max_size=60) | st.text("0123456789.,-\n eE+naif_\r\t\x0b", max_size=80).map(str.encode))
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(content)
    for reader in (read_truth, read_detections, read_frames, read_tracks, read_info, read_seqmap):
        with contextlib.suppress(BadInput):
            reader(path)


@pytest.mark.parametrize(
    ("text", "labels", "scores"),
    [
        ("1,-1,10,20,30,40,0.25,2,-1,-1\n3,7,1,2,3,4,1,0,-1,-1\n", [2, 0], [0.25, 1]),
        ("1,-1,10,20,30,40,-0.5,-1,-1,-1\n", [0], [-0.5]),  # MOT's public detections
        ("1,-1,10,20,30,40,0.5\n", [0], [0.5]),
    ],
)
def test_detections(write: Write, text: str, labels: list[int], scores: list[float]) -> None:
    found = read_detections(write(text), frames=3)
    assert found.label.tolist() == labels
    assert found.score.tolist() == scores
    assert found.box[0].tolist() == [10, 20, 30, 40]
    assert found.track[0] == -1


def test_detections_of_one_class_for_several_are_refused(write: Write) -> None:
    with pytest.raises(BadInput, match="it is of one class"):
        read_detections(write("1,-1,10,20,30,40,0.5\n"), classes=2)
    with pytest.raises(BadInput, match="it has 6 values, not 7 to 10"):
        read_detections(write("1,-1,10,20,30,40\n"))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[Sequence]", "[Other]", "there is no section [Sequence]"),
        ("frameRate=12\n", "", "frameRate is not stated"),
        ("frameRate=12", "frameRate=0", "frameRate is not a number above 0"),
        ("frameRate=12", "frameRate=inf", "frameRate is not a number above 0"),
        ("seqLength=3", "seqLength=3.5", "seqLength is not a whole number"),
        ("imExt=.jpg", "imExt", "it is no file of names and values"),
    ],
)
def test_a_faulty_seqinfo(write: Write, old: str, new: str, problem: str) -> None:
    path = write(INFO.replace(old, new))
    with pytest.raises(BadInput, match=re.escape(problem)) as refused:
        read_info(path)
    assert refused.value.field == str(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "value", "problem"),
    [
        ("frame,", "number,", 1, "number,sample_data_token,timestamp,keyframe", "does not name the columns"),
        ("2,bb", "3,bb", 3, "3", "the frame is not 2, the next one"),
        ("1532402927662460", "1532402927612460", 3, "1532402927612460", "the timestamp is not"),
        ("1532402927662460", "soon", 3, "soon", "the timestamp is not"),
        (",0\n3", ",maybe\n3", 3, "maybe", "whether it is a keyframe"),
        ("3,cc,1532402927762460,0", "3,cc", 4, "3,cc", "it has not 4 values"),
    ],
)
def test_a_faulty_frames_csv(write: Write, old: str, new: str, line: int, value: str, problem: str) -> None:
    path = write(FRAMES.replace(old, new))
    with pytest.raises(BadInput) as refused:
        read_frames(path)
    assert (refused.value.field, refused.value.value) == (f"{path}:{line}", value)
    assert problem in refused.value.problem


@pytest.mark.parametrize("line", ["0,i3", "2,again", "x,i3", "3"])
def test_a_faulty_tracks_csv(write: Write, line: str) -> None:
    path = write(f"{TRACKS}{line}\n")
    with pytest.raises(BadInput) as refused:
        read_tracks(path)
    assert refused.value.field == f"{path}:4"


def test_files_of_two_preparations_are_told(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "a")
    (folder / "tracks.csv").write_text("id,instance_token\n1,i1\n")
    with pytest.raises(BadInput, match=r"tracks\.csv: 2: the track is in gt/gt\.txt, and not here"):
        _ = read_sequence(folder).truth
    (folder / "frames.csv").write_text("".join(FRAMES.splitlines(keepends=True)[:3]))
    with pytest.raises(BadInput, match=r"2 frames: seqinfo\.ini states seqLength=3"):
        _ = read_sequence(folder).frames


def test_a_split_is_what_its_seqmap_lists_in_that_order(tmp_path: Path) -> None:
    write_split(tmp_path, "val", ["b", "a"])
    write_sequence(tmp_path / "val" / "c")
    assert [one.name for one in read_split(tmp_path, "val")] == ["b", "a"]
    (tmp_path / "seqmaps" / "val.txt").unlink()
    assert [one.name for one in read_split(tmp_path, "val")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("seqmap", "says"),
    [
        ("name\na\nz\n", "z: 1 of its 2 sequences are not in"),
        ("a\n", "its first line is not `name`"),
        ("", "its first line is not `name`"),
        ("name\n", "it names no sequence"),
        ("name\na\na\n", "a: the sequence is named twice"),
        ("name\n../a\n", "it is no name of a folder"),
    ],
)
def test_a_faulty_seqmap(tmp_path: Path, seqmap: str, says: str) -> None:
    write_split(tmp_path, "val", ["a"])
    (tmp_path / "seqmaps" / "val.txt").write_text(seqmap)
    with pytest.raises(BadInput, match=re.escape(says)) as refused:
        read_split(tmp_path, "val")
    assert str(tmp_path / "seqmaps" / "val.txt") in refused.value.field


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="train: there is no sequence in"):
        read_split(tmp_path, "train")
    folder = write_sequence(tmp_path / "test" / "a")
    (folder / "gt" / "gt.txt").unlink()
    with pytest.raises(BadInput, match=r"gt\.txt: it does not exist"):
        _ = read_split(tmp_path, "test")[0].truth
    with pytest.raises(BadInput, match=r"seqinfo\.ini: it does not exist"):
        read_sequence(tmp_path / "nowhere")
