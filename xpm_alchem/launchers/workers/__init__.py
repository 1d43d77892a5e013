"""Attempts by workers: processes on any machine that mounts the workspace take tasks from a pool of files."""
