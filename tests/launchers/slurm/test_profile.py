"""What a job asks for: every key is checked, the batch script is what is written here, growth has its bounds."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_alchem.base import safe_yaml
from xpm_alchem.base.errors import CampaignError
from xpm_alchem.execution.demand import Demand
from xpm_alchem.launchers.choose import choose_launcher
from xpm_alchem.launchers.slurm.launcher import SlurmLauncher
from xpm_alchem.launchers.slurm.profile import SlurmProfile
from xpm_alchem.launchers.slurm.profile_keys import CHECKS

WHERE = "settings.yaml: xpm_alchem.launchers.gpu"
BATCH = Path("/ws/slurm/b1")
FULL = {
    "kind": "slurm",
    "partition": "gpu",
    "account": "chem",
    "qos": "high",
    "time": "1-12",
    "max_time": "3d",
    "cpus": 8,
    "mem": "16G",
    "max_mem": "64G",
    "gpus": "a100:1",
    "gres": "shard:4",
    "constraint": "a100&ib",
    "exclude": "n[3-5],n9",
    "reservation": "maintenance",
    "modules": ["cuda/12.4", "openmm 8"],
    "prologue": "ulimit -c 0\nsource ~/env.sh\n",
    "sbatch": ["#SBATCH --mail-type=FAIL", "--nice=100"],
    "env": {"SCRATCH_DIR": "/fast disk/x", "A_NOTE": "it's $5"},
    "slots": 50,
    "margin": "5min",
    "price": {"gpu_hour": 2.5, "unit": "EUR"},
}


def parse(**given) -> SlurmProfile:
    return SlurmProfile.parse(given, WHERE)


def refusal(**given) -> str:
    """Return why a profile is refused."""
    with pytest.raises(CampaignError) as caught:
        parse(**given)
    return str(caught.value)


def script(profile: SlurmProfile, jobs: int | None = 3, directory: Path = BATCH) -> str:
    return profile.script(name="demo-1", directory=directory, jobs=jobs)


def bash_accepts(text: str) -> bool:
    return subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True).returncode == 0


def environment(text: str, **given: str) -> dict[str, str]:
    """Return the environment that a script hands to the attempt: really run, but for the last line."""
    *lines, command = text.splitlines()
    assert command.startswith("exec ")
    given = {"PATH": "/usr/bin:/bin", **given}
    done = subprocess.run(["bash"], input="\n".join([*lines, "exec env -0"]), env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(item.split("=", 1) for item in done.stdout.split("\0") if item)


# ------------------------------------------------------------------------------------------------------ frozen scripts
def early(number: str) -> str:
    file = f"/ws/slurm/b1/ended/{number}"
    lines = [f'ended_early() {{ echo "$1" > {file}.tmp && mv {file}.tmp {file}; }}', "trap 'ended_early $?' EXIT"]
    return "\n".join([*lines, "trap 'exit 143' TERM", "shopt -s execfail"])


EMPTY_SCRIPT = f"""\
#!/bin/bash
#SBATCH --job-name=demo-1
#SBATCH --output=/ws/slurm/b1/0.log
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --signal=B:USR1@120

trap '' USR1  # SLURM's warning is for the attempt; it must not kill what comes before it
{early("0")}
export OMP_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
export MKL_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
export OPENBLAS_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
export OPENMM_CPU_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
exec {sys.executable} -P -m xpm_alchem.launchers.slurm.job /ws/slurm/b1 || exit $?
"""

FULL_SCRIPT = f"""\
#!/bin/bash
#SBATCH --job-name=demo-1
#SBATCH --output=/ws/slurm/b1/%a.log
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --array=0-2
#SBATCH --signal=B:USR1@300
#SBATCH --partition=gpu
#SBATCH --account=chem
#SBATCH --qos=high
#SBATCH --time=1-12:00:00
#SBATCH --cpus-per-task=8
#SBATCH --mem=16384M
#SBATCH --gpus=a100:1
#SBATCH --gres=shard:4
#SBATCH --constraint="a100&ib"
#SBATCH --exclude=n[3-5],n9
#SBATCH --reservation=maintenance
#SBATCH --mail-type=FAIL
#SBATCH --nice=100

trap '' USR1  # SLURM's warning is for the attempt; it must not kill what comes before it
{early("$SLURM_ARRAY_TASK_ID")}
module load cuda/12.4
module load 'openmm 8'
ulimit -c 0
source ~/env.sh
export OMP_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
export MKL_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
export OPENBLAS_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
export OPENMM_CPU_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
export A_NOTE='it'"'"'s $5'
export SCRATCH_DIR='/fast disk/x'
exec {sys.executable} -P -m xpm_alchem.launchers.slurm.job /ws/slurm/b1 || exit $?
"""

PACKED_SCRIPT = f"""\
#!/bin/bash
#SBATCH --job-name=demo-1
#SBATCH --output=/ws/slurm/b1/%a.log
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --array=0-0
#SBATCH --signal=B:USR1@120
#SBATCH --time=08:00:00
#SBATCH --cpus-per-task=7

trap '' USR1  # SLURM's warning is for the attempt; it must not kill what comes before it
export OMP_NUM_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 1) / 2 ))
export MKL_NUM_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 1) / 2 ))
export OPENBLAS_NUM_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 1) / 2 ))
export OPENMM_CPU_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 1) / 2 ))
exec {sys.executable} -P -m xpm_alchem.launchers.slurm.job /ws/slurm/b1 || exit $?
"""
PACKED = {"time": "8h", "cpus": 7, "tasks_per_job": 10, "side_by_side": 2}


def test_the_script_of_an_empty_profile_as_a_plain_job():
    assert script(parse(), jobs=None) == EMPTY_SCRIPT


def test_the_script_of_a_full_profile_as_an_array():
    assert script(parse(**FULL)) == FULL_SCRIPT


def test_the_script_of_a_profile_that_packs_tasks_side_by_side():
    assert script(parse(**PACKED), jobs=1) == PACKED_SCRIPT


@pytest.mark.parametrize("given", [{}, FULL, PACKED, {**FULL, "env": {"X": "a'b\"c\n$(d) `e` \\ ; &"}}])
@pytest.mark.parametrize("jobs", [None, 1, 1000])
def test_bash_accepts_every_script(given, jobs):
    assert bash_accepts(script(parse(**given), jobs))


def test_bash_refuses_what_it_refuses():
    assert not bash_accepts("if true; then\n")


@pytest.mark.parametrize("jobs", [None, 3])
def test_a_workspace_with_a_space_in_its_path_is_one_word_for_sbatch_and_for_bash(jobs):
    lines = script(parse(), jobs, Path("/my work/slurm/b1")).splitlines()
    (output,) = [line for line in lines if "--output" in line]
    log = "%a.log" if jobs else "0.log"
    assert shlex.split(output, comments=False)[1:] == [f"--output=/my work/slurm/b1/{log}"]
    assert shlex.split(lines[-1])[-4] == "/my work/slurm/b1"


@pytest.mark.parametrize(("key", "value"), [("account", "chem#1"), ("constraint", "[a|b]*2")])
def test_a_value_with_a_sign_that_means_something_to_sbatch_or_bash_is_quoted(key, value):
    """In a #SBATCH line an unquoted '#' begins a comment: SLURM 22.05 would take the account 'chem'."""
    assert f'#SBATCH --{key}="{value}"' in script(parse(**{key: value})).splitlines()


@pytest.mark.parametrize("value", ["x", "", " a  b ", 'it\'s "so"', "$HOME `id` $(id) \\ ; & #", "a\nb", "ü"])
def test_the_environment_reaches_the_attempt_as_it_was_given(value):
    assert environment(script(parse(env={"GIVEN": value})))["GIVEN"] == value


def test_numbers_in_the_environment_are_written_as_they_stand():
    assert parse(env={"A": 1, "B": 0.5}).env == (("A", "1"), ("B", "0.5"))


@pytest.mark.parametrize(
    ("given", "cores", "threads"),
    [({}, None, "1"), ({}, "8", "8"), (PACKED, "7", "4"), (PACKED, "8", "4"), (PACKED, None, "1"), (PACKED, "1", "1")],
)
def test_tasks_side_by_side_share_the_cores(given, cores, threads):
    found = environment(script(parse(**given)), **({} if cores is None else {"SLURM_CPUS_PER_TASK": cores}))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENMM_CPU_THREADS")
    assert [found[name] for name in names] == [threads] * 4


def test_a_thread_number_of_the_user_s_own_counts():
    assert environment(script(parse(env={"OMP_NUM_THREADS": 3})), SLURM_CPUS_PER_TASK="8")["OMP_NUM_THREADS"] == "3"


def test_modules_are_loaded_before_the_prologue_runs(tmp_path):
    (tmp_path / "functions.sh").write_text('module() { export LOADED="$LOADED<$2>"; }\n')
    text = script(parse(modules=["cuda/12.4", "open mm"], prologue=["export SEEN=$LOADED"]))
    assert environment(text, BASH_ENV=str(tmp_path / "functions.sh"))["SEEN"] == "<cuda/12.4><open mm>"


def test_the_script_runs_the_program_that_works_on_a_batch(tmp_path):
    profile = parse(prologue="cd /")
    done = subprocess.run(["bash"], input=script(profile, directory=tmp_path / "gone"), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path / 'gone'}: no such batch\n")


# ----------------------------------------------------------------------------------------------------------- the keys
@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("partion", "partition"),
        ("acount", "account"),
        ("cpu", "cpus"),
        ("gpu", "gpus"),
        ("memory", "mem"),
        ("module", "modules"),
        ("max-time", "max_time"),
        ("sidebyside", "side_by_side"),
        ("task_per_job", "tasks_per_job"),
        ("enviroment", "env"),
    ],
)
def test_a_misspelt_key_is_refused_and_the_right_one_named(key, meant):
    if meant in ("mem", "env"):  # too far away to guess: all of them are named
        assert refusal(**{key: "x"}).startswith(f"{WHERE}: unknown key '{key}'; ")
        assert meant in refusal(**{key: "x"})
    else:
        assert refusal(**{key: "x"}) == f"{WHERE}: unknown key '{key}'; did you mean '{meant}'?"


WRONG = {
    "partition": [True, 1.5, "", "  ", ["gpu"], {"name": "gpu"}],
    "account": [False, ["a"]],
    "qos": [["a"]],
    "time": [
        60,
        60.0,
        "60",
        " 90 ",
        "60.5",
        True,
        "soon",
        "0s",
        "12:30",
        "1-",
        "-1h",
        ["8h"],
        {},
        "9" * 400 + "h",
        "9" * 400 + "-0",
    ],
    "max_time": [60, "60", "eternity"],
    "cpus": [0, -1, 1.0, "4", True, [1]],
    "mem": [0, -5, "0", "16X", "much", "-1G", "16 Gi", True, [16], "0.1K", "1e3", 10**400],
    "max_mem": [0, "a lot"],
    "gpus": [True, 0.5, [1]],
    "gres": [{"gpu": 1}],
    "constraint": [["a", "b"]],
    "exclude": [["n1"]],
    "reservation": [True],
    "modules": [5, True, {"cuda": "12"}, [1], ["a\nmodule purge"]],
    "prologue": [5, [["a"]], ["a\nb"]],
    "sbatch": [5, {"mail-type": "FAIL"}, [True], ["mail-type=FAIL"]],
    "env": ["A=1", ["A=1"], 5, {"1A": "x"}, {"A-B": "x"}, {"A B": "x"}, {"": "x"}, {"A=B": "x"}, {"A;id": "x"}],
    "slots": [0, "10", 2.5, True],
    "margin": [-1, "soon", True, [5]],
    "tasks_per_job": [0, "2", True],
    "side_by_side": [0, 1.5, True],
    "tasks_per_gpu": [0, 0.5, True, "2"],
    "nodes": [0, "2", True],
    "mps": [1, "yes"],
    "exclusive": [0, "user"],
    "platform": ["GPU", 5, True, ["CUDA"]],
    "container": ["x.sif", 5, ["x.sif"], {}, {"image": "x", "runtime": "rkt"}],
    "price": [
        "cheap",
        -1,
        True,
        float("nan"),
        [1],
        {"core_hour": "1"},
        {"job_hour": -1},
        {"gpu_hour": 1},
        {"unit": "EUR"},
    ],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_a_value_of_the_wrong_kind_is_refused_with_its_place(key, value):
    assert refusal(**{key: value}).startswith(f"{WHERE}.{key}")


@pytest.mark.parametrize("value", [None, ["a"], {"a": "b"}])
def test_the_value_of_an_environment_variable_is_a_text_or_a_number(value):
    assert refusal(env={"A": value}).startswith(f"{WHERE}.env")


def test_every_key_has_wrong_values_here():
    assert {*WRONG} == {*CHECKS}


@pytest.mark.parametrize("key", WRONG)
def test_a_key_that_is_left_empty_is_as_if_it_were_not_there(key):
    assert parse(**{key: None}) == parse() == SlurmProfile()


@pytest.mark.parametrize("key", ["partition", "account", "qos", "gpus", "gres", "constraint", "exclude", "reservation"])
@pytest.mark.parametrize("value", ["a\nb", "a\n#SBATCH --array=0-9", 'a"b', "a'b", "a\tb", "a\rb", "a\0b"])
def test_line_breaks_and_quotation_marks_are_refused(key, value):
    """A ' is fatal for sbatch as well: "Unmatched `'` in [--account=o'neil]"."""
    assert "one line without quotation marks" in refusal(**{key: value})


def test_texts_are_stripped_and_whole_numbers_are_texts_too():
    profile = parse(partition=" gpu ", gpus=2, account=123)
    assert (profile.partition, profile.gpus, profile.account) == ("gpu", "2", "123")


# --------------------------------------------------------------------------------------------------------- time, memory
@pytest.mark.parametrize(
    ("value", "seconds", "written"),
    [
        ("30min", 1800, "00:30:00"),
        ("8h", 28800, "08:00:00"),
        ("08:00:00", 28800, "08:00:00"),
        ("36:00:00", 129600, "1-12:00:00"),
        ("1-12", 129600, "1-12:00:00"),
        ("1-12:30", 131400, "1-12:30:00"),
        ("1-12:30:20", 131420, "1-12:31:00"),
        ("0-01:00:00", 3600, "01:00:00"),
        ("1.5h", 5400, "01:30:00"),
        ("301s", 301, "00:06:00"),
        (" 2 days ", 172800, "2-00:00:00"),
    ],
)
def test_times_are_read_as_sbatch_reads_them_or_with_a_unit(value, seconds, written):
    profile = parse(time=value)
    assert profile.time == seconds
    assert f"#SBATCH --time={written}" in script(profile)


@pytest.mark.parametrize("value", [60, 60.0, "60", "060", "60.0"])
def test_a_time_without_a_unit_is_refused_because_sbatch_would_take_minutes(value):
    message = refusal(time=value)
    assert message.startswith(f"{WHERE}.time: {value!r} has no unit, and sbatch would take it for minutes.")
    assert "'1-12'" in message


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12:30:00", 45000), ("'12:30:00'", 45000), ("08:00:00", 28800), ("1-12", 129600), ("2h", 7200)],
)
def test_a_time_in_a_yaml_file_needs_no_quotation_marks(text, seconds):
    """YAML 1.1 would read 12:30:00 as the number 45000."""
    assert SlurmProfile.parse(safe_yaml.load(f"kind: slurm\ntime: {text}\n"), WHERE).time == seconds


def test_numbers_and_other_values_in_a_yaml_file_are_what_they_were():
    text = "[1, -1, 1.5, -1.5, 1.5e3, .inf, 1_000, 0x10, true, null, '1', 10:20, 1:2:3.5, 2026-11-22]"
    *values, date = safe_yaml.load(text)
    assert values == [1, -1, 1.5, -1.5, 1500.0, float("inf"), 1000, 16, True, None, "1", "10:20", "1:2:3.5"]
    assert (date.year, date.month, date.day) == (2026, 11, 22)


@pytest.mark.parametrize(
    ("value", "megabytes"),
    [
        (4000, 4000),
        ("4000", 4000),
        ("4000M", 4000),
        ("4000MB", 4000),
        ("16G", 16384),
        ("16g", 16384),
        (" 16 GB ", 16384),
        ("1.5G", 1536),
        ("1T", 1048576),
        ("2048K", 2),
        ("1500K", 2),
        (1.5, 2),
    ],
)
def test_memory_is_in_megabytes_or_with_a_unit(value, megabytes):
    profile = parse(mem=value)
    assert profile.mem == megabytes
    assert f"#SBATCH --mem={megabytes}M" in script(profile)


def test_the_time_must_be_longer_than_the_margin():
    assert "time (120 s) must be longer than margin (120 s)" in refusal(time="2min")
    assert "must be longer than margin" in refusal(time="1h", margin="1h")
    assert parse(time="121s").time == 121
    assert parse(time="1h", margin="59min").margin == 3540
    assert parse(time="60s", margin=0).time == 60


@pytest.mark.parametrize(("key", "low", "high"), [("time", "1h", "2h"), ("mem", "1G", "2G")])
def test_a_largest_value_needs_a_value_and_is_not_smaller(key, low, high):
    assert refusal(**{f"max_{key}": high}).startswith(f"{WHERE}.max_{key}: needs '{key}'")
    assert refusal(**{key: high, f"max_{key}": low}).startswith(f"{WHERE}.max_{key}: needs '{key}'")
    for largest in (low, high):
        parse(**{key: low, f"max_{key}": largest})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gpus": 4, "side_by_side": 3, "tasks_per_job": 3}, "4 GPUs for 3 tasks at once: they do not divide"),
        ({"gres": "gpu:a100:4", "side_by_side": 6, "tasks_per_job": 6}, "4 GPUs for 6 tasks at once: they do not"),
        (
            {"gpus": 2, "tasks_per_gpu": 2, "side_by_side": 2, "tasks_per_job": 2},
            "2 GPUs for 2 tasks at once, and tasks_per_gpu: 2: that is for 4",
        ),
        ({"tasks_per_gpu": 2}, ".tasks_per_gpu: needs 'gpus'"),
        ({"gpus": 1, "mps": True}, ".mps: is for several tasks on one GPU"),
        ({"nodes": 2}, ".nodes: 1 task(s) at once (side_by_side) do not divide by 2 nodes"),
        (
            {"nodes": 2, "gpus": 3, "side_by_side": 2, "tasks_per_job": 2},
            ".nodes: 3 GPU(s) do not divide by 2 nodes; 'gpus' are those of the whole job",
        ),
    ],
)
def test_what_does_not_divide_is_refused(given, said):
    assert said in refusal(**given)


@pytest.mark.parametrize(
    ("given", "side_by_side", "tasks_per_gpu", "tasks_per_job", "cost"),
    [
        ({"gpus": 4, "side_by_side": 4, "tasks_per_job": 9}, 4, 1, 9, 1.0),
        ({"gpus": 4, "side_by_side": 2, "tasks_per_job": 2}, 2, 1, 2, 2.0),
        ({"gpus": 1, "side_by_side": 4, "tasks_per_job": 4}, 4, 4, 4, 0.25),  # as in version 0.1
        ({"gpus": 2, "tasks_per_gpu": 3}, 6, 3, 6, 1 / 3),
        ({"gpus": 2, "tasks_per_gpu": 3, "mps": True, "tasks_per_job": 20}, 6, 3, 20, 1 / 3),
        ({"gres": "gpu:4", "nodes": 2, "tasks_per_gpu": 1}, 8, 1, 8, 1.0),
        ({"gpus": 8, "nodes": 2, "side_by_side": 8, "tasks_per_job": 8}, 8, 1, 8, 1.0),
    ],
)
def test_a_job_has_a_place_for_each_task_that_its_gpus_are_for(given, side_by_side, tasks_per_gpu, tasks_per_job, cost):
    profile = parse(**given)
    found = (profile.side_by_side, profile.tasks_per_gpu, profile.tasks_per_job)
    assert found == (side_by_side, tasks_per_gpu, tasks_per_job)
    assert (profile.cost_per_hour, profile.cost_unit) == (pytest.approx(cost), "gpu-h")


def test_the_cores_of_all_nodes_are_paid():
    price = {"core_hour": 0.5, "unit": "EUR"}
    profile = parse(nodes=3, cpus=4, side_by_side=6, tasks_per_job=6, price=price)
    assert profile.cost_per_hour == pytest.approx(3 * 4 * 0.5 / 6)


SEVERAL_NODES = {"nodes": 2, "gpus": 8, "side_by_side": 8, "tasks_per_job": 8, "cpus": 16, "exclusive": True}
SEVERAL_NODES_SCRIPT = f"""\
#!/bin/bash
#SBATCH --job-name=demo-1
#SBATCH --output=/ws/slurm/b1/%a.log
#SBATCH --open-mode=append
#SBATCH --no-requeue
#SBATCH --array=0-1
#SBATCH --signal=USR1@120
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus=8
#SBATCH --exclusive

trap '' USR1  # SLURM's warning is for the attempt; it must not kill what comes before it
export OMP_NUM_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 3) / 4 ))
export MKL_NUM_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 3) / 4 ))
export OPENBLAS_NUM_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 3) / 4 ))
export OPENMM_CPU_THREADS=$(( (${{SLURM_CPUS_PER_TASK:-1}} + 3) / 4 ))
exec srun --ntasks=2 --cpus-per-task=${{SLURM_CPUS_PER_TASK:-1}} --kill-on-bad-exit=0 \
{sys.executable} -P -m xpm_alchem.launchers.slurm.job /ws/slurm/b1 || exit $?
"""


def test_a_job_on_several_nodes_starts_a_worker_on_each():
    script = parse(**SEVERAL_NODES).script(name="demo-1", directory=Path("/ws/slurm/b1"), jobs=2, campaign="demo")
    assert script == SEVERAL_NODES_SCRIPT.replace("\\\n", "")


def test_no_more_tasks_side_by_side_than_a_job_takes_on():
    assert refusal(side_by_side=2).startswith(f"{WHERE}.side_by_side: 2 is more than tasks_per_job")
    assert parse(side_by_side=2, tasks_per_job=2).side_by_side == 2


# -------------------------------------------------------------------------------------------------- sbatch's own lines
RESERVED = [
    "--array=0-9",
    "--array 0-9",
    "-a 0-9",
    "-a0-9",
    "--job-name=x",
    "-J x",
    "-Jx",
    "--output=x",
    "--output x",
    "-o x",
    "-ox",
    "--error=x",
    "-e x",
    "--requeue",
    "--no-requeue",
    "--signal=USR2@10",
    "#SBATCH --array=0-9",
    "--arr=0-9",  # getopt takes any beginning that is clear
    "--outp=x",
    "--ar=0-3",
    "--a 0-3",
    "--j=x",
    "--ti=5",
    "--no-r",
    "--sig=USR1",
    "-Qa0-3",  # short options in one word
    "-HQJx",
    "-vvW",
    "-sot.out",
    "--nice=1 '--array'=0-3",  # sbatch undoes quotation marks
    '--"arr"ay=0-3',
    "--ar\\ray=0-3",
    "--clusters=other",
    "--clust other",
    "--cluster=other",
    "-M other",
    "-Mother",
    "-OM other",
    "--mail-type=FAIL -M other",
    "--test-only",
    "--mail-type=FAIL --array=0-9",
]


@pytest.mark.parametrize("option", RESERVED)
def test_an_option_on_which_the_bookkeeping_rests_is_refused(option):
    message = refusal(sbatch=["--nice=5", option])
    assert message.startswith(f"{WHERE}.sbatch: ") and "set by xpm-alchem itself" in message


OTHERS = ["--mail-type=FAIL", "--mail-user a@b.c", "-A chem", "--export=ALL", "--exclusive", "--nodes=1", "--tmp=5G"]
OTHERS += ["-QAchem", "-Ateam_JaMeo", "-wnodea", "--comment='-a is --array'", "--mem-bind=local", "-koff", "--ntasks 1"]
OTHERS += ["--time-min=5", "--wait-all-nodes=1", "--reservation=a", "-Hv --nice"]


@pytest.mark.parametrize("option", OTHERS)
def test_other_options_stand_in_the_script_as_they_were_given(option):
    assert f"#SBATCH {option}" in script(parse(sbatch=[option])).splitlines()


def test_lines_may_be_a_list_or_a_text_and_empty_ones_are_left_out():
    listed = parse(sbatch=["--nice=5", "  ", "--hold"], prologue=["a", "", "b"], modules=["m"])
    text = parse(sbatch="#SBATCH --nice=5\n\n--hold\n", prologue="a\n\nb  \n", modules="m")
    assert listed == text
    assert (listed.sbatch, listed.prologue, listed.modules) == (("--nice=5", "--hold"), ("a", "b"), ("m",))


@pytest.mark.parametrize("prologue", [["#SBATCH --array=0-99", "cd /"], "#SBATCH --mail-type=FAIL\ncd /"])
def test_a_prologue_cannot_hand_options_to_sbatch(prologue):
    """SLURM reads '#SBATCH' lines up to the first command: they belong under 'sbatch', where they are checked."""
    assert refusal(prologue=prologue).startswith(f"{WHERE}.prologue")


# -------------------------------------------------------------------------------------------------------------- growth
HOUR = 3600.0


def grown(demand: Demand, **given) -> SlurmProfile:
    return parse(**given).grown(demand)


def test_without_a_demand_nothing_changes():
    profile = parse(**FULL)
    assert profile.grown(Demand()) == profile


def test_time_grows_up_to_its_bound():
    given = {"time": "1h", "max_time": "3h"}
    assert [grown(Demand(time_factor=f), **given).time for f in (1, 2, 4, 1024)] == [HOUR, 2 * HOUR, 3 * HOUR, 3 * HOUR]


def test_memory_grows_up_to_its_bound():
    given = {"mem": "1G", "max_mem": "3G"}
    assert [grown(Demand(memory_factor=f), **given).mem for f in (1, 2, 4, 1024)] == [1024, 2048, 3072, 3072]


def test_without_a_bound_or_a_value_nothing_grows():
    demand = Demand(time_factor=4, memory_factor=4)
    assert grown(demand, time="1h", mem="1G") == parse(time="1h", mem="1G")
    assert grown(demand) == parse()


def test_time_and_memory_grow_each_by_itself():
    given = {"time": "1h", "max_time": "9h", "mem": "1G", "max_mem": "9G"}
    assert grown(Demand(time_factor=2), **given) == parse(**given | {"time": "2h"})
    assert grown(Demand(memory_factor=2), **given) == parse(**given | {"mem": "2G"})


def test_the_margin_grows_to_twice_what_stopping_took():
    assert grown(Demand(stop_seconds=59.0), time="8h").margin == 120
    assert grown(Demand(stop_seconds=400.0), time="8h").margin == 800
    assert grown(Demand(stop_seconds=400.0)).margin == 800  # the site's default time


def test_the_margin_doubles_where_an_attempt_was_killed_at_its_limit():
    assert grown(Demand(margin_factor=4.0), time="8h").margin == 480
    assert grown(Demand(margin_factor=4.0, stop_seconds=100.0), time="8h").margin == 800


def test_the_margin_leaves_half_of_the_time_but_is_never_less_than_asked_for():
    assert grown(Demand(margin_factor=64.0), time="1h").margin == 1800
    assert grown(Demand(margin_factor=64.0, time_factor=2), time="1h", max_time="2h").margin == 3600
    assert grown(Demand(margin_factor=2.0), time="1h", margin="50min").margin == 3000


@pytest.mark.parametrize("given", [{}, {"time": "20d"}])
def test_the_margin_never_grows_beyond_what_sbatch_takes(given):
    """--signal takes at most 65535 s: "Invalid --signal specification"."""
    assert grown(Demand(stop_seconds=5e4, margin_factor=1024.0), **given).margin <= 65535


def test_avoided_nodes_join_those_that_are_excluded_already():
    assert "#SBATCH --exclude=n1,n2\n" in script(grown(Demand(avoid=("n1", "n2"))))
    assert "#SBATCH --exclude=x[1-3],n1\n" in script(grown(Demand(avoid=("n1",)), exclude="x[1-3]"))
    assert grown(Demand(), exclude="x1").exclude == "x1"
    assert "#SBATCH --exclude=x[1-3],n1" in script(grown(Demand(avoid=("n1",)), exclude="x[1-3]")).splitlines()


POWERS = st.integers(0, 40).map(lambda n: 2.0**n)
DEMANDS = st.builds(
    Demand, POWERS, POWERS, st.lists(st.sampled_from(["n1", "n2"]), max_size=2, unique=True).map(tuple), POWERS, POWERS
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(demand=DEMANDS, minutes=st.integers(3, 2000), times=st.integers(1, 9), mem=st.integers(1, 10**6))
def test_whatever_is_demanded_stays_within_the_bounds(demand, minutes, times, mem):
    profile = parse(time=f"{minutes}min", max_time=f"{minutes * times}min", mem=mem, max_mem=mem * times)
    more = profile.grown(demand)
    assert profile.time <= more.time <= profile.max_time
    assert profile.mem <= more.mem <= profile.max_mem
    assert profile.margin <= more.margin < more.time


# ------------------------------------------------------------------------------------------------------ pool, in words
def test_jobs_share_tasks_only_if_they_ask_for_the_same():
    assert parse(**FULL).pool == parse(**FULL).pool
    assert len({parse(**given).pool for given in ({}, FULL, PACKED, {"mem": 1}, {"env": {"A": "1"}})}) == 5


def test_a_profile_says_what_it_asks_for():
    assert parse().describe() == "SLURM: the default partition, the default time limit; at most 200 tasks in its queue"
    assert parse(**FULL | PACKED).describe() == (
        "SLURM: partition gpu, 08:00:00 each, 7 cores, gpus a100:1, 16384 MB, a job for 10 tasks, 2 at once, "
        "2.5 EUR a gpu hour; at most 50 tasks in its queue"
    )
    assert "gres shard:4" in parse(gres="shard:4").describe()


def test_a_profile_of_settings_yaml_is_found_by_its_name():
    launcher = choose_launcher("gpu", {"gpu": FULL})
    assert isinstance(launcher, SlurmLauncher)
    assert (launcher.profile, launcher.name, launcher.slots) == (parse(**FULL), "gpu", 50)
    assert choose_launcher({"kind": "slurm", "mem": "2G"}, {}).profile == parse(mem="2G")
    assert choose_launcher("slurm", {}).profile == SlurmProfile()
    with pytest.raises(CampaignError, match=r"launchers\.gpu: unknown key 'partion'; did you mean 'partition'"):
        choose_launcher("gpu", {"gpu": {"kind": "slurm", "partion": "x"}})
