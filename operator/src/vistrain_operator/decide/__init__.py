"""What to do about a run: pure functions of what is observed, without I/O and without a clock."""

from vistrain_operator.decide.machine import decide

__all__ = ["decide"]
