"""Every Maker and every document of the package keeps its contract, and the contracts find what is wrong."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jobflow import Maker, job
from pydantic import ConfigDict, Field

from mlip_autopipec.ace import AceCalculator
from mlip_autopipec.schemas import AtomicStructure, Document
from mlip_autopipec.testing import (
    DocumentContract,
    MakerContract,
    PotentialContract,
    document_classes,
    maker_classes,
    maker_unchanged,
)

MAKERS, DOCUMENTS = maker_classes(), document_classes()


@pytest.mark.parametrize("maker_class", MAKERS, ids=lambda c: c.__qualname__)
def test_maker_keeps_its_contract(maker_class):
    MakerContract(maker_class).check()


def test_the_walk_finds_the_makers_of_every_role():
    packages = {maker.__module__.split(".")[1] for maker in MAKERS}
    roles = {"generation", "oracle", "training", "dynamics", "selection", "validation", "flows"}
    assert roles <= packages


@pytest.mark.parametrize("document_class", DOCUMENTS, ids=lambda c: c.__qualname__)
def test_document_keeps_its_contract(document_class):
    DocumentContract(document_class).check()


numbers = st.floats(allow_nan=False, allow_infinity=False)
vectors = st.tuples(numbers, numbers, numbers)
PLAIN = {
    float: st.floats(min_value=0.0, exclude_min=True, allow_nan=False),  # inf as well
    int: st.integers(1, 2**40),
    bool: st.booleans(),
    str: st.text(max_size=6),
    type(None): st.none(),
    Path: st.just(Path("a/b")),
    Any: st.just({"number": [1, 2.5, None], "text": "é"}),
}


def structures(n_atoms):
    return st.builds(
        AtomicStructure,
        symbols=st.just(["Cu", "Zr"][:n_atoms]),
        positions=st.tuples(*[vectors] * n_atoms).map(list),
        cell=st.tuples(vectors, vectors, vectors),
        pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    )


def values(annotation):
    """Strategy for a field's type; small containers, so that nested documents stay small."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        found = values(arguments[0])
    elif origin is Literal:
        found = st.sampled_from(arguments)
    elif origin in (Union, UnionType):
        found = st.one_of(*(values(a) for a in arguments))
    elif origin is list:
        found = st.lists(values(arguments[0]), min_size=1, max_size=2)
    elif origin is tuple:
        found = st.tuples(*(values(a) for a in arguments if a is not Ellipsis))
    elif origin is dict:
        found = st.dictionaries(st.sampled_from(["Cu", "Zr", "Cu-Zr"]), values(arguments[1]), max_size=2)
    elif annotation is AtomicStructure:
        found = structures(1) | structures(2)
    elif annotation in PLAIN:
        found = PLAIN[annotation]
    else:
        fields = annotation.model_fields.items()
        found = st.builds(annotation, **{name: values(info.annotation) for name, info in fields})
    return found


@pytest.mark.parametrize("document_class", DOCUMENTS, ids=lambda c: c.__qualname__)
@settings(max_examples=12, phases=[Phase.generate])
@given(data=st.data())
def test_document_survives_the_stores(document_class, data):
    DocumentContract(document_class).check_instance(data.draw(values(document_class)))


def test_testing_needs_no_pytest():
    code = "import sys; sys.modules['pytest'] = None; import mlip_autopipec.testing"
    subprocess.run([sys.executable, "-c", code], check=True)


# The contracts themselves: each check fails on a class made to break it.


@dataclass
class SharedMaker(Maker):
    """Shares a list.

    Parameters
    ----------
    name
        Name.
    words
        Shared.
    """

    words: list = field(default_factory=lambda words=[]: words)
    name: str = "shared"


@dataclass
class RandomMaker(Maker):
    """Is new each time.

    Parameters
    ----------
    name, value
        Both.
    """

    name: str = "random"
    value: int = field(default_factory=iter(range(100)).__next__)


@dataclass
class SilentMaker(Maker):
    """Does not say what `size` is.

    Parameters
    ----------
    name
        Name.

    Notes
    -----
    size
        Described in the wrong place.
    """

    name: str = "silent"
    size: int = 1


@dataclass
class ForgetfulMaker(Maker):
    """Forgets its size in JSON.

    Parameters
    ----------
    name, size
        Both.
    """

    name: str = "forgetful"
    size: int = 1

    @classmethod
    def from_dict(cls, _):
        return cls(size=2)


@dataclass
class RestlessMaker(Maker):
    """Counts how often it was used.

    Parameters
    ----------
    name
        Name.
    used
        How often.
    """

    name: str = "restless"
    used: int = 0

    def make(self, _a, b=1):
        self.used += 1
        return work(b)


@job
def work(b):
    return b


@pytest.mark.parametrize(
    ("maker_class", "message"),
    [
        (SharedMaker, "SharedMaker.words is shared between all instances"),
        (RandomMaker, "RandomMaker builds differently each time"),
        (SilentMaker, "SilentMaker does not describe its fields size"),
        (ForgetfulMaker, "ForgetfulMaker comes back from JSON with other settings"),
        (RestlessMaker, "RestlessMaker changed its own used"),
    ],
)
def test_maker_contract_finds(maker_class, message):
    with pytest.raises(AssertionError, match=message):
        MakerContract(maker_class).check()


def test_maker_unchanged_lets_a_quiet_maker_pass():
    maker = RestlessMaker()
    with maker_unchanged(maker):
        pass
    with pytest.raises(AssertionError, match="changed its own name"), maker_unchanged(maker):
        maker.name = "other"


class OpenDoc(Document):
    model_config = ConfigDict(extra="allow")


class ChangeableDoc(Document):
    model_config = ConfigDict(frozen=False)


class UndescribedDoc(Document):
    text: str


class UnitlessDoc(Document):
    table: dict[str, list[float | None]] = Field(description="Energies.")


@pytest.mark.parametrize(
    ("document_class", "message"),
    [
        (OpenDoc, "OpenDoc accepts unknown fields"),
        (ChangeableDoc, "ChangeableDoc can be changed"),
        (UndescribedDoc, "UndescribedDoc.text has no description"),
        (UnitlessDoc, "UnitlessDoc.table is a number without a unit: 'Energies.'"),
    ],
)
def test_document_contract_finds(document_class, message):
    with pytest.raises(AssertionError, match=message):
        DocumentContract(document_class).check()


def test_document_contract_finds_what_does_not_come_back():
    class LossyDoc(Document):
        number: float = Field(description="A number [1].")

    with pytest.raises(AssertionError, match="comes back from JSON as another document"):
        DocumentContract(LossyDoc).check_instance(LossyDoc(number=float("nan")))


def contract(calculator, atoms, **kwargs):
    return PotentialContract(lambda: calculator, atoms, cutoff=10.0, **kwargs)


def test_the_fitted_potential_keeps_the_contract(copper, copper_ace, rattled_copper):
    PotentialContract(
        lambda: AceCalculator(copper_ace, copper.e0), rattled_copper, cutoff=copper.cutoff
    ).check()


def test_emt_keeps_the_contract(rattled_copper):
    PotentialContract(EMT, rattled_copper, cutoff=10.0).check()


class Wrong(Calculator):
    """EMT with one thing wrong."""

    implemented_properties = ("energy", "forces", "stress")
    faults: ClassVar[dict] = {
        "rotation": lambda a, r: {"energy": r["energy"] + 0.01 * a.positions[0, 0] * a.positions[1, 0]},
        "translation": lambda a, r: {"energy": r["energy"] + 0.1 * a.positions[0, 0]},
        "permutation": lambda a, r: {"forces": r["forces"][:1].repeat(len(a), axis=0)},
        "extensive": lambda a, r: {"energy": r["energy"] + len(a) ** 2},
        "additive": lambda a, r: {"energy": r["energy"] + len(a) ** 2},
        "forces": lambda a, r: {"forces": 1.01 * r["forces"]},
        "stress": lambda a, r: {"stress": None if r["stress"] is None else -r["stress"]},
        "gamma": lambda a, r: {"gamma": r["forces"][:, 0]},
    }

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        copy = atoms.copy()
        copy.calc = EMT()
        stress = copy.get_stress() if copy.pbc.all() else None
        found = {"energy": copy.get_potential_energy(), "forces": copy.get_forces(), "stress": stress}
        self.results = found | self.faults[self.fault](copy, found)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("rotation", "under a rotation"),
        ("translation", "under a translation"),
        ("permutation", "after a permutation"),
        ("extensive", "under repetition of the cell"),
        ("additive", "two copies far apart differ"),
        ("forces", "-dE/dx is"),
        ("stress", "dE/dε/V is"),
        ("gamma", "a grade is negative"),
    ],
)
def test_potential_contract_finds(fault, message, rattled_copper):
    check = getattr(contract(Wrong(fault), rattled_copper), f"check_{fault}")
    with pytest.raises(AssertionError, match=message):
        check()


@pytest.mark.parametrize(
    ("exempt", "message"),
    [({"colour": "none"}, "there is no check colour"), ({"stress": ""}, "every exemption needs a reason")],
)
def test_exemptions_are_named_and_reasoned(exempt, message, rattled_copper):
    with pytest.raises(AssertionError, match=message):
        contract(EMT(), rattled_copper, exempt=exempt).check()


def test_an_exempt_check_is_left_out():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    reason = {"stress": "its sign is wrong on purpose", "extensive": "compares the stress as well"}
    contract(Wrong("stress"), atoms, exempt=reason).check()
