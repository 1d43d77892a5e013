"""Pure numerics: covariances, variances, values of nodes."""
