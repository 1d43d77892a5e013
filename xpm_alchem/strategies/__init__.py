"""Strategies of stratocaster's interface, `propose(network, results)`, and the strategist that asks them."""
