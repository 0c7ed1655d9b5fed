"""E0 from free atoms: the box must not matter. With the real pw.x."""

from dataclasses import replace

import pytest
from ase import Atoms

from mlip_autopipec.schemas import AtomicStructure

MEV = 1e-3


@pytest.mark.pw
def test_e0_of_silicon_does_not_depend_on_the_box(real_pw, tmp_path):
    atom = AtomicStructure.from_ase(Atoms("Si", positions=[[0.0, 0.0, 0.0]]))
    results = {}
    for vacuum in (10.0, 14.0):
        folder = tmp_path / str(vacuum)
        folder.mkdir()
        maker = replace(real_pw, ecutwfc=14.0, conv_thr=1e-8, vacuum=vacuum)
        results[vacuum] = maker.compute(atom, folder)
    small, large = results.values()
    assert small.energy == pytest.approx(large.energy, abs=5 * MEV)
    assert abs(small.forces).max() < 1e-3
    assert small.stress is None
    assert any("without spin polarisation" in note for note in small.notes)


@pytest.mark.pw
def test_a_dimer_falls_apart_into_two_free_atoms(real_pw, tmp_path):
    """At 8 Å two atoms are two atoms: the box has room for the dimer besides its vacuum."""
    atoms = Atoms("Si2", positions=[[0.0, 0.0, 0.0], [0.0, 0.0, 8.0]])
    maker = replace(real_pw, ecutwfc=10.0, conv_thr=1e-7, vacuum=8.0)
    energies = []
    for name, structure in (("two", atoms), ("one", atoms[:1])):
        folder = tmp_path / name
        folder.mkdir()
        energies.append(maker.compute(AtomicStructure.from_ase(structure), folder).energy)
    assert energies[0] == pytest.approx(2 * energies[1], abs=30 * MEV)
