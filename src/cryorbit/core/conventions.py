"""Axes, signs and units, in one place.

Boxes
    Even number ``N`` of pixels; the centre is pixel ``N // 2``. Arrays are indexed ``[z, y, x]`` and ``[y, x]``;
    vectors are written ``(x, y, z)`` and ``(x, y)``. Pixel size in A.
Poses
    ``R = Rotation.from_euler("ZYZ", [rot, tilt, psi], degrees=True).as_matrix().T`` (RELION's matrix ``A``); the slice
    of a volume in pose ``R`` samples its transform at ``R.T @ (kx, ky, 0)``. A cryoSPARC rotation vector gives ``R.T``.
Shifts
    ``shift = (x, y)`` in pixels is the displacement that *centres* the image (RELION's ``rlnOrigin``): the particle
    sits at ``centre - shift``, and ``X(k) exp(-2 pi i k . shift / N)`` is the transform of the centred image.
Transforms
    Unitary in two dimensions, so that white noise of pixel variance s^2 has variance s^2 in every coefficient. A
    volume's transform is scaled so that its central slice is the unitary transform of its projection.
    Images are kept as the half plane without the origin; every coefficient then stands for itself and its conjugate,
    which is the Hermitian weight 2.
CTF
    ``CTF = -sin(gamma)``, ``gamma = -pi lambda z k^2 + pi/2 Cs lambda^3 k^4 - phase - arcsin(w)``, with defocus
    ``z`` > 0 for underfocus and amplitude contrast ``w``; so CTF(0) = +w and protein is white, in images and in maps.
Magnification
    With RELION's matrix ``M`` (``rlnMagMat``) the transform of a stored image at its frequency ``k`` is that of the
    projection, CTF included, at ``M k``. Images are read as ``|det M| f(M.T @ x)``, as if there were no stretch; a
    shift ``t`` of the stored image is ``inv(M).T @ t`` on the one that is read.
Units
    Metadata in A, degrees, kV, mm as in RELION; inside: pixels, radians.
"""

HERMITIAN_WEIGHT = 2.0
"""Weight of a half-plane coefficient that is not its own conjugate (the origin is left out)."""
