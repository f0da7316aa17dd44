"""Which parts of a spec may change after a run has started."""

from __future__ import annotations

from typing import Any

from vistrain_api.detector import ALWAYS_MUTABLE, MUTABLE_WHILE_SUSPENDED, DetectorTrainingSpec

_NOT_STARTED = "!has(oldSelf.status) || !has(oldSelf.status.startTime)"


def transition_rules(spec: type[DetectorTrainingSpec] = DetectorTrainingSpec) -> list[dict[str, str]]:
    """The CEL rules at the root of the CRD that hold a started run's spec still.

    `has` is spelt out on both sides: optional selection (`self.?x == oldSelf.?x`) costs more than the
    API server's budget allows.
    """
    rules = []
    for name, field in spec.model_fields.items():
        member = field.alias or name
        if member in ALWAYS_MUTABLE:
            continue
        new, old = f"self.spec.{member}", f"oldSelf.spec.{member}"
        same = f"{new} == {old}"
        if field.default is None:
            same = f"has({new}) == has({old}) && (!has({new}) || {same})"
        if member in MUTABLE_WHILE_SUSPENDED:
            same = f"oldSelf.spec.suspend || ({same})"
            message = f"{member} can change only while the run is suspended: set suspend to true first"
        else:
            message = f"{member} cannot change after the run has started: make a new run"
        rules.append(
            {
                "rule": f"{_NOT_STARTED} || ({same})",
                "message": message,
                "fieldPath": f".spec.{member}",
                "reason": "FieldValueForbidden",
            }
        )
    rules.append(
        {
            "rule": f"{_NOT_STARTED} || (has(self.status) && has(self.status.startTime)"
            " && self.status.startTime == oldSelf.status.startTime)",
            "message": "startTime never changes once it is written",
            "fieldPath": ".status.startTime",
            "reason": "FieldValueForbidden",
        }
    )
    return rules


def differences(old: DetectorTrainingSpec, new: DetectorTrainingSpec) -> list[str]:
    """Paths such as `schedule.epochs` at which two specs differ, defaults filled in."""
    return _differences(_values(old), _values(new), ())


def forbidden_changes(old: DetectorTrainingSpec, new: DetectorTrainingSpec) -> list[str]:
    """Paths that differ although a started run's spec may not change there (as `transition_rules`)."""
    allowed = set(ALWAYS_MUTABLE) | (set(MUTABLE_WHILE_SUSPENDED) if old.suspend else set())
    return [path for path in differences(old, new) if path.split(".")[0] not in allowed]


def _values(spec: DetectorTrainingSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True, exclude_none=True)


def _differences(old: Any, new: Any, path: tuple[str, ...]) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [p for key in keys for p in _differences(old.get(key), new.get(key), (*path, key))]
    return [] if old == new else [".".join(path)]
