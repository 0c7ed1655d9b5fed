"""What the fitting programs say of their own solutions."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document


class BasisChoice(Document):
    """A linear ACE basis in a few numbers."""

    radial: str = Field(description="Radial family: SBessel, ChebExpCos or ChebPow.")
    radial_parameter: float = Field(description="Parameter lambda of the family [1].")
    cutoff: float = Field(description="Cut-off radius [Å].")
    n_functions: int = Field(description="Functions of each element [1].")
    l_weight: float = Field(description="What an angular momentum counts against a radial index [1].")


class BasisTrial(Document):
    """One basis that was tried, and what the data said of it."""

    stage: Literal["given", "radial", "cutoff", "l_weight", "growth", "size"] = Field(
        description="What was varied; growth: the angular weight again, for a larger basis."
    )
    basis: BasisChoice = Field(description="The basis.")
    log_evidence: float = Field(description="Log marginal likelihood of the probed labels [nat].")
    cost: float = Field(description="Evaluation by the cost model, one core [µs/atom].")
    chosen: bool = Field(description="Whether it was taken on.")
    reason: str = Field(description="Why, or why not.")


class ForceErrorCalibration(Document):
    """How the force-error estimate was held against forces that the fit had not seen."""

    level: float = Field(description="Share of atoms whose error lies below the estimate [1].")
    scale: float = Field(description="Factor on the posterior standard deviation that gives this level [1].")
    n_atoms: int = Field(description="Atoms it was measured on [1].")
    energy_rmse: float = Field(description="Error of energies when their group is left out [eV/atom].")
    force_rmse: float = Field(description="Error of force components when their group is left out [eV/Å].")


class LinearFitReport(Document):
    """What the linear solver says of its own solution."""

    method: Literal["linear-ace"] = "linear-ace"
    n_rows: int = Field(description="Rows of the design matrix: energies, force and stress components [1].")
    n_functions: int = Field(description="Columns of the design matrix: basis functions [1].")
    rank: int = Field(description="Numerical rank of the weighted normal matrix [1].")
    condition: float = Field(description="Condition number of the regularised normal matrix [1].")
    basis: BasisChoice = Field(description="The basis.")
    prior: dict[str, float] = Field(
        description="Log precision of the prior: amplitude by rank and slopes along the degrees [1]."
    )
    noise: float = Field(description="Evidence-maximising standard deviation of a row of unit weight [1].")
    energy_noise: float = Field(description="The same for an energy per atom of unit weight [eV/atom].")
    force_noise: float = Field(description="The same for a force component of unit weight [eV/Å].")
    stress_noise: float = Field(description="The same for a stress component of unit weight [eV/Å^3].")
    log_evidence: float = Field(description="Log marginal likelihood [nat].")
    effective_parameters: float = Field(description="Number of parameters that the data determine [1].")
    evidence_converged: bool = Field(description="Whether the evidence maximum met its tolerance.")
    force_error: ForceErrorCalibration = Field(description="Calibration of the force-error estimate.")
    trials: list[BasisTrial] = Field(
        default_factory=list, description="The bases that were tried, in order; empty if none was."
    )


class GivenPotentialReport(Document):
    """A potential that was not fitted here: of its fit nothing is known."""

    method: Literal["given"] = "given"
    source: str = Field(description="Where its files come from.")


class PacemakerFitReport(Document):
    """What a run of `pacemaker` was asked for and how it ended; errors are recomputed, not read from here."""

    method: Literal["pacemaker"] = "pacemaker"
    evaluator: Literal["tensorpot", "pyace"] = Field(description="Back end that computed the gradients.")
    n_functions: int = Field(description="Basis functions of all elements [1].")
    n_parameters: int = Field(description="Fitted parameters [1].")
    n_iterations: int = Field(description="Iterations of the optimizer [1].")
    converged: bool = Field(description="Whether the optimizer said that it converged.")
    loss: float = Field(description="Last value of pacemaker's loss [its own unit].")
    kappa: float | Literal["auto"] = Field(description="Share of the forces in the loss [1].")
    started_from: str = Field(description="What the coefficients started from, in words.")
    n_structures: int = Field(description="Training structures, counted in the run and as given [1].")
    n_test: int = Field(0, description="Test structures, counted in the run and as given [1].")
    test_energy_rmse: float | None = Field(
        None, description="Root mean square error of the test energies, by the written file [eV/atom]."
    )
    test_force_rmse: float | None = Field(
        None, description="Root mean square error of the test force components, by the written file [eV/Å]."
    )
    warnings: list[str] = Field(default_factory=list, description="What the log warned of, one line each.")
