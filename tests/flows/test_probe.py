"""The convergence probe: what it varies, and that it finds the noise that is put in."""

from dataclasses import dataclass

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder

from mlip_autopipec.errors import CalculationError, ConfigError
from mlip_autopipec.flows.probe import ProbeMaker
from mlip_autopipec.oracle import AseStaticMaker, OracleMaker, OracleResult, QeStaticMaker
from mlip_autopipec.oracle.convergence import probe_document, variants
from mlip_autopipec.schemas import AtomicStructure, Fingerprint

COPPER = AtomicStructure.from_ase(bulk("Cu", cubic=True))


@dataclass
class Unconverged(OracleMaker):
    """EMT with errors of a known law: energies in 1/cut-off, forces in the spacing."""

    k_spacing: float = 0.2
    encut: float = 400.0

    def compute(self, structure, directory):
        atoms = structure.to_ase()
        atoms.calc = EMT()
        per_atom = 100.0 / self.encut * (5.0 + 0.01 * atoms.get_volume())
        grid = np.ceil(2.0 / self.k_spacing)
        return OracleResult(
            energy=atoms.get_potential_energy() + per_atom * len(atoms),
            forces=atoms.get_forces() + 1.0 / grid,
            stress=atoms.get_stress(voigt=False),
            fingerprint=Fingerprint(code="test", version="1"),
        )


@pytest.fixture
def run():
    def call(maker, crystal=COPPER):
        probe = maker.make(crystal)
        with JobStore(MemoryStore(), additional_stores={"data": MemoryStore()}) as store:
            run_locally(probe, store=store, ensure_success=True)
            assert {d["metadata"].get("stage") for d in store.query({"name": {"$regex": "cell"}})} == {
                "probe"
            }
            return MontyDecoder().process_decoded(store.get_output(probe.uuid, which="last", load=True))

    return call


@pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")
def test_the_probe_finds_the_noise_that_is_there(run):
    maker = ProbeMaker(oracle_maker=Unconverged(), n_atoms=4)
    doc = run(maker)
    assert [row.role for row in doc.rows] == [
        *("configured", "k_spacing", "k_spacing", "cutoff", "cutoff", "reference")
    ]
    assert [row.settings["encut"] for row in doc.rows] == [400.0, 400.0, 400.0, 320.0, 500.0, 500.0]
    volumes = [atoms.get_volume() for atoms in maker.cells(COPPER)]
    off = 100.0 / 400.0 - 100.0 / 500.0
    assert doc.configured.energy_noise == pytest.approx(0.01 * off * np.std(volumes, ddof=1), rel=1e-6)
    assert doc.configured.energy_shift == pytest.approx(off * (5.0 + 0.01 * np.mean(volumes)), rel=1e-6)
    assert doc.configured.force_noise == pytest.approx(1 / 10 - 1 / 15, rel=1e-6)
    assert doc.configured.force_max == pytest.approx(1 / 10 - 1 / 15, rel=1e-6)
    assert doc.configured.stress_noise == 0.0
    assert doc.rows[-1].energy_noise == doc.rows[-1].force_noise == 0.0
    assert (doc.formula, doc.n_cells, doc.warnings) == ("Cu4", 3, [])


@pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning")
def test_a_grid_that_stays_the_same_is_no_convergence(run):
    doc = run(ProbeMaker(oracle_maker=Unconverged(k_spacing=3.0), n_atoms=4, n_cells=2))
    assert doc.warnings == [
        "k_spacing 4.5 gives the same k-points as 3: that row shows nothing.",
        "k_spacing 2.01 gives the same k-points as 3: that row shows nothing.",
    ]


def test_both_cutoffs_of_pw_grow_together():
    oracle = QeStaticMaker(ecutwfc=40.0, ecutrho=320.0)
    found = variants(oracle, (1.0, 0.5), (1.0, 1.5))
    assert [v.role for v in found] == ["configured", "k_spacing", "cutoff", "reference"]
    assert (found[2].oracle.ecutwfc, found[2].oracle.ecutrho) == (60.0, 480.0)
    assert found[3].settings == {"k_spacing": 0.15, "ecutwfc": 60.0}
    assert found[0].oracle == oracle


def test_an_oracle_without_either_says_so():
    with pytest.raises(ConfigError, match="'ase static' has neither k-points nor a cut-off"):
        variants(AseStaticMaker(), (0.5,), (1.5,))
    with pytest.raises(ConfigError, match="a spacing factor below 1 and a cut-off factor above 1"):
        variants(QeStaticMaker(ecutwfc=40.0), (1.5,), (1.5,))


def test_one_cell_cannot_tell_a_constant_from_noise(tmp_path):
    label = Unconverged().make.original(Unconverged(), COPPER)
    with pytest.raises(CalculationError, match=r"at least two cells of one composition, got \['Cu4'\]"):
        probe_document(["configured"], [{}], [[label]])
