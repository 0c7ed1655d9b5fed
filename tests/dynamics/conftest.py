import pytest
from ase.build import bulk

from mlip_autopipec.dynamics import LammpsMDMaker
from mlip_autopipec.schemas import AtomicStructure, Walker


@pytest.fixture(scope="session")
def crystal():
    return AtomicStructure.from_ase(bulk("Cu", cubic=True).repeat(2))


@pytest.fixture
def walker():
    def make(temperature=300.0, n_steps=40, **kwargs):
        return Walker(index=0, round=0, start=0, temperature=temperature, n_steps=n_steps, seed=11, **kwargs)

    return make


@pytest.fixture
def walk(copper, crystal, tmp_path):
    """Walk in a folder of its own."""
    folders = iter(range(1000))

    def go(maker: LammpsMDMaker, walker, previous=None, potential=copper, structure=crystal):
        directory = tmp_path / str(next(folders))
        directory.mkdir()
        return maker.explore(potential, walker, structure, previous, directory)

    return go
