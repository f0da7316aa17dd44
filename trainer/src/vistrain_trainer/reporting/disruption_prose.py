"""What interrupted a run, told in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vistrain_trainer.reporting.attempts import Interruption
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.marks import reason
from vistrain_trainer.reporting.sentences import Fact, Sentence
from vistrain_trainer.reporting.wording import count, duration, listing, times

_TOLD = 3  # more are left to the table


def tell_interruptions(history: History) -> Iterator[Sentence]:
    """How often the run was interrupted, what happened each time, and what that cost."""
    breaks = history.interruptions
    if not breaks:
        yield from _undisturbed(history)
        return
    total = Fact(times(len(breaks)), "attempts.jsonl: starts that trained without finishing")
    yield Sentence("it was interrupted {total}", {"total": total})
    if len(breaks) <= _TOLD:
        for one in breaks:
            yield _tell(one)
    elif any(one.steps_lost for one in breaks):
        yield _tell(max(breaks, key=lambda one: one.steps_lost or 0), "the most steps were lost when ")
    if len(breaks) > 1:
        yield from _cost(breaks)


def _undisturbed(history: History) -> Iterator[Sentence]:
    attempts = history.attempts
    if any(attempt.trained for attempt in attempts):
        yield Sentence("nothing has interrupted it", {})
    elif attempts:
        failed = Fact(count(len(attempts), "start"), "attempts.jsonl: ends without a start")
        said = Fact(attempts[-1].message or "nothing", "attempts.jsonl: last message")
        yield Sentence(
            "after {failed} it has not come to train; the last said: {said}", {"failed": failed, "said": said}
        )


def _tell(one: Interruption, lead: str = "") -> Sentence:
    at = f"attempts.jsonl: attempt {one.ended.attempt}"
    facts = {
        "attempt": Fact(str(one.ended.attempt), "attempts.jsonl: attempt"),
        "reason": Fact(reason(one), f"{at}: exitCode, failure"),
    }
    text = f"{lead}attempt {{attempt}} ended"
    if one.ended.last_step is not None:
        facts["step"] = Fact(str(one.ended.last_step), f"{at}: lastStep")
        text += " at step {step}"
    text += " ({reason})"
    if one.resumed is None:
        return Sentence(f"{text}, and the run has not gone on since", facts)
    then = f"attempts.jsonl: attempt {one.resumed.attempt}"
    facts["next"] = Fact(str(one.resumed.attempt), then)
    if one.resumed.restored_step is None:
        text += "; attempt {next} began again from the start"
    else:
        facts["restored"] = Fact(str(one.resumed.restored_step), f"{then}: restoredStep")
        text += "; attempt {next} went on from step {restored}"
    if one.idle_seconds is not None:
        facts["idle"] = Fact(duration(one.idle_seconds), f"{at}: time of `end`; {then}: time of `start`")
        text += ", {idle} later"
    if one.failed_starts:
        facts["failed"] = Fact(count(one.failed_starts, "start"), "attempts.jsonl: ends without a start")
        text += ", after {failed} that came to no training"
    if one.steps_lost is None:
        return Sentence(f"{text}; how many steps were executed again is not known", facts)
    facts["lost"] = Fact(count(one.steps_lost, "step"), f"{at}: lastStep; {then}: restoredStep")
    were = "was" if one.steps_lost == 1 else "were"
    return Sentence(f"{text}; {{lost}} {were} executed again", facts)


def _cost(breaks: Sequence[Interruption]) -> Iterator[Sentence]:
    """What all interruptions cost together, as far as it is known."""
    losses = [one.steps_lost for one in breaks if one.steps_lost is not None]
    pauses = [one.idle_seconds for one in breaks if one.idle_seconds is not None]
    facts, parts = {}, []
    if losses:
        facts["lost"] = Fact(count(sum(losses), "repeated step"), "attempts.jsonl: sum over interruptions")
        parts.append("{lost}")
    if pauses:
        facts["idle"] = Fact(duration(sum(pauses)), "attempts.jsonl: sum over interruptions")
        parts.append("{idle} without training")
    known = ", as far as is known," if len(losses) + len(pauses) < 2 * len(breaks) else ""
    if parts:
        yield Sentence(f"together the interruptions cost{known} {listing(parts)}", facts)
