import hashlib

import pytest
from ase.data import chemical_symbols

from mlip_autopipec.errors import ConfigError, MissingProgramError
from mlip_autopipec.oracle import qe_pseudo
from mlip_autopipec.oracle.qe_pseudo import Pseudopotential, cutoff_table, find_pseudopotentials


def test_the_header_is_read(make_upf):
    path = make_upf("Cu", kind="PAW", functional=" SLA  PW   PBX  PBC", cutoff="4.2D+01")
    pseudo = Pseudopotential.read(path)
    assert (pseudo.element, pseudo.kind, pseudo.functional) == ("Cu", "PAW", "SLA PW PBX PBC")
    assert pseudo.suggested_ecutwfc == pseudo.ecutwfc() == 42.0
    assert pseudo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_table_knows_the_whole_family_and_wins_over_the_header(make_upf, monkeypatch):
    assert len(cutoff_table()) == 72
    assert all(40.0 > c >= 36.0 or 40.0 <= c <= 110.0 for c in cutoff_table().values())
    pseudo = Pseudopotential.read(make_upf("Si", cutoff=30.0))
    monkeypatch.setattr(qe_pseudo, "cutoff_table", lambda: {pseudo.sha256: 36.0})
    assert pseudo.ecutwfc() == 36.0


def test_the_keys_of_the_table_are_elements():
    import yaml

    with (qe_pseudo.resources.files("mlip_autopipec.oracle") / "qe_cutoffs.yaml").open() as file:
        family = yaml.safe_load(file)["pseudo-dojo-0.4-pbe-sr-standard"]
    assert set(family) <= set(chemical_symbols)
    assert family["Si"]["ecutwfc"] == 36


def test_without_a_cut_off_one_is_asked_for(make_upf):
    pseudo = Pseudopotential.read(make_upf("Si", cutoff=0.0))
    with pytest.raises(ConfigError, match=r"no cut-off is known for the pseudopotential Si.upf of Si"):
        pseudo.ecutwfc()


def test_a_file_that_is_no_upf_2_is_refused(make_upf):
    path = make_upf("Si")
    path.write_text("<PP_HEADER>\n 0 Version Number\n</PP_HEADER>\n")
    with pytest.raises(ConfigError, match=r"Si.upf is not a UPF file of version 2"):
        Pseudopotential.read(path)


def test_a_missing_element_names_folder_element_and_what_is_there(make_upf):
    folder = make_upf("Si").parent
    with pytest.raises(
        MissingProgramError, match=r"no pseudopotential of Ge in .*standard; there: Si.upf"
    ) as caught:
        find_pseudopotentials(["Si", "Ge"], folder, "PBE", {})
    assert "mlip-auto setup qe" in caught.value.hint


def test_a_missing_folder_is_an_empty_one(tmp_path):
    with pytest.raises(MissingProgramError, match="there: no UPF file"):
        find_pseudopotentials(["Si"], tmp_path / "none", "PBE", {})


def test_a_name_with_a_suffix_is_found_but_not_that_of_another_element(make_upf):
    folder = make_upf("Si", name="Si.pbe-rrkj.UPF").parent
    make_upf("S", name="S_pbe.UPF")
    found = find_pseudopotentials(["S", "Si", "S"], folder, "PBE", {})
    assert {e: p.path.name for e, p in found.items()} == {"S": "S_pbe.UPF", "Si": "Si.pbe-rrkj.UPF"}


def test_several_files_ask_for_a_choice(make_upf):
    folder = make_upf("Si", name="Si.a.UPF").parent
    make_upf("Si", name="Si.b.UPF")
    with pytest.raises(ConfigError, match=r"2 pseudopotentials of Si in .*: Si.a.UPF, Si.b.UPF"):
        find_pseudopotentials(["Si"], folder, "PBE", {})
    assert find_pseudopotentials(["Si"], folder, "PBE", {"Si": "Si.b.UPF"})["Si"].path.name == "Si.b.UPF"
    with pytest.raises(MissingProgramError, match=r"no pseudopotential of Si named 'Si.c.UPF'"):
        find_pseudopotentials(["Si"], folder, "PBE", {"Si": "Si.c.UPF"})


def test_another_functional_or_element_is_refused(make_upf):
    folder = make_upf("Si", functional="SLA PZ NOGX NOGC").parent
    assert find_pseudopotentials(["Si"], folder, "LDA", {})
    with pytest.raises(ConfigError, match="is for Si with 'SLA PZ NOGX NOGC'; asked for: Si with PBE"):
        find_pseudopotentials(["Si"], folder, "PBE", {})
    make_upf("Ge", name="C.upf")
    with pytest.raises(ConfigError, match="is for Ge with 'PBE'; asked for: C with PBE"):
        find_pseudopotentials(["C"], folder, "PBE", {})


def test_an_unknown_functional_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="'functional' must be one of PBE, PBEsol, LDA, got 'SCAN'"):
        find_pseudopotentials(["Si"], tmp_path, "SCAN", {})


def test_fully_relativistic_files_do_not_go_with_others(make_upf):
    silicon, germanium = make_upf("Si"), make_upf("Ge")
    assert set(find_pseudopotentials(["Si", "Ge"], silicon.parent, "PBE", {})) == {"Si", "Ge"}
    text = germanium.read_text()
    germanium.write_text(text.replace("<PP_HEADER", '<PP_HEADER relativistic="full"'))
    assert set(find_pseudopotentials(["Ge"], silicon.parent, "PBE", {})) == {"Ge"}
    with pytest.raises(ConfigError, match=r"different families: Ge.upf fully relativistic, Si.upf not"):
        find_pseudopotentials(["Si", "Ge"], silicon.parent, "PBE", {})
