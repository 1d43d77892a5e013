"""What is made of results: edges, networks, cycles, outliers."""
