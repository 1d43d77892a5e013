"""The views as tables for a terminal."""
