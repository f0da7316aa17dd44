"""Every format of a table read back by what reads it in earnest, as far as there is such a thing here."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vistrain_trainer.reporting import layouts
from vistrain_trainer.reporting.comparison import compare_runs
from vistrain_trainer.reporting.history import read_history
from vistrain_trainer.reporting.tables import Column, Table, escape_latex

NASTY = "a|b_c*d* [x](y) <b> `q` \\ #1 ~s~ & 50% {z} ^2 $m$"
COLUMNS = (Column("name", "name & co_"), Column("value", "value", digits=3), Column("count", "count"))

text = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.sampled_from(" |_*\\[]<>&%$#{}~^`-"),
    max_size=20,
)
cells = st.tuples(text | st.none(), st.floats(-1e5, 1e5) | st.none(), st.integers() | st.none())


def markdown_cells(source):
    """Texts of a Markdown table's cells by row, header first, as a parser reads them."""
    rows = []
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            assert all(child.type in ("text", "text_special") for child in token.children), source
            rows[-1].append("".join(child.content for child in token.children))
    return rows


@settings(deadline=None)
@given(st.lists(cells, max_size=5))
def test_markdown_shows_the_text_as_it_is(rows):
    table = Table("t", COLUMNS, tuple(rows))
    head, *body = markdown_cells(table.to_markdown())
    assert head == ["name & co_", "value", "count"]
    assert len(body) == len(rows)
    for row, (name, value, count) in zip(body, rows, strict=True):
        assert row[0] == ("–" if name is None else " ".join(name.split()))
        assert row[1] == "–" if value is None else float(row[1]) == pytest.approx(value, rel=6e-3)
        assert row[2] == ("–" if count is None else str(count))


@settings(deadline=None)
@given(st.lists(cells, max_size=5))
def test_csv_and_json_keep_every_digit(rows):
    table = Table("t", COLUMNS, tuple(rows))
    read = list(csv.DictReader(io.StringIO(table.to_csv(), newline="")))
    stored = json.loads(table.to_json())
    assert stored["columns"]["name"] == "name & co_"
    assert [tuple(row.values()) for row in stored["rows"]] == rows
    for row, (name, value, count) in zip(read, rows, strict=True):
        assert row["name"] == (name or "")
        assert row["value"] == "" if value is None else float(row["value"]) == value
        assert row["count"] == ("" if count is None else str(count))


@settings(deadline=None)
@given(text)
def test_no_character_of_latex_s_own_is_left_bare(value):
    escaped = escape_latex(value)
    bare = re.sub(r"\\(text[a-z]+|ldots)\{\}|\\[&%$#_{}]|\$\\(pm|Delta|times)\$", "", escaped)
    assert not set(bare) & set('\\&%$#_{}~^<>|"')


def test_latex_rows_have_their_cells_and_booktabs_its_rules():
    table = Table("50 % of a_b", COLUMNS, ((NASTY, -0.12345, 3), ("[x]", None, None), (None, 2e-9, -4)))
    lines = table.to_latex("tab:one").splitlines()
    assert lines[2:5] == [r"\caption{50 \% of a\_b}", r"\label{tab:one}", r"\begin{tabular}{lrr}"]
    assert [line for line in lines if "rule" in line] == [r"\toprule", r"\midrule", r"\bottomrule"]
    rows = [line for line in lines if line.endswith(r"\\")]
    assert rows[0] == r"name \& co\_ & value & count \\"
    assert rows[1].endswith(r" & $-$0.123 & 3 \\")
    assert rows[2] == r"{[x]} & -- & -- \\"
    assert rows[3] == r"-- & 2.00e-09 & $-$4 \\"
    assert all(len(re.findall(r"(?<!\\)&", row)) == 2 for row in rows)
    assert r"\label" not in table.to_latex()


def test_numbers_that_are_not_finite_have_no_value():
    table = Table("t", COLUMNS, (("a", float("nan"), None), ("b", float("inf"), 1)))
    assert [row["value"] for row in json.loads(table.to_json())["rows"]] == [None, None]
    assert table.to_csv() == "name,value,count\na,,\nb,,1\n"


def test_rows_and_keys_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 cells for 3 columns"):
        Table("t", COLUMNS, (("a", 1.0),))
    with pytest.raises(ValueError, match="same key"):
        Table("t", (Column("a", "a"), Column("a", "b")), ())


def test_the_report_s_tables_hold_the_figures(interrupted, untouched):
    history = read_history(interrupted)
    stable = layouts.stability_table(history)
    assert [row[:3] for row in stable.rows] == [
        ("loss/total", "all", 3),
        ("loss/total", "after warm-up", 2),
        ("AP", "all", 3),
        ("AP", "after warm-up", 2),
    ]
    stretch = layouts.stretch_table(history)
    assert [row[0] for row in stretch.rows[::2]] == ["whole run", "warm-up", "main", "no-aug"]
    assert stretch.rows[0][4:6] == (
        history.over_epochs("loss/total").values[0],
        history.over_epochs("loss/total").values[-1],
    )
    (*_, pause), killed = layouts.interruption_table(history).rows
    assert pause == history.interruptions[0].idle_seconds
    assert killed == (2, None, "without a word, as when killed", 7, 3, 5, 2, None)
    found = compare_runs([history, read_history(untouched)])
    ranked = layouts.ranking_table(found)
    assert ranked.title == "Runs ranked by AP (max)"
    assert [(row[0], row[2], row[3], row[4], row[6]) for row in ranked.rows] == [
        (1, 4, 0.5, 2, 0.3),
        (
            2,
            3,
            max(history.over_epochs("AP").values),
            history.over_epochs("AP").best("max").at,
            history.over_epochs("AP").values[-1],
        ),
    ]
    metrics = layouts.metric_table(found)
    assert [row[0] for row in metrics.rows] == ["AP", "AP50", "AP/square", "valLoss"]
    assert metrics.rows[0][1:4] == (0.5, 2, 0.3)
    different = layouts.difference_table(found)
    assert ("spec.schedule.seed", 1, 0) in different.rows
    for table in (stable, stretch, ranked, metrics, different, layouts.interruption_table(history)):
        shown = markdown_cells(table.to_markdown())
        assert len(shown) == len(table.rows) + 1
        assert len(list(csv.reader(io.StringIO(table.to_csv())))) == len(table.rows) + 1
        assert len(json.loads(table.to_json())["rows"]) == len(table.rows)
        assert table.to_latex().count(r"\\") == len(table.rows) + 1


def test_the_tables_of_a_run_without_rows_are_empty(made):
    history = read_history(made())
    assert layouts.stability_table(history).rows == layouts.stretch_table(history).rows == ()
    assert layouts.interruption_table(history).rows == ()
    (row,) = layouts.ranking_table(compare_runs([history])).rows
    assert row == (None, "made", 0, None, None, None, None)


def test_truths_and_lists_stand_in_a_table_as_json(made):
    a, b = made(name="a", schedule__ema={"enabled": False}), made(name="b", dataset__classes=["x", "y"])
    table = layouts.difference_table(compare_runs([read_history(a), read_history(b)]))
    assert set(table.rows) == {
        ("spec.dataset.classes", '["square"]', '["x", "y"]'),
        ("spec.schedule.ema.enabled", "false", "true"),
    }


def test_empty_columns_are_dropped_and_tables_turned():
    columns = (Column("a", "A"), Column("b", "B"), Column("c", "C"))
    table = Table("t", columns, (("x", None, 1.5), ("y", None, None)))
    assert [column.key for column in table.filled().columns] == ["a", "c"]
    turned = table.filled().turned()
    assert [column.heading for column in turned.columns] == ["", "x", "y"]
    assert turned.rows == (("C", "1.5", "–"),)
