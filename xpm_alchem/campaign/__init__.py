"""A campaign's records on disk, and the state they tell."""
