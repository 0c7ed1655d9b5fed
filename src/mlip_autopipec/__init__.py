"""From one config.yaml to a validated ACE potential by closed-loop active learning."""
