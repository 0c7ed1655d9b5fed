import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from pydantic import ValidationError

from mlip_autopipec.schemas import AtomicStructure, Fingerprint


def test_ase_and_back_loses_no_digit():
    atoms = bulk("NaCl", "rocksalt", a=5.6402)
    atoms.rattle(0.1, seed=1)
    atoms.pbc = (True, False, True)
    again = AtomicStructure.model_validate_json(AtomicStructure.from_ase(atoms).model_dump_json()).to_ase()
    assert again.get_chemical_symbols() == atoms.get_chemical_symbols()
    assert (again.positions == atoms.positions).all()
    assert (again.cell.array == atoms.cell.array).all()
    assert (again.pbc == atoms.pbc).all()


def test_what_is_no_structure_is_left_behind():
    atoms = bulk("Cu")
    bare = AtomicStructure.from_ase(atoms)
    atoms.set_constraint(FixAtoms([0]))
    atoms.set_velocities(np.ones((1, 3)))
    assert AtomicStructure.from_ase(atoms) == bare
    assert AtomicStructure.from_ase(atoms).digest == bare.digest


def test_the_digest_tells_structures_apart():
    one, other = AtomicStructure.from_ase(bulk("Cu")), AtomicStructure.from_ase(bulk("Cu", a=3.6100001))
    assert one.digest != other.digest
    assert len(one.digest) == 16


def test_formula_and_number_of_atoms():
    found = AtomicStructure.from_ase(bulk("NaCl", "rocksalt", a=5.6))
    assert (found.formula, found.n_atoms) == ("ClNa", 2)


def structure(**change):
    atoms = AtomicStructure.from_ase(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2]]))
    return AtomicStructure(**(atoms.model_dump() | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbols": ["Cu"]}, "1 symbols but 2 positions"),
        ({"positions": [(0.0, 0.0, 0.0), (0.0, 0.0, float("nan"))]}, "must be finite numbers"),
        ({"cell": ((np.inf, 0, 0), (0, 1, 0), (0, 0, 1))}, "must be finite numbers"),
        ({"symbols": [], "positions": []}, "at least 1 item"),
        ({"charge": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_no_structure_is_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        structure(**change)


def test_a_symbol_that_is_no_element_is_refused():
    with pytest.raises(ValidationError, match="Xy"):
        structure(symbols=["Xy", "Cu"])


def test_documents_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        structure().symbols = ["Zr", "Zr"]


def test_fingerprints_list_what_differs():
    one = Fingerprint(
        code="pw.x",
        version="7.2",
        settings={"ecutwfc": 60.0, "spin": True},
        pseudopotentials={"Cu": "a" * 64},
    )
    other = Fingerprint(
        code="vasp",
        version="6",
        settings={"ecutwfc": 80.0, "xc": "PBE"},
        pseudopotentials={"Cu": "b" * 64, "Zr": "c" * 64},
    )
    assert one.differences(one) == []
    assert one.differences(other) == [
        "code: pw.x / vasp",
        "version: 7.2 / 6",
        "ecutwfc: 60.0 / 80.0",
        "spin: True / (not set)",
        "xc: (not set) / PBE",
        "pseudopotential of Cu: aaaaaaaaaaaa… / bbbbbbbbbbbb…",
    ]
    assert len(one.differences(other)) == len(other.differences(one))
