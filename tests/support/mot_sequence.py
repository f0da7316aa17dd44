"""A small sequence in MOT layout, as `vistrain prepare` leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

GT = (
    "1,1,10.5,20,30,40,1,0,0.9,-1\n"
    "1,2,100,50.25,12,8,1,2,0.5,-1\n"
    "2,1,12.5,20,30,40,1,0,0.9,-1\n"
    "3,1,14.5,20,30,40,0,0,0.2,-1\n"
)
INFO = (
    "[Sequence]\nname={name}\nimDir=img1\nframeRate=12\nseqLength=3\nimWidth=1600\nimHeight=900\nimExt=.jpg\n"
)
FRAMES = (
    "frame,sample_data_token,timestamp,keyframe\n"
    "1,aa,1532402927612460,1\n"
    "2,bb,1532402927662460,0\n"
    "3,cc,1532402927762460,0\n"
)
TRACKS = "id,instance_token\n1,i1\n2,i2\n"


def write_sequence(folder: Path, gt: str = GT) -> Path:
    """gt/gt.txt, seqinfo.ini, frames.csv and tracks.csv of three frames, two tracks, classes 0 and 2."""
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(gt)
    (folder / "seqinfo.ini").write_text(INFO.format(name=folder.name))
    (folder / "frames.csv").write_text(FRAMES)
    (folder / "tracks.csv").write_text(TRACKS)
    return folder


def write_split(root: Path, split: str, names: Sequence[str]) -> None:
    """Sequences, and the seqmap that lists them."""
    for name in names:
        write_sequence(root / split / name)
    (root / "seqmaps").mkdir(exist_ok=True)
    (root / "seqmaps" / f"{split}.txt").write_text("".join(f"{line}\n" for line in ("name", *names)))
