"""Flows: the loop, the validation, and how a configuration becomes Makers."""
