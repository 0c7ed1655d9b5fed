"""The command line: `mlip-auto`. Nothing heavy is imported until a command needs it."""

from mlip_autopipec.cli.app import main

__all__ = ["main"]
