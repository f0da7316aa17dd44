"""Bounds are read from the command line and from a file; whatever is no bound is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.checks import found_by, run_check
from vistrain_trainer.checking.bounds import Bound, read_bounds
from vistrain_trainer.checking.figure import ALL, Figure, Kind
from vistrain_trainer.checking.wording import bound_text, value_text
from vistrain_trainer.errors import BadInput

NAMES = ("gaps", "visible-share", "frame-rate")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("0.13:0.18", Bound(0.13, 0.18)),
        (":5", Bound(None, 5)),
        ("11.4:", Bound(11.4, None)),
        ("0:0", Bound(0, 0)),
        (":", None),
    ],
)
def test_either_end_may_be_open(text, bound):
    assert read_bounds(None, [f"gaps={text}"], NAMES) == {"gaps": bound}


def test_the_command_line_comes_before_the_file(tmp_path: Path):
    path = tmp_path / "bounds.yaml"
    path.write_text("gaps: {max: 5}\nvisible-share: {min: 0.13, max: 0.18}\nframe-rate:\n")
    bounds = read_bounds(path, ["gaps=:2"], NAMES)
    assert bounds == {"gaps": Bound(max=2), "visible-share": Bound(0.13, 0.18), "frame-rate": None}


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("gap=:5", "gap: there is no such figure. Did you mean gaps?"),
        ("xyz=:5", "Choose from gaps, visible-share, frame-rate"),
        ("gaps", "gaps: it is not NAME=MIN:MAX"),
        ("gaps=5", "it is not NAME=MIN:MAX"),
        ("gaps=a:5", "'a' is no number"),
        ("gaps=nan:5", "'nan' is no number"),
        ("gaps=5:1", "the least, 5, is above the greatest, 1"),
    ],
)
def test_what_is_no_bound_is_refused(stated, message):
    with pytest.raises(BadInput) as caught:
        read_bounds(None, [stated], NAMES)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "content",
    ["- gaps\n", "gaps: 5\n", "gaps: {most: 5}\n", "gaps: {max: many}\n", "gaps: {max: [\n", "a: b: c\n"],
)
def test_a_file_of_another_form_is_refused_and_named(content, tmp_path: Path):
    path = tmp_path / "bounds.yaml"
    path.write_text(content)
    with pytest.raises(BadInput) as caught:
        read_bounds(path, [], NAMES)
    assert caught.value.field == "--bounds"
    assert str(path) in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(BadInput, match="it cannot be read: No such file"):
        read_bounds(tmp_path / "none.yaml", [], NAMES)


def test_both_ends_are_within():
    kind = Kind("gaps", "gaps", "", "")
    figure = Figure(kind, {"train": 5.0, "val": 6.0}, Bound(0, 5))
    assert figure.outside == ("val",)
    assert figure.verdict == "outside"
    assert Figure(kind, {ALL: 5.0}, Bound(5, 5)).verdict == "within"
    assert Figure(kind, {ALL: 5.0}).verdict == "no bound"
    assert Figure(kind, {}, Bound(5, 5)).verdict == "no bound"


def test_bounds_and_values_are_worded_with_their_units():
    assert bound_text(Bound(0.13, 0.18), "share") == "13 to 18 %"
    assert bound_text(Bound(30, 90), "s") == "30 s to 1 min 30 s"
    assert bound_text(Bound(max=0), "") == "none"
    assert bound_text(Bound(max=5), "") == "at most 5"
    assert bound_text(Bound(min=11.4), "Hz") == "at least 11.4 Hz"
    assert bound_text(Bound(1, 1), "share") == "100 %"
    assert bound_text(None, "") == "–"
    assert value_text(0.15, "s") == "0.15 s"
    assert value_text(1200, "") == "1200"


def test_stated_bounds_decide_the_exit_code(world, tmp_path):
    out = ("--samples", 0, "--out", tmp_path / "out", "--json")
    result = run_check(world, "--bound", "boxes-per-picture=1000:", *out)
    assert result.exit_code == 3
    found = found_by(result)
    assert found["outside"] == ["boxes-per-picture"]
    assert found["figures"]["boxes-per-picture"]["outside"] == ["train", "val"]
    assert found["figures"]["boxes-per-picture"]["bound"] == {"min": 1000, "max": None}
    assert run_check(world, "--bound", "boxes-per-picture=0:1000", *out).exit_code == 0
    bounds = tmp_path / "bounds.json"
    bounds.write_text(json.dumps({"border-share": {"max": 0}}))
    assert found_by(run_check(world, "--bounds", bounds, *out))["outside"] == ["border-share"]
    result = run_check(world, "--bounds", bounds, "--bound", "border-share=:", *out)
    assert found_by(result)["figures"]["border-share"]["verdict"] == "no bound"


def test_a_wrong_bound_is_bad_input_and_leaves_nothing(world, tmp_path):
    result = run_check(world, "--bound", "gapps=:5", "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert "error: --bound: gapps: there is no such figure" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("figure", "remedy"),
    [("gaps", "Leave the bound out"), ("visible-share", "Name the release's folder with --root")],
)
def test_a_bound_that_nothing_is_held_against_is_refused(figure, remedy, world, tmp_path):
    """COCO has no gaps, and the manifest of this world does not say which annotations are seen."""
    result = run_check(world, "--bound", f"{figure}=0:1", "--samples", 0, "--out", tmp_path / "out")
    assert result.exit_code == 64
    assert f"--bound: {figure}: its value is not known of any data set here" in result.stderr
    assert remedy in result.stderr
    assert not (tmp_path / "out").exists()
    assert (
        run_check(world, "--bound", f"{figure}=:", "--samples", 0, "--out", tmp_path / "out").exit_code == 0
    )


def test_a_bound_on_one_of_several_data_sets_is_enough(prepared, tmp_path):
    result = run_check(prepared, "--bound", "gaps=0:1000", "--samples", 0, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
