"""The same operations in Triton, one launch each, for graphics cards: what a point needs is read, used and forgotten.

Triton is an extra (``pip install cryorbit[gpu]``): nothing here is imported before a tensor is where it compiles for.
"""
