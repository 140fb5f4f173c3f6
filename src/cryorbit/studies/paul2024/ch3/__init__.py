"""Chapter 3 of Paul (2024): MoM-net, images off the centre."""
