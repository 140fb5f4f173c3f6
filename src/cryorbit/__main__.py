"""``python -m cryorbit`` and ``torchrun -m cryorbit``: the command ``cryorbit``."""

from cryorbit.cli.main import main

if __name__ == "__main__":
    main()
