"""The files of a check, written beside and renamed."""

from __future__ import annotations

import json
from pathlib import Path

from vistrain_trainer.checking.bounds import Bounds
from vistrain_trainer.checking.catalogue import SEEN_SHARE, VISIBLE_SHARE
from vistrain_trainer.checking.check import CheckOptions, check
from vistrain_trainer.checking.document import document
from vistrain_trainer.checking.opening import find, read_content
from vistrain_trainer.checking.page import render_page
from vistrain_trainer.checking.result import Checked
from vistrain_trainer.checking.samples import PICTURES, STRIPS, TOGETHER
from vistrain_trainer.data.progress import Progress, silent
from vistrain_trainer.engine.files import put_folder
from vistrain_trainer.errors import BadInput

PAGE, DOCUMENT = "index.html", "check.json"
_OURS = (PAGE, DOCUMENT, TOGETHER, PICTURES, STRIPS)
"""All that a check's folder holds."""


def write_checks(path: Path, options: CheckOptions, out: Path, progress: Progress = silent) -> list[Checked]:
    """Check the data sets at a path into a folder, which appears when all are done.

    Of one data set the files are in the folder itself, of several in folders of their names. A check that is
    there is replaced.

    Raises:
        BadInput: the data, an option, or the folder is wrong.
        OSError: the folder cannot be written.
    """
    folders = find(path)
    out = out.absolute()
    _require_replaceable(out, folders)
    done = []

    def fill(partial: Path) -> None:
        for folder in folders:
            target = partial if len(folders) == 1 else partial / folder.name
            target.mkdir(exist_ok=True)
            checked = check(read_content(folder, progress), options, target, progress)
            text = json.dumps(document(checked), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
            (target / DOCUMENT).write_text(text, encoding="utf-8")
            (target / PAGE).write_text(render_page(checked, target), encoding="utf-8")
            done.append(checked)
        _require_judged(done, options.bounds)

    put_folder(out, fill)
    return done


def _require_judged(done: list[Checked], stated: Bounds) -> None:
    """A bound that nothing is held against is met by nothing."""
    known = {figure.kind.name for one in done for figure in one.figures if figure.values}
    for name, bound in stated.items():
        if bound is not None and name not in known:
            raise BadInput(
                field="--bound",
                value=name,
                problem="its value is not known of any data set here, so it cannot be within",
                remedy="Name the release's folder with --root"
                if name in (VISIBLE_SHARE.name, SEEN_SHARE.name)
                else "Leave the bound out",
            )


def _require_replaceable(out: Path, folders: tuple[Path, ...]) -> None:
    """Nothing but a check is let go of."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    earlier = out.is_dir() and (_is_check(out) or all(map(_is_check, out.iterdir())))
    if earlier and not any(folder.is_relative_to(out) for folder in folders):
        return
    raise BadInput(
        field="--out",
        value=str(out),
        problem="it is there, and is no earlier check",
        remedy="Name a new folder, or remove this one first",
    )


def _is_check(folder: Path) -> bool:
    return (folder / DOCUMENT).is_file() and all(entry.name in _OURS for entry in folder.iterdir())
