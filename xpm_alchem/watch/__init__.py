"""`xpm-alchem watch`: a campaign on a whole screen, live; reads, and changes only what a key asks for."""
