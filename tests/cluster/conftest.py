"""The tests with a real queue or runner take minutes: they run when they are asked for."""

import pytest


def pytest_collection_modifyitems(config, items):
    for mark in ("slurm", "remote"):
        if mark in config.option.markexpr:
            continue
        for item in items:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"takes minutes: make test-{mark}"))
