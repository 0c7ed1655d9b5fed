"""The tests with a real queue take minutes: they run when they are asked for."""

import pytest


def pytest_collection_modifyitems(config, items):
    if "slurm" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("slurm"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: make test-slurm"))
