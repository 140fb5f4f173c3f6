"""How work on particles is divided: fixed shards by number, and the processes that share them.

Sums and lists over particles are made here and nowhere else, so that what divides the work (shards now, ranks and
devices later) is written once. Nothing here knows what is summed.
"""
