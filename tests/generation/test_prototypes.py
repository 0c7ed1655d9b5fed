"""Crystals by composition, against what any handbook says of them."""

import numpy as np
import pytest
from ase.data import atomic_numbers, covalent_radii
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation import prototypes
from mlip_autopipec.generation.prototypes import atomic_volume

# spglib 2 warns of its own change; pymatgen of elements without electronegativity.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Set OLD_ERROR_HANDLING:DeprecationWarning", "ignore:No Pauling electronegativity:UserWarning"
)

# space group, nearest distance in Å by experiment
KNOWN = {
    "Si": (227, 2.35),
    "Cu": (225, 2.56),
    "Fe": (229, 2.48),
    "Mg": (194, 3.20),
    "NaCl": (225, 2.82),
    "MgO": (225, 2.11),
    "GaAs": (216, 2.45),
    "Cu3Au": (221, 2.65),
    "AuCu3": (221, 2.65),
}


def spacegroup(atoms):
    return SpacegroupAnalyzer(AseAtomsAdaptor.get_structure(atoms), symprec=1e-3).get_space_group_number()


@pytest.mark.parametrize(("formula", "known"), KNOWN.items())
def test_known_crystals(formula, known):
    (found,) = prototypes(formula, n_atoms=8, seed=0)
    assert spacegroup(found.atoms) == known[0]
    assert nearest_distance(found.atoms) == pytest.approx(known[1], rel=0.06)
    assert found.atoms.pbc.all()
    assert found.reason


@pytest.mark.parametrize(
    ("formula", "cell"), [("Si", 8), ("Cu", 4), ("Fe", 2), ("Mg", 2), ("NaCl", 8), ("Cu3Au", 4)]
)
def test_cells_are_conventional(formula, cell):
    assert len(prototypes(formula, n_atoms=8, seed=0)[0].atoms) == cell


def test_two_metals_get_both_orders_of_their_lattices():
    b2, l10 = prototypes("CuZr", n_atoms=8, seed=0)
    assert (spacegroup(b2.atoms), spacegroup(l10.atoms)) == (221, 123)
    volume = 0.5 * (atomic_volume("Cu") + atomic_volume("Zr"))
    for found in (b2, l10):
        assert found.atoms.get_volume() / len(found.atoms) == pytest.approx(volume)
        assert found.atoms.symbols.formula.reduce()[0].format("hill") == "CuZr"


@pytest.mark.parametrize("fractions", [{"Cu": 0.5, "Ni": 0.5}, {"Cu": 3, "Ni": 1}, {"Ni": 0.25, "Cu": 0.75}])
def test_solid_solutions_have_their_composition_and_volume(fractions):
    (found,) = prototypes(fractions, n_atoms=32, seed=1)
    counts = found.atoms.symbols.formula.count()
    total = sum(fractions.values())
    assert {s: n / len(found.atoms) for s, n in counts.items()} == pytest.approx(
        {s: x / total for s, x in fractions.items()}
    )
    volume = sum(x / total * atomic_volume(s) for s, x in fractions.items())
    assert found.atoms.get_volume() / len(found.atoms) == pytest.approx(volume)
    assert len(found.atoms) >= 32


def test_no_element_of_a_solid_solution_vanishes():
    with pytest.raises(ConfigError, match="Ni would have no atom in a cell of 8") as caught:
        prototypes({"Cu": 0.98, "Ni": 0.02}, n_atoms=8, seed=1)
    assert "at least 25 atoms" in str(caught.value)
    (found,) = prototypes({"Cu": 0.98, "Ni": 0.02}, n_atoms=32, seed=1)
    assert set(found.atoms.get_chemical_symbols()) == {"Cu", "Ni"}


def test_occupation_follows_from_the_seed():
    cells = [
        prototypes({"Cu": 0.5, "Ni": 0.5}, n_atoms=32, seed=s)[0].atoms.get_chemical_symbols()
        for s in (1, 1, 2)
    ]
    assert cells[0] == cells[1] != cells[2]


@pytest.mark.parametrize(
    ("composition", "message"),
    [
        ("Al2O3", "no prototype crystal is known for composition 'Al2O3'"),
        ("CuZrAl", "no prototype crystal is known"),
        ("NH3", "no prototype crystal is known for H3N"),
        ("He", "He"),
        ("N", "N has no reference crystal"),
    ],
)
def test_unknown_compositions_say_what_to_give_instead(composition, message):
    with pytest.raises(ConfigError, match=message) as caught:
        prototypes(composition, n_atoms=8, seed=0)
    assert "structures:" in caught.value.hint


@pytest.mark.parametrize("composition", ["Xx", "hello world", "", {"Cu": 0.5, "Qq": 0.5}, {}, {"Cu": -1.0}])
def test_what_is_no_composition_is_a_config_error(composition):
    with pytest.raises(ConfigError, match=r"composition|element|fraction"):
        prototypes(composition, n_atoms=8, seed=0)


@pytest.mark.parametrize(
    "symbol",
    [
        "Li",
        "Al",
        "Ti",
        "Zr",
        "W",
        "Au",
        "Na",
        "Ge",
        "Ni",
        "Po",
        "C",
        "B",
        "Ga",
        "S",
        "P",
        "Mn",
        "U",
        "H",
        "O",
        "Ar",
    ],
)
def test_an_element_gives_a_sane_crystal_or_says_that_it_cannot(symbol):
    try:
        (found,) = prototypes(symbol, n_atoms=8, seed=0)
    except ConfigError as error:
        assert symbol in str(error)  # noqa: PT017
        return
    radius = covalent_radii[atomic_numbers[symbol]]
    assert 1.4 * radius < nearest_distance(found.atoms) < 4.5 * radius
    assert set(found.atoms.get_chemical_symbols()) == {symbol}
    assert np.isfinite(found.atoms.cell.array).all()
