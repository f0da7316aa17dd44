"""The API reference, as Markdown."""

from __future__ import annotations
from typing import Any


def reference(crd: dict[str, Any]) -> str:
    return ""
