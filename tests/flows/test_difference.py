from dataclasses import replace

from ase.build import bulk
from jobflow import Flow

from mlip_autopipec.flows.difference import ANOTHER_INPUT, differences
from mlip_autopipec.flows.identity import document_of, identify
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.training import LinearAceFitMaker


def jobs(maker, n_functions=20, a=3.6):
    structure = AtomicStructure.from_ase(bulk("Cu", a=a))
    label = maker.make(structure)
    fit = LinearAceFitMaker(n_functions=n_functions).make([label.output])
    return document_of(identify(Flow([label, fit])))["jobs"]


def test_names_the_setting_with_both_values():
    old, new = (jobs(AseStaticMaker(max_force=value)) for value in (150.0, 100.0))
    assert differences(old[0], new[0]) == ["max_force: 150.0 -> 100.0"]
    assert differences(old[1], new[1]) == [ANOTHER_INPUT]
    assert differences(old[0], old[0]) == []


def test_names_settings_of_makers_inside_and_new_keys():
    old = AseStaticMaker()
    new = replace(old, calculator="lj", calculator_kwargs={"sigma": 1.0})
    batches = [document_of(LabelBatchMaker(oracle_maker=one).make(None)) for one in (old, new)]
    assert differences(*batches) == [
        "oracle_maker.calculator: emt -> lj",
        "oracle_maker.calculator_kwargs.sigma: None -> 1.0",
    ]


def test_says_both_where_a_setting_and_an_input_changed():
    old, new = jobs(AseStaticMaker(), 20, 3.6), jobs(AseStaticMaker(), 30, 3.7)
    assert differences(old[1], new[1]) == ["n_functions: 20 -> 30", ANOTHER_INPUT]
    changes = differences(old[0], new[0])
    assert changes
    assert all(change.startswith("0.cell.") for change in changes)
