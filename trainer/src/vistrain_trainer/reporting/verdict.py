"""How a run stands: finished, stopped early, failed, interrupted, or open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vistrain_api.protocol import ExitCode
from vistrain_trainer.reporting.attempts import Attempt
from vistrain_trainer.reporting.events import early_stops
from vistrain_trainer.reporting.history import History
from vistrain_trainer.reporting.wording import count, listing

State = Literal["finished", "stopped early", "gate not met", "failed", "interrupted", "open"]


@dataclass(frozen=True)
class Verdict:
    """A run's state with one line about it."""

    state: State
    headline: str
    """Such as `stopped early: 21 of 80 planned epochs`; epochs done and planned are always in it."""


def verdict(history: History) -> Verdict:
    """From result.json where there is one, else from the last attempt's end."""
    done, planned = history.trained_epochs, history.planned_epochs
    extent = f"{done} of {count(planned, 'planned epoch')}"
    outcome = history.outcome
    if outcome is not None:
        unmet = outcome.exit_code == ExitCode.GATE_NOT_MET
        if done < planned:
            stops = early_stops(history.events)
            because = listing(
                [f"patience {one.patience}" + ("" if one.of_run else f" in {one.what}") for one in stops]
            )
            text = f"stopped early: {extent}" + (f", because of {because}" if because else "")
            return Verdict(
                "gate not met" if unmet else "stopped early", text + ("; a gate is not met" if unmet else "")
            )
        return (
            Verdict("gate not met", f"finished, a gate not met: {extent}")
            if unmet
            else Verdict("finished", f"finished: {extent}")
        )
    ended = history.attempts[-1] if history.attempts else None
    if ended is None or ended.exit_code is None:
        return Verdict("open", f"not finished, running or broken off: {extent}")
    if ended.exit_code == ExitCode.STOPPED:
        return Verdict("interrupted", f"stopped on request, not finished: {extent}")
    reason = ended.failure or f"exit code {ended.exit_code}"
    return Verdict("failed", f"failed ({reason}): {extent}")


def ended_as(history: History, attempt: Attempt) -> str:
    """How an attempt ended, in a few words."""
    if attempt.exit_code is None:
        if attempt is not history.attempts[-1]:
            return "without a word, as when killed"
        return "not yet, or without a word" if history.outcome is None else "finished the run"
    if attempt.finished:
        return f"finished the run, exit code {attempt.exit_code}"
    if attempt.exit_code == ExitCode.STOPPED:
        return "stopped on request"
    return f"{attempt.failure or 'a fault'}, exit code {attempt.exit_code}"
