"""Raw nuScenes on a volume: prepared once, by a Job without a slice, for every run that asks for it."""

import json

import pytest

from support.site import make_data

pytestmark = pytest.mark.cluster

RELEASE = ["--format", "nuscenes", "--version", "v1.0-mini", "--scenes", "4", "--samples", "8"]
RELEASE += ["--cameras", "CAM_FRONT", "--image-size", "96x160", "--sensors", "cameras"]
RAW = {
    "volume": {"claimName": "driving-world", "subPath": "raw"},
    "train": None,
    "validation": None,
    "prepare": {"nuscenes": {"version": "v1.0-mini"}},
}


@pytest.fixture(scope="module")
def release():
    """A release in the data volume."""
    from support.site import site

    make_data(site(), "make-release", ["prepare", "synthetic", "--out", "/data/raw", *RELEASE])


def test_two_runs_share_one_preparation_and_train_on_what_it_made(runs, release):
    first = runs.new("raw-first", dataset=RAW).apply()
    second = runs.new("raw-second", dataset=RAW, schedule={"seed": 1}).apply()
    for run in (first, second):
        run.becomes("Succeeded", seconds=400)
    records = [run.status()["preparation"] for run in (first, second)]
    assert records[0]["passedAt"]
    assert records[0]["jobUID"] == records[1]["jobUID"], "they waited for the same Job"
    name, digest = records[0]["job"], records[0]["digest"]
    [job] = [j for j in first.kubectl.get("jobs")["items"] if j["metadata"]["name"] == name]
    assert "nvidia.com/" not in json.dumps(job["spec"])
    made = [e for e in first.kubectl.get("events")["items"] if e["involvedObject"]["name"] == name]
    assert [e["reason"] for e in made].count("SuccessfulCreate") == 1, "one pod"
    folder = runs.checkpoint_folder() / "prepared" / digest[:10]
    made = json.loads((folder / "coco" / "manifest.json").read_text())
    assert "train: " + str(made["splits"]["train"]["counts"]["images"]) in records[0]["message"]
    used = [json.loads((runs.folder(run) / "identity.json").read_text()) for run in (first, second)]
    assert used[0]["task"]["data"] == used[1]["task"]["data"]
    assert not list(folder.parent.glob(".*.partial"))
    for run in (first, second):
        assert "Prepared" in run.said()
        assert run.status().get("disruptions", 0) == run.status().get("failures", 0) == 0


def test_a_release_that_lacks_a_table_is_refused_before_a_slice_is_asked_for(runs, release):
    raw = runs.site.volume_folder("driving-world") / "raw"
    broken = raw.with_name("raw-broken")
    (broken / "v1.0-mini").mkdir(parents=True, exist_ok=True)
    for table in (raw / "v1.0-mini").glob("*.json"):
        if table.stem != "sample_annotation":
            (broken / "v1.0-mini" / table.name).write_bytes(table.read_bytes())
    dataset = {**RAW, "volume": {"claimName": "driving-world", "subPath": "raw-broken"}}
    run = runs.new("raw-broken", dataset=dataset).apply()
    status = run.becomes("Failed", seconds=120)
    assert (status["preparation"]["class"], status["preparation"]["exitCode"]) == ("BadInput", 64)
    assert "sample_annotation" in run.condition("Failed")["message"]
    assert run.preflight_jobs() == run.jobs() == []


def test_the_preparation_of_a_run_that_is_deleted_is_made_again_by_the_other(runs, release):
    dataset = {
        **RAW,
        "prepare": {"nuscenes": {"version": "v1.0-mini", "sweeps": False, "visibility": [2, 3, 4]}},
    }
    first = runs.new("raw-deleted", dataset=dataset).apply()
    job = runs.wait("its Job", lambda: first.status().get("preparation", {}).get("job"))
    second = runs.new("raw-left", dataset=dataset).apply()
    runs.wait("the other to share it", lambda: second.status().get("preparation", {}).get("job") == job)
    first.delete()
    status = second.becomes("Succeeded", seconds=400)
    assert status["preparation"]["passedAt"]
    assert status["preparation"]["failures"] == 0
