"""The parts of the `yolox` package that are used, imported without what they do not need.

`yolox.models` imports `thop`, which counts operations and is not needed to train. The package of that name
does not run on current Pythons, and its maintained fork is AGPL-3.0, so an empty module stands in while
yolox is imported, unless one is installed.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _without_thop() -> Iterator[None]:
    if "thop" in sys.modules or importlib.util.find_spec("thop") is not None:
        yield
        return
    stand_in = ModuleType("thop")
    stand_in.profile = None  # type: ignore[attr-defined]  # imported by name, called by nothing here
    sys.modules["thop"] = stand_in
    try:
        yield
    finally:
        del sys.modules["thop"]


with _without_thop():
    from yolox.models import YOLOPAFPN, IOUloss, YOLOXHead
    from yolox.utils import bboxes_iou

__all__ = ["YOLOPAFPN", "IOUloss", "YOLOXHead", "bboxes_iou"]
