"""What counts as a detection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """What counts as a detection; recorded with every result."""

    confidence: float
    """Least score."""
    nms_iou: float
    """Overlap above which the weaker of two detections of a class goes."""
    max_detections: int
    """Detections kept per image."""
