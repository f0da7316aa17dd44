"""The run folder: whose it is, whether it is finished, and the files in it."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from vistrain_api.detector import DetectorTraining
from vistrain_api.digest import deciding, spec_digest
from vistrain_api.manifest import read_yaml
from vistrain_trainer.engine.files import replace_file, storage_faults
from vistrain_trainer.errors import BadInput

_IDENTITY, _RESULT = "identity.json", "result.json"
PREPARATIONS = "preparations.json"
"""How the run's data were prepared."""
_UNWRITABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}


class RunFolder:
    """A folder that holds one run. Nothing is written before `open` has found it writable and ours."""

    def __init__(self, path: Path, manifest: DetectorTraining) -> None:
        self.path = path
        self.manifest = manifest
        self.spec_digest = spec_digest(manifest.spec)

    def open(self) -> None:
        """Make the folder and check that it takes files and belongs to this manifest.

        Raises:
            BadInput: it cannot be written, or was begun with another manifest.
            StorageFault: the volume is full or broken.
        """
        try:
            with storage_faults(str(self.path)):
                self._check_writable()
        except OSError as error:
            raise self._unwritable(error) from error
        self._check_spec()

    def _check_writable(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            replace_file(self.path / ".writable", b"vistrain\n", durable=False)
            (self.path / ".writable").unlink()
        except OSError as error:
            if (
                error.errno in _UNWRITABLE
            ):  # read-only from the start is a mistake; read-only later is a fault
                raise self._unwritable(error) from error
            raise

    def _unwritable(self, error: OSError) -> BadInput:
        return BadInput(
            field="spec.checkpoint.volume",
            value=self.manifest.spec.checkpoint.volume.claim_name,
            problem=f"the run folder {self.path} cannot be written ({error.strerror})",
            remedy="Make the volume writable for the trainer's user (a read-write claim; fsGroup 65532 in a "
            "pod), "
            "or name another volume or --output",
        )

    def _check_spec(self) -> None:
        stored = self._read(_IDENTITY)
        if stored is None or stored["specDigest"] == self.spec_digest:
            return
        field, new, old = _first_difference(deciding(self.manifest.spec), stored["spec"], "spec")
        raise BadInput(
            field=field,
            value=new,
            problem=f"the run in {self.path} was begun with {old}",
            remedy="Restore the field, or start a new run: another --output, or another spec.checkpoint.path",
        )

    def resolved(self) -> dict[str, Any]:
        """What was decided at the first start (`precision`); empty before."""
        stored = self._read(_IDENTITY)
        return dict(stored["resolved"]) if stored else {}

    def claim(
        self,
        task: Mapping[str, Any],
        resolved: Mapping[str, Any],
        preparations: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        """Record what the run is, at its first start; later, check that its data are the same.

        Args:
            task: what must stay the same.
            resolved: what was decided.
            preparations: tells how the data were prepared; asked at the first start only.

        Raises:
            BadInput: the data set or its classes have changed since the run began.
        """
        stored = self._read(_IDENTITY)
        task = json.loads(json.dumps(task))
        if stored is not None:
            if stored["task"] != task:
                field, new, old = _first_difference(task, stored["task"], "spec.dataset")
                raise BadInput(
                    field=field,
                    value=new,
                    problem=f"the run in {self.path} was begun with {old}: its data have changed since",
                    remedy="Restore the data, or start a new run: another --output, or another "
                    "spec.checkpoint.path",
                )
            return
        identity = {
            "specDigest": self.spec_digest,
            "spec": deciding(self.manifest.spec),
            "task": task,
            "resolved": dict(resolved),
        }
        told = list(preparations())
        if told:
            replace_file(self.path / PREPARATIONS, json.dumps(told, indent=1).encode() + b"\n")
        replace_file(self.path / "manifest.yaml", _manifest_text(self.manifest))
        replace_file(self.path / _IDENTITY, json.dumps(identity, indent=1).encode() + b"\n")

    def result(self) -> dict[str, Any] | None:
        """The stored result of a finished run; none before."""
        return self._read(_RESULT)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Store the result: from now on a start repeats it."""
        replace_file(self.path / _RESULT, json.dumps(result, indent=1).encode() + b"\n")

    def write_status(self, status: Mapping[str, Any]) -> None:
        """Rewrite status.yaml."""
        text = yaml.safe_dump(dict(status), sort_keys=False, allow_unicode=True)
        replace_file(self.path / "status.yaml", text.encode(), durable=False)

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            raise BadInput(
                field="spec.checkpoint.volume",
                value=self.manifest.spec.checkpoint.volume.claim_name,
                problem=f"{path} is not JSON: something else than Vistrain wrote it",
                remedy="Restore the file, or start a new run: another --output, or another "
                "spec.checkpoint.path",
            ) from None
        return dict(content)


def _manifest_text(manifest: DetectorTraining) -> bytes:
    values = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if read_yaml(text) != read_yaml(json.dumps(values)):  # a string that kubectl's reader takes for a number
        text = json.dumps(values, indent=2)
    return text.encode()


def _first_difference(new: Any, old: Any, path: str) -> tuple[str, Any, Any]:
    if isinstance(new, dict) and isinstance(old, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            if new.get(key) != old.get(key):
                return _first_difference(new.get(key), old.get(key), f"{path}.{key}")
    return path, "nothing" if new is None else new, "nothing" if old is None else old
