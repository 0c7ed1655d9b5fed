"""What a force call over the socket costs beside the evaluation itself.

Usage: python benchmarks/force_socket.py [--calls 200]

eOn's Python asks this process for the forces of copper cells of different size, as eOn's client does. The
fastest call of each size is taken: on a busy machine the others tell of the machine.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.ace import load_potential
from mlip_autopipec.dynamics import StopRule, eon_client
from mlip_autopipec.dynamics.eon_forces import ForceServer, ForceWatch
from mlip_autopipec.dynamics.eon_programs import eon_executable
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

CLIENT = """
import json, sys, time
sys.path.append(sys.argv[1])
from multiprocessing.connection import Client
from ase.build import bulk
from eon_client import SocketCalculator
atoms = bulk("Cu", cubic=True).repeat(int(sys.argv[3]))
atoms.calc = SocketCalculator(Client(sys.argv[2], family="AF_UNIX"), "timing")
took = []
for number in range(int(sys.argv[4])):
    atoms.rattle(0.01, seed=number)
    begin = time.perf_counter()
    atoms.get_forces()
    took.append(1e3 * (time.perf_counter() - begin))
print(json.dumps([len(atoms), min(took)]))
"""


class Timed(ForceWatch):
    """Keeps the time of each evaluation in ms."""

    def answer(self, task, atoms):
        begin = perf_counter()
        found = super().answer(task, atoms)
        self.took.append(1e3 * (perf_counter() - begin))
        return found


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    seeds = SeedStructuresMaker(n_atoms=4)
    crystal = AtomicStructure.from_ase(bulk("Cu", cubic=True))
    batch = label_batch(seeds.make.original(seeds, [crystal]).candidates, EMT())
    python = eon_executable()
    with TemporaryDirectory() as scratch:
        potential = LinearAceFitMaker(n_functions=80).fit([batch], Path(scratch))
        print("atoms  call [ms]  evaluation with gamma [ms]  beside it [ms]")
        for repeat in (2, 3, 4, 6):
            watch = Timed(load_potential(potential, Path(scratch)), potential.core.r_in, StopRule(1e9), 10**9)
            watch.took = []
            with ForceServer(watch) as server:
                where = str(Path(eon_client.__file__).parent)
                words = ("-I", "-c", CLIENT, where, server.address, str(repeat), str(calls))
                run = python.run(*words, directory=Path(scratch))
            n_atoms, call = json.loads(run.stdout)
            inside = min(watch.took)
            print(f"{n_atoms:5d} {call:10.2f} {inside:27.2f} {call - inside:15.2f}", flush=True)


if __name__ == "__main__":
    main()
