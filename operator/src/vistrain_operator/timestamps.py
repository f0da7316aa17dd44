"""Times as the Kubernetes API writes them: RFC 3339 in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_FRACTION = re.compile(r"\.(\d+)")


def parse(text: str) -> datetime:
    """The moment in `2026-11-21T10:00:00Z`, with up to nine digits of a second. Raises ValueError."""
    # fromisoformat takes six digits at most; the kubelet writes nine.
    text = _FRACTION.sub(lambda m: f".{m.group(1)[:6].ljust(6, '0')}", text)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def parse_or_none(text: str | None) -> datetime | None:
    """The moment in `text`; none for an absent or empty text."""
    return parse(text) if text else None


def text(moment: datetime) -> str:
    """The moment to the second, as metav1.Time is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise(moment: datetime) -> str:
    """The moment to the microsecond, as metav1.MicroTime is written."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
