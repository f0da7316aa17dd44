"""A check told in a few sentences that are computed from it."""

from __future__ import annotations

from collections.abc import Iterator

from vistrain_trainer.checking import catalogue
from vistrain_trainer.checking.figure import ALL, Figure
from vistrain_trainer.checking.file_figures import counts_of
from vistrain_trainer.checking.result import Checked
from vistrain_trainer.checking.wording import value_text
from vistrain_trainer.reporting.sentences import Fact, Sentence
from vistrain_trainer.reporting.wording import count, listing, percent

_FILES = "counted in its files"


def paragraphs(checked: Checked) -> tuple[tuple[Sentence, ...], ...]:
    """What the data set is, how it stands to its bounds, what stands out; none of them is empty."""
    groups = ((_extent, _classes), (_verdict,), (_visible, _motion), (_looked_at,))
    told = (tuple(sentence for part in group for sentence in part(checked)) for group in groups)
    return tuple(paragraph for paragraph in told if paragraph)


def _extent(checked: Checked) -> Iterator[Sentence]:
    content = checked.content
    counts = {name: counts_of(split, content.classes) for name, split in content.splits.items()}
    facts = {
        "name": Fact(content.folder.name, "its folder"),
        "format": Fact(content.manifest.format.upper(), "manifest.json: format"),
        "pictures": Fact(count(sum(one.images for one in counts.values()), "picture"), _FILES),
        "boxes": Fact(count(sum(one.annotations for one in counts.values()), "box", "boxes"), _FILES),
        "splits": Fact(
            listing([f"{name} with {count(one.images, 'picture')}" for name, one in counts.items()]), _FILES
        ),
    }
    yield Sentence("the data set {name} ({format}) holds {pictures} with {boxes}: {splits}", facts)
    choice = checked.choice
    if choice.of_scenes:
        facts = {
            "scenes": Fact(count(choice.of_scenes, "scene"), _FILES),
            "cameras": Fact(count(choice.of_cameras, "camera"), _FILES),
            "sequences": Fact(count(choice.of_sequences, "sequence"), f"{_FILES}: scenes and cameras"),
        }
        text = "its {scenes} and {cameras} make {sequences}"
        whole = choice.of_scenes * choice.of_cameras
        if whole != choice.of_sequences:
            facts["whole"] = Fact(str(whole), "scenes times cameras")
            text += ", less than the {whole} of every scene with every camera"
        yield Sentence(text, facts)


def _classes(checked: Checked) -> Iterator[Sentence]:
    content = checked.content
    total = dict.fromkeys(content.classes, 0)
    for split in content.splits.values():
        for name, number in counts_of(split, content.classes).per_class.items():
            total[name] += number
    every = sum(total.values())
    if not every:
        yield Sentence("there is no box in it", {})
        return
    most, least = max(total, key=total.__getitem__), min(total, key=total.__getitem__)
    facts = {
        "most": Fact(most, _FILES),
        "share": Fact(percent(total[most] / every), f"{_FILES}: boxes of {most} by all boxes"),
        "least": Fact(least, _FILES),
        "rare": Fact(count(total[least], "box", "boxes"), f"{_FILES}: boxes of {least}"),
    }
    if len(total) > 1:
        yield Sentence(
            "the commonest class, {most}, has {share} of the boxes; the rarest, {least}, {rare}", facts
        )
    absent = checked.figure(catalogue.ABSENT_CLASSES.name)
    for name, places in absent.places.items() if absent else ():
        facts = {"split": Fact(name, "manifest.json: splits"), "classes": Fact(listing(places), _FILES)}
        yield Sentence("the split {split} has no box of {classes}", facts)


def _verdict(checked: Checked) -> Iterator[Sentence]:
    outside = checked.outside
    facts = {
        "judged": Fact(str(checked.judged), "figures with a bound"),
        "outside": Fact(str(len(outside)), "figures outside their bound"),
        "titles": Fact(listing([figure.kind.title for figure in outside]), "names of these figures"),
    }
    if not outside:
        yield Sentence("all {judged} figures that have a bound are within it", facts)
    else:
        verb = "is" if len(outside) == 1 else "are"
        yield Sentence(
            f"of {{judged}} figures that have a bound, {{outside}} {verb} outside it: {{titles}}", facts
        )


def _visible(checked: Checked) -> Iterator[Sentence]:
    visible, seen = (checked.figure(kind.name) for kind in (catalogue.VISIBLE_SHARE, catalogue.SEEN_SHARE))
    if visible is None or seen is None:
        return
    facts = {
        "visible": Fact(_values(visible, tuple(visible.values)), visible.kind.how),
        "seen": Fact(_values(seen, tuple(seen.values)), seen.kind.how),
    }
    text = "of all pairs of an annotation and a picture of its moment, {visible} are in the data set; "
    yield Sentence(text + "of the pairs of its classes, {seen}", facts)


def _motion(checked: Checked) -> Iterator[Sentence]:
    key, rate, gaps = (
        checked.figure(kind.name) for kind in (catalogue.KEY_SHARE, catalogue.FRAME_RATE, catalogue.GAPS)
    )
    if key is not None:
        facts = {"share": Fact(_values(key, tuple(key.values)), key.kind.how)}
        every = all(share == 1 for share in key.values.values())
        text = "keyframes are {share} of the frames, the others are interpolated"
        yield Sentence("every frame is a keyframe" if every else text, facts)
    if rate is not None and rate.values:
        facts = {"rate": Fact(_values(rate, tuple(rate.values)), rate.kind.how)}
        text = "the sequences have on average {rate}"
        ends = [checked.figure(kind.name) for kind in (catalogue.SLOWEST_RATE, catalogue.FASTEST_RATE)]
        if all(end is not None and end.values for end in ends):
            low, high = (
                pick(end.values.values())
                for pick, end in zip((min, max), ends, strict=True)
                if end is not None
            )
            facts["low"] = Fact(value_text(low, "Hz"), catalogue.SLOWEST_RATE.how)
            facts["high"] = Fact(value_text(high, "Hz"), catalogue.FASTEST_RATE.how)
            text += ", each between {low} and {high}"
        yield Sentence(text, facts)
    if gaps is not None:
        total = int(sum(gaps.values.values()))
        facts = {"gaps": Fact(count(total, "gap"), gaps.kind.how)}
        longest = checked.figure(catalogue.LONGEST_GAP.name)
        text = "there is {gaps} in time" if total == 1 else "there are {gaps} in time"
        if total and longest is not None and longest.values:
            facts["longest"] = Fact(value_text(max(longest.values.values()), "s"), longest.kind.how)
            text += ", of at most {longest}"
        yield Sentence(text, facts)


def _looked_at(checked: Checked) -> Iterator[Sentence]:
    shown = checked.shown
    if not shown:
        return
    frames, missing = sum(len(one.singles) for one in shown), sum(one.missing for one in shown)
    what = ("picture", "") if frames == len(shown) else ("run of frames", "runs of frames")
    sequences = {(one.split, one.sequence) for one in shown}
    facts = {
        "samples": Fact(count(len(shown), *what), "--samples"),
        "sequences": Fact(count(len(sequences), "sequence"), "of the choice"),
        "chosen": Fact(count(checked.choice.sequences, "sequence"), "--scene, --camera"),
        "frames": Fact(str(frames), "shown"),
        "missing": Fact(str(missing), "reading of the pictures"),
    }
    verb = "is" if len(shown) == 1 else "are"
    text = f"shown {verb} {{samples}} of {{sequences}}, chosen from {{chosen}}, evenly and with a fixed seed"
    yield Sentence(text, facts)
    if missing:
        yield Sentence("of the {frames} pictures shown, {missing} could not be read and are grey", facts)


def _values(figure: Figure, scopes: tuple[str, ...]) -> str:
    """`15.4 %`, or `3 in train and 1 in val`."""
    texts = [
        value_text(figure.values[scope], figure.kind.unit) + ("" if scope == ALL else f" in {scope}")
        for scope in scopes
    ]
    return listing(texts)
