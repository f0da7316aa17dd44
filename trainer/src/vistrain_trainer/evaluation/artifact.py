"""What a full evaluation of one detector on one split found, as a folder."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from vistrain_trainer.engine.files import put_folder, write_durably
from vistrain_trainer.errors import BadInput
from vistrain_trainer.evaluation.confusion import ConfusionMatrix
from vistrain_trainer.evaluation.operating import Operating
from vistrain_trainer.evaluation.precision_recall import PrecisionRecall
from vistrain_trainer.evaluation.slices import Slices
from vistrain_trainer.evaluation.source import WeightsSource
from vistrain_trainer.evaluation.thresholds import Thresholds

FORMAT = 1
FILE, DETECTIONS, PICTURES = "evaluation.json", "detections.json", "pictures"
FOLDER = "evaluation"
"""Inside a run folder: `evaluation/validation` and, where there is such a split, `evaluation/test`."""


@dataclass(frozen=True)
class Picture:
    """Ground truth and detections of one image, drawn side by side."""

    file: str
    """Inside the artifact's folder, such as `pictures/errors-1-42.jpg`."""
    image: str
    """`file_name` of the image in the annotation file."""
    image_id: int
    chosen: Literal["errors", "random"]
    """One of the images with most errors, or one of a seeded random choice among the others."""
    confidence: float
    """The least score of the detections that are drawn and counted."""
    boxes: int
    """Boxes of ground truth, without crowds."""
    missed: int
    """Boxes without a detection of their class."""
    false: int
    """Detections without a box of their class."""


@dataclass(frozen=True)
class EvaluationArtifact:
    """Everything that is known of a detector on a split; it holds no clock: equal inputs, equal files."""

    split: str
    """train, validation or test."""
    sources: tuple[WeightsSource, ...]
    """The weights that were judged; several for an ensemble."""
    ensemble: Literal["wbf", "nms"] | None
    """How the boxes of several were merged."""
    thresholds: Thresholds
    """What counted as a detection."""
    input_sizes: tuple[tuple[int, int], ...]
    """(height, width) in pixels of each network's input."""
    precision: str
    """fp32, bf16 or fp16."""
    device: str
    """cpu, cuda or mps."""
    classes: tuple[str, ...]
    """In the order of the class index."""
    data_digest: str
    """Of the split's annotations, as in the run's identity."""
    images: int
    annotations: int
    """Boxes of ground truth, without crowds."""
    detections: int
    metrics: dict[str, float | None]
    """COCO's twelve, `AP/<class>`, `AR/<class>`, `valLoss`; None without ground truth, or without a loss
    (of an ensemble)."""
    curves: PrecisionRecall
    """At an IoU of 0.5."""
    operating: tuple[Operating, ...]
    """At the stated confidence, then at that of the best F1 where any detection is right."""
    confusion: ConfusionMatrix
    """At the last confidence of `operating`, which it states."""
    slices: Slices
    pictures: tuple[Picture, ...]

    def write(
        self, folder: Path, detections: Sequence[Mapping[str, Any]], pictures: Mapping[str, bytes]
    ) -> None:
        """Write beside, flush and rename; an artifact that is there is replaced.

        Args:
            folder: gets `evaluation.json`, `detections.json` and `pictures/`.
            detections: COCO results: image_id, category_id, bbox (x, y, w, h in pixels), score.
            pictures: JPEG files by the names that `self.pictures` states.

        Raises:
            BadInput: the folder holds something else.
            OSError: the volume failed.
        """
        if sorted(pictures) != sorted(picture.file for picture in self.pictures):
            raise ValueError("the pictures are not those that the artifact states")

        def fill(partial: Path) -> None:
            if pictures:
                (partial / PICTURES).mkdir()
            for name, content in pictures.items():
                write_durably(partial / name, content)
            write_durably(partial / DETECTIONS, _json(list(map(dict, detections)), indent=None))
            write_durably(partial / FILE, _json({"format": FORMAT, **dataclasses.asdict(self)}))

        refuse_other_content(folder, FILE)
        put_folder(folder, fill)

    @classmethod
    def read(cls, folder: Path) -> EvaluationArtifact:
        """The artifact in a folder.

        Raises:
            BadInput: there is none, or it is not whole, or of another format.
        """
        path = folder / FILE
        try:
            value = json.loads(path.read_bytes())
            found = value.pop("format", None) if isinstance(value, dict) else None
            if found != FORMAT:
                raise _unreadable(path, f"it has format {found!r}; this version reads {FORMAT}")
            return _adapter().validate_json(json.dumps(value), strict=True)
        except OSError as error:
            raise _unreadable(path, f"it cannot be read ({error.strerror})") from None
        except ValidationError as error:
            first = error.errors()[0]
            raise _unreadable(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        except ValueError:
            raise _unreadable(path, "it is not whole JSON") from None


def read_detections(folder: Path) -> list[dict[str, Any]]:
    """The detections beside an artifact, as COCO results.

    Raises:
        BadInput: they are not there, or not whole.
    """
    path = folder / DETECTIONS
    try:
        content: list[dict[str, Any]] = json.loads(path.read_bytes())
    except OSError as error:
        raise _unreadable(path, f"it cannot be read ({error.strerror})") from None
    except ValueError:
        raise _unreadable(path, "it is not whole JSON") from None
    return content


def refuse_other_content(folder: Path, mark: str) -> None:
    """See that a folder may be replaced: it is not there, or empty, or holds the file `mark`.

    Raises:
        BadInput: it holds something else.
    """
    if folder.exists() and not (folder / mark).is_file():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise BadInput(
            field="--output",
            value=str(folder),
            problem=f"it exists and holds no {mark}: something else lies there",
            remedy="Name a new folder",
        )


def _json(value: Any, indent: int | None = 1) -> bytes:
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


@functools.cache
def _adapter() -> TypeAdapter[EvaluationArtifact]:
    return TypeAdapter(EvaluationArtifact)


def _unreadable(path: Path, problem: str) -> BadInput:
    return BadInput(
        field="evaluation",
        value=str(path),
        problem=problem,
        remedy="Name a folder that `vistrain evaluate` or a finished run wrote, or evaluate again",
    )
