"""The report that a run writes when it is over."""

from __future__ import annotations

from pathlib import Path

import structlog

from vistrain_trainer.reporting.files import FOLDER, PAGE, write_files
from vistrain_trainer.reporting.report import Report, read_report

log = structlog.get_logger()


def write_final_report(run: Path, *, again: bool) -> None:
    """Write `report/` and the pictures for TensorBoard; what goes wrong is noted and changes nothing else.

    Without `again` only where a kill has left no whole report.
    """
    page = run / FOLDER / PAGE
    if not again and page.is_file():
        return
    try:
        page.unlink(missing_ok=True)  # it is written last, so that a report is whole where it is
        report = read_report(run)
        _show_pictures(report)
        write_files(report, run / FOLDER)
    except Exception as error:
        remedy = f"the run is not touched by it; `vistrain report {run}` writes it again"
        log.warning("the report was not written", reason=f"{type(error).__name__}: {error}", remedy=remedy)
    else:
        log.info("report", page=str(page))


def _show_pictures(report: Report) -> None:
    """The pictures of the evaluations, in TensorBoard."""
    from vistrain_trainer.telemetry.event_file import Image
    from vistrain_trainer.telemetry.tensorboard import write_pictures

    pictures = {}
    for one in report.judgements:
        for number, (_, content, height, width) in enumerate(one.jpegs(), start=1):
            pictures[f"{one.split}/{number}"] = Image(content, height, width)
    last = report.history.attempts[-1].ended_at if report.history.attempts else None
    if pictures and last is not None:
        write_pictures(report.history.folder, pictures, report.history.step, last.timestamp())
