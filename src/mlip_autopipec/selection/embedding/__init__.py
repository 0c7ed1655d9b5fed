"""Periodic embedding: an uncertain atom and its surroundings as a small dense cell."""

from mlip_autopipec.selection.embedding.cut import Cut, balanced, cut_box, cut_crystal
from mlip_autopipec.selection.embedding.embed import embed, settled
from mlip_autopipec.selection.embedding.exchange import exchanged
from mlip_autopipec.selection.embedding.host import Host, crystal_cell, host_vectors
from mlip_autopipec.selection.embedding.judge import (
    Embedding,
    EmbeddingRule,
    Judged,
    core_weights,
    gamma_excess,
    judge,
    judged,
    refusal,
)
from mlip_autopipec.selection.embedding.maker import EmbeddingMaker

__all__ = [
    "Cut",
    "Embedding",
    "EmbeddingMaker",
    "EmbeddingRule",
    "Host",
    "Judged",
    "balanced",
    "core_weights",
    "crystal_cell",
    "cut_box",
    "cut_crystal",
    "embed",
    "exchanged",
    "gamma_excess",
    "host_vectors",
    "judge",
    "judged",
    "refusal",
    "settled",
]
