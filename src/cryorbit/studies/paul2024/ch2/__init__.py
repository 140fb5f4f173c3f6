"""Chapter 2 of Paul (2024): alignment and cryo-EM by encoders of moments."""
