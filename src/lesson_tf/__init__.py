"""The mathematics of the course, once: attention, positions, tokens and the Transformer."""
