"""What ``import cryorbit`` gives: the nouns of a notebook, and the recipes as functions."""
