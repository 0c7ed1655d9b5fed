"""EMT that refuses some of its calculations, as a code does whose SCF does not converge."""

import json
from pathlib import Path

from ase.calculators.emt import EMT


class RefusingEMT(EMT):
    """Reads from a file which of its calls to refuse, counted from 1, and counts them in another."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        with Path("../../calls").open("a") as calls:
            calls.write("call\n")
        number = len(Path("../../calls").read_text().splitlines())
        first, last = json.loads(Path("../../refused").read_text())
        if first <= number <= last:
            raise RuntimeError(f"call {number}: no convergence in 100 iterations")
