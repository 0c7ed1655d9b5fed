import inspect
import pickle
from pathlib import Path

import pytest

from mlip_autopipec import errors
from mlip_autopipec.errors import CalculationError, MLIPError, UnconvergedError

TREE = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, MLIPError)]


@pytest.mark.parametrize("error_class", TREE)
def test_errors_survive_pickling(error_class):
    error = pickle.loads(pickle.dumps(error_class("it broke.", hint="mend it.")))  # noqa: S301
    assert type(error) is error_class
    assert (str(error), error.hint) == ("it broke.\nhint: mend it.", "mend it.")


def test_a_calculation_error_says_where_and_what_came_last():
    error = UnconvergedError("no convergence.", hint="more steps.", directory=Path("run/1"), log_tail="end")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(again, CalculationError)
    assert str(again) == str(error)
    assert str(error) == ("no convergence.\nhint: more steps.\nfolder: run/1\nlast lines of the log:\nend")


def test_an_error_without_hint_is_its_message():
    assert str(MLIPError("plain.")) == "plain."


def test_the_drawn_tree_is_the_real_one():
    drawn = {}
    for line in errors.__doc__.splitlines():
        words = line.replace("├──", "").replace("└──", "").replace("│", "").split()
        if words and words[0].endswith("Error"):
            drawn[words[0]] = int(words[1])
    assert drawn == {c.__name__: c.exit_code for c in TREE}


def test_siblings_are_told_apart_by_exit_code():
    codes = [c.exit_code for c in TREE if c.__base__ is MLIPError]
    assert len(codes) == len(set(codes))
    assert all(c.exit_code == c.__base__.exit_code for c in TREE if c.__base__ not in (MLIPError, Exception))
