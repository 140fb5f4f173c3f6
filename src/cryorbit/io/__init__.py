"""Files: STAR, cryoSPARC .cs, MRC stacks and maps, job folders, and the checks on what comes in."""
