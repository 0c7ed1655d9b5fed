"""From labels to a training set: E0, what is left out, what is refused, how much each structure weighs."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.schemas import AtomicStructure, Fingerprint, LabelBatchDoc, LabelDoc, LabelledStructure
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training.dataset import assemble, importance, one_fingerprint, reference_energies

CUTOFF = 4.0


def labelled(atoms, energy, origin="rattle", fingerprint=None, label_id="l"):
    return LabelledStructure(
        label=LabelDoc(
            structure=AtomicStructure.from_ase(atoms),
            energy=energy,
            forces=np.zeros((len(atoms), 3)).tolist(),
            stress=None,
            fingerprint=fingerprint or Fingerprint(code="test", version="1"),
            wall_time=0.0,
        ),
        label_id=label_id,
        origin=origin,
    )


def batch(*labels):
    return LabelBatchDoc(labels=list(labels), failed=[], n_labels=len(labels), wall_time=0.0)


def dimer(symbols, d=2.5):
    return Atoms(symbols, positions=[[0, 0, 0], [0, 0, d]])


def atom(symbol):
    return Atoms(symbol, positions=[[0, 0, 0]])


def test_e0_are_the_energies_of_isolated_atoms_if_there_is_one_of_each_element():
    labels = [
        labelled(atom("Cu"), -1.0, "isolated_atom"),
        labelled(dimer("CuZr"), -9.0),
        labelled(atom("Zr"), -2.0, "isolated_atom"),
    ]
    e0, source = reference_energies(labels)
    assert e0 == {"Cu": -1.0, "Zr": -2.0}
    assert source == "labelled isolated atoms"


def test_without_them_e0_are_least_squares_over_the_compositions():
    labels = [
        labelled(atom("Cu"), -1.0, "isolated_atom"),  # of one element only: does not count as E0
        labelled(dimer("CuZr"), -7.0),
        labelled(dimer("Zr2"), -8.0),
    ]
    e0, source = reference_energies(labels)
    counts, energies = np.array([[1, 0], [1, 1], [0, 2]]), np.array([-1.0, -7.0, -8.0])
    assert [e0["Cu"], e0["Zr"]] == pytest.approx(np.linalg.solve(counts.T @ counts, counts.T @ energies))
    assert source == "least squares over the compositions"


def test_compositions_that_cannot_be_told_apart_share_e0():
    e0, _ = reference_energies([labelled(dimer("CuZr"), -8.0), labelled(dimer("CuZr", 2.7), -6.0)])
    assert e0 == pytest.approx({"Cu": -3.5, "Zr": -3.5})


def test_e0_can_be_demanded_of_isolated_atoms_or_of_the_compositions():
    labels = [labelled(atom("Cu"), -1.0, "isolated_atom"), labelled(dimer("Cu2"), -7.0)]
    assert reference_energies(labels, "isolated") == ({"Cu": -1.0}, "labelled isolated atoms")
    e0, source = reference_energies(labels, "least_squares")
    assert e0 == pytest.approx({"Cu": -3.0})  # (1 * -1 + 2 * -7) / (1 + 4)
    assert source == "least squares over the compositions"
    with pytest.raises(FitError, match=r"each element; Cu has none \(labelled: none\)"):
        reference_energies(labels[1:], "isolated")
    with pytest.raises(ConfigError, match="'e0' must be one of auto, isolated, least_squares, got 'best'"):
        reference_energies(labels, "best")


def test_two_energies_of_one_free_atom_are_refused():
    pair = [labelled(atom("Cu"), energy, "isolated_atom", label_id=f"l{energy}") for energy in (-1.0, -1.2)]
    with pytest.raises(FitError, match=r"isolated Cu atom has two energies: -1.0.* eV \(l-1.0\) and -1.2"):
        reference_energies(pair)
    assert reference_energies(pair, "least_squares")[0] == pytest.approx({"Cu": -1.1})


def test_lonely_atoms_are_left_out_with_a_reason():
    slab = Atoms("Cu3", positions=[[0, 0, 0], [0, 0, 2.5], [0, 0, 12]], cell=[20, 20, 40], pbc=True)
    found = assemble(
        [
            batch(labelled(atom("Cu"), -1.0, "isolated_atom", label_id="a")),
            batch(labelled(slab, -4.0, label_id="b"), labelled(dimer("Cu2"), -3.0, label_id="c")),
        ],
        CUTOFF,
    )
    assert [item.label_id for item in found.labels] == ["c"]
    assert found.excluded == ["a (Cu): isolated atom, gives E0", "b (Cu3): 1 atoms without a neighbour"]
    assert found.elements == ("Cu",)
    assert found.cohesive_energies() == pytest.approx([-0.5])


def test_one_atom_with_its_own_images_as_neighbours_is_kept():
    found = assemble([batch(labelled(bulk("Cu"), -3.5))], CUTOFF)
    assert len(found.labels) == 1
    assert found.e0_source == "least squares over the compositions"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Fingerprint(code="test", version="2"), "version: 1 / 2"),
        (Fingerprint(code="pw.x", version="1"), "code: test / pw.x"),
        (Fingerprint(code="test", version="1", settings={"ecutwfc": 60.0}), r"ecutwfc: \(not set\) / 60.0"),
    ],
)
def test_labels_of_different_conditions_are_refused_with_the_differences(other, message):
    labels = (
        labelled(dimer("Cu2"), -1.0, label_id="x"),
        labelled(dimer("Cu2", 2.4), -1.0, fingerprint=other, label_id="y"),
    )
    with pytest.raises(FitError, match=f"labels x and y were made under different conditions: .*{message}"):
        assemble([batch(labels[0]), batch(labels[1])], CUTOFF)


def test_another_element_does_not_make_the_conditions_different():
    prints = [
        Fingerprint(code="pw.x", version="7", pseudopotentials={e: e * 64 for e in elements})
        for elements in (("Cu",), ("Cu", "Zr"))
    ]
    pair = [
        labelled(dimer("Cu2"), -1.0, fingerprint=prints[0]),
        labelled(dimer("CuZr"), -1.0, fingerprint=prints[1]),
    ]
    assert len(assemble([batch(*pair)], CUTOFF).labels) == 2


def test_another_pseudopotential_does():
    prints = [Fingerprint(code="pw.x", version="7", pseudopotentials={"Cu": x * 64}) for x in "ab"]
    pair = [labelled(dimer("Cu2"), -1.0, fingerprint=f) for f in prints]
    with pytest.raises(FitError, match="pseudopotential of Cu: aaaaaaaaaaaa… / bbbbbbbbbbbb…"):
        assemble([batch(*pair)], CUTOFF)


def test_conditions_are_compared_with_all_labels_before_not_with_the_first_only():
    pseudos = ({"Cu": "c" * 64}, {"Zr": "a" * 64}, {"Zr": "b" * 64})
    prints = [Fingerprint(code="pw.x", version="7", pseudopotentials=p) for p in pseudos]
    labels = [
        labelled(dimer(e), -1.0, fingerprint=f, label_id=e)
        for e, f in zip(("Cu2", "Zr2", "CuZr"), prints, strict=True)
    ]
    assert one_fingerprint(labels[:2]).pseudopotentials == pseudos[0] | pseudos[1]
    with pytest.raises(FitError, match=r"labels Zr2 and CuZr were .* conditions: pseudopotential of Zr: aaa"):
        one_fingerprint(labels)


def test_nothing_to_fit_is_an_error():
    with pytest.raises(FitError, match="there are no labels to fit"):
        assemble([batch()], CUTOFF)
    with pytest.raises(FitError, match="none of 1 labels can be fitted"):
        assemble([batch(labelled(atom("Cu"), -1.0, "isolated_atom"))], CUTOFF)


def test_importance_is_one_for_the_most_stable_of_each_composition_and_grows_linearly():
    labels = [
        labelled(atom("Cu"), 0.0, "isolated_atom"),
        labelled(atom("Zr"), 0.0, "isolated_atom"),
        labelled(dimer("Cu2"), -4.0),
        labelled(bulk("Cu"), -1.4),  # the same composition, 0.6 eV/atom above
        labelled(dimer("CuZr"), 10.0),  # of another: its own lowest
    ]
    factors = importance(assemble([batch(*labels)], CUTOFF), energy_scale=0.3)
    assert factors == pytest.approx([1.0, 3.0, 1.0])


def test_label_batch_labels_what_ase_says(candidate):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    found = label_batch(
        [candidate(atoms, "md", gamma=2.0), candidate(atom("Cu"), "isolated_atom")], EMT(), prefix="p"
    )
    atoms.calc = EMT()
    assert found.labels[0].label.energy == pytest.approx(atoms.get_potential_energy())
    assert np.array(found.labels[0].label.stress) == pytest.approx(atoms.get_stress(voigt=False))
    assert (found.labels[0].gamma, found.labels[1].label_id, found.labels[1].label.stress) == (
        2.0,
        "p-1",
        None,
    )
