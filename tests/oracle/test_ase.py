import sys
from pathlib import Path

import ase
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from jobflow import run_locally
from monty.json import MontyDecoder

from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError
from mlip_autopipec.oracle import AseStaticMaker
from mlip_autopipec.oracle import ase as module
from mlip_autopipec.schemas import AtomicStructure, LabelDoc


def decoded(document):
    return MontyDecoder().process_decoded(document)


@pytest.fixture
def misbehaving(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    yield "calculators:Constant"
    sys.modules.pop("calculators", None)


@pytest.fixture
def rattled():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    return AtomicStructure.from_ase(atoms)


def test_a_label_holds_what_the_calculator_says(rattled, store):
    job = AseStaticMaker().make(rattled)
    label = run_locally(job, store=store, ensure_success=True)[job.uuid][1].output
    atoms = rattled.to_ase()
    atoms.calc = EMT()
    assert isinstance(label, LabelDoc)
    assert label.structure == rattled
    assert label.energy == atoms.get_potential_energy(force_consistent=True)
    assert np.array_equal(label.forces, atoms.get_forces())
    assert np.array_equal(label.stress, atoms.get_stress(voigt=False))
    assert (label.fingerprint.code, label.fingerprint.version) == ("ase:emt", ase.__version__)


def test_arrays_of_a_label_go_to_the_data_store(rattled, store):
    job = AseStaticMaker().make(rattled)
    run_locally(job, store=store, ensure_success=True)
    document = store.docs_store.query_one({"uuid": job.uuid})["output"]
    assert "blob_uuid" in document["forces"]
    assert "blob_uuid" in document["structure"]
    assert decoded(store.get_output(job.uuid, load=True)).structure == rattled


def test_forces_and_stress_are_derivatives_of_the_energy(rattled, tmp_path):
    maker = AseStaticMaker()
    label = maker.compute(rattled, tmp_path)
    step = 1e-4

    def energy(atoms):
        return maker.compute(AtomicStructure.from_ase(atoms), tmp_path).energy

    moved = [rattled.to_ase() for _ in range(2)]
    for atoms, sign in zip(moved, (1, -1), strict=True):
        atoms.positions[0, 1] += sign * step
    assert -(energy(moved[0]) - energy(moved[1])) / (2 * step) == pytest.approx(label.forces[0, 1], abs=1e-6)
    strained = [rattled.to_ase() for _ in range(2)]
    for atoms, sign in zip(strained, (1, -1), strict=True):
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + sign * step * np.diag([1, 0, 0])), scale_atoms=True)
    slope = (energy(strained[0]) - energy(strained[1])) / (2 * step) / rattled.to_ase().get_volume()
    assert slope == pytest.approx(label.stress[0, 0], abs=1e-7)


def test_a_molecule_has_no_stress_and_says_so(tmp_path):
    dimer = AtomicStructure.from_ase(Atoms("Cu2", positions=[(0, 0, 0), (0, 0, 2.3)]))
    result = AseStaticMaker().compute(dimer, tmp_path)
    assert result.stress is None
    assert result.notes == ("no stress: the structure is not periodic in all directions",)


def test_arguments_reach_calculator_and_fingerprint(tmp_path):
    argon = AtomicStructure.from_ase(bulk("Ar"))
    maker = AseStaticMaker(calculator="lj", calculator_kwargs={"sigma": 3.4, "epsilon": 0.01, "smooth": True})
    assert maker.compute(argon, tmp_path).fingerprint.settings == {
        "sigma": 3.4,
        "epsilon": 0.01,
        "smooth": True,
    }
    by_path = AseStaticMaker(
        calculator="ase.calculators.lj:LennardJones", calculator_kwargs=maker.calculator_kwargs
    )
    assert by_path.compute(argon, tmp_path).energy == maker.compute(argon, tmp_path).energy
    assert by_path.fingerprint().version == ase.__version__


def test_a_list_in_the_arguments_is_fingerprinted_by_its_text():
    assert module.plain_value([1, 2]) == "[1, 2]"
    assert module.package_version("calculators:Constant") == "unknown"


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="'emtt' is not in ASE's registry; the nearest names are emt"):
        AseStaticMaker(calculator="emtt").check(["Cu"])


def test_a_registered_calculator_without_its_package_is_missing():
    with pytest.raises(MissingProgramError, match="'hotbit' cannot be imported"):
        AseStaticMaker(calculator="hotbit").check(["Cu"])


@pytest.mark.parametrize("path", ["no_such_package:Thing", "ase.calculators.emt:NoSuchThing", ":Thing"])
def test_a_wrong_import_path_is_refused(path):
    with pytest.raises(ConfigError, match=f"calculator '{path}' cannot be imported"):
        AseStaticMaker(calculator=path).check(["Cu"])


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match=r"cannot be built from .*energie.*: RuntimeError: unknown"):
        AseStaticMaker(calculator="ase.calculators.eam:EAM", calculator_kwargs={"energie": 1}).check(["Cu"])


def test_an_element_the_calculator_does_not_know(tmp_path):
    silicon = AtomicStructure.from_ase(bulk("Si"))
    with pytest.raises(CalculationError, match=r"'emt' failed on Si2: .*Si") as caught:
        AseStaticMaker().compute(silicon, tmp_path)
    assert isinstance(caught.value.__cause__, NotImplementedError)
    assert caught.value.directory == tmp_path


def test_a_calculator_that_raises(misbehaving, rattled, tmp_path):
    maker = AseStaticMaker(calculator=misbehaving, calculator_kwargs={"error": "out of cheese"})
    with pytest.raises(CalculationError, match="RuntimeError: out of cheese"):
        maker.compute(rattled, tmp_path)


def test_a_calculator_that_returns_nan_makes_no_label(misbehaving, rattled, store):
    maker = AseStaticMaker(
        calculator=misbehaving, calculator_kwargs={"energy": float("nan")}, require_stress=False
    )
    job = maker.make(rattled)
    with pytest.raises(CalculationError, match="energy must be finite, got nan"):
        run_locally(job, store=store, raise_immediately=True)


def test_a_calculator_without_stress(misbehaving, rattled, tmp_path):
    with pytest.raises(CalculationError, match="has no stress, which a periodic structure needs"):
        AseStaticMaker(calculator=misbehaving).compute(rattled, tmp_path)
    lenient = AseStaticMaker(calculator=misbehaving, require_stress=False).compute(rattled, tmp_path)
    assert lenient.stress is None
    assert lenient.notes == (f"no stress: calculator '{misbehaving}' has none",)


def test_a_stress_that_raises(rattled, tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("no stress today")

    monkeypatch.setattr(Atoms, "get_stress", fail)
    with pytest.raises(CalculationError, match="no stress today"):
        AseStaticMaker().compute(rattled, tmp_path)


def test_the_maker_is_unchanged_by_a_run_and_survives_json(rattled, tmp_path):
    maker = AseStaticMaker(calculator_kwargs={"asap_cutoff": False})
    before = maker.as_dict()
    maker.compute(rattled, tmp_path)
    assert maker.as_dict() == before
    assert MontyDecoder().process_decoded(before).as_dict() == before
    assert maker.prepared(["Cu"]).as_dict() == before
