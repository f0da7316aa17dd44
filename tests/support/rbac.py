"""Compares what a service account may do with what it did, by the API server's audit log.

Least privilege has two sides: nothing asked for was refused, and nothing that is permitted went unused.
The log needs events at level Metadata, one JSON object a line (`--audit-log-format=json`, the default).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Manifest = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class Access:
    """One kind of request: what was done to which resource, where (empty: outside of namespaces)."""

    verb: str
    group: str
    resource: str  # with its subresource: detectortrainings/status
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return " ".join(
            filter(
                None,
                [
                    self.verb,
                    resource,
                    self.namespace and f"in {self.namespace}",
                    self.name and f"({self.name})",
                ],
            )
        )


@dataclass(frozen=True, order=True)
class Grant:
    """One verb on one resource that a role permits. `namespaces` is empty where it holds everywhere."""

    role: str
    verb: str
    group: str
    resource: str
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    def permits(self, access: Access) -> bool:
        """Whether the access falls under this grant."""
        return (
            self.verb in ("*", access.verb)
            and self.group in ("*", access.group)
            and self.resource in ("*", access.resource)
            and (not self.names or access.name in self.names)
            and (not self.namespaces or access.namespace in self.namespaces)
        )

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        names = f" named {', '.join(self.names)}" if self.names else ""
        return f"{self.verb} {resource}{names} ({self.role})"


@dataclass(frozen=True)
class Usage:
    """What an account did: requests that the authoriser allowed, and those that it refused."""

    allowed: frozenset[Access]
    refused: frozenset[Access]


@dataclass(frozen=True)
class Comparison:
    """What is wrong with an account's roles. All three are empty where they are exact."""

    refused: tuple[Access, ...]
    """Asked for and not permitted: a rule is missing."""
    unused: tuple[Grant, ...]
    """Permitted and never asked for: a rule is too many, or no test walks that path."""
    foreign: tuple[Access, ...]
    """Allowed, but by none of the roles given: something else is bound to the account."""

    @property
    def exact(self) -> bool:
        """Whether no rule is missing and none is unused."""
        return not (self.refused or self.unused or self.foreign)

    def __str__(self) -> str:
        parts = [
            ("missing a rule for", self.refused),
            ("never used", self.unused),
            ("allowed from elsewhere", self.foreign),
        ]
        return "\n".join(f"{title}: {item}" for title, items in parts for item in items) or "exact"


def user_name(namespace: str, account: str) -> str:
    """The name under which a service account appears in the audit log."""
    return f"system:serviceaccount:{namespace}:{account}"


def log_lines(path: Path) -> Iterator[str]:
    """Lines of an audit log, those of its rotated files (`audit-<time>.log`) first."""
    rotated = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))
    for file in [*rotated, path]:
        with file.open(encoding="utf-8") as lines:
            yield from lines


def usage(lines: Iterable[str], user: str) -> Usage:
    """What `user` did to resources. Other requests, such as discovery, are open to everybody and left out."""
    seen: dict[bool, set[Access]] = {True: set(), False: set()}
    quoted = json.dumps(user)
    for line in lines:
        # A test run's log has hundreds of thousands of lines; those of others need no parsing.
        if quoted not in line:
            continue
        event = json.loads(line)
        reference = event.get("objectRef")
        if reference is None or event["user"]["username"] != user:
            continue
        decision = event.get("annotations", {}).get("authorization.k8s.io/decision")
        if decision is None:
            continue
        resource = reference["resource"]
        if reference.get("subresource"):
            resource += "/" + reference["subresource"]
        access = Access(
            event["verb"],
            reference.get("apiGroup", ""),
            resource,
            reference.get("namespace", ""),
            reference.get("name", ""),
        )
        seen[decision == "allow"].add(access)
    return Usage(frozenset(seen[True]), frozenset(seen[False]))


def grants(manifests: Iterable[Manifest], namespace: str, account: str) -> list[Grant]:
    """What the bindings permit the account, verb by verb. Equal rules in several namespaces are one."""
    objects = list(manifests)
    roles = {
        (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o
        for o in objects
        if o["kind"] in ("Role", "ClusterRole")
    }
    where: dict[tuple[str, str, str, str, tuple[str, ...]], set[str]] = {}
    for binding in objects:
        if binding["kind"] not in ("RoleBinding", "ClusterRoleBinding") or not _binds(
            binding, namespace, account
        ):
            continue
        place = binding["metadata"].get("namespace", "")
        reference = binding["roleRef"]
        role = roles[reference["kind"], place if reference["kind"] == "Role" else "", reference["name"]]
        for rule in role["rules"]:
            for verb, group, resource in _product(rule):
                key = (reference["name"], verb, group, resource, tuple(rule.get("resourceNames", ())))
                where.setdefault(key, set()).add(place)
    return sorted(
        Grant(*key, namespaces=() if "" in places else tuple(sorted(places))) for key, places in where.items()
    )


def compare(manifests: Iterable[Manifest], lines: Iterable[str], namespace: str, account: str) -> Comparison:
    """Compares the chart's rendered objects with the audit log, for one service account."""
    granted = grants(manifests, namespace, account)
    used = usage(lines, user_name(namespace, account))
    # Everybody may ask what they may do, and who they are.
    everybody = {"authorization.k8s.io", "authentication.k8s.io"}
    return Comparison(
        refused=tuple(sorted(used.refused)),
        unused=tuple(g for g in granted if not any(g.permits(access) for access in used.allowed)),
        foreign=tuple(
            sorted(
                a for a in used.allowed if a.group not in everybody and not any(g.permits(a) for g in granted)
            )
        ),
    )


def _binds(binding: Manifest, namespace: str, account: str) -> bool:
    return any(
        subject["kind"] == "ServiceAccount"
        and (subject["namespace"], subject["name"]) == (namespace, account)
        for subject in binding.get("subjects", ())
    )


def _product(rule: Manifest) -> Iterator[tuple[str, str, str]]:
    verbs: Sequence[str] = rule["verbs"]
    for group in rule.get("apiGroups", ()):
        for resource in rule.get("resources", ()):
            for verb in verbs:
                yield verb, group, resource
