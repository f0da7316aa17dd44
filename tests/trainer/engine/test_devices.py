"""The device for a manifest: never the CPU in a GPU's place, unless that was said."""

from __future__ import annotations

import pytest
import torch

from vistrain_api.protocol import ENV_STANDIN_DEVICE
from vistrain_api.resources import Accelerator, CpuOnly, Gpu, Mig, Resources
from vistrain_trainer.engine.devices import Environment, find_machine
from vistrain_trainer.errors import BadInput, DeviceFault

MIG = Accelerator(mig=Mig(profile="1g.20gb"))


@pytest.fixture(autouse=True)
def no_accelerator(monkeypatch):
    """As on a machine without one, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.delenv(ENV_STANDIN_DEVICE, raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def resources(accelerator=MIG, cpu: int | str = 1) -> Resources:
    return Resources(accelerator=accelerator, cpu=cpu, memory="4Gi", shared_memory="1Gi")


@pytest.mark.parametrize("accelerator", [MIG, Accelerator(gpu=Gpu())])
def test_a_slice_without_cuda_in_a_pod_is_a_device_fault(accelerator):
    with pytest.raises(DeviceFault, match="nothing is trained on the CPU"):
        find_machine(resources(accelerator), "auto", in_pod=True)


def test_the_device_plugin_may_permit_the_cpu(monkeypatch):
    monkeypatch.setenv(ENV_STANDIN_DEVICE, "cpu")
    machine = find_machine(resources(), "auto", in_pod=True)
    assert machine.device.type == "cpu"
    assert "stand-in" in machine.notes[0]


def test_outside_a_pod_the_cpu_takes_its_place_and_says_so():
    machine = find_machine(resources(), "auto", in_pod=False)
    assert machine.device.type == "cpu"
    assert "no CUDA device is here" in machine.notes[0]


def test_an_explicit_device_is_taken_without_a_note():
    machine = find_machine(resources(), "cpu", in_pod=False)
    assert (machine.device.type, machine.notes) == ("cpu", ())


@pytest.mark.parametrize("asked", ["cuda", "mps", "tpu"])
def test_an_explicit_device_that_is_not_here_is_bad_input(asked):
    with pytest.raises(BadInput, match=f"--device: {asked}"):
        find_machine(resources(), asked, in_pod=False)


@pytest.mark.parametrize(("cpu", "threads"), [(2, 2), ("1500m", 1), ("2.5", 2), ("500m", 1)])
def test_threads_follow_the_stated_cores(cpu, threads):
    machine = find_machine(resources(Accelerator(cpu=CpuOnly()), cpu), "auto", in_pod=True)
    assert machine.threads == threads == torch.get_num_threads()


def test_an_environment_names_what_differs():
    machine = find_machine(resources(), "cpu", in_pod=False)
    here = Environment.of(machine, "image@sha256:1")
    before = {**here.__dict__, "threads": 7, "cpu_capability": "AVX2"}
    assert here.differences(here.__dict__) == []
    assert here.differences(before) == [
        f"cpu_capability {here.cpu_capability}, before AVX2",
        f"threads {here.threads}, before 7",
    ]
