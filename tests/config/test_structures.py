"""Structures given as files."""

import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from mlip_autopipec.config import read_structures
from mlip_autopipec.errors import StructureError


def test_every_frame_of_every_matching_file_is_read(tmp_path):
    write(tmp_path / "a.cif", bulk("Si", cubic=True))
    write(tmp_path / "b.xyz", [bulk("Cu"), bulk("Cu", cubic=True)], format="extxyz")
    write(tmp_path / "POSCAR", bulk("NaCl", "rocksalt", a=5.6), format="vasp")
    found = read_structures(["*.cif", "b.xyz", "POSCAR"], tmp_path)
    assert [len(atoms) for atoms in found] == [8, 1, 4, 2]


def test_absolute_patterns_work_too(tmp_path):
    write(tmp_path / "a.cif", bulk("Si"))
    assert len(read_structures(str(tmp_path / "*.cif"), tmp_path / "elsewhere")) == 1


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StructureError, match=r"no file matches 'a/\*.cif'"):
        read_structures("a/*.cif", tmp_path)


def test_a_file_that_is_no_structure_is_named(tmp_path):
    (tmp_path / "a.cif").write_text("not a structure")
    with pytest.raises(StructureError, match=r"'a.cif' (cannot be read|holds no structure)"):
        read_structures("a.cif", tmp_path)


def test_overlapping_atoms_are_refused_with_pair_and_distance(tmp_path):
    atoms = Atoms("CuCu", positions=[[0, 0, 0], [0, 0, 0.4]], cell=[8, 8, 8], pbc=True)
    write(tmp_path / "bad.xyz", atoms, format="extxyz")
    with pytest.raises(StructureError, match=r"overlapping atoms: Cu\d-Cu\d at 0.400 Å; at least 1.320 Å"):
        read_structures("bad.xyz", tmp_path)


def test_periodic_structures_need_a_volume(tmp_path):
    (tmp_path / "flat.xyz").write_text('1\nLattice="5 0 0 0 5 0 0 0 0" pbc="T T T"\nCu 0 0 0\n')
    with pytest.raises(StructureError, match="its cell has no volume"):
        read_structures("flat.xyz", tmp_path)


def test_numbers_must_be_finite(tmp_path):
    (tmp_path / "nan.xyz").write_text('1\nLattice="5 0 0 0 5 0 0 0 5" pbc="T T T"\nCu nan 0 0\n')
    with pytest.raises(StructureError, match="not finite"):
        read_structures("nan.xyz", tmp_path)
