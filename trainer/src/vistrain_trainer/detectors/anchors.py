"""Anchor points: the cells of the feature maps that predict one box each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Anchors(NamedTuple):
    """The cells of all feature maps, the finest map first, row by row."""

    cells: Tensor
    """(A, 2) float32 column and row of each cell in its map."""
    strides: Tensor
    """(A,) float32 input pixels per cell."""

    @property
    def centers(self) -> Tensor:
        """(A, 2) centres of the cells in input pixels."""
        corners = self.cells * self.strides[:, None]
        return corners + 0.5 * self.strides[:, None]


def anchors(sizes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device) -> Anchors:
    """The anchors of feature maps of (height, width) `sizes`; made once for each size and device."""
    return _made(tuple(sizes), tuple(strides), device)


@lru_cache(maxsize=32)
def _made(sizes: tuple[tuple[int, int], ...], strides: tuple[int, ...], device: torch.device) -> Anchors:
    cells, repeated = [], []
    with torch.inference_mode(False):  # they outlive the call and serve training later
        for (height, width), stride in zip(sizes, strides, strict=True):
            rows, columns = torch.meshgrid(
                torch.arange(height, dtype=torch.float32),
                torch.arange(width, dtype=torch.float32),
                indexing="ij",
            )
            cells.append(torch.stack((columns, rows), 2).view(-1, 2))
            repeated.append(torch.full((height * width,), float(stride)))
        return Anchors(torch.cat(cells).to(device), torch.cat(repeated).to(device))
