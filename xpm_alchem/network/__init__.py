"""A network as it was given: read, checked, indexed."""
