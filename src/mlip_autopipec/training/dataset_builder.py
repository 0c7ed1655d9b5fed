"""From label batches to a data set: looked through, divided, and described in one document."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from jobflow import Maker, job
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mlip_autopipec.ace import shortest_distances
from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.schemas import (
    DatasetDoc,
    DuplicatePair,
    E0Mode,
    ExcludedLabel,
    LabelBatchDoc,
    LabelledStructure,
    Outlier,
)
from mlip_autopipec.training.dataset import (
    TrainingSet,
    composition_counts,
    consistent_labels,
    reference_energies,
)
from mlip_autopipec.training.dataset_checks import check_labels, find_duplicates, find_outliers
from mlip_autopipec.training.duplicates import REACH
from mlip_autopipec.training.split import group_split
from mlip_autopipec.training.weights import energy_above_hull, reduced_formula

_FEW_TEST = 10


@dataclass
class DatasetMaker(Maker):
    """Make a data set of labels: E0, a division without leaks, duplicates, outliers, and what it covers.

    Nothing is thrown away in silence: what is set aside is listed with its reason, what is odd with its
    value. Held-out labels are for the test, whatever the fraction; the siblings of a label (its trajectory,
    its duplicates) are always on its side of the division.

    Parameters
    ----------
    name
        Name of the job.
    test_fraction
        Fraction of the labels kept for the test (dimensionless, at least 0 and below 1).
    seed
        Seed of the division.
    min_distance_ratio
        Distances below this multiple of the sum of the covalent radii are outliers (dimensionless).
    max_force
        Forces above this are outliers, in eV/Å.
    max_energy_z
        Energies per atom this many robust standard deviations from the median of their composition are
        outliers (dimensionless).
    duplicate_tolerance
        Structures whose sorted interatomic distances agree to this, in Å, are the same.
    e0
        ``"isolated"``, ``"least_squares"``, or ``"auto"``: the former if there is an isolated atom of each
        element.
    exclude_outliers
        Whether outliers are set aside; if not, they are only reported.
    realign
        Whether labels of other conditions are shifted in E0 instead of refused.
    """

    name: str = "make data set"
    test_fraction: float = 0.1
    seed: int = 0
    min_distance_ratio: float = 0.6
    max_force: float = 50.0
    max_energy_z: float = 20.0
    duplicate_tolerance: float = 1.0e-4
    e0: E0Mode = "auto"
    exclude_outliers: bool = False
    realign: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.test_fraction < 1.0:
            raise ConfigError(f"'test_fraction' must be at least 0 and below 1, got {self.test_fraction}.")
        for key in ("min_distance_ratio", "max_force", "max_energy_z", "duplicate_tolerance"):
            value = getattr(self, key)
            if not value > 0.0:
                raise ConfigError(f"{key!r} must be positive, got {value}.")
        if self.e0 not in get_args(E0Mode):
            raise ConfigError(f"'e0' must be one of {', '.join(get_args(E0Mode))}, got {self.e0!r}.")

    @job(output_schema=DatasetDoc)
    def make(self, batches: list[LabelBatchDoc]) -> DatasetDoc:
        """Make a data set.

        Parameters
        ----------
        batches
            The labels, in the order in which they were bought.

        Returns
        -------
        DatasetDoc
            The data set.
        """
        return self.build(batches)

    def build(self, batches: Sequence[LabelBatchDoc]) -> DatasetDoc:
        """Make a data set; what :meth:`make` does, without a workflow.

        Parameters
        ----------
        batches
            The labels.

        Returns
        -------
        DatasetDoc
            The data set.

        Raises
        ------
        FitError
            There is nothing to fit, labels were made under different conditions, contradict each other or
            hold impossible numbers, or E0 cannot be had as asked for.
        """
        labels, fingerprint, shifts = consistent_labels(batches, realign=self.realign)
        check_labels(labels)
        e0, source = reference_energies(labels, self.e0)
        kept, excluded = _without_isolated(labels)
        training = _training_set(kept, e0, source)
        outliers = find_outliers(training, self.min_distance_ratio, self.max_force, self.max_energy_z)
        if self.exclude_outliers:
            kept, more = _without_outliers(kept, outliers)
            training, excluded = _training_set(kept, e0, source), excluded + more
        duplicates = find_duplicates(kept, training.structures, self.duplicate_tolerance)
        keys = joined_groups(kept, duplicates)
        test = self._division(kept, keys)
        return DatasetDoc(
            train=[item.label_id for item, out in zip(kept, test, strict=True) if not out],
            test=[item.label_id for item, out in zip(kept, test, strict=True) if out],
            groups=_named_groups(kept, keys),
            test_fraction=self.test_fraction,
            seed=self.seed,
            elements=list(training.elements),
            e0=e0,
            e0_source=source,
            fingerprint=fingerprint,
            realigned=shifts,
            n_labels=len(labels),
            n_failed=sum(len(batch.failed) for batch in batches),
            n_stress=sum(item.label.stress is not None for item in kept),
            n_by_formula=_count(reduced_formula(item.label.structure.symbols) for item in kept),
            n_atoms=_count(symbol for item in kept for symbol in item.label.structure.symbols),
            n_by_origin=_count(item.origin for item in kept),
            duplicates=duplicates,
            outliers=outliers,
            excluded=excluded,
            shortest_distances=shortest_distances(training.structures, REACH),
            energy_above_hull=_largest_above_hull(training),
            largest_force=max(float(np.linalg.norm(i.label.forces, axis=1).max()) for i in kept),
            warnings=self._warnings(labels, kept, test, source),
        )

    def _division(self, kept: Sequence[LabelledStructure], keys: Sequence[str]) -> list[bool]:
        held = {key for item, key in zip(kept, keys, strict=True) if item.origin == "held_out"}
        drawn = [key for key in keys if key not in held]
        chosen = iter(group_split(drawn, self.test_fraction, self.seed))
        test = [key in held or bool(next(chosen)) for key in keys]
        if all(test):
            raise FitError(
                f"all {len(test)} labels are held out; none is left to train on.",
                hint="label structures of another origin than held_out.",
            )
        return test

    def _warnings(
        self,
        labels: Sequence[LabelledStructure],
        kept: Sequence[LabelledStructure],
        test: Sequence[bool],
        source: str,
    ) -> list[str]:
        found = []
        counts = composition_counts(labels)
        rank = int(np.linalg.matrix_rank(counts))
        if source.startswith("least squares"):
            found.append(
                "E0 is from least squares over the compositions, not from free atoms: energies of dimers and "
                "of atoms that leave a surface have no meaning."
            )
            if rank < counts.shape[1]:
                found.append(
                    f"The compositions have rank {rank} for {counts.shape[1]} elements: E0 of single "
                    "elements is arbitrary, only their sums are determined."
                )
        n_stress = sum(item.label.stress is not None for item in kept)
        n_periodic = sum(all(item.label.structure.pbc) for item in kept)
        if n_stress < n_periodic:
            found.append(f"{n_periodic - n_stress} of {n_periodic} periodic structures have no stress.")
        if self.test_fraction > 0.0 and not any(test):
            found.append("All labels belong to one group, so there is no test set.")
        elif 0 < sum(test) < _FEW_TEST:
            size = f"{sum(test)} of {len(test)} labels"
            found.append(f"The test set holds only {size}; its errors are uncertain.")
        return found


def joined_groups(labels: Sequence[LabelledStructure], duplicates: Sequence[DuplicatePair]) -> list[str]:
    """Name what each label belongs to, where groups that share a structure become one.

    Parameters
    ----------
    labels
        The labels.
    duplicates
        Pairs of labels of the same structure.

    Returns
    -------
    list[str]
        One name for each label. Labels that stand alone are named after their structure, so the same
        calculation repeated by other jobs is divided alike.
    """
    index = {item.label_id: i for i, item in enumerate(labels)}
    first: dict[str, int] = {}
    edges = [(index[pair.first], index[pair.second]) for pair in duplicates]
    edges += [(first.setdefault(item.group, i), i) for i, item in enumerate(labels) if item.group]
    rows, columns = np.array(edges, dtype=int).reshape(-1, 2).T
    shape = (len(labels), len(labels))
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    _, components = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for component, item in zip(components.tolist(), labels, strict=True):
        alone = f"structure-{item.label.structure.digest}"
        if component not in names or (item.group and names[component].startswith("structure-")):
            names[component] = item.group or alone
    return [names[component] for component in components.tolist()]


def partition(batches: Sequence[LabelBatchDoc], dataset: DatasetDoc) -> tuple[LabelBatchDoc, LabelBatchDoc]:
    """Divide labels as a data set says.

    Parameters
    ----------
    batches
        The labels it was made of.
    dataset
        The data set.

    Returns
    -------
    train
        Training labels; isolated atoms as well, for the fit takes E0 from them.
    test
        Test labels.

    Raises
    ------
    FitError
        A label of the data set is not among the labels.
    """
    known = {item.label_id: item for batch in batches for item in batch.labels}
    missing = [name for name in [*dataset.train, *dataset.test] if name not in known]
    if missing:
        raise FitError(
            f"{len(missing)} labels of the data set are not in the batches, e.g. {missing[0]}.",
            hint="give the batches that the data set was made of.",
        )
    used = {*dataset.train, *dataset.test}
    atoms = [i for i in known.values() if i.label_id not in used and i.origin == "isolated_atom"]
    return _batch([*atoms, *(known[name] for name in dataset.train)]), _batch(
        [known[n] for n in dataset.test]
    )


def _batch(labels: list[LabelledStructure]) -> LabelBatchDoc:
    wall_time = sum(item.label.wall_time for item in labels)
    return LabelBatchDoc(labels=labels, failed=[], n_labels=len(labels), wall_time=wall_time)


def _training_set(kept: list[LabelledStructure], e0: dict[str, float], source: str) -> TrainingSet:
    if not kept:
        raise FitError(
            "no label is left to train on.",
            hint="label structures with more than one atom, or loosen the limits of outliers.",
        )
    return TrainingSet(kept, [item.label.structure.to_ase() for item in kept], e0, source)


def _without_isolated(
    labels: Sequence[LabelledStructure],
) -> tuple[list[LabelledStructure], list[ExcludedLabel]]:
    excluded = [
        _excluded(item, "isolated atom, gives E0" if item.origin == "isolated_atom" else "free atom")
        for item in labels
        if _free(item)
    ]
    return [item for item in labels if not _free(item)], excluded


def _free(item: LabelledStructure) -> bool:
    structure = item.label.structure
    return item.origin == "isolated_atom" or (structure.n_atoms == 1 and not any(structure.pbc))


def _without_outliers(
    labels: Sequence[LabelledStructure], outliers: Sequence[Outlier]
) -> tuple[list[LabelledStructure], list[ExcludedLabel]]:
    details: dict[str, list[str]] = {}
    for outlier in outliers:
        details.setdefault(outlier.label_id, []).append(outlier.detail)
    excluded = [
        _excluded(item, "; ".join(details[item.label_id])) for item in labels if item.label_id in details
    ]
    return [item for item in labels if item.label_id not in details], excluded


def _excluded(item: LabelledStructure, reason: str) -> ExcludedLabel:
    return ExcludedLabel(label_id=item.label_id, formula=item.label.structure.formula, reason=reason)


def _named_groups(labels: Sequence[LabelledStructure], keys: Sequence[str]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for item, key in zip(labels, keys, strict=True):
        members.setdefault(key, []).append(item.label_id)
    grouped = {item.group for item in labels}
    return {key: ids for key, ids in members.items() if len(ids) > 1 or key in grouped}


def _largest_above_hull(training: TrainingSet) -> dict[str, float]:
    found: dict[str, float] = {}
    for atoms, above in zip(training.structures, energy_above_hull(training).tolist(), strict=True):
        formula = reduced_formula(atoms.get_chemical_symbols())
        found[formula] = max(found.get(formula, 0.0), above)
    return dict(sorted(found.items()))


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
