"""What goes with a released potential: examples that were run, and its card."""

import json

import pytest
from ase.build import bulk
from ase.io import read

from mlip_autopipec.ace import load_potential
from mlip_autopipec.errors import CalculationError, PotentialRejectedError, StoreError
from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.examples import _agree, write_examples
from mlip_autopipec.report.model_card import _data_hash, card_text, measured_speed, model_card
from mlip_autopipec.report.read import read_campaign
from mlip_autopipec.report.release import (
    check_release,
    lammps_input,
    release_documents,
)
from mlip_autopipec.schemas.card import ModelCard

CRYSTAL = bulk("Cu", cubic=True).repeat((2, 1, 1))


@pytest.fixture
def released(copper, tmp_path):
    """Files of a real potential in a folder, with what it was loaded as."""
    folder = tmp_path / "potential"
    folder.mkdir()
    ace = load_potential(copper, folder)
    (folder / "potential.json").write_text(json.dumps({"e0": copper.e0}))
    (folder / "potential.lammps").write_text(lammps_input(copper))
    return folder, ace


def test_examples_are_run_and_say_what_was(copper, released):
    folder, ace = released
    what = write_examples(copper, ace, CRYSTAL, folder)
    assert what["example_ase.py"] == "run as it is by Python with ASE"
    assert (
        "python-ace in the place of 'include potential.lammps', whose lines were not run"
        in what["example.lammps"]
    )
    text = (folder / "example.lammps").read_text()
    assert "the pair_style lines themselves were NOT run" in text
    assert "include potential.lammps\n" in text
    assert len(read(folder / "example.extxyz")) == 8
    assert not (folder / "log.lammps").exists()


def test_an_example_that_disagrees_is_not_handed_out(copper, released):
    folder, ace = released
    (folder / "potential.json").write_text(json.dumps({"e0": {"Cu": 3.0}}))
    with pytest.raises(CalculationError, match=r"example_ase.py gives .* eV, the potential"):
        write_examples(copper, ace, CRYSTAL, folder)
    (folder / "potential.json").unlink()
    with pytest.raises(CalculationError, match=r"example_ase.py failed: [\s\S]*potential.json"):
        write_examples(copper, ace, CRYSTAL, folder)
    with pytest.raises(CalculationError, match="x gives nan eV"):
        _agree("x", float("nan"), 1.0, 1, folder)


def test_the_card_says_what_a_user_should_know(released, finished, store):
    _, ace = released
    campaign = read_campaign(store)
    card = model_card(campaign, ace, [CRYSTAL], {"a.py": "run"}, forced=True)
    assert (card.verdict, card.forced, card.elements) == ("pass", False, ["Cu"])
    assert card.data.n_training == 3
    assert card.data.origins == {"user": 1, "dimer": 1, "md": 1}
    assert card.data.n_failed == 1
    assert set(card.errors) == {
        "training, given crystal",
        "training, dimer",
        "training, from MD",
        "held out, all",
    }
    assert card.validity.phases == ["Cu in Fm-3m, 8 atoms"]
    assert card.validity.temperatures == [300.0, 301.0]
    assert card.speed.with_gamma > 0.0
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
    text = card_text(card)
    for line in (
        "# ACE potential for Cu",
        "| pass | bulk modulus | 141.7 | 137.9 |",
        "non-commercial use only",
    ):
        assert line in text
    assert "released by force" not in text
    failed = card.model_copy(update={"verdict": "fail", "forced": True})
    assert "released by force" in card_text(failed)


def test_the_hash_of_the_data_sees_every_number_and_no_order(finished, store, released):
    campaign = read_campaign(store)
    turned = Campaign(labels=campaign.labels[::-1])
    assert _data_hash(turned) == _data_hash(campaign)
    first, *rest = campaign.labels
    entry = first.entry.model_copy(
        update={"label": first.entry.label.model_copy(update={"energy": first.entry.label.energy + 1e-9})}
    )
    changed = Campaign(labels=(type(first)(first.generation, entry, first.shared), *rest))
    assert _data_hash(changed) != _data_hash(campaign)


def test_an_unfinished_campaign_has_no_card(released):
    with pytest.raises(StoreError, match="only a finished campaign has a model card"):
        model_card(Campaign(), released[1], [CRYSTAL], {}, forced=False)


def test_a_potential_that_failed_is_released_by_force_only(finished):
    failed = finished.model_copy(update={"verdict": "fail"})
    with pytest.raises(PotentialRejectedError, match="did not pass validation and is not released"):
        check_release(failed, forced=False)
    check_release(failed, forced=True)
    check_release(finished.model_copy(update={"verdict": "warn"}), forced=False)


def test_without_its_crystals_nothing_is_written(finished, store, write, docs, tmp_path):
    other = finished.state.model_copy(update={"seeds": finished.validation})
    end = finished.model_copy(update={"state": other})
    with pytest.raises(StoreError, match="holds no crystals or no potential"):
        release_documents(store, end, tmp_path)


def test_speed_is_that_of_some_64_atoms(released):
    found = measured_speed(released[1], CRYSTAL)
    assert found.n_atoms == 64
    assert found.without_gamma > 0.0
