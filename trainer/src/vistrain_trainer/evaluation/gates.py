"""Gates: thresholds that the best checkpoint must meet for a run to succeed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vistrain_api.evaluation import Gate


def unmet_gates(gates: Sequence[Gate], results: Mapping[str, float | None]) -> list[str]:
    """What each gate that is not met asked for and got; empty when all are met. No value meets no gate."""
    unmet = []
    for gate in gates:
        value = results.get(gate.metric)
        if value is None:
            unmet.append(f"{gate.metric} has no value")
            continue
        if gate.min is not None and value < gate.min:
            unmet.append(f"{gate.metric} is {value:.4g}, less than {gate.min:g}")
        if gate.max is not None and value > gate.max:
            unmet.append(f"{gate.metric} is {value:.4g}, more than {gate.max:g}")
    return unmet
