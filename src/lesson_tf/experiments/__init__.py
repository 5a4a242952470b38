"""Experiments: one module a claim, each with its recipes, its results and how they are read again.

`make experiments` runs them from fixed seeds; results ship in the package's data folder.
"""
