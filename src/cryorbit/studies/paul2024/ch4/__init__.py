"""Chapter 4 of Paul (2024): alignment and low-dimensional cryo-EM by variance-reduced methods."""
