"""The fence of a run folder: of all processes that ever started in it, only the newest may write.

Each start takes a token by exclusive creation of `fence/token-<attempt>-<sequence>`. Tokens are ordered by
attempt, then by sequence: an older attempt whose node comes back cannot overtake a newer one, while a pod
that is started again within its attempt follows its predecessor. A node that was cut off finds the newer
token at its next save or row, and ends. Between the look and the write there is a gap that no file system
closes; what a stale writer could still put there is the very checkpoint that the newer attempt would write,
since a run is a function of its manifest.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from vistrain_trainer.engine.files import sync_folder
from vistrain_trainer.errors import Fenced

_NAME = re.compile(r"token-(\d{6})-(\d{6})")


class Token(NamedTuple):
    """A place in the order of starts."""

    attempt: int
    sequence: int

    @property
    def file_name(self) -> str:
        return f"token-{self.attempt:06d}-{self.sequence:06d}"


class Fence:
    """The token of this process, and the look for newer ones."""

    def __init__(self, folder: Path, token: Token) -> None:
        self._folder = folder
        self.token = token

    @classmethod
    def take(cls, folder: Path, attempt: int | None) -> Fence:
        """Take the next token. `attempt` is none without a cluster: it is one more than the last then.

        Raises:
            Fenced: a newer attempt has started here.
        """
        folder.mkdir(exist_ok=True)
        while True:
            newest = max(_tokens(folder), default=Token(0, 0))
            number = newest.attempt + 1 if attempt is None else attempt
            if number < newest.attempt:
                raise Fenced(f"attempt {number} may not start: attempt {newest.attempt} owns {folder.parent}")
            token = Token(number, newest.sequence + 1)
            try:
                os.close(os.open(folder / token.file_name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except FileExistsError:
                continue
            sync_folder(folder)
            fence = cls(folder, token)
            fence.check()  # two attempts may have taken the same sequence number
            return fence

    def check(self) -> None:
        """Raise Fenced when a newer token was taken."""
        newest = max(_tokens(self._folder), default=self.token)
        if newest > self.token:
            raise Fenced(
                f"attempt {self.token.attempt} (token {self.token.sequence}) has lost {self._folder.parent} "
                f"to attempt {newest.attempt} (token {newest.sequence}); it writes no more"
            )


def _tokens(folder: Path) -> list[Token]:
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return [Token(int(match[1]), int(match[2])) for match in matches if match]
