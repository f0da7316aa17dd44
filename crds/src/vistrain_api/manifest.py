"""Reading a manifest as kubectl and the API server do: the same scalars, defaults and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vistrain_api.detector import DetectorTraining
from vistrain_api.kubectl_yaml import YamlError, read_documents
from vistrain_api.problems import Problem, nearest, problems_of

KINDS: dict[str, type[DetectorTraining]] = {"DetectorTraining": DetectorTraining}

# Fields of metav1.ObjectMeta: a manifest may carry any of them, as `kubectl get -o yaml` writes them.
_METADATA = (
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)


class ManifestError(ValueError):
    """A manifest that cannot be accepted; the text names each field, its value and the problem."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def read_yaml(text: str) -> Any:
    """The run in a YAML text, as JSON types; other kinds beside it are passed over.

    Raises ManifestError with line and column, or when there is not exactly one run.
    """
    try:
        documents = [document for document in read_documents(text) if document is not None]
    except YamlError as error:
        raise ManifestError([Problem("", str(error))]) from error
    if len(documents) == 1:
        return documents[0]
    runs = [
        document for document in documents if isinstance(document, dict) and document.get("kind") in KINDS
    ]
    if len(runs) != 1:
        raise ManifestError(
            [Problem("", f"{len(runs)} runs in {len(documents)} documents: give exactly one")]
        )
    return runs[0]


def parse(value: Any) -> DetectorTraining:
    """A validated run with every default filled in. Raises ManifestError naming every wrong field."""
    if not isinstance(value, dict):
        raise ManifestError(
            [Problem("", f"a manifest is a mapping with apiVersion, kind, not {value!r:.80}")]
        )
    kind = value.get("kind")
    if kind not in KINDS:
        raise ManifestError([Problem("kind", f"not one of {', '.join(KINDS)} (got {kind!r:.80})")])
    problems = _metadata_typos(value.get("metadata"))
    run = None
    try:
        KINDS[kind].model_validate(value)
    except ValidationError as error:
        problems += [problem for problem in problems_of(error) if problem.unknown]
    try:
        run = KINDS[kind].model_validate(_without_nulls(value))
    except ValidationError as error:
        problems += [problem for problem in problems_of(error) if problem not in problems]
    if run is None or problems:
        raise ManifestError(problems)
    return run


def load(path: Path) -> DetectorTraining:
    """Read and validate the manifest in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError([Problem(str(path), error.strerror or "cannot be read")]) from error
    except UnicodeDecodeError as error:
        raise ManifestError([Problem(str(path), f"not a text in UTF-8: {error.reason}")]) from error
    return parse(read_yaml(text))


def _without_nulls(value: Any) -> Any:
    """The API server takes a null for a field that is not there (but not in a list)."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _metadata_typos(metadata: Any) -> list[Problem]:
    if not isinstance(metadata, dict):
        return []
    return [
        Problem(f"metadata.{name}", f"unknown field{nearest(name, _METADATA)}", unknown=True)
        for name in metadata
        if name not in _METADATA
    ]
