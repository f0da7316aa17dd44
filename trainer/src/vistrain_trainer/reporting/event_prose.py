"""What changed the course of a run, told in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from vistrain_trainer.reporting.events import MICRO_BATCH, PHASE, ROLL_BACK, EarlyStop, early_stops
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.sentences import Fact, Sentence
from vistrain_trainer.reporting.wording import count, listing, times


def tell_early_stop(history: History) -> Iterator[Sentence]:
    """Why the run, or a phase of it, ended before the epochs that were planned."""
    for stop in early_stops(history.events):
        yield _of_run(history, stop) if stop.of_run else _of_phase(stop)


def tell_events(history: History) -> Iterator[Sentence]:
    """The phases it went through, how often it was rolled back, whether its micro-batch shrank."""
    phases = [event for event in history.events if event.kind == PHASE]
    names = list(dict.fromkeys(str(event.details.get("name")) for event in phases))
    if len(names) > 1:
        facts = {
            "number": Fact(count(len(names), "phase"), "events.jsonl: count of phase"),
            "names": Fact(listing(names), "events.jsonl: name of each phase"),
        }
        yield Sentence("it has gone through {number}: {names}", facts)
    rolled = [event for event in history.events if event.kind == ROLL_BACK]
    if rolled:
        ways = [f"from step {event.details.get('from')} to {event.step}" for event in rolled]
        facts = {
            "times": Fact(times(len(rolled)), "events.jsonl: count of rollBack"),
            "ways": Fact(listing(ways), "events.jsonl: from, step of each rollBack"),
        }
        text = "it was rolled back {times}, {ways}, because its loss was not finite"
        factor = rolled[-1].details.get("rateFactor")
        if factor is not None:
            facts["factor"] = Fact(f"{factor:g}", "events.jsonl: rateFactor of the last rollBack")
            text += "; since then its rates are {factor} of those planned"
        yield Sentence(text, facts)
    shrunk = [event for event in history.events if event.kind == MICRO_BATCH]
    if shrunk:
        places = listing([str(event.step) for event in shrunk])
        facts = {
            "times": Fact(times(len(shrunk)), "events.jsonl: count of microBatch"),
            "steps": Fact(f"step{'s' * (len(shrunk) > 1)} {places}", "events.jsonl: step of each microBatch"),
            "size": Fact(count(int(shrunk[-1].details["after"]), "image"), "events.jsonl: last `after`"),
        }
        text = "its micro-batch was shrunk {times} for want of GPU memory, after {steps}, and is {size} now"
        yield Sentence(f"{text}; statistics of batch norms are those of the smaller batches", facts)


def _of_run(history: History, stop: EarlyStop) -> Sentence:
    facts = {
        "planned": Fact(str(history.planned_epochs), "manifest.yaml: spec.schedule.epochs"),
        "done": Fact(str(history.trained_epochs), "metrics.csv: last epoch"),
        "best": Fact(str(stop.best), "events.jsonl: best of earlyStopping"),
        "patience": Fact(str(stop.patience), "events.jsonl: patience of earlyStopping"),
    }
    best = "" if stop.best is None else ", best {best}"
    return Sentence(
        f"it stopped early: planned {{planned}}, done {{done}}{best}, because of patience {{patience}}", facts
    )


def _of_phase(stop: EarlyStop) -> Sentence:
    facts = {
        "what": Fact(stop.what, "events.jsonl: what of earlyStopping"),
        "epoch": Fact(str(stop.epoch), "events.jsonl: epoch of earlyStopping"),
        "best": Fact(str(stop.best), "events.jsonl: best of earlyStopping"),
        "left": Fact(count(stop.left_out, "epoch"), "events.jsonl: leftOut of earlyStopping"),
        "patience": Fact(str(stop.patience), "events.jsonl: patience of earlyStopping"),
    }
    best = "" if stop.best is None else ", best {best}"
    text = f"the {{what}} stopped early: done at epoch {{epoch}}{best}, because of patience {{patience}}"
    return Sentence(f"{text}; {{left}} of the plan were left out", facts)
