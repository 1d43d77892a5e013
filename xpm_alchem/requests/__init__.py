"""What a user asks of a campaign: checked, then applied by the driver or the command."""
