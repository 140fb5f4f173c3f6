"""MoM-net: networks, their loss, and the data sets that they are trained on."""
