import pytest
from ase.build import bulk

from mlip_autopipec.oracle.qe_input import PwInput
from mlip_autopipec.oracle.qe_namelist import cell_lengths, literal, variables, with_variable


@pytest.fixture
def text():
    return PwInput(
        atoms=bulk("Si", cubic=True),
        control={"tstress": True, "title": "it's"},
        system={"ecutwfc": 20.0, "nspin": 2, "starting_magnetization(1)": 0.5},
        electrons={},
        pseudopotentials={"Si": "Si.upf"},
        k_grid=(1, 1, 1),
    ).text()


def test_what_was_written_is_read(text):
    assert variables(text) == {
        "CONTROL.tstress": True,
        "CONTROL.title": "it's",
        "SYSTEM.ibrav": 0,
        "SYSTEM.nat": 8,
        "SYSTEM.ntyp": 1,
        "SYSTEM.ecutwfc": 20.0,
        "SYSTEM.nspin": 2,
        "SYSTEM.starting_magnetization(1)": 0.5,
    }


@pytest.mark.parametrize(
    ("written", "value"), [(".TRUE.", True), ("F", False), ("1.0d-8", 1e-8), ("-3", -3), ('"a"', "a")]
)
def test_fortran_literals(written, value):
    assert (literal(written), type(literal(written))) == (value, type(value))


def test_a_variable_is_added_changed_and_removed_without_touching_the_rest(text):
    changed = with_variable(with_variable(text, "ELECTRONS.mixing_beta", 0.3), "SYSTEM.nspin", 1)
    assert variables(changed) == variables(text) | {"ELECTRONS.mixing_beta": 0.3, "SYSTEM.nspin": 1}
    back = with_variable(with_variable(changed, "ELECTRONS.mixing_beta", None), "SYSTEM.nspin", 2)
    assert sorted(back.splitlines()) == sorted(text.splitlines())
    assert back.partition("ATOMIC_SPECIES")[2] == text.partition("ATOMIC_SPECIES")[2]


def test_a_namelist_that_is_not_there_cannot_be_changed(text):
    with pytest.raises(ValueError, match="no namelist 'IONS'"):
        with_variable(text, "IONS.pot_extrapolation", "atomic")


def test_lengths_of_the_cell(text):
    assert cell_lengths(text) == pytest.approx([5.43] * 3)
    assert cell_lengths("ibrav = 2") == pytest.approx([0.0] * 3)
