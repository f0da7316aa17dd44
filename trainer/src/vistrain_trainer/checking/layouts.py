"""The tables of a check."""

from __future__ import annotations

from vistrain_trainer.checking.figure import ALL
from vistrain_trainer.checking.file_figures import counts_of
from vistrain_trainer.checking.result import Checked
from vistrain_trainer.checking.wording import bound_text, value_text
from vistrain_trainer.reporting.tables import Cell, Column, Table
from vistrain_trainer.reporting.wording import percent


def figure_table(checked: Checked, *, brief: bool = False) -> Table:
    """A row for each figure: value by split, bound, verdict. The brief one has names in place of titles."""
    scopes = [*checked.content.splits]
    if any(ALL in figure.values for figure in checked.figures):
        scopes.insert(0, ALL)
    titles = () if brief else (Column("title", "figure"),)
    columns = (
        *titles,
        Column("verdict", "verdict"),
        *(Column(f"value_{scope}", scope) for scope in scopes),
        Column("bound", "bound"),
    )
    name = Column("name", "figure" if brief else "name for --bound")
    rows: list[tuple[Cell, ...]] = []
    for figure in checked.figures:
        unit = figure.kind.unit
        values = (
            value_text(figure.values[scope], unit) if scope in figure.values else None for scope in scopes
        )
        cells: tuple[Cell, ...] = (figure.verdict, *values, bound_text(figure.bound, unit))
        rows.append((figure.kind.name, *cells) if brief else (figure.kind.title, *cells, figure.kind.name))
    return Table("Figures", (name, *columns) if brief else (*columns, name), tuple(rows))


def place_table(checked: Checked) -> Table:
    """What the figures outside their bounds, and those without, are made of."""
    columns = (Column("figure", "figure"), Column("split", "split"), Column("place", "where"))
    rows = tuple(
        (figure.kind.title, scope, place)
        for figure in checked.figures
        for scope, places in figure.places.items()
        for place in places
    )
    return Table("Where", columns, rows)


def class_table(checked: Checked) -> Table:
    """Boxes by class and split, in the order of the classes."""
    content = checked.content
    counts = {name: counts_of(split, content.classes) for name, split in content.splits.items()}
    columns = [Column("index", "index"), Column("class", "class")]
    for name in counts:
        columns += [Column(f"boxes_{name}", name), Column(f"share_{name}", f"share of {name}")]
    rows: list[tuple[Cell, ...]] = []
    for index, kind in enumerate(content.classes):
        cells: list[Cell] = [index, kind]
        for found in counts.values():
            number = found.per_class[kind]
            cells += [number, percent(number / found.annotations) if found.annotations else None]
        rows.append(tuple(cells))
    return Table("Classes", tuple(columns), tuple(rows))


def split_table(checked: Checked) -> Table:
    """What each split holds."""
    columns = (
        Column("split", "split"),
        Column("scenes", "scenes"),
        Column("sequences", "sequences"),
        Column("pictures", "pictures"),
        Column("boxes", "boxes"),
        Column("tracks", "tracks"),
        Column("reserved", "use"),
    )
    rows: list[tuple[Cell, ...]] = []
    for name, split in checked.content.splits.items():
        counts = counts_of(split, checked.content.classes)
        scenes = {one.token or one.scene for one in split.sequences} - {""}
        reserved = checked.content.manifest.splits[name].reserved
        rows.append(
            (
                name,
                len(scenes) or None,
                counts.sequences,
                counts.images,
                counts.annotations,
                counts.tracks,
                "held back" if reserved else None,
            )
        )
    return Table("Splits", columns, tuple(rows)).filled()


def manifest_table(checked: Checked) -> Table:
    """What the manifest says of how the data set was made."""
    manifest = checked.content.manifest
    size = manifest.image_size
    source = manifest.source
    said = {
        "made with": f"vistrain-trainer {manifest.version}",
        "source": " ".join(filter(None, (source.kind, source.version))),
        "digest of the source": source.digest,
        "digest": manifest.digest,
        "split lists": manifest.split_lists,
        "cameras": ", ".join(manifest.cameras),
        "frames": "" if manifest.fps is None else f"{manifest.fps:g} a second",
        "projection": manifest.projection or "",
        "visibility": ", ".join(map(str, manifest.visibility)),
        "pictures": manifest.pictures.mode + ("" if size is None else f", {size.width}×{size.height}"),
        "left out": ", ".join(f"{reason}: {boxes}" for reason, boxes in manifest.dropped.items()),
    }
    rows = tuple((name, text) for name, text in said.items() if text)
    return Table("Manifest", (Column("what", ""), Column("value", "value")), rows)
