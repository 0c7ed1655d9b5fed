"""The user's configuration: reading it, refusing what is wrong, inferring what is left open."""

from mlip_autopipec.config.inference import Inferred, infer
from mlip_autopipec.config.load import load_config, parse_config
from mlip_autopipec.config.models import MLIPConfig
from mlip_autopipec.config.structures import read_structures

__all__ = ["Inferred", "MLIPConfig", "infer", "load_config", "parse_config", "read_structures"]
