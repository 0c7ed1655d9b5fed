"""Documents of other versions: old ones are brought up to date, newer ones refused."""

import json
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from monty.json import MontyDecoder

from mlip_autopipec.errors import StoreError
from mlip_autopipec.schemas import Document, EosDoc, LabelDoc

OLD = json.loads((Path(__file__).parents[1] / "data" / "documents" / "label_version_1.json").read_text())


class ThirdDoc(Document):
    """A document in its third version; the second renamed a field, the third changed its unit."""

    schema_version: Literal[3] = 3
    length: float
    migrations: ClassVar = {
        1: lambda old: {"length": old["size"]},
        2: lambda old: {**old, "length": 10.0 * old["length"]},
    }


def test_a_label_of_the_first_version_is_read():
    assert OLD["schema_version"] == 1
    assert set(OLD["corrections"][0]["changes"]) == {"electrons.mixing_beta", "electrons.mixing_ndim"}
    label = LabelDoc.model_validate(OLD)
    assert label.schema_version == 2
    assert label.corrections[0].changes == {"mixing_beta": 0.3, "mixing_ndim": None}
    assert label.energy == OLD["energy"]
    assert LabelDoc.model_validate(label.model_dump(mode="json")) == label


def test_it_is_read_as_a_store_gives_it():
    stored = {**OLD, "@module": LabelDoc.__module__, "@class": "LabelDoc"}
    assert MontyDecoder().process_decoded(stored).schema_version == 2


def test_migrations_follow_one_another():
    assert ThirdDoc.model_validate({"schema_version": 1, "size": 0.5}).length == 5.0
    assert ThirdDoc.model_validate({"schema_version": 2, "length": 0.5}).length == 5.0
    assert ThirdDoc(length=5.0).model_dump() == {"schema_version": 3, "length": 5.0}


def test_an_equation_of_state_of_the_first_version_is_the_first_crystal():
    fit = {"v0": 11.6, "e0": -3.5, "b0": 134.0, "b0_prime": 5.0}
    energies = {"energies_reference": [-3.4, -3.5], "energies_predicted": [-3.4, -3.5]}
    old = {"formula": "Cu4", "volumes": [11.0, 12.0], **energies, "reference": fit, "predicted": fit}
    found = EosDoc.model_validate({"schema_version": 1, **old, "checks": []})
    assert found.curves[0].model_dump() == {**old, "phase": ""}
    assert (found.notes, found.checks) == ([], [])


def test_what_is_newer_or_unknown_is_refused():
    with pytest.raises(StoreError, match=r"a LabelDoc of version 9 cannot be read; .* up to 2") as caught:
        LabelDoc.model_validate({**OLD, "schema_version": 9})
    assert "upgrade" in caught.value.hint
    with pytest.raises(StoreError, match="a ThirdDoc of version 0 cannot be read: nothing is known"):
        ThirdDoc.model_validate({"schema_version": 0})
