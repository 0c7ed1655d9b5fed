"""A project for notebooks: what a campaign left, as tables of pandas and as documents."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from ase import Atoms
from jobflow import JobStore

from mlip_autopipec.errors import StoreError
from mlip_autopipec.report.campaign import Campaign, Label
from mlip_autopipec.report.lineage import Lineage, trace
from mlip_autopipec.report.read import read_campaign
from mlip_autopipec.schemas import PotentialDoc
from mlip_autopipec.store import load_output, open_existing
from mlip_autopipec.training.dataset_export import import_pandas, to_ase_db, to_extxyz

if TYPE_CHECKING:
    import pandas as pd


class Project:
    """What a store holds of a campaign, finished or not.

    Read when it is first asked for; `reload` reads again while a run goes on. Units stand in
    ``frame.attrs["units"]``.

    Parameters
    ----------
    store
        A connected store.
    """

    def __init__(self, store: JobStore) -> None:
        self.store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    @cached_property
    def campaign(self) -> Campaign:
        """Everything, as the report reads it."""
        return read_campaign(self.store)

    def reload(self) -> Self:
        """Forget what was read."""
        self.__dict__.pop("campaign", None)
        return self

    def labels(self) -> "pd.DataFrame":
        """Return one row a label; those of the validation have no generation."""
        rows = []
        for label in self.campaign.labels:
            entry, doc = label.entry, label.entry.label
            rows.append(
                {
                    "label_id": entry.label_id,
                    "generation": label.generation,
                    "origin": entry.origin,
                    "detail": entry.detail,
                    "formula": doc.structure.formula,
                    "n_atoms": doc.structure.n_atoms,
                    "energy": doc.energy,
                    "energy_per_atom": doc.energy / doc.structure.n_atoms,
                    "largest_force": float(np.linalg.norm(doc.forces, axis=1).max()),
                    "gamma": entry.gamma,
                    "audit": entry.audit,
                    "control": entry.control,
                    "arm": entry.arm,
                    "group": entry.group,
                    "code": doc.fingerprint.code,
                    "wall_time": doc.wall_time,
                    "shared": label.shared,
                }
            )
        units = {"energy": "eV", "energy_per_atom": "eV/atom", "largest_force": "eV/Å", "wall_time": "s"}
        frame = _frame(rows, units)
        return frame.astype({"generation": "Int64", "gamma": float}) if rows else frame

    def generations(self) -> "pd.DataFrame":
        """Return one row a generation."""
        rows = [record.model_dump() for record in self.campaign.generations]
        return _frame(rows, {"energy_rmse": "eV/atom", "force_rmse": "eV/Å"})

    def gamma(self) -> "pd.DataFrame":
        """Return the traces of gamma: one row a logged step of each walk."""
        rows = [
            {
                "generation": walk.generation,
                "walker": walk.walker.index,
                "round": walk.walker.round,
                "thermostat": walk.walker.temperature,
                "job_id": walk.job_id,
                "step": step,
                "time": step * walk.timestep,
                "gamma": gamma,
                "temperature": temperature,
                "potential_energy": energy,
                "pressure": pressure,
                "halted": walk.halted,
            }
            for walk in self.campaign.walks
            for step, gamma, temperature, energy, pressure in zip(
                walk.thermo.step,
                walk.thermo.gamma,
                walk.thermo.temperature,
                walk.thermo.potential_energy,
                walk.thermo.pressure,
                strict=True,
            )
        ]
        units = {"thermostat": "K", "time": "fs", "temperature": "K", "potential_energy": "eV/atom"}
        return _frame(rows, units | {"pressure": "GPa"})

    def potentials(self) -> "pd.DataFrame":
        """Return one row a fit, slow ones included; ``delivered`` is the one that the campaign ended with."""
        campaign = self.campaign
        last = campaign.end.state.delivered if campaign.end else None
        rows = [
            {
                "job_id": fit.job_id,
                "generation": fit.generation,
                "kind": kind,
                "n_labels": fit.n_labels,
                **fit.errors.model_dump(include={"energy_rmse", "force_rmse", "force_max"}),
                "wall_time": fit.wall_time,
                "delivered": fit.job_id == last,
            }
            for kind, fits in (("fast", campaign.fits), ("slow", campaign.slow_fits))
            for fit in fits
        ]
        units = {"energy_rmse": "eV/atom", "force_rmse": "eV/Å", "force_max": "eV/Å", "wall_time": "s"}
        return _frame(rows, units)

    def cost(self) -> "pd.DataFrame":
        """Return where the wall time went: one row a kind of work."""
        spent, campaign = self.campaign.wall_time, self.campaign
        counts = {
            "training": sum(not label.shared for label in campaign.training_labels),
            "validation": sum(not label.shared for label in campaign.validation_labels),
            "fit": len(campaign.fits) + len(campaign.slow_fits),
            "dynamics": len(campaign.walks),
        }
        rows = [{"work": name, "n_jobs": n, "wall_time": getattr(spent, name)} for name, n in counts.items()]
        return _frame(rows, {"wall_time": "s"})

    def potential(self, job_id: str | None = None) -> PotentialDoc:
        """Return a potential; by default the last one.

        Parameters
        ----------
        job_id
            Of `potentials`.

        Returns
        -------
        PotentialDoc
            Its files and all that is known of it.

        Raises
        ------
        StoreError
            There is none yet, or the job is another.
        """
        found = self.campaign.potential if job_id is None else load_output(self.store, job_id)
        if not isinstance(found, PotentialDoc):
            raise StoreError(
                "there is no potential yet." if job_id is None else f"job {job_id} fitted no potential."
            )
        return found

    def structure(self, label_id: str) -> Atoms:
        """Return the structure of a label.

        Parameters
        ----------
        label_id
            Its id, or how it begins.

        Returns
        -------
        ase.Atoms
            Without results.
        """
        return self._label(label_id).entry.label.structure.to_ase()

    def lineage(self, label_id: str) -> Lineage:
        """Say where a label comes from and what it did.

        Parameters
        ----------
        label_id
            Its id, or how it begins.

        Returns
        -------
        Lineage
            ``print(lineage.text())`` shows it.
        """
        return trace(self.store, self.campaign, self._label(label_id))

    def export_labels(self, path: str | Path, *, validation: bool = False) -> Path:
        """Write labels for other programs.

        Parameters
        ----------
        path
            ``.extxyz`` or ``.xyz``, perhaps with ``.gz``, or ``.db`` for an ASE database.
        validation
            Whether to write those of the validation instead of those of the training.

        Returns
        -------
        pathlib.Path
            The file.
        """
        labels = self.campaign.distinct_labels(validation=validation)
        path = Path(path)
        return to_ase_db(labels, path) if path.suffix == ".db" else to_extxyz(labels, path)

    def _label(self, label_id: str) -> Label:
        found = {
            label.entry.label_id: label
            for label in reversed(self.campaign.labels)
            if label_id and label.entry.label_id.startswith(label_id)
        }
        if len(found) == 1:
            return next(iter(found.values()))
        lost = [
            lost for lost in self.campaign.failed if label_id and lost.entry.label_id.startswith(label_id)
        ]
        if not found and lost:
            raise StoreError(
                f"label {lost[0].entry.label_id} ({lost[0].entry.structure.formula}) failed: "
                f"{lost[0].entry.reason or 'no reason is recorded'}."
            )
        what = f"{len(found)} labels begin" if found else "no label begins"
        raise StoreError(f"{what} with {label_id!r}; {_some(self.campaign.labels)}.")


def open_project(place: str | Path) -> Project:
    """Open a project for reading, also while it runs.

    Parameters
    ----------
    place
        Run folder, or ``mongodb://host/database``.

    Returns
    -------
    Project
        A context manager; its store is connected.

    Raises
    ------
    StoreError
        There is no store.
    """
    return Project(open_existing(place))


def _frame(rows: Sequence[dict[str, Any]], units: dict[str, str]) -> "pd.DataFrame":
    frame: pd.DataFrame = import_pandas("the tables of a project are").DataFrame(rows)
    frame.attrs["units"] = units
    return frame


def _some(labels: Iterable[Label]) -> str:
    ids = [label.entry.label_id for label in labels]
    return f"there are {len(ids)}, such as {ids[0]}" if ids else "there is none yet"
