"""Explorers beside MD: fresh structures of many families, kept where the current potential is uncertain."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from ase import Atoms
from jobflow import Maker, job

from mlip_autopipec.ace import AcePotential, load_potential, nearest_distance
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation.families import FAMILIES
from mlip_autopipec.generation.perturb import rattled, strained
from mlip_autopipec.generation.variant import KEEP_APART, Family, Variant, variants
from mlip_autopipec.schemas import (
    ArmSearch,
    AtomicStructure,
    CandidateStructure,
    Origin,
    PerturbationDoc,
    PotentialDoc,
)

EXPLORERS: tuple[Origin, ...] = ("strain", "rattle", *FAMILIES)
"""Names of all explorers beside MD."""


@dataclass
class PerturbationMaker(Maker):
    """Make structures of given families from crystals until enough of them are uncertain.

    They are kept in the order they are made, not by their grade: the errors of the kept ones then say how
    wrong the potential is about the uncertain structures of the family, and no absurd one is preferred.

    Parameters
    ----------
    name
        Name of the job.
    gamma_select
        Grade above which a structure is kept, MaxVol scale.
    n_tries
        Structures made for each that is wanted, at most.
    arm_strain
        Largest linear strain, dimensionless.
    rattle
        Largest standard deviation of a displacement, as a fraction of the nearest-neighbour distance.
    """

    name: str = "perturb"
    gamma_select: float = 3.0
    n_tries: int = 10
    arm_strain: float = 0.05
    rattle: float = 0.1

    @job(output_schema=PerturbationDoc, data=["candidates"])
    def make(
        self,
        potential: PotentialDoc,
        crystals: list[AtomicStructure],
        slots: dict[str, int],
        seed: int,
        *,
        required: bool = True,
    ) -> PerturbationDoc:
        """Look for uncertain structures.

        Parameters
        ----------
        potential
            The current potential.
        crystals
            What they are made from.
        slots
            How many are wanted of each explorer; names as in :data:`EXPLORERS`.
        seed
            Seed of all random choices.
        required
            Whether they are to be labelled, as the policy has granted it, or only offered.

        Returns
        -------
        PerturbationDoc
            The uncertain ones.
        """
        return self.search(load_potential(potential, Path.cwd()), crystals, slots, seed, required=required)

    def search(
        self,
        potential: AcePotential,
        crystals: list[AtomicStructure],
        slots: dict[str, int],
        seed: int,
        *,
        required: bool = True,
    ) -> PerturbationDoc:
        """Look for them; what :meth:`make` does, without a workflow and with a loaded potential."""
        cells = [structure.to_ase() for structure in crystals]
        candidates: list[CandidateStructure] = []
        searches = []
        for arm, n_wanted in sorted(slots.items()):
            begin = perf_counter()
            rng = np.random.default_rng([seed, EXPLORERS.index(_known(arm))])
            made = self._made(_known(arm), cells, self.n_tries * n_wanted, rng)
            found, grades = self._uncertain(potential, _known(arm), made, n_wanted)
            candidates += [c.model_copy(update={"required": required}) for c in found]
            searches.append(
                ArmSearch(
                    arm=arm,
                    n_made=len(grades),
                    n_uncertain=len(found),
                    gamma_max=max(grades, default=None),
                    wall_time=perf_counter() - begin,
                )
            )
        return PerturbationDoc(candidates=candidates, searches=searches)

    def family(self, arm: Origin) -> Family:
        """Return what makes one structure of a family.

        Parameters
        ----------
        arm
            Name of the family.

        Returns
        -------
        Callable
            Takes a crystal and a random generator.
        """
        if arm == "strain":
            return partial(_strained, max_strain=self.arm_strain)
        if arm == "rattle":
            return partial(_rattled, most=self.rattle)
        return FAMILIES[arm]

    def _made(
        self, arm: Origin, cells: list[Atoms], n_most: int, rng: np.random.Generator
    ) -> Iterator[Variant]:
        """Make structures of all crystals in turn, only as long as somebody asks for them."""
        for number in range(n_most):
            yield from variants(self.family(arm), cells[number % len(cells)], 1, rng)

    def _uncertain(
        self, potential: AcePotential, arm: Origin, made: Iterator[Variant], n_wanted: int
    ) -> tuple[list[CandidateStructure], list[float]]:
        """Grade until enough are uncertain; return these and the grades of all that were looked at."""
        found: list[CandidateStructure] = []
        grades: list[float] = []
        for variant in made:
            if len(found) == n_wanted:
                break
            graded = potential.evaluate(variant.atoms)
            if graded.gamma is None:
                raise ConfigError("to look for uncertain structures needs a potential with its active set.")
            grades.append(float(graded.gamma.max()))
            if grades[-1] > self.gamma_select:
                found.append(
                    CandidateStructure(
                        structure=AtomicStructure.from_ase(variant.atoms),
                        origin=arm,
                        detail=variant.detail,
                        gamma=grades[-1],
                        arm=arm,
                    )
                )
        return found, grades


def _known(arm: str) -> Origin:
    for name in EXPLORERS:
        if name == arm:
            return name
    raise ConfigError(f"{arm!r} is no explorer, accepted are md, {', '.join(EXPLORERS)}.")


def _strained(crystal: Atoms, rng: np.random.Generator, *, max_strain: float) -> Variant:
    amplitude = 0.03 * rng.random() * nearest_distance(crystal)
    atoms = rattled(
        strained(crystal, max_strain, rng), amplitude, rng, keep_apart=KEEP_APART * nearest_distance(crystal)
    )
    return Variant(atoms, f"strain up to {max_strain:.3f} and displacements of {amplitude:.3f} Å")


def _rattled(crystal: Atoms, rng: np.random.Generator, *, most: float) -> Variant:
    distance = nearest_distance(crystal)
    amplitude = most * np.sqrt(rng.random()) * distance
    atoms = rattled(crystal, amplitude, rng, keep_apart=KEEP_APART * distance)
    return Variant(atoms, f"displacements of {amplitude:.3f} Å")
