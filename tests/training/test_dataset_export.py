"""Labels to the files of other programs and back."""

import gzip
import sys
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import FitError, MissingProgramError, StructureError
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, Fingerprint
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training.dataset_builder import DatasetMaker
from mlip_autopipec.training.dataset_export import to_ase_db, to_extxyz, to_pacemaker_frame
from mlip_autopipec.training.dataset_import import read_labelled

ZUO = Path(__file__).parents[1] / "data" / "zuo"
PRINT = Fingerprint(code="ase:emt", version="test")


@pytest.fixture
def labels(candidate):
    """A free atom, a cluster without a cell, a sheared crystal and a slab."""
    crystal = bulk("CuAu", "rocksalt", a=5.6, cubic=True)
    crystal.set_cell(crystal.cell.array @ [[1, 0.1, 0], [0, 1, 0], [0, 0.05, 1]], scale_atoms=True)
    crystal.rattle(0.1, seed=1)
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    found = label_batch(
        [
            candidate(Atoms("Cu"), "isolated_atom"),
            candidate(Atoms("Au"), "isolated_atom"),
            candidate(Atoms("Cu2", positions=[[0, 0, 0], [0, 0.1, 2.3]]), "dimer", detail="d = 2.3 Å"),
            candidate(crystal, "md", gamma=3.25, detail='MD at "300" K, step 20'),
            candidate(slab, "user"),
        ],
        EMT(),
    ).labels
    groups = ["", "", "", "md-0-300K-11", "1e5"]
    return [item.model_copy(update={"group": g}) for item, g in zip(found, groups, strict=True)]


def same_label(mine, theirs):
    one, other = mine.label, theirs.label
    assert one.structure.symbols == other.structure.symbols
    assert one.structure.pbc == other.structure.pbc
    for first, second in (
        (one.structure.positions, other.structure.positions),
        (one.structure.cell, other.structure.cell),
        (one.forces, other.forces),
    ):
        assert np.allclose(first, second, rtol=0.0, atol=1e-8)
    assert one.energy == other.energy
    assert (one.stress is None) == (other.stress is None)
    if one.stress is not None:
        assert np.allclose(one.stress, other.stress, rtol=0.0, atol=1e-12)
    same = {"label_id", "origin", "group", "detail", "gamma"}
    assert mine.model_dump(include=same) == theirs.model_dump(include=same)


@pytest.mark.parametrize("name", ["labels.extxyz", "labels.xyz.gz"])
def test_extended_xyz_comes_back(labels, tmp_path, name):
    path = to_extxyz(labels, tmp_path / name)
    found = read_labelled(path, PRINT)
    assert found.n_labels == len(labels)
    for mine, theirs in zip(labels, found.labels, strict=True):
        same_label(mine, theirs)
    assert found.labels[2].label.notes == [f"read from {name}, frame 2"]
    assert [file.name for file in tmp_path.iterdir()] == [name]


texts = st.text(st.characters(codec="utf-8"), max_size=12)


@given(label_id=texts.filter(bool), group=texts, detail=texts)
def test_any_text_comes_back(tmp_path_factory, label_id, group, detail):
    update = {"label_id": label_id, "group": group, "detail": detail}
    atom = CandidateStructure(structure=AtomicStructure.from_ase(Atoms("Cu")), origin="isolated_atom")
    item = label_batch([atom], EMT()).labels[0].model_copy(update=update)
    path = to_extxyz([item], tmp_path_factory.mktemp("text") / "a.extxyz")
    same_label(item, read_labelled(path, PRINT).labels[0])


@pytest.mark.parametrize(
    "text",
    ["12", "1e5", "T", "false", "1 2 3", "a=b", 'a "b"', "[1, 2]", "{x}", "nan", "_JSON 1", "a\nb", "a\\nb"],
)
def test_text_that_looks_like_something_else_comes_back(copper_batch, tmp_path, text):
    item = copper_batch.labels[0].model_copy(update={"label_id": text, "group": text})
    same_label(item, read_labelled(to_extxyz([item], tmp_path / "a.extxyz"), PRINT).labels[0])
    row = next(ase.db.connect(to_ase_db([item], tmp_path / "a.db")).select())
    assert (row.data["label_id"], row.data["group"]) == (text, text)


def test_the_split_is_written(copper_batch, tmp_path):
    doc = DatasetMaker(test_fraction=0.3).build([copper_batch])
    expected = dict.fromkeys(doc.train, "train") | dict.fromkeys(doc.test, "test")
    expected |= {item.label_id: "excluded" for item in doc.excluded}
    frames = ase.io.read(to_extxyz(copper_batch.labels, tmp_path / "a.extxyz", doc), ":")
    assert {atoms.info["label_id"]: atoms.info["split"] for atoms in frames} == expected
    rows = ase.db.connect(to_ase_db(copper_batch.labels, tmp_path / "a.db", doc))
    assert {row.label_id: row.split for row in rows.select()} == expected
    assert rows.count(split="test") == len(doc.test) > 0


def test_the_database_holds_results_and_can_be_searched(labels, tmp_path):
    path = to_ase_db(labels, tmp_path / "labels.db")
    database = ase.db.connect(path)
    assert len(database) == len(labels)
    atoms = database.get_atoms(group="md-0-300K-11")
    label = labels[3].label
    assert atoms.get_potential_energy() == label.energy
    assert np.array_equal(atoms.get_forces(), label.forces)
    assert np.allclose(atoms.get_stress(voigt=False), label.stress, rtol=0, atol=1e-15)
    assert np.array_equal(atoms.positions, label.structure.positions)
    row = database.get(label_id="label-4")
    assert row.data["group"] == "1e5"  # ASE has no such pair
    assert "group" not in row.key_value_pairs
    assert [file.name for file in tmp_path.iterdir()] == ["labels.db"]


def test_an_old_database_is_replaced(labels, tmp_path):
    path = tmp_path / "labels.db"
    to_ase_db(labels, path)
    to_ase_db(labels[:2], path)
    assert len(ase.db.connect(path)) == 2
    with pytest.raises(FitError, match=r"an ASE database needs a name that ends with \.db, got 'a\.sqlite'"):
        to_ase_db(labels, tmp_path / "a.sqlite")


def test_pacemaker_reads_the_data_frame(labels, tmp_path):
    pd = pytest.importorskip("pandas", reason="pandas comes with python-ace")
    e0 = {"Cu": -0.5, "Au": -1.5}
    path = to_pacemaker_frame(labels, tmp_path / "labels.pckl.gzip", e0)
    content = gzip.decompress(path.read_bytes())
    assert content[:2] == b"\x80\x04"  # protocol 4
    frame = pd.read_pickle(path, compression="gzip")
    assert list(frame.columns) == ["ase_atoms", "energy_corrected", "forces", "name"]
    assert frame["name"].tolist() == [item.label_id for item in labels]
    for item, row in zip(labels, frame.itertuples(), strict=True):
        assert isinstance(row.ase_atoms, Atoms)
        assert row.ase_atoms == item.label.structure.to_ase()
        assert np.array_equal(row.forces, item.label.forces)
    assert frame["energy_corrected"][0] == labels[0].label.energy + 0.5
    assert frame["energy_corrected"][3] == pytest.approx(labels[3].label.energy + 4 * 0.5 + 4 * 1.5)


def test_equal_labels_make_equal_files(labels, tmp_path):
    pytest.importorskip("pandas", reason="pandas comes with python-ace")
    for name in ("a", "b"):
        to_extxyz(labels, tmp_path / f"{name}.gz")
        to_pacemaker_frame(labels, tmp_path / f"{name}.pckl", {"Cu": 0.0, "Au": 0.0})
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (tmp_path / "a.pckl").read_bytes() == (tmp_path / "b.pckl").read_bytes()


def test_an_element_without_e0_is_refused(labels, tmp_path):
    with pytest.raises(FitError, match=r"element Au has no E0; known: Cu\."):
        to_pacemaker_frame(labels, tmp_path / "a", {"Cu": 0.0})


def test_without_pandas_there_is_no_data_frame(labels, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MissingProgramError, match="pandas is not installed; what Pacemaker reads are its data frames"
    ):
        to_pacemaker_frame(labels, tmp_path / "a", {"Cu": 0.0, "Au": 0.0})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_of_nothing(tmp_path):
    for write in (to_extxyz, to_ase_db, lambda labels, path: to_pacemaker_frame(labels, path, {})):
        with pytest.raises(FitError, match="there are no labels to write"):
            write([], tmp_path / "a.db")
    assert list(tmp_path.iterdir()) == []


def test_labels_of_others_are_read_with_their_own_names_of_columns():
    found = read_labelled(ZUO / "Cu.extxyz.gz", PRINT, forces_key="force")
    atoms = ase.io.read(ZUO / "Cu.extxyz.gz", index=3)
    item = found.labels[3]
    assert (item.label_id, item.origin, item.group, item.label.stress) == ("Cu-3", "user", "", None)
    assert item.label.energy == atoms.get_potential_energy()
    assert np.array_equal(item.label.forces, atoms.arrays["force"])
    assert item.label.fingerprint == PRINT
    with pytest.raises(
        StructureError, match=r"frame 0 .* of 'Cu.extxyz.gz' has no forces under 'forces'; it has"
    ) as e:
        read_labelled(ZUO / "Cu.extxyz.gz", PRINT)
    assert "force, " in str(e.value)
    assert "name the right one by `forces_key`" in str(e.value)


def write(path, line, row="Cu 0 0 0 0.1 0.2 0.3", columns="forces"):
    path.write_text(f"1\nProperties=species:S:1:pos:R:3:{columns}:R:3 {line}\n{row}\n")
    return path


CELL = 'Lattice="3 0 0 0 3 0 0 0 3" pbc="T T T"'


def test_free_atoms_are_recognised(tmp_path):
    free = read_labelled(write(tmp_path / "a.xyz", 'energy=-1 pbc="F F F"'), PRINT).labels[0]
    assert (free.origin, free.label_id, free.label.forces) == ("isolated_atom", "a-0", [(0.1, 0.2, 0.3)])
    line = f"{CELL} energy=-1 config_type=IsolatedAtom"
    assert read_labelled(write(tmp_path / "b.xyz", line), PRINT).labels[0].origin == "isolated_atom"
    assert read_labelled(write(tmp_path / "c.xyz", f"{CELL} energy=-1"), PRINT).labels[0].origin == "user"


def test_energy_and_stress_under_other_names(tmp_path):
    line = f'{CELL} dft=-1.5 virial_stress="1 2 3 2 4 5 3 5 6"'
    path = write(tmp_path / "a.xyz", line, columns="f_dft")
    keys = {"energy_key": "dft", "forces_key": "f_dft", "stress_key": "virial_stress"}
    label = read_labelled(path, PRINT, **keys).labels[0].label
    assert (label.energy, label.stress) == (-1.5, ((1, 2, 3), (2, 4, 5), (3, 5, 6)))
    assert label.forces == [(0.1, 0.2, 0.3)]
    voigt = write(tmp_path / "b.xyz", f'{CELL} energy=-1 s="1 4 6 5 3 2"')
    stress = read_labelled(voigt, PRINT, stress_key="s").labels[0].label.stress
    assert stress == label.stress


@pytest.mark.parametrize(
    ("line", "row", "error", "message"),
    [
        (CELL, None, StructureError, r"frame 0 \(Cu\) of 'a.xyz' has no energy under 'energy'; it has: "),
        (f"{CELL} energy=nan", None, FitError, "its energy must be finite, got NaN"),
        (f"{CELL} energy=abc", None, FitError, "its energy must be numbers, got 'abc'"),
        (f'{CELL} energy="1 2"', None, FitError, r"its energy must have the shape \(1,\), got \(2,\)"),
        (f"{CELL} energy=1", "Cu 0 0 0 0.1 nan 0.3", FitError, "its forces must be finite"),
        (f"{CELL} energy=1", "Cu nan 0 0 0.1 0 0.3", StructureError, "positions and cell must be finite"),
        (f"{CELL} energy=1", "X 0 0 0 0.1 0 0.3", StructureError, "X is not a chemical element"),
        (f'{CELL} energy=1 s="1 2 3"', None, FitError, r"its stress must have the shape \(9,\), got \(3,\)"),
        (f"{CELL} energy=1", "Cu 0 0", StructureError, "'a.xyz' cannot be read as extended XYZ: "),
    ],
)
def test_frames_that_cannot_be_used_say_why(tmp_path, line, row, error, message):
    path = write(tmp_path / "a.xyz", line, *([row] if row else []))
    with pytest.raises(error, match=message):
        read_labelled(path, PRINT, stress_key="s")


def test_forces_of_another_shape_are_refused(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(f"1\n{CELL} Properties=species:S:1:pos:R:3:f:R:2 energy=1\nCu 0 0 0 0.1 0.2\n")
    with pytest.raises(FitError, match=r"its forces must have the shape \(1, 3\), got"):
        read_labelled(path, PRINT, forces_key="f")


def test_files_that_are_not_there_or_empty(tmp_path):
    with pytest.raises(StructureError, match=r"the file '.*none\.xyz' does not exist"):
        read_labelled(tmp_path / "none.xyz", PRINT)
    (tmp_path / "empty.xyz").write_text("")
    with pytest.raises(StructureError, match=r"'empty\.xyz' holds no structure"):
        read_labelled(tmp_path / "empty.xyz", PRINT)
