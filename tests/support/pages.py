"""HTML pages taken apart."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

_VOID = {"meta", "link", "img", "br", "hr", "input", "path"}


@dataclass
class Table:
    """Cells as the reader sees them."""

    rows: list[list[str]] = field(default_factory=list)

    def column(self, heading: str) -> list[str]:
        """The cells under a heading."""
        place = self.rows[0].index(heading)
        return [row[place] for row in self.rows[1:]]

    @property
    def by_first(self) -> dict[str, list[str]]:
        """Rows by their first cell."""
        return {row[0]: row[1:] for row in self.rows[1:]}


class Page(HTMLParser):
    """What a page holds, by where it stands."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.tables: dict[str, list[Table]] = {}
        """By the `id` of the section they are in."""
        self.charts: dict[str, dict[str, Any]] = {}
        """What the script shows of each chart, by `id` of its figure."""
        self.texts: dict[str, str] = {}
        """By `id`."""
        self.addresses: list[str] = []
        """Values of every attribute that makes a browser fetch something."""
        self.images: list[str] = []
        self.anchors: list[str] = []
        self._open: list[tuple[str, str]] = []
        self._cell: list[str] | None = None
        self._script: list[str] | None = None
        self.feed(text)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        for name in ("src", "srcset", "poster", "data", "action"):
            if name in values:
                self.addresses.append(values[name])
        if "href" in values:
            (self.anchors if tag == "a" else self.addresses).append(values["href"])
        if tag == "img":
            self.images.append(values["src"])
        if tag == "section":
            self.sections.append(values["id"])
        if tag == "table":
            self.tables.setdefault(self._section, []).append(Table())
        if tag == "tr":
            self.tables[self._section][-1].rows.append([])
        if tag in ("td", "th"):
            self._cell = []
        if tag == "script":
            self._script = []
        if tag not in _VOID:
            self._open.append((tag, values.get("id", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        assert self._open, f"</{tag}> without a beginning"
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> ends <{opened}>"
        if tag in ("td", "th") and self._cell is not None:
            self.tables[self._section][-1].rows[-1].append("".join(self._cell).strip())
            self._cell = None
        if tag == "script" and self._script is not None:
            figure = next((name for kind, name in reversed(self._open) if kind == "figure"), "")
            if figure:
                self.charts[figure] = json.loads("".join(self._script))
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
        if self._script is not None:
            self._script.append(data)
        for _, name in self._open:
            if name:
                self.texts[name] = self.texts.get(name, "") + data

    @property
    def _section(self) -> str:
        return next((name for kind, name in reversed(self._open) if kind == "section"), "")
