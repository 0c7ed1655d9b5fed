"""What the fitting programs say of their own solutions."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document


class LinearFitReport(Document):
    """What the linear solver says of its own solution."""

    method: Literal["linear-ace"] = "linear-ace"
    n_rows: int = Field(description="Rows of the design matrix: energies, force and stress components [1].")
    n_functions: int = Field(description="Columns of the design matrix: basis functions [1].")
    rank: int = Field(description="Numerical rank of the weighted design matrix [1].")
    condition: float = Field(description="Condition number of the regularised normal matrix [1].")
    prior_precision: float = Field(description="Evidence-maximising precision of the prior, alpha [1/eV^2].")
    noise: float = Field(description="Evidence-maximising standard deviation of a row of unit weight [eV].")
    log_evidence: float = Field(description="Log marginal likelihood [nat].")
    effective_parameters: float = Field(description="Number of parameters that the data determine [1].")
    evidence_converged: bool = Field(description="Whether the evidence iteration met its tolerance.")


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
    warnings: list[str] = Field(default_factory=list, description="What the log warned of, one line each.")
