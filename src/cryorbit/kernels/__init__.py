"""The operations that cost the time: for each a reference in plain torch and what does the same faster.

Pure functions on tensors that know nothing of the rest of the package.
"""
