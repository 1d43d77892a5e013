"""GPUs and the like: which there are, and which an attempt sees."""
