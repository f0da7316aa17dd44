"""For every CEL rule on the spec, changes to a valid run that break it."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from support.contract.manifests import ABSENT, Manifest, Path_, base, changed, full, get, steps

_UNSUPPORTED = "{} is not supported by this version of Vistrain: remove the field"
_WITHIN = "{} must lie between {} and {}"
_OPERATORS = "{}: {} are set by the operator"


@dataclass(frozen=True)
class Case:
    """Changes to the corpus' least run, by field; `...` stands for what `full()` holds there."""

    path: Path_
    """The field that a refusal names."""
    change: dict[str, Any]

    def manifest(self) -> Manifest:
        """The run with the changes made."""
        manifest = base()
        for field, value in self.change.items():
            path = steps(field)
            given = copy.deepcopy(get(full(), path)) if value is ... else value
            manifest = changed(manifest, path, given, grafted=False)
        return manifest


RULES: dict[tuple[str, str], list[Case]] = defaultdict(list)
"""Cases by the path of the object that holds the rule, and the rule's message."""


def _rule(where: str, message: str, named: str, *changes: dict[str, Any]) -> None:
    """`named` is the field that a refusal names, relative to `where`."""
    RULES[where, message] += [Case(steps(where + named), change) for change in changes]


def _unsupported(where: str, member: str, value: Any = ...) -> None:
    _rule(where, _UNSUPPORTED.format(member), f".{member}", {f"{where}.{member}": value})


def _within(where: str, member: str, shortest: str, longest: str, *values: str) -> None:
    message = _WITHIN.format(member, shortest, longest)
    _rule(where, message, f".{member}", *({f"{where}.{member}": value} for value in values))


# Unions: none of the members, and two of them.
_rule(
    "spec.model",
    "exactly one of yolox, ultralytics must be given",
    "",
    {"spec.model": {}},
    {"spec.model.ultralytics": ...},
)
_rule(
    "spec.initialization",
    "exactly one of weights, scratch, run, checkpoint must be given",
    "",
    {"spec.initialization": {}},
    {"spec.initialization.weights": ...},
    {"spec.initialization.run": ...},
    {"spec.initialization.checkpoint": ...},
)
_rule(
    "spec.schedule.optimizer",
    "exactly one of sgd, adamw must be given",
    "",
    {"spec.schedule.optimizer": {}},
    {"spec.schedule.optimizer": {"sgd": {}, "adamw": {}}},
)
_phases = {"spec.schedule.phases": ...}
for _where, _before in (
    ("spec.schedule.learningRate", {}),
    ("spec.schedule.phases[0].learningRate", _phases),
):
    _rule(
        _where,
        "exactly one of peak, perImage must be given",
        "",
        _before | {_where: {}},
        _before | {_where: {"peak": 1e-3, "perImage": 1e-4}},
    )
_rule(
    "spec.resources.accelerator",
    "exactly one of mig, gpu, cpu, mps must be given",
    "",
    {"spec.resources.accelerator": {}},
    {"spec.resources.accelerator.gpu": {}},
    {"spec.resources.accelerator.mig": ...},
)
_rule(
    "spec.resilience.onNaN",
    "exactly one of rollBack, fail must be given",
    "",
    {"spec.resilience.onNaN": {}},
    {"spec.resilience.onNaN": ...},
)

# What this version does not act on.
_unsupported("spec.model", "ultralytics")
_unsupported("spec.scheduling", "queueName")
_rule(
    "spec.dataset",
    "format: only 'coco' is supported by this version of Vistrain",
    ".format",
    {"spec.dataset.format": "yolo"},
)
_rule(
    "spec.resources.accelerator",
    "mps is an Apple GPU, which no cluster offers: use it with `vistrain run`",
    ".mps",
    {"spec.resources.accelerator": {"mps": {}}},
)

# What does not fit together.
_rule(
    "spec",
    "evaluation.everyEpochs must not exceed schedule.epochs: evaluate more often",
    ".evaluation.everyEpochs",
    {"spec.evaluation": {"everyEpochs": 4}},
)
_rule(
    "spec.schedule",
    "warmupEpochs + noAugEpochs must not exceed epochs: shorten them or train longer",
    ".warmupEpochs",
    {"spec.schedule.epochs": 2},
    {"spec.schedule.warmupEpochs": 2},
    {"spec.schedule.noAugEpochs": 3},
)
_rule(
    "spec.schedule",
    "phases: their epochs must add up to epochs (the last phase may omit its own)",
    ".phases",
    {"spec.schedule.phases": [{"name": "a", "epochs": 2}]},
    {"spec.schedule.phases": [{"name": "a", "epochs": 3}, {"name": "b", "epochs": 1}]},
    {"spec.schedule.phases": [{"name": "a", "epochs": 3}, {"name": "b"}]},
    {"spec.schedule.phases": [{"name": "a"}, {"name": "b", "epochs": 1}]},
    {"spec.schedule.phases": [{"name": "a"}, {"name": "b"}]},
)
_rule(
    "spec.schedule",
    "phases: the first starts from spec.initialization, so its start is last",
    ".phases",
    {"spec.schedule.phases": [{"name": "a", "start": "best"}]},
    {"spec.schedule.phases": [{"name": "a", "epochs": 1, "start": "best"}, {"name": "b"}]},
)
_rule(
    "spec.schedule",
    "microBatchSize must divide batchSize",
    ".microBatchSize",
    {"spec.schedule.microBatchSize": 3},
    {"spec.schedule.microBatchSize": 16},
)
_rule(
    "spec.schedule.phases[0]",
    "warmupEpochs must not exceed the epochs of the phase",
    ".warmupEpochs",
    {"spec.schedule.phases": [{"name": "a", "epochs": 1, "warmupEpochs": 2}, {"name": "b"}]},
)
_rule(
    "spec",
    "phases: freeze and learningRates name parts of YOLOX: backbone, neck, head",
    ".schedule.phases",
    {"spec.schedule.phases": [{"name": "a", "freeze": ["encoder"]}]},
    {"spec.schedule.phases": [{"name": "a", "freeze": ["backbone", "backbone.stem"]}]},
    {"spec.schedule.phases": [{"name": "a", "learningRates": {"decoder": 1e-4}}]},
)
_rule(
    "spec",
    "phases: a phase that freezes every part learns nothing",
    ".schedule.phases",
    {
        "spec.schedule.phases": [
            {"name": "a", "epochs": 1},
            {"name": "b", "freeze": ["head", "neck", "backbone"]},
        ]
    },
)
for _where in ("spec.augmentation.scale", "spec.augmentation.mixup.scale"):
    _rule(_where, "min must not exceed max", ".min", {_where: {"min": 1.2, "max": 1.1}})
_rule(
    "spec.augmentation.multiscale.height",
    "min must not exceed max",
    ".min",
    {"spec.augmentation.multiscale.height": {"min": 640, "max": 608}},
)
_rule(
    "spec.evaluation.primaryMetric",
    "mode: valLoss goes with min, every other metric with max",
    ".mode",
    {"spec.evaluation.primaryMetric": {"name": "valLoss"}},
    {"spec.evaluation.primaryMetric": {"name": "AP", "mode": "min"}},
    {"spec.evaluation.primaryMetric": {"mode": "min"}},
)
_rule(
    "spec.evaluation.gates[0]",
    "a gate states min, max or both",
    "",
    {"spec.evaluation.gates": [{"metric": "AP"}]},
)
_rule(
    "spec.evaluation.gates[0]",
    "min must not exceed max",
    ".min",
    {"spec.evaluation.gates": [{"metric": "AP", "min": 0.5, "max": 0.25}]},
)
_rule(
    "spec.resources",
    "sharedMemory must be less than memory: it counts towards it",
    ".sharedMemory",
    {"spec.resources.memory": "8Gi"},
    {"spec.resources.sharedMemory": "24Gi"},
    {"spec.resources.sharedMemory": "25.5Gi"},
    {"spec.resources.memory": 8589934592},
    {"spec.resources.memory": "1G", "spec.resources.sharedMemory": "1Gi"},
)
_rule(
    "spec.resources",
    "memory must be at least 64Mi; a number without a unit counts bytes",
    ".memory",
    {"spec.resources.memory": 24, "spec.resources.sharedMemory": 8},
    {"spec.resources.memory": "24Ki"},
    {"spec.resources.memory": "24"},
)
_rule(
    "spec.resources",
    "sharedMemory must be at least 16Mi; a number without a unit counts bytes",
    ".sharedMemory",
    {"spec.resources.sharedMemory": 8},
    {"spec.resources.sharedMemory": "8M"},
)

# A data set that is stated, or made of raw data.
_prepare = {"spec.dataset.prepare": {"nuscenes": {"version": "v1.0-mini"}}}
_made = {"spec.dataset.train": ABSENT, "spec.dataset.validation": ABSENT, **_prepare}
for _member in ("train", "validation"):
    _rule(
        "spec.dataset",
        f"{_member}: state either it or prepare, which makes it",
        f".{_member}",
        {f"spec.dataset.{_member}": ABSENT},
        {**_made, f"spec.dataset.{_member}": ...},
    )
_rule(
    "spec.dataset",
    "test: prepare makes the splits: remove the field",
    ".test",
    {**_made, "spec.dataset.test": ...},
)
_rule(
    "spec.dataset",
    "classes: nuScenes is prepared with these: car, truck, bus, trailer, construction_vehicle, pedestrian,"
    " motorcycle, bicycle, traffic_cone, barrier",
    ".classes",
    {**_made, "spec.dataset.classes": ["car", "trcuk"]},
    {**_made, "spec.dataset.classes": ["vehicle.car"]},
)
_rule(
    "spec.dataset.prepare",
    "test: the official splits have no test split with annotations: remove the field",
    ".test",
    {**_made, "spec.dataset.prepare.test": {"expectImages": 1}},
)
_rule(
    "spec.dataset.prepare.nuscenes",
    "version: v1.0-test has no annotations to learn from: say v1.0-trainval",
    ".version",
    {**_made, "spec.dataset.prepare.nuscenes.version": "v1.0-test"},
)

# Durations.

_within("spec.checkpoint", "interval", "1s", "24h", "0s", "24h1s", "0h0m")
_within("spec.resilience", "terminationGracePeriod", "1s", "24h", "0s", "1441m")
_within("spec.resilience", "stallTimeout", "1s", "168h", "0m", "169h")
_within("spec.resilience", "maxDuration", "1s", "8760h", "0h", "8761h")
_within("spec", "ttlAfterFinished", "0s", "8760h", "8760h1s")

# Tolerations, as core/v1 has them.
_where = "spec.scheduling.tolerations[0]"
_rule(
    _where,
    "key: a toleration without a key needs operator Exists",
    ".key",
    {"spec.scheduling.tolerations": [{"value": "x"}]},
    {"spec.scheduling.tolerations": [{}]},
)
_rule(
    _where,
    "value goes with operator Equal only",
    ".value",
    {"spec.scheduling.tolerations": [{"key": "pool", "operator": "Exists", "value": "x"}]},
)
_rule(
    _where,
    "tolerationSeconds goes with effect NoExecute only",
    ".tolerationSeconds",
    {"spec.scheduling.tolerations": [{"key": "pool", "tolerationSeconds": 1}]},
    {"spec.scheduling.tolerations": [{"key": "pool", "tolerationSeconds": 1, "effect": "NoSchedule"}]},
)

# Keys of maps, and names that belong to the operator.
for _where, _length in (
    ("spec.scheduling.nodeSelector", 317),
    ("spec.pod.labels", 317),
    ("spec.pod.annotations", 317),
    ("spec.schedule.phases[0].learningRates", 64),
):
    _before, _value = (_phases, 1e-3) if "phases" in _where else ({}, "x")
    _rule(
        _where,
        f"keys must have 1 to {_length} characters",
        "",
        _before | {_where: {"": _value}},
        _before | {_where: {"k" * (_length + 1): _value}},
    )
_rule(
    "spec.pod",
    _OPERATORS.format("env", "names that begin with VISTRAIN_"),
    ".env",
    {"spec.pod.env": [{"name": "A"}, {"name": "VISTRAIN_ATTEMPT", "value": "1"}]},
)
for _member in ("labels", "annotations"):
    _rule(
        "spec.pod",
        _OPERATORS.format(_member, "keys under vistrain.dev/"),
        f".{_member}",
        {f"spec.pod.{_member}": {"vistrain.dev/run": "x"}},
    )
for _where, _member in (
    ("spec.scheduling", "nodeSelector"),
    ("spec.pod", "labels"),
    ("spec.pod", "annotations"),
):
    _rule(
        _where,
        f"{_member}: a key is a name of at most 63 letters, digits, '-', '_' and '.', such as 'team',"
        " or one after a DNS name and '/', such as 'example.com/team'",
        f".{_member}",
        *(
            {f"{_where}.{_member}": {key: "x"}}
            for key in (
                "has space",
                "-team",
                "team\n",
                "Example.com/team",
                "a..b/team",
                "a/b/c",
                "/team",
                "example.com/",
                "k" * 64,
                "d" * 254 + "/k",
            )
        ),
    )
