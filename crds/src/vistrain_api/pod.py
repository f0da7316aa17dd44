"""Where pods go, what they carry: typed fields only, since a free patch would be a hole in privileges."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from vistrain_api.base import Contract, Rule, getattr_by_alias, not_supported, unique_by
from vistrain_api.volumes import DnsName

LabelKey = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
TaintKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    ),
]

# A schema of Kubernetes has no pattern for the keys of a map. Without the rule, a bad key would only show as
# a Job that the API server refuses.
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = rf"^({_DNS_LABEL}([.]{_DNS_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$"


def qualified_keys(member: str) -> Rule:
    """The keys are label keys: a name of at most 63 characters, alone or after a DNS name and /"""

    def holds(model: Any) -> bool:
        keys = getattr_by_alias(model, member)
        return all(re.fullmatch(_QUALIFIED, key) and key.find("/") <= 253 for key in keys)

    return Rule(
        cel=f"self.{member}.all(k, k.matches('{_QUALIFIED}') && k.indexOf('/') <= 253)",
        message=f"{member}: a key is a name of at most 63 letters, digits, '-', '_' and '.', such as 'team',"
        " or one after a DNS name and '/', such as 'example.com/team'",
        holds=holds,
        field_path=f".{member}",
    )


class Toleration(Contract):
    """A taint that pods tolerate, as in core/v1."""

    key: TaintKey | None = None
    """Taint key; every key when absent."""
    operator: Literal["Exists", "Equal"] = "Equal"
    """How the value is compared."""
    value: LabelValue | None = None
    """Taint value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; every effect when absent."""
    toleration_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = None
    """Seconds a NoExecute taint is tolerated; for ever when absent."""

    # The rules of core/v1: what they refuse here would otherwise keep the Job from making its pod.
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.key) || self.operator == 'Exists'",
            message="key: a toleration without a key needs operator Exists",
            holds=lambda m: m.key is not None or m.operator == "Exists",
            field_path=".key",
        ),
        Rule(
            cel="!has(self.value) || self.operator == 'Equal'",
            message="value goes with operator Equal only",
            holds=lambda m: m.value is None or m.operator == "Equal",
            field_path=".value",
        ),
        Rule(
            cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            message="tolerationSeconds goes with effect NoExecute only",
            holds=lambda m: m.toleration_seconds is None or m.effect == "NoExecute",
            field_path=".tolerationSeconds",
        ),
    )


class Scheduling(Contract):
    """Where pods go."""

    queue_name: DnsName | None = None
    """Kueue's local queue."""
    priority_class_name: DnsName | None = None
    """PriorityClass of the pods."""
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(default_factory=dict)
    """Labels a node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = Field(default_factory=list)
    """Taints that pods tolerate."""

    rules: ClassVar[tuple[Rule, ...]] = (not_supported("queueName"), qualified_keys("nodeSelector"))


class EnvVar(Contract):
    """An environment variable of the trainer container."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name."""
    value: Annotated[str, Field(max_length=4096)] = ""
    """Value."""


class PullSecret(Contract):
    """A Secret with credentials of a registry."""

    name: DnsName
    """Name of the Secret."""


class Pod(Contract):
    """What trainer pods carry."""

    image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\s]+$")] | None = None
    """Trainer image; the operator's default when absent."""
    image_pull_secrets: Annotated[list[PullSecret], Field(max_length=8), *unique_by("name")] = Field(
        default_factory=list
    )
    """Credentials for the image's registry."""
    service_account_name: DnsName | None = None
    """Service account; its token is never mounted."""
    env: Annotated[list[EnvVar], Field(max_length=64), *unique_by("name")] = Field(default_factory=list)
    """Environment variables; names that begin with VISTRAIN_ are the operator's."""
    labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=32)] = Field(default_factory=dict)
    """Labels; keys under vistrain.dev/ are the operator's."""
    annotations: Annotated[dict[LabelKey, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] = (
        Field(default_factory=dict)
    )
    """Annotations; keys under vistrain.dev/ are the operator's."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.env.all(e, !e.name.startsWith('VISTRAIN_'))",
            message="env: names that begin with VISTRAIN_ are set by the operator",
            holds=lambda m: not any(e.name.startswith("VISTRAIN_") for e in m.env),
            field_path=".env",
        ),
        Rule(
            cel="self.labels.all(k, !k.startsWith('vistrain.dev/'))",
            message="labels: keys under vistrain.dev/ are set by the operator",
            holds=lambda m: not any(k.startswith("vistrain.dev/") for k in m.labels),
            field_path=".labels",
        ),
        Rule(
            cel="self.annotations.all(k, !k.startsWith('vistrain.dev/'))",
            message="annotations: keys under vistrain.dev/ are set by the operator",
            holds=lambda m: not any(k.startswith("vistrain.dev/") for k in m.annotations),
            field_path=".annotations",
        ),
        qualified_keys("labels"),
        qualified_keys("annotations"),
    )
