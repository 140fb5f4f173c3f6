"""Images of volumes in the spherical Bessel basis: the low-dimensional cryo-EM of Paul (2024), section 4.5.2."""
