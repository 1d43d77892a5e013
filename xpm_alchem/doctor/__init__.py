"""`xpm-alchem doctor`: checks of the environment and of a campaign, and mending what can be mended without loss."""
