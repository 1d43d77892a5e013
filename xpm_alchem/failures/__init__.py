"""What failed, what is tried again, what is left out."""
