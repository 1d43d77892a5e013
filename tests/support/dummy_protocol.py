"""A gufe protocol for tests: setup -> simulate (checkpointed, fails on demand) -> analyse. No chemistry, no waiting."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from xpm_alchem import gufe_seam as seam
from xpm_alchem.base.files import write_json


class DummySettings(seam.SettingsBase):
    n_steps: int = 4
    n_simulations: int = 1
    step_seconds: float = 0.0
    noise: float = 0.3
    script: str = ""  # path of a JSON file {unit name: what it does}, read when the unit runs; see misbehave().
    #                   Or of a directory with one file for each task: misfortunes.py
    checkpoint: bool = True


def _is_still_to_do(script: Path, name: str, times: int) -> bool:
    """Take one of an order's tickets; return False if all are taken, by other tasks too.

    There is no lock: a process that a test freezes would hold it. A script that is written again has new tickets.
    """
    script.with_suffix(".tickets").mkdir(exist_ok=True)
    for number in range(times):
        with suppress(FileExistsError):
            _ticket(script, name, number).touch(exist_ok=False)
            return True
    return False


def _ticket(script: Path, name: str, number: int) -> Path:
    return script.with_suffix(".tickets") / f"{script.stat().st_mtime_ns} {name} {number}"


def times_left(script: Path, name: str) -> int:
    """Return how often what a script says of a unit is still to be done."""
    times = json.loads(script.read_text())[name]["times"]
    return sum(not _ticket(script, name, number).exists() for number in range(times))


def misbehave(script: str, name: str, shared: Path | None = None) -> None:
    """Do what the script says for this unit; `times` says how often (default: always)."""
    if not script or not Path(script).exists():
        return
    orders = json.loads(Path(script).read_text())
    if isinstance(orders, list):
        from misfortunes import meet

        meet(Path(script), name, shared)
        return
    order = orders.get(name)
    if order is None or order.get("on", os.environ.get("SLURMD_NODENAME")) != os.environ.get("SLURMD_NODENAME"):
        return
    if "device" in order and order["device"] != os.environ.get("CUDA_VISIBLE_DEVICES"):
        return
    if "times" in order and not _is_still_to_do(Path(script), name, order["times"]):
        return
    match order["do"]:
        case "raise":
            raise RuntimeError(order.get("message", "simulated failure"))
        case "print":  # a line on each stream
            for stream in (sys.stdout, sys.stderr):
                print(order["text"], file=stream, flush=True)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(0)
        case "sleep":
            time.sleep(order["seconds"])
        case "say":
            print(order["text"], file=sys.stderr, flush=True)
            if order["then"] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError(order["then"])
        case "wait":
            while not Path(order["file"]).exists():
                time.sleep(0.05)
        case "meet":  # the first tasks to come here pass, in the order of their coming; the last of the number stays
            for number in range(1, order["number"] + 1):
                with suppress(FileExistsError):
                    (Path(order["directory"]) / str(number)).touch(exist_ok=False)
                    break
            else:
                return
            while number == order["number"]:
                time.sleep(0.05)
        case "insist":  # goes on whatever interrupts it, until it may
            while not Path(order["file"]).exists():
                try:
                    time.sleep(0.05)
                except BaseException:
                    Path(order["file"]).with_suffix(".interrupted").touch()
        case "child":
            subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({order['seconds']})"])
        case "hang":  # deaf to every signal that can be handled, or to those named, until a FIFO is opened
            deaf = order.get("signals", ["SIGUSR1", "SIGTERM", "SIGINT"])
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.Signals[name] for name in deaf})
            os.close(os.open(order["fifo"], os.O_RDONLY))  # one call, during which Python handles no signal
        case "stop":  # no thread of it runs any more
            os.kill(os.getpid(), signal.SIGSTOP)
        case "hold":  # native code that keeps the interpreter to itself
            ctypes.PyDLL(None).sleep(order["seconds"])
        case "fill":
            with open(order["file"], "wb") as out:
                while True:
                    out.write(b"0" * 4096)
                    out.flush()
        case "use devices":
            use_devices(Path(order["directory"]), order.get("tasks_per_gpu", 1))
        case "environment":
            Path(order["file"]).write_text(json.dumps(dict(os.environ)))
        case "swallow":
            try:
                time.sleep(order["seconds"])
            except BaseException as error:  # a badly written protocol
                raise RuntimeError("swallowed") from error


_in_use: list[int] = []  # descriptors that are held to this process's end


def use_devices(directory: Path, tasks_per_gpu: int) -> None:
    """Note which devices this process sees, and that more use one than may, if they do."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    node = os.environ.get("SLURMD_NODENAME", "here")
    seen = {"node": node, "devices": names, "pid": os.getpid(), "cores": sorted(os.sched_getaffinity(0))}
    seen["threads"] = os.environ.get("OPENMM_CPU_THREADS")
    for name in names.split(","):
        for share in range(tasks_per_gpu):
            held = os.open(directory / f"{node} {name} {share}", os.O_CREAT | os.O_RDWR)
            with suppress(BlockingIOError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _in_use.append(held)
                break
            os.close(held)
        else:
            seen["too_many"] = name
    with open(directory / "seen.jsonl", "a") as out:
        out.write(json.dumps(seen) + "\n")


class Setup(seam.ProtocolUnitBase):
    @staticmethod
    def _execute(ctx: Any, *, settings: dict[str, Any], true_dg: float, **inputs: Any) -> dict[str, Any]:
        misbehave(settings["script"], "setup")
        path = Path(ctx.shared) / "system.json"
        path.write_text(json.dumps({"dg": true_dg}))
        return {"system": path}


class Simulate(seam.ProtocolUnitBase):
    @staticmethod
    def _execute(ctx: Any, *, setup: Any, settings: dict[str, Any], seed: int, label: str, **inputs: Any) -> dict:
        checkpoint = Path(ctx.shared) / "checkpoint.json"
        state = {"step": 0, "samples": [], "starts": 0}
        if settings["checkpoint"] and checkpoint.exists():
            state = json.loads(checkpoint.read_text())
        state["starts"] += 1
        truth = json.loads(Path(setup.outputs["system"]).read_text())["dg"]
        misbehave(settings["script"], label)
        rng = random.Random(seed)
        samples = [rng.gauss(truth, settings["noise"]) for _ in range(settings["n_steps"])]
        while state["step"] < settings["n_steps"]:
            time.sleep(settings["step_seconds"])
            state["samples"].append(samples[state["step"]])
            state["step"] += 1
            misbehave(settings["script"], f"{label} step {state['step']}", Path(ctx.shared))
            if settings["checkpoint"]:
                write_json(checkpoint, state)
        return {"samples": state["samples"], "starts": state["starts"]}


class Analyse(seam.ProtocolUnitBase):
    @staticmethod
    def _execute(ctx: Any, *, simulations: list[Any], settings: dict[str, Any], **inputs: Any) -> dict[str, Any]:
        misbehave(settings["script"], "analyse")
        samples = [x for simulation in simulations for x in simulation.outputs["samples"]]
        return {"dg": sum(samples) / len(samples)}


class DummyResult(seam.ProtocolResultBase):
    def get_estimate(self) -> float:
        return sum(self.data["dgs"]) / len(self.data["dgs"])

    def get_uncertainty(self) -> float:
        mean = self.get_estimate()
        return (sum((x - mean) ** 2 for x in self.data["dgs"]) / max(1, len(self.data["dgs"]) - 1)) ** 0.5


class DummyProtocol(seam.ProtocolBase):
    """dG = difference of the numbers at the end of the systems' names, e.g. ligand_3."""

    result_cls = DummyResult
    _settings_cls = DummySettings

    @classmethod
    def _default_settings(cls) -> DummySettings:
        return DummySettings()

    def _create(self, stateA: Any, stateB: Any, mapping: Any = None, extends: Any = None) -> list[Any]:
        names = ("n_steps", "n_simulations", "step_seconds", "noise", "script", "checkpoint")
        settings = {key: getattr(self.settings, key) for key in names}
        repeat = seam.current_repeat()
        if settings["script"] and Path(settings["script"]).is_dir():
            from misfortunes import script_of

            settings["script"] = str(script_of(Path(settings["script"]), stateA.name, stateB.name, repeat))
        misbehave(settings["script"], "create")
        ends = [float(system.name.rsplit("_", 1)[1]) for system in (stateA, stateB)]
        identity = repr((stateA.name, stateB.name, repeat, extends is not None))
        seed = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:4], "little")
        setup = Setup(name="setup", settings=settings, true_dg=ends[1] - ends[0])
        simulations = [
            Simulate(name=f"simulate {i}", setup=setup, settings=settings, seed=seed + i, label=f"simulate {i}")
            for i in range(settings["n_simulations"])
        ]
        return [setup, *simulations, Analyse(name="analyse", simulations=simulations, settings=settings)]

    def _gather(self, protocol_dag_results: Any) -> dict[str, Any]:
        results = [r for dag in protocol_dag_results for r in dag.protocol_unit_results]
        return {"dgs": [r.outputs["dg"] for r in results if r.name == "analyse" and r.ok()]}


def small_molecule(name: str, smiles: str = "C") -> Any:
    """Return a SmallMoleculeComponent without hydrogens or conformer search: identity is all that is needed."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    molecule.AddConformer(Chem.Conformer(molecule.GetNumAtoms()))
    return seam.SmallMoleculeComponent(molecule, name=name)


def dummy_network(edges: list[tuple[int, int]], *, environments: tuple[str, ...] = ("vacuum",), **settings: Any) -> Any:
    """Return a network of ligands numbered as in `edges`, one leg for each environment."""
    protocol = DummyProtocol(DummySettings(**settings))
    numbers = sorted({n for edge in edges for n in edge})
    ligands = {n: small_molecule(f"ligand_{n}", "C" * (min(n, 99) + 1)) for n in numbers}
    water = seam.SolventComponent()
    systems = {
        (n, environment): seam.ChemicalSystem(
            {"ligand": ligands[n]} | ({"solvent": water} if environment == "solvent" else {}),
            name=f"{environment}_ligand_{n}",
        )
        for n in numbers
        for environment in environments
    }
    transformations = [
        seam.Transformation(systems[a, e], systems[b, e], protocol, None, name=f"ligand_{a}_ligand_{b}_{e}")
        for a, b in edges
        for e in environments
    ]
    return seam.AlchemicalNetwork(edges=transformations, name="dummy")


def seeds(dag: Any) -> list[int]:
    """Return the seeds of a DAG of the scripted protocol; they depend on whether it extends another."""
    return [unit.inputs["seed"] for unit in dag.protocol_units if "seed" in unit.inputs]
