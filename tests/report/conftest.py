"""A campaign by hand: small documents, with numbers that are easily found again."""

import base64
import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
from jobflow import Flow, job, run_locally

from mlip_autopipec.schemas import (
    AtomicStructure,
    BasisChoice,
    CampaignDoc,
    Check,
    CoreRepulsion,
    EosCurve,
    EosDoc,
    EosFit,
    ErrorStatistics,
    ExplorationDoc,
    FailedLabel,
    FileData,
    Fingerprint,
    ForceErrorCalibration,
    GenerationRecord,
    HeldOutDoc,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
    LearningPoint,
    LinearFitReport,
    ParityPoint,
    PotentialDoc,
    StabilityDoc,
    ThermoTable,
    ValidationDoc,
    Walker,
    WorkflowState,
)
from mlip_autopipec.store import open_store

# jobflow 0.4 uses a function of monty that is deprecated, and has no order for jobs without connection.
JOBFLOW = ("ignore:cd is deprecated:FutureWarning", "ignore:Some jobs are not")

E0 = {"Cu": 3.5}


def pytest_collection_modifyitems(items):
    for item in items:
        if "report" in item.path.parts:
            for warning in JOBFLOW:
                item.add_marker(pytest.mark.filterwarnings(warning))


@job(
    data=["labels", "thermo", "frames", "final", "restart", "files", "parity", "held_out", "eos", "stability"]
)
def keep(doc):
    return doc


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "run")
    yield store
    store.close()


@pytest.fixture
def write(store, tmp_path):
    """Leave a document in the store as a job of a stage would; returns the job's id."""

    def write(doc, stage, generation=None, **metadata):
        made = keep(doc)
        place = {} if generation is None else {"generation": generation}
        made.update_metadata({"stage": stage, **place, **metadata}, dynamic=False)
        run_locally(Flow([made]), store=store, log=False, root_dir=tmp_path, ensure_success=True)
        return made.uuid

    return write


def crystal(a=3.6):
    return AtomicStructure(
        symbols=["Cu", "Cu"],
        positions=[(0.0, 0.0, 0.0), (0.5 * a, 0.5 * a, 0.5 * a)],
        cell=((a, 0.0, 0.0), (0.0, a, 0.0), (0.0, 0.0, a)),
        pbc=(True, True, True),
    )


def dimer(distance):
    return AtomicStructure(
        symbols=["Cu", "Cu"],
        positions=[(0.0, 0.0, 0.0), (0.0, 0.0, distance)],
        cell=((9.0, 0.0, 0.0), (0.0, 9.0, 0.0), (0.0, 0.0, 9.0)),
        pbc=(False, False, False),
    )


def label(
    label_id, origin="md", *, detail="", gamma=None, wall_time=2.0, structure=None, code="ase:emt", notes=()
):
    doc = LabelDoc(
        structure=structure or crystal(),
        energy=6.125,
        forces=[(0.0, 0.0, 3.0), (0.0, 4.0, 0.0)],
        stress=None,
        fingerprint=Fingerprint(code=code, version="3.29.0", settings={"functional": "none"}),
        wall_time=wall_time,
        notes=list(notes),
    )
    return LabelledStructure(label=doc, label_id=label_id, origin=origin, detail=detail, gamma=gamma)


def batch(labels, failed=()):
    return LabelBatchDoc(
        labels=list(labels),
        failed=list(failed),
        n_labels=len(labels),
        wall_time=sum(entry.label.wall_time for entry in labels),
    )


def lost(label_id):
    return FailedLabel(label_id=label_id, structure=crystal(), origin="md", reason="UnconvergedError: no")


def point(label_id, origin="md", off=0.001):
    forces = [0.1 * n for n in range(6)]
    return ParityPoint(
        label_id=label_id,
        origin=origin,
        n_atoms=2,
        energy_reference=-3.0,
        energy_predicted=-3.0 + off,
        forces_reference=forces,
        forces_predicted=[f + off for f in forces],
    )


def errors(energy=0.00234, force=0.0567, n=2):
    return ErrorStatistics(
        n_structures=n,
        energy_rmse=energy,
        energy_mae=0.5 * energy,
        force_rmse=force,
        force_mae=0.5 * force,
        force_max=3.0 * force,
    )


def file(name):
    content = f"bytes of {name}".encode()
    return FileData(
        name=name, sha256=hashlib.sha256(content).hexdigest(), base64=base64.b64encode(content).decode()
    )


def potential(parity, n_labels=2, energy=0.00234, force=0.0567):
    return PotentialDoc(
        elements=["Cu"],
        files=[file(f"potential.{kind}") for kind in ("yaml", "yace", "asi")],
        e0=E0,
        e0_source="labelled isolated atoms",
        cutoff=5.25,
        n_functions={"Cu": 77},
        core=CoreRepulsion(r_in={"Cu-Cu": 1.85}, delta_in={"Cu-Cu": 0.4}, scan_from=0.4),
        fit=LinearFitReport(
            n_rows=1234,
            n_functions=77,
            rank=76,
            condition=1.5e9,
            basis=BasisChoice(
                radial="SBessel", radial_parameter=1.0, cutoff=5.25, n_functions=77, l_weight=1.5
            ),
            prior={"rank 1": -3.0},
            noise=0.789,
            energy_noise=0.000789,
            force_noise=0.0394,
            stress_noise=0.00237,
            log_evidence=12.0,
            effective_parameters=70.5,
            evidence_converged=True,
            force_error=ForceErrorCalibration(
                level=0.9, scale=1.7, n_atoms=321, energy_rmse=0.0031, force_rmse=0.061
            ),
        ),
        training_errors=errors(energy, force, len(parity)),
        parity=parity,
        n_labels=n_labels,
        excluded=["a9 (Cu): isolated atom, gives E0"],
        file_differences={"yace_energy": 1.5e-13},
        versions={"python-ace": "0.4"},
        wall_time=5.0,
    )


def walk(index=0, *, generation_round=0, start=0, end=100, reason="completed", gamma_max=2.0, value=None):
    steps = list(range(start, end + 1, 20))
    return ExplorationDoc(
        walker=Walker(
            index=index, round=generation_round, start=0, temperature=300.0 + index, n_steps=100, seed=1
        ),
        engine="LAMMPS",
        timestep=2.0,
        start_step=start,
        end_step=end,
        end_reason=reason,
        end_value=value,
        gamma_limit=10.0,
        gamma_start=1.0,
        gamma_max=gamma_max,
        thermo=ThermoTable(
            step=steps,
            temperature=[300.0] * len(steps),
            potential_energy=[-3.0] * len(steps),
            pressure=[0.0] * len(steps),
            gamma=np.linspace(1.0, gamma_max, len(steps)).tolist(),
        ),
        frames=[],
        final=crystal(),
        wall_time=30.0,
    )


def check(name, value, limit, unit, verdict="pass", reference=None):
    return Check(
        name=name,
        value=value,
        reference=reference,
        limit=limit,
        unit=unit,
        verdict=verdict,
        reason=f"why {name}",
    )


def validation(held_out_ids=("h1",), verdict="pass", checks=None):
    checks = checks or [
        check("held-out energy RMSE", 0.000432, 0.005, "eV/atom"),
        check("bulk modulus", 141.7, 11.0, "GPa", reference=137.9),
        check("lost atoms in NVE", 0.0, 0.0, "1"),
    ]
    volumes = [10.0, 11.0, 12.0, 13.0]
    fit = EosFit(v0=11.5, e0=-3.51, b0=137.9, b0_prime=4.25)
    return ValidationDoc(
        verdict=verdict,
        checks=checks,
        held_out=HeldOutDoc(
            errors=errors(0.000432, 0.0321, len(held_out_ids)),
            parity=[point(i, "held_out") for i in held_out_ids],
            learning_curve=[
                LearningPoint(n_labels=2, energy_rmse=0.000864, force_rmse=0.0642),
                LearningPoint(n_labels=3, energy_rmse=0.000432, force_rmse=0.0321),
            ],
            checks=[],
        ),
        eos=EosDoc(
            curves=[
                EosCurve(
                    formula="Cu2",
                    volumes=volumes,
                    energies_reference=[-3.4, -3.5, -3.5, -3.4],
                    energies_predicted=[-3.401, -3.501, -3.501, -3.401],
                    reference=fit,
                    predicted=fit,
                )
            ],
            checks=[],
        ),
        stability=StabilityDoc(
            n_atoms=64,
            n_steps=3,
            timestep=2.0,
            temperature=900.0,
            energy_drift=1.0e-6,
            gamma_max=2.2,
            lost_atoms=0,
            time=[0.0, 2.0, 4.0, 6.0],
            total_energy=[0.0, 1.0e-5, 0.0, 1.0e-5],
            dimer_distances=[0.5, 1.5, 2.5, 3.5],
            dimer_energies={"Cu-Cu": [900.0, 8.0, -3.0, -0.5]},
            checks=[],
        ),
        n_labels=2,
        wall_time=4.0,
    )


def record(generation, **update):
    values = {
        "generation": generation,
        "n_labels": 2,
        "n_failed": 0,
        "n_explorations": 1,
        "n_halts": 0,
        "n_steps": 100,
        "gamma_max": 2.0,
        "energy_rmse": 0.00234,
        "force_rmse": 0.0567,
    }
    return GenerationRecord(**(values | update))


@pytest.fixture
def generation_zero(write):
    """Labels, fit and a halted walk of generation 0; returns the ids of batch and fit."""
    first = [
        label("a1", "user", detail="as given"),
        label("a2", "dimer", structure=dimer(2.5), notes=["no stress"]),
    ]
    batch_id = write(batch(first, [lost("bad00001")]), "label", 0)
    fit_id = write(potential([point("a1", "user"), point("a2", "dimer")], 2, 0.004, 0.08), "fit", 0)
    write(walk(0, end=60, reason="gamma", gamma_max=12.5, value=12.5), "explore", 0)
    write(walk(1, gamma_max=3.0), "explore", 0)
    return batch_id, fit_id


@pytest.fixture
def finished(write, generation_zero):
    """Write a campaign of two generations with its end; returns the final document."""
    second = batch([label("b1", "md", detail="MD at 300 K, step 60", gamma=12.5)])
    batch_id = write(second, "label", 1)
    fit_id = write(potential([point("a1", "user"), point("a2", "dimer"), point("b1", "md")], 3), "fit", 1)
    write(walk(0, start=60, gamma_max=1.75), "explore", 1)
    write(batch([label("h1", "held_out"), label("a1", "eos")]), "validate")
    validation_id = write(validation(), "validate")
    state = WorkflowState(
        generation=1,
        seeds="seeds",
        batches=[generation_zero[0], batch_id],
        potentials=[generation_zero[1], fit_id],
        n_labels=3,
        n_failed=1,
        history=[
            record(
                0,
                n_failed=1,
                n_explorations=2,
                n_halts=1,
                n_steps=160,
                gamma_max=12.5,
                energy_rmse=0.004,
                force_rmse=0.08,
            ),
            record(1, n_labels=3, n_steps=40, gamma_max=1.75),
        ],
        stop_reason="no_halt",
        quiet_walks=1,
        quiet_time=0.08,
    )
    end = CampaignDoc(
        state=state,
        verdict="pass",
        validation=validation_id,
        n_training_labels=3,
        n_validation_labels=2,
        halt_rate_limit=37447.0,
    )
    write(end, "conclude", 1)
    return end


@pytest.fixture
def docs():
    """Give the builders of documents."""
    return SimpleNamespace(
        batch=batch,
        check=check,
        dimer=dimer,
        label=label,
        lost=lost,
        point=point,
        potential=potential,
        validation=validation,
        walk=walk,
    )
