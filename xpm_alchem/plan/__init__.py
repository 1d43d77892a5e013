"""campaign.yaml: its sections, and its text."""
