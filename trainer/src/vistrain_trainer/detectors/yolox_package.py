"""The parts of the `yolox` package that are used, imported without what they do not need.

`yolox.models` imports two packages that are not needed to train. An empty module stands in for each:

- `thop` counts operations. The package of that name does not run on current Pythons, and its maintained
  fork is AGPL-3.0. One that is installed is left alone.
- `torchvision`, for suppression in upstream's own post-processing, takes seconds of every start to import.
  Ours takes the kernel alone.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _stand_ins() -> Iterator[None]:
    absent = [] if importlib.util.find_spec("thop") is not None else ["thop"]
    made = [name for name in (*absent, "torchvision") if name not in sys.modules]
    for name in made:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].profile = None  # type: ignore[attr-defined]  # of thop: imported by name, never called
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


with _stand_ins():
    from yolox.models import YOLOPAFPN, IOUloss, YOLOXHead

__all__ = ["YOLOPAFPN", "IOUloss", "YOLOXHead"]
