"""The figures that there are."""

from __future__ import annotations

from vistrain_trainer.checking.figure import Kind

CHANGED_FILES = Kind(
    "changed-files", "files that are not as prepared", "", "sha256 of each file that the manifest lists"
)
CLASS_ORDER = Kind(
    "class-order", "classes in another place", "", "classes of the annotation file against the manifest's"
)
COUNTS = Kind("counts", "counts that differ from the manifest", "", "everything counted again")
SHARED_SCENES = Kind("shared-scenes", "scenes in two splits", "", "scenes of the pictures, by token")
RESERVED_SCENES = Kind(
    "reserved-scenes",
    "reserved scenes in a split for training",
    "",
    "scenes of the pictures, and their names, against the manifest's reserve",
)
FOREIGN_SCENES = Kind(
    "foreign-scenes", "scenes that are not of the split", "", "scenes of the pictures against the manifest's"
)
MISSING_PICTURES = Kind("missing-pictures", "pictures that are not there", "", "listing of their folders")
OTHER_SIZE = Kind(
    "other-size", "pictures of another size than stated", "", "of those that are shown: their pixels"
)
OTHER_SOURCE = Kind(
    "other-source", "tables that are not those of the manifest", "", "digest of the tables below --root"
)
VISIBLE_SHARE = Kind(
    "visible-share",
    "visible pairs of annotation and picture",
    "share",
    "boxes of the data set, divided by annotations of any class times their pictures",
)
SEEN_SHARE = Kind(
    "seen-share",
    "visible pairs, of the classes only",
    "share",
    "boxes of the data set, divided by annotations of its classes times their pictures",
)
EMPTY_BOXES = Kind("empty-boxes", "boxes without area", "", "width or height of 0 or less")
THIN_BOXES = Kind("thin-boxes", "boxes under 1 px", "", "width or height above 0 and under 1 px")
BOXES_OUTSIDE = Kind("boxes-outside", "boxes that leave their picture", "", "by more than 0.02 px")
DUPLICATE_BOXES = Kind("duplicate-boxes", "boxes that are there twice", "", "equal picture, class, corners")
BORDER_SHARE = Kind("border-share", "boxes that touch the border", "share", "within 0.5 px")
EMPTY_PICTURES = Kind("empty-pictures", "pictures without a box", "share", "pictures that no box names")
BOXES_PER_PICTURE = Kind("boxes-per-picture", "boxes in a picture", "", "mean over all pictures")
ABSENT_CLASSES = Kind("absent-classes", "classes without a box", "", "classes that no box names")
KEY_SHARE = Kind("key-share", "keyframes", "share", "frames.csv, keyframes among the frames")
INTERPOLATED_SHARE = Kind("interpolated-share", "interpolated frames", "share", "frames.csv, the others")
FRAME_RATE = Kind("frame-rate", "frame rate", "Hz", "frames.csv, steps by their time; 20 steps or more")
SLOWEST_RATE = Kind("slowest-rate", "rate of the slowest sequence", "Hz", "frames.csv, least of the means")
FASTEST_RATE = Kind("fastest-rate", "rate of the fastest sequence", "Hz", "frames.csv, greatest of the means")
GAPS = Kind("gaps", "gaps in time", "", "frames.csv, steps over 1.8 nominal ones: 150 ms at 12 a second")
LONGEST_GAP = Kind("longest-gap", "longest step in time", "s", "frames.csv")
JUMPS = Kind(
    "jump-share",
    "steps of tracks that jump",
    "share",
    "boxes of a track in consecutive frames without a common pixel",
)

KINDS = (
    CHANGED_FILES,
    CLASS_ORDER,
    COUNTS,
    SHARED_SCENES,
    RESERVED_SCENES,
    FOREIGN_SCENES,
    MISSING_PICTURES,
    OTHER_SIZE,
    OTHER_SOURCE,
    VISIBLE_SHARE,
    SEEN_SHARE,
    EMPTY_BOXES,
    THIN_BOXES,
    BOXES_OUTSIDE,
    DUPLICATE_BOXES,
    BORDER_SHARE,
    EMPTY_PICTURES,
    BOXES_PER_PICTURE,
    ABSENT_CLASSES,
    KEY_SHARE,
    INTERPOLATED_SHARE,
    FRAME_RATE,
    SLOWEST_RATE,
    FASTEST_RATE,
    GAPS,
    LONGEST_GAP,
    JUMPS,
)
NAMES = tuple(kind.name for kind in KINDS)
