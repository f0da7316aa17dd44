"""Helm as a function: values in, objects out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.built import built
from vistrain_devcluster import binaries

CHART = Path(__file__).resolve().parents[2] / "charts" / "vistrain"
# `helm template` asks no cluster; it must be told which Kubernetes the chart is rendered for.
KUBERNETES = "1.36.0"


class HelmError(RuntimeError):
    """Helm refused; the text is its own."""


@dataclass(frozen=True)
class Helm:
    """Helm on one cluster, or on none for `template` and `lint`."""

    binary: str
    kubeconfig: str | None = None
    context: str | None = None

    @classmethod
    def find(cls, kubeconfig: str | None = None, context: str | None = None) -> Helm:
        """The Helm that the variable HELM names, or the dev cluster's, built where it is missing."""
        binary = os.environ.get("HELM")
        if not binary:
            binary = str(built(binaries.HELM) / "helm")
        return cls(binary, kubeconfig, context)

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None, timeout: float = 300) -> str:
        """Helm's standard output, with `values` laid over the chart's. Raises HelmError with its words."""
        command = [self.binary, *arguments]
        for flag, value in (("--kubeconfig", self.kubeconfig), ("--kube-context", self.context)):
            if value is not None:
                command += [flag, value]
        if values is not None:
            command += ["--values", "-"]
        done = subprocess.run(
            command,
            input=None if values is None else json.dumps(values),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise HelmError(f"helm {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def template(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        release: str = "vistrain",
        namespace: str = "vistrain-system",
        chart: Path = CHART,
    ) -> list[dict[str, Any]]:
        """The objects that an installation would make."""
        text = self.run(
            "template",
            release,
            str(chart),
            "--namespace",
            namespace,
            "--kube-version",
            KUBERNETES,
            values=values or {},
        )
        return [document for document in yaml.safe_load_all(text) if document]

    def install(
        self,
        release: str,
        namespace: str,
        values: Mapping[str, Any],
        *,
        chart: Path = CHART,
        wait: bool = True,
        timeout: str = "120s",
    ) -> None:
        """Installs or upgrades, and waits until the operator is ready."""
        flags = ["--wait", "--timeout", timeout] if wait else []
        self.run(
            "upgrade",
            "--install",
            release,
            str(chart),
            "--namespace",
            namespace,
            "--create-namespace",
            *flags,
            values=values,
        )

    def uninstall(self, release: str, namespace: str) -> None:
        """Uninstalls, and waits until the release's objects are gone."""
        self.run("uninstall", release, "--namespace", namespace, "--wait", "--ignore-not-found")


def one(objects: list[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    """The one object of a kind, or of a kind and a name. Raises LookupError unless there is exactly one."""
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    if len(found) != 1:
        raise LookupError(
            f"{len(found)} objects of kind {kind}{f' named {name}' if name else ''}, one was expected"
        )
    return found[0]
