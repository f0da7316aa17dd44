"""Which PersistentVolumeClaims a spec names."""

from __future__ import annotations

from collections.abc import Iterator

from vistrain_operator.objects import Object


def named(spec: Object) -> list[str]:
    """Names of all claims in a spec, wherever they stand: every `volume.claimName`."""
    return sorted({name for name, _ in _walk(spec, "")})


def fields(spec: Object, claim: str) -> list[str]:
    """The fields of a spec that name a claim, such as `dataset.volume.claimName`."""
    return [field for name, field in _walk(spec, "") if name == claim]


def _walk(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        name = value.get("claimName")
        if isinstance(name, str):
            yield name, f"{path}.claimName".lstrip(".")
        for key, item in value.items():
            yield from _walk(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(item, f"{path}[{number}]")
