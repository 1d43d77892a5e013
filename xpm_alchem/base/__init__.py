"""What every room may use: errors, files, values, durations."""
