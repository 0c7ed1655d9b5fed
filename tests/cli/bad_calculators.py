"""Calculators that do not do what they should."""

import numpy as np
from ase.calculators.emt import EMT


class Raising(EMT):
    def calculate(self, *args, **kwargs):
        raise RuntimeError("this calculator always fails")


class NotANumber(EMT):
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"] = np.full_like(self.results["forces"], np.nan)


class FailsOnBigCells(EMT):
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        if len(self.atoms) > 2:
            raise RuntimeError("too large for this calculator")
