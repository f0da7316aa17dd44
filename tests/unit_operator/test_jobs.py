"""The Job of an attempt: what Pod Security, the trainer and the failure policy need of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit_operator.model_cluster import run_object
from vistrain_api import manifest as manifests_api
from vistrain_api import protocol
from vistrain_api.detector import DetectorTraining
from vistrain_operator import jobs, manifests, pods
from vistrain_operator.decide.slices import Placement
from vistrain_operator.volumes import named

WEIGHTS = {"weights": {"volume": {"claimName": "weights"}, "path": "w.pth", "fallbacks": []}}


def parsed(**spec: Any) -> DetectorTraining:
    run = run_object(**spec)
    metadata = {"name": "demo", "namespace": "team", "uid": "abcdef12-3456"}
    return manifests_api.parse({**run, "metadata": metadata})


def built(**spec: Any) -> dict[str, Any]:
    return jobs.job(
        parsed(**spec),
        uid="abcdef12-3456",
        number=3,
        image="registry.example/trainer:1",
        path="runs/demo",
        manifest="demo-abcde-00000000",
        placement=Placement({"nvidia.com/mig-1g.20gb": 1}),
        owner={"uid": "abcdef12-3456", "controller": True},
    )


def built_preflight(**spec: Any) -> dict[str, Any]:
    return jobs.preflight(
        parsed(**spec),
        uid="abcdef12-3456",
        image="registry.example/trainer:1",
        path="runs/demo",
        manifest="demo-abcde-00000000",
        owner={"uid": "abcdef12-3456", "controller": True},
    )


RAW = {
    "volume": {"claimName": "data"},
    "prepare": {"nuscenes": {"version": "v1.0-mini"}},
    "classes": ["car", "truck"],
}


def built_preparation(**spec: Any) -> dict[str, Any]:
    return jobs.preparation(
        parsed(**{"dataset": RAW, **spec}),
        uid="abcdef12-3456",
        name="prepare-0123456789-abcde",
        digest="0123456789abcdef" * 4,
        image="registry.example/trainer:1",
        path="runs/demo",
        manifest="demo-abcde-00000000",
        owner={"uid": "abcdef12-3456", "controller": True},
    )


def container(job: dict[str, Any]) -> dict[str, Any]:
    [found] = job["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_kubernetes_never_retries() -> None:
    spec = built()["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "ttlSecondsAfterFinished" not in spec
    first, second = spec["podFailurePolicy"]["rules"]
    assert (first["action"], first["onPodConditions"][0]["type"]) == ("FailJob", "DisruptionTarget")
    assert second["onExitCodes"] == {"containerName": "trainer", "operator": "NotIn", "values": [0]}


def test_pod_security_restricted() -> None:
    pod = built()["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    security = container(built())["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert {tuple(v) for v in pod["volumes"]} == {
        ("name", "configMap"),
        ("name", "emptyDir"),
        ("name", "persistentVolumeClaim"),
    }


def test_only_the_checkpoint_claim_can_be_written() -> None:
    job = built(initialization=WEIGHTS)
    mounts = {m["mountPath"]: m for m in container(job)["volumeMounts"]}
    assert mounts["/volumes/data"]["readOnly"] is True
    assert mounts["/volumes/weights"]["readOnly"] is True
    assert "readOnly" not in mounts["/checkpoints"]
    volumes = {v["name"]: v for v in job["spec"]["template"]["spec"]["volumes"]}
    claims = {path: volumes[m["name"]].get("persistentVolumeClaim") for path, m in mounts.items()}
    assert claims["/volumes/data"] == {"claimName": "data"}
    assert claims["/checkpoints"] == {"claimName": "checkpoints"}


def test_one_claim_for_data_weights_and_checkpoints_is_one_volume() -> None:
    weights = {"weights": {"volume": {"claimName": "checkpoints"}, "path": "w.pth"}}
    job = built(initialization=weights)
    claims = [v for v in job["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in v]
    assert len(claims) == 2
    paths = {m["mountPath"]: m.get("readOnly") for m in container(job)["volumeMounts"]}
    assert paths["/volumes/checkpoints"] is True
    assert paths["/checkpoints"] is None


def test_the_trainer_is_told_who_it_is() -> None:
    found = container(built(pod={"env": [{"name": "EXTRA", "value": "1"}]}))
    env = {e["name"]: e.get("value", e.get("valueFrom")) for e in found["env"]}
    assert env[protocol.ENV_ATTEMPT] == "3"
    assert env[protocol.ENV_GRACE_SECONDS] == "30"
    assert env[protocol.ENV_POD_UID] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert env["EXTRA"] == "1"
    assert found["args"] == ["run", "-f", protocol.MANIFEST_PATH, "--output", "/checkpoints/runs/demo"]
    assert found["ports"] == [{"name": "metrics", "containerPort": 8080, "protocol": "TCP"}]
    assert found["terminationMessagePath"] == protocol.TERMINATION_LOG


def test_requests_equal_limits_and_hold_the_slice() -> None:
    resources = container(built())["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"] == {"cpu": "4", "memory": "24Gi", "nvidia.com/mig-1g.20gb": "1"}
    volumes = built()["spec"]["template"]["spec"]["volumes"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}} in volumes


def test_a_users_labels_and_tolerations_are_kept_and_ours_win() -> None:
    stated = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    job = built(
        pod={"labels": {"team": "perception"}, "annotations": {"note": "x"}},
        scheduling={"tolerations": [stated], "nodeSelector": {"zone": "a"}, "priorityClassName": "low"},
    )
    template = job["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "perception"
    assert template["metadata"]["labels"][protocol.LABEL_ATTEMPT] == "3"
    assert template["spec"]["nodeSelector"] == {"zone": "a"}
    assert template["spec"]["priorityClassName"] == "low"
    keys = [t["key"] for t in template["spec"]["tolerations"]]
    assert keys == ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"]


@pytest.mark.parametrize("number", [1, 999])
def test_names_fit_a_label(number: int) -> None:
    assert len(jobs.job_name("n" * 50, "abcdef12-3456", number)) <= 63
    assert len(jobs.preflight_name("n" * 50, "abcdef12-3456")) <= 63
    assert jobs.preflight_name("demo", "abcdef12-3456") == "demo-abcde-preflight"


def test_the_preflight_is_an_attempts_pod_without_its_slice() -> None:
    spec = {
        "initialization": WEIGHTS,
        "scheduling": {"nodeSelector": {"zone": "a"}, "priorityClassName": "low"},
        "pod": {"labels": {"team": "perception"}, "imagePullSecrets": [{"name": "registry"}]},
    }
    job, preflight = built(**spec), built_preflight(**spec)
    ours, theirs = preflight["spec"]["template"], job["spec"]["template"]
    assert preflight["spec"] | {"template": None} == job["spec"] | {"template": None}
    [mine], [other] = ours["spec"].pop("containers"), theirs["spec"].pop("containers")
    for same in ("image", "volumeMounts", "securityContext", "terminationMessagePath", "name"):
        assert mine[same] == other[same]
    assert mine["args"] == ["preflight", "-f", protocol.MANIFEST_PATH, "--output", "/checkpoints/runs/demo"]
    assert {e["name"]: e.get("value") for e in mine["env"]}[protocol.ENV_ATTEMPT] == "0"
    assert "ports" not in mine
    assert ours["spec"].pop("terminationGracePeriodSeconds") == 5
    del theirs["spec"]["terminationGracePeriodSeconds"]
    assert ours["spec"] == theirs["spec"]
    labels = ours["metadata"]["labels"]
    assert labels[protocol.LABEL_PREFLIGHT] == "true"
    assert protocol.LABEL_ATTEMPT not in labels
    assert labels["team"] == "perception"


@pytest.mark.parametrize(
    ("resources", "requests", "limits"),
    [
        ({}, {"cpu": "500m", "memory": "512Mi"}, {"cpu": "4", "memory": "24Gi"}),
        (
            {"cpu": "250m", "memory": "256Mi", "sharedMemory": "64Mi"},
            {"cpu": "250m", "memory": "256Mi"},
            {"cpu": "250m", "memory": "256Mi"},
        ),
    ],
)
def test_the_preflight_asks_for_little(
    resources: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    stated = {"accelerator": {"mig": {"profile": "1g.20gb"}}, **resources}
    found = container(built_preflight(resources=stated))["resources"]
    assert found == {"requests": requests, "limits": limits}


def test_the_preparation_reads_the_raw_data_and_writes_to_the_checkpoint_volume() -> None:
    scheduling = {"nodeSelector": {"zone": "a"}, "priorityClassName": "low"}
    job = built_preparation(initialization=WEIGHTS, scheduling=scheduling)
    found, pod = container(job), job["spec"]["template"]["spec"]
    command = ["prepare", "manifest", "-f", protocol.MANIFEST_PATH, "--output", "/checkpoints/runs/demo"]
    assert found["args"] == command
    volumes = {v["name"]: v.get("persistentVolumeClaim") for v in pod["volumes"]}
    mounts = {m["mountPath"]: (volumes[m["name"]], m.get("readOnly")) for m in found["volumeMounts"]}
    claims = {path: found for path, found in mounts.items() if found[0] is not None}
    assert claims == {
        "/volumes/data": ({"claimName": "data"}, True),
        "/checkpoints": ({"claimName": "checkpoints"}, None),
    }
    assert pod["nodeSelector"] == {"zone": "a"}
    assert pod["securityContext"] == built()["spec"]["template"]["spec"]["securityContext"]
    assert job["spec"]["podFailurePolicy"] == built()["spec"]["podFailurePolicy"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600


def test_the_preparation_says_what_it_makes_and_for_whom() -> None:
    job = built_preparation()
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        assert labels[protocol.LABEL_PREPARATION] == "0123456789"
        assert labels[protocol.LABEL_RUN] == "demo"
        assert labels[protocol.LABEL_RUN_UID] == "abcdef12-3456"
        assert protocol.LABEL_ATTEMPT not in labels
    assert {e["name"]: e.get("value") for e in container(job)["env"]}[protocol.ENV_ATTEMPT] == "0"


def test_one_claim_for_raw_data_and_checkpoints_is_one_volume() -> None:
    job = built_preparation(checkpoint={"volume": {"claimName": "data"}})
    pod = job["spec"]["template"]["spec"]
    assert len([v for v in pod["volumes"] if "persistentVolumeClaim" in v]) == 1
    mounts = {m["mountPath"]: m.get("readOnly") for m in container(job)["volumeMounts"]}
    assert (mounts["/volumes/data"], mounts["/checkpoints"]) == (True, None)


@pytest.mark.parametrize(
    ("resources", "requests", "limits"),
    [
        ({}, {"cpu": "1", "memory": "1Gi"}, {"cpu": "4", "memory": "24Gi"}),
        (
            {"cpu": "250m", "memory": "256Mi", "sharedMemory": "64Mi"},
            {"cpu": "250m", "memory": "1Gi"},
            {"cpu": "250m", "memory": "4Gi"},
        ),
    ],
)
def test_the_preparation_has_what_the_whole_of_nuscenes_needs(
    resources: dict[str, Any], requests: dict[str, str], limits: dict[str, str]
) -> None:
    stated = {"accelerator": {"mig": {"profile": "1g.20gb"}}, **resources}
    assert container(built_preparation(resources=stated))["resources"] == {
        "requests": requests,
        "limits": limits,
    }


def test_the_resolved_manifest_is_read_by_the_trainer_as_it_was_meant() -> None:
    run = parsed(schedule={"epochs": 4, "batchSize": 8, "learningRate": {"peak": 5e-05}}, suspend=True)
    resolved = manifests.resolve(run, uid="abcdef12-3456", image="image:1", path="demo-abcdef12")
    body = manifests.config_map(resolved, {"a": "b"}, {"uid": "abcdef12-3456"})
    assert body["immutable"] is True
    text = body["data"]["manifest.yaml"]
    again = manifests_api.parse(manifests_api.read_yaml(text))
    assert again.spec.schedule == run.spec.schedule
    assert again.spec.checkpoint.path == "demo-abcdef12"
    assert again.spec.pod.image == "image:1"
    assert again.spec.suspend is False
    assert json.loads(text)["spec"]["augmentation"]["flip"] == 0.5  # defaults are filled in


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    run = parsed(pod={"env": [{"name": "A", "value": "1e3"}, {"name": "B", "value": "on"}]})
    resolved = manifests.resolve(run, uid="abcdef12-3456", image="i", path="p")
    body = manifests.config_map(resolved, {}, {})
    again = manifests_api.parse(manifests_api.read_yaml(body["data"]["manifest.yaml"]))
    assert [e.value for e in again.spec.pod.env] == ["1e3", "on"]


def test_equal_manifests_have_equal_names() -> None:
    names = {
        manifests.config_map(
            manifests.resolve(parsed(suspend=s), uid="abcdef12", image="i", path="p"), {}, {}
        )["metadata"]["name"]
        for s in (True, False)
    }
    assert len(names) == 1


def test_all_claims_of_a_spec_are_found() -> None:
    run = parsed(initialization=WEIGHTS)
    assert named(run_object(initialization=WEIGHTS)["spec"]) == pods.all_claims(run.spec)
    assert pods.all_claims(run.spec) == ["checkpoints", "data", "weights"]
