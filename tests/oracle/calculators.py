"""Calculators that misbehave, for tests; imported by path."""

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class Constant(Calculator):
    """Gives what it is told to give."""

    implemented_properties = ("energy", "forces")

    def __init__(self, energy=0.0, error=None, **kwargs):
        super().__init__(**kwargs)
        self.energy, self.error = energy, error

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if self.error:
            raise RuntimeError(self.error)
        self.results = {"energy": self.energy, "forces": np.zeros((len(atoms), 3))}
