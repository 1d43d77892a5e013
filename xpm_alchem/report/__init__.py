"""Views of a campaign for people and for programs; reads, never writes state."""
