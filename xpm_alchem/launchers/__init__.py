"""Launchers start attempts, limit their time, and say how they ended."""
