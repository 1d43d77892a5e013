"""The places of a worker: its GPUs, and the cores of the machine or of its job."""

from __future__ import annotations

import os

import pytest

from xpm_alchem.launchers.workers.worker_slots import worker_slots

CORES = tuple(range(16))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(CORES))


def test_slots_share_out_the_cores_of_a_machine():
    (slot,) = worker_slots(environment={})
    assert (slot.cores, slot.threads) == (CORES, 16)
    assert [slot.cores for slot in worker_slots(slots=2, environment={})] == [CORES[:8], CORES[8:]]


@pytest.mark.parametrize(
    "environment",
    [
        {"SGE_TASK_ID": "undefined", "NSLOTS": "4"},
        {"PBS_JOBID": "1.pbs", "NCPUS": "4"},
        {"PBS_JOBID": "1.torque", "PBS_NUM_PPN": "4"},
        {"LSB_JOBID": "1", "LSB_DJOB_NUMPROC": "4"},
        {"SLURM_JOB_ID": "1", "SLURM_CPUS_ON_NODE": "4"},
    ],
)
def test_a_job_of_a_few_cores_of_a_node_starts_so_many_threads_and_binds_to_none(environment):
    (slot,) = worker_slots(environment=environment)
    assert (slot.cores, slot.threads) == ((), 4)
    slots = worker_slots(slots=3, environment={**environment, "CUDA_VISIBLE_DEVICES": "0,1,2"})
    assert [(slot.cores, slot.threads, len(slot.devices)) for slot in slots] == [((), 1, 1)] * 3


@pytest.mark.parametrize("environment", [{"SGE_TASK_ID": "1", "NSLOTS": "16"}, {"NCPUS": "4"}, {"SGE_TASK_ID": "1"}])
def test_a_whole_node_is_shared_out(environment):
    (slot,) = worker_slots(environment=environment)
    assert (slot.cores, slot.threads) == (CORES, 16)
