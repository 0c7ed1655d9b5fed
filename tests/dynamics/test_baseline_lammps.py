"""LAMMPS' own pair styles beside an ACE give what our evaluation of ACE and baseline gives."""

import json
import re
from contextlib import closing
from dataclasses import asdict

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data
from jobflow import Flow, job, run_locally

from mlip_autopipec.ace import AceCalculator, AcePotential, choose_baseline, lammps_lines, load_potential
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics.lammps_library import ForceResult, LammpsLibrary
from mlip_autopipec.errors import StoreError
from mlip_autopipec.report.release import release_potential
from mlip_autopipec.schemas import AtomicStructure, BaselineDoc, CampaignDoc, WorkflowState
from mlip_autopipec.store import open_store

CUTOFF = 7.0
BAR = 1.0 / 1.6021765e6  # eV/Å^3, as LAMMPS has it (force->nktv2p)
SHORTEST = {"Cu-Cu": 2.2, "Al-Al": 2.5, "Al-Ni": 2.3, "Ni-Ni": 2.1}
STRESS = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")


def without_pace(line):
    """The wheel has no ML-PACE: python-ace gives its part by fix external, and pair_style zero its place."""
    line = line.replace("pace product", f"zero {CUTOFF} nocoeff")
    return re.sub(r"pace potential\.yace.*", "zero", line)


def lammps_says(directory, atoms, ace, lines):
    """Return structure, energy, forces and pressure tensor of step 0."""

    def force(step, structure):
        found = ace.evaluate(structure, gamma=False)
        return ForceResult(float(found.energies.sum()), found.forces, found.virial, (0.0,))

    data = directory / "data"
    write_lammps_data(data, atoms, specorder=ace.elements, masses=True)
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    with LammpsLibrary(directory, ace.elements, force, 1) as engine:
        engine.commands("units metal", "atom_style atomic", "atom_modify map array", f"boundary {boundary}")
        engine.commands(f'read_data "{data}"')
        engine.attach(CUTOFF)
        engine.commands(*(without_pace(line) for line in lines if not line.startswith("#")))
        engine.commands("fix i all nve", f"thermo_style custom step pe {' '.join(STRESS)}")
        engine.commands("thermo_modify norm no", *(f"variable {n} equal {n}" for n in ("pe", *STRESS)))
        engine.run(0)
        lmp = engine._lmp
        order = np.argsort(lmp.numpy.extract_atom("id")[: len(atoms)])
        forces = lmp.numpy.extract_atom("f")[: len(atoms)][order].copy()
        pressure = np.array([engine.variable(name) for name in STRESS])
        return engine.structure(), engine.variable("pe"), forces, pressure


def copper():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True).repeat((3, 2, 2))
    atoms.rattle(0.1, seed=5)
    return atoms


def alloy():
    atoms = bulk("Ni", "fcc", a=3.5, cubic=True).repeat((3, 2, 2))
    atoms.set_chemical_symbols(["Al", "Ni", "Ni", "Al", "Ni", "Al"] * 8)
    atoms.rattle(0.1, seed=6)
    return atoms


def sheared(atoms):
    atoms.set_cell(atoms.cell.array @ [[1, 0.08, 0], [0, 1, -0.07], [0.03, 0, 1]], scale_atoms=True)
    return atoms


def compressed(atoms):
    atoms.set_cell(0.85 * atoms.cell.array, scale_atoms=True)
    return atoms


def slab(atoms):
    atoms.center(vacuum=9.0, axis=2)
    atoms.pbc = (True, True, False)
    return atoms


def dimer(pair, distance):
    atoms = Atoms(pair, positions=[[0, 0, 0], [0.6 * distance, 0, 0.8 * distance]], cell=[30.0] * 3)
    atoms.center()
    return atoms


CASES = {
    "p1": [copper(), sheared(copper()), compressed(copper()), slab(compressed(copper()))]
    + [dimer("Cu2", r) for r in (1.2, 1.9, 2.5, 3.5)],
    "p3": [alloy(), sheared(compressed(alloy())), slab(compressed(alloy()))]
    + [dimer(pair, r) for pair in ("Al2", "AlNi", "NiAl", "Ni2") for r in (1.3, 2.0, 2.6)],
}


@pytest.mark.parametrize("kind", ["zbl", "lj"])
@pytest.mark.parametrize(
    ("name", "index"), [(name, index) for name, atoms in CASES.items() for index in range(len(atoms))]
)
def test_native_lammps_and_our_evaluation_agree(kind, name, index, pace_data, tmp_path):
    atoms = CASES[name][index]
    alone = AcePotential(pace_data / f"{name}.yaml")
    baseline = choose_baseline(kind, alone.elements, SHORTEST, 1.25)
    structure, energy, forces, pressure = lammps_says(
        tmp_path, atoms, alone, lammps_lines(baseline, alone.elements)
    )
    structure.calc = AceCalculator(AcePotential(pace_data / f"{name}.yaml", baseline=baseline))
    size = max(1.0, np.abs(forces).max())
    assert energy == pytest.approx(structure.get_potential_energy(), rel=1e-11, abs=1e-9 * size)
    assert forces == pytest.approx(structure.get_forces(), abs=1e-9 * size)
    assert -pressure * BAR == pytest.approx(structure.get_stress(), rel=1e-9, abs=1e-12 * size)
    # The same by the evaluation that MD uses, and the baseline has a part in it (but in wide dimers).
    part = baseline.evaluate(structure)[0].sum()
    assert energy - part == pytest.approx(alone.evaluate(structure).energies.sum(), abs=1e-9 * size)
    assert part > 0.01 or len(atoms) == 2


@pytest.fixture(params=["zbl", "lj"])
def with_baseline(request, copper):
    baseline = choose_baseline(request.param, ["Cu"], {"Cu-Cu": 2.3}, 1.1)
    doc = BaselineDoc(**asdict(baseline), lammps=lammps_lines(baseline, ["Cu"]))
    return copper.model_copy(update={"baseline": doc})


def test_md_walks_on_the_sum(with_baseline, walker, walk, tmp_path):
    squeezed = bulk("Cu", "fcc", a=3.45, cubic=True).repeat(2)
    found = walk(
        LammpsMDMaker(ensemble="nve", timestep=0.5, stop_rule=StopRule(gamma=1e4)),
        walker(n_steps=100),
        potential=with_baseline,
        structure=AtomicStructure.from_ase(squeezed),
    )
    assert (found.end_reason, found.end_step) == ("completed", 100)
    whole, last = load_potential(with_baseline, tmp_path), found.final.to_ase()
    energies = np.array(found.thermo.potential_energy)
    assert energies[0] == pytest.approx(whole.evaluate(squeezed).energies.mean(), abs=1e-9)
    assert energies[-1] == pytest.approx(whole.evaluate(last).energies.mean(), abs=1e-6)
    assert whole.baseline.evaluate(last)[0].sum() > 0.1
    kinetic = 1.5 * units.kB * np.array(found.thermo.temperature) * (1 - 1 / len(squeezed))
    assert np.ptp(energies) > 0.01
    assert np.ptp(energies + kinetic) < 1e-3


@job(data=["files", "parity"])
def keep(doc):
    return doc


@pytest.fixture
def release(tmp_path):
    """Keep a document in a store and deliver it as the end of a campaign."""

    def go(doc, folder):
        made = keep(doc)
        with closing(open_store(tmp_path / "run")) as store:
            run_locally(Flow([made]), store=store, log=False, root_dir=tmp_path, ensure_success=True)
            end = CampaignDoc(
                state=WorkflowState(potentials=[made.uuid], seeds="seeds"),
                verdict="pass",
                validation="validation",
                n_training_labels=1,
                n_validation_labels=1,
            )
            return release_potential(store, end, folder)

    return go


def test_the_delivered_lines_are_what_lammps_needs(with_baseline, release, tmp_path, copper_ace):
    files = release(with_baseline, tmp_path / "potential")
    names = [*(file.name for file in with_baseline.files), "potential.json", "potential.lammps"]
    assert [file.name for file in files if file.is_file()] == names
    lines = files[-1].read_text().splitlines()
    card = json.loads(files[-2].read_text())
    assert card["baseline"]["lammps"] == [line for line in lines if not line.startswith("#")]
    assert "potential.yace is only a part of this potential" in files[-1].read_text()
    atoms = compressed(copper())
    structure, energy, forces, _ = lammps_says(tmp_path, atoms, copper_ace, lines)
    found = load_potential(with_baseline, tmp_path).evaluate(structure)
    assert energy == pytest.approx(found.energies.sum(), rel=1e-11)
    assert forces == pytest.approx(found.forces, abs=1e-9 * np.abs(forces).max())


def test_a_whole_potential_is_delivered_as_such(copper, release, tmp_path):
    text = release(copper, tmp_path / "potential")[-1].read_text()
    assert "only a part" not in text
    assert "atom types: 1 = Cu" in text
    assert f"Cu {copper.e0['Cu']:.6f}" in text
    assert text.splitlines()[-2:] == ["pair_style pace product", "pair_coeff * * potential.yace Cu"]


def test_what_cannot_be_delivered_is_an_error(copper, release, tmp_path):
    with pytest.raises(StoreError, match="the store holds no potential with the id"):
        release(copper.fit, tmp_path / "potential")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"the potential cannot be written to .*file/potential"):
        release(copper, tmp_path / "file" / "potential")
