"""Real connections at once: races stepped by hand, and all functions let loose on the same runs."""
