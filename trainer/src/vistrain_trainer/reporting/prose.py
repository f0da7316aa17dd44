"""A run told in a few sentences that are computed from its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vistrain_trainer.reporting.disruption_prose import tell_interruptions
from vistrain_trainer.reporting.event_prose import tell_early_stop, tell_events
from vistrain_trainer.reporting.gap import VALIDATION, latest_gap
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.sentences import Fact, Sentence
from vistrain_trainer.reporting.series import Point
from vistrain_trainer.reporting.stability import TOTAL, stability, warmup_epochs
from vistrain_trainer.reporting.wording import count, duration, number, percent


def tell(history: History) -> tuple[Sentence, ...]:
    """How far a run is, how its loss went, where it was best, how stable, what interrupted it, its gap."""
    return tuple(sentence for paragraph in paragraphs(history) for sentence in paragraph)


def paragraphs(history: History) -> tuple[tuple[Sentence, ...], ...]:
    """The same, what belongs together in one paragraph; none of them is empty."""
    groups: tuple[tuple[Callable[[History], Iterator[Sentence]], ...], ...] = (
        (_extent, tell_early_stop, _end),
        (_loss, _best, _steadiness, _gap),
        (tell_events, tell_interruptions),
        (_left_out,),
    )
    told = (tuple(sentence for part in group for sentence in part(history)) for group in groups)
    return tuple(paragraph for paragraph in told if paragraph)


def _extent(history: History) -> Iterator[Sentence]:
    done, planned = history.trained_epochs, history.planned_epochs
    facts = {
        "name": Fact(history.name, "manifest.yaml: metadata.name"),
        "steps": Fact(
            count(history.step, "optimiser step"), "log.jsonl, metrics.csv, status.yaml: last step"
        ),
        "planned": Fact(count(planned, "epoch"), "manifest.yaml: spec.schedule.epochs"),
        "done": Fact(str(done), "metrics.csv: last epoch"),
    }
    if done == 0:
        text = "the run {name} has executed {steps} and completed no epoch; its manifest plans {planned}"
        yield Sentence(text, facts)
        return
    text = "the run {name} has trained {done} of its {planned}"
    if done == planned:
        text = f"the run {{name}} has trained {'all ' if planned > 1 else ''}its {{planned}}"
    text += " ({steps})"
    seconds = history.training_seconds()
    if seconds is not None:
        facts["time"] = Fact(duration(seconds), "metrics.csv: sum of the column seconds")
        text += ", which took {time} of training, evaluation not counted"
        if done > 1:
            facts["each"] = Fact(duration(seconds / done), "metrics.csv: mean of the column seconds")
            text += ", or {each} an epoch"
    yield Sentence(text, facts)


def _end(history: History) -> Iterator[Sentence]:
    outcome = history.outcome
    if outcome is not None:
        code = Fact(str(outcome.exit_code), "result.json: exitCode")
        said = Fact(outcome.message, "result.json: message")
        yield Sentence("it is finished, with exit code {code}: {said}", {"code": code, "said": said})
    elif history.attempts and history.attempts[-1].exit_code is None:
        yield Sentence("its latest attempt has not said how it ended: it still runs, or was killed", {})


def _loss(history: History) -> Iterator[Sentence]:
    series = history.over_epochs(TOTAL)
    first, last = series.first, series.last
    if first is None or last is None:
        return
    facts = _points(TOTAL, first=first, last=last)
    change = last.value - first.value
    if len(series) == 1:
        text = "the mean training loss of epoch {first_at} was {first}"
    elif change == 0:
        text = "the mean training loss was {first} in epoch {first_at}, and the same in epoch {last_at}"
    else:
        verb = "fell" if change < 0 else "rose"
        text = f"the mean training loss {verb} from {{first}} in epoch {{first_at}} "
        text += "to {last} in epoch {last_at}"
        if first.value > 0:
            facts["share"] = Fact(percent(abs(change) / first.value), "their difference divided by the first")
            text += ", by {share}"
    yield Sentence(text, facts)


def _best(history: History) -> Iterator[Sentence]:
    series = history.over_epochs(history.primary)
    mode = history.mode(history.primary)
    best, last = series.best(mode), series.last
    facts = {"metric": Fact(history.primary, "manifest.yaml: spec.evaluation.primaryMetric.name")}
    if best is None or last is None:
        if history.trained_epochs:
            yield Sentence("the primary metric, {metric}, has no value yet", facts)
        return
    facts |= _points(history.primary, best=best, last=last)
    facts["evaluations"] = Fact(count(len(series), "evaluation"), f"metrics.csv: count of {history.primary}")
    extreme = "highest" if mode == "max" else "lowest"
    if len(series) == 1:
        text = "the only evaluation, in epoch {best_at}, gave {metric} {best}"
    elif best.at == last.at:
        text = f"the {extreme} {{metric}} of {{evaluations}} was the last, {{best}} in epoch {{best_at}}"
    elif best.value == last.value:
        text = f"the {extreme} {{metric}} of {{evaluations}} was {{best}}, first reached in epoch {{best_at}}"
        text += " and again in the last, epoch {last_at}"
    else:
        text = f"the {extreme} {{metric}} of {{evaluations}} was {{best}}, in epoch {{best_at}}"
        text += "; the last, in epoch {last_at}, gave {last}"
    yield Sentence(text, facts)


def _steadiness(history: History) -> Iterator[Sentence]:
    warmup = warmup_epochs(history)
    for one in stability(history):
        spread, where = one.overall, "over all epochs"
        if warmup > 0 and one.after_warmup is not None:
            spread, where = one.after_warmup, "after the warm-up"
        if spread.variation is None:
            continue
        source = f"metrics.csv: {one.name}, {where}"
        facts = {
            "name": Fact("the training loss" if one.name == TOTAL else one.name, source),
            "share": Fact(percent(spread.variation), f"{source}: standard deviation by mean"),
            "values": Fact(count(spread.count, "value"), f"{source}: count"),
        }
        text = f"{where}, {{name}} varied by {{share}} of its mean over {{values}}: {spread.verdict}"
        yield Sentence(text, facts)


def _gap(history: History) -> Iterator[Sentence]:
    gap = latest_gap(history)
    if gap is None:
        return
    row = f"metrics.csv: epoch {gap.epoch}"
    facts = {
        "at": Fact(str(gap.epoch), "metrics.csv: epoch"),
        "training": Fact(number(gap.training), f"{row}, {TOTAL}"),
        "validation": Fact(number(gap.validation), f"{row}, {VALIDATION}"),
        "difference": Fact(number(abs(gap.difference)), f"{row}: difference of {VALIDATION} and {TOTAL}"),
        "limit": Fact(number(gap.limit), f"{row}: a tenth of {TOTAL}, at least 0.1"),
    }
    text = "in epoch {at} the validation loss, {validation}, "
    if gap.difference == 0:
        text += "equalled the training loss"
    elif gap.difference < 0:
        text += "lay {difference} below the training loss, {training}"
    else:
        text += "lay {difference} above the training loss, {training}: "
        text += "more than the limit of {limit}" if gap.alert else "within the limit of {limit}"
    yield Sentence(f"alert: {text}" if gap.alert else text, facts)


def _left_out(history: History) -> Iterator[Sentence]:
    for note in history.notes:
        yield Sentence("not everything could be read: {note}", {"note": Fact(note, "the run folder")})


def _points(column: str, **points: Point) -> dict[str, Fact]:
    """Value and epoch of named points of a column."""
    facts = {}
    for name, point in points.items():
        facts[name] = Fact(number(point.value), f"metrics.csv: epoch {point.at}, {column}")
        facts[f"{name}_at"] = Fact(str(point.at), "metrics.csv: epoch")
    return facts
