"""What attempts cost and will cost, and whether one more may begin."""
