#!/bin/bash
#SBATCH --job-name=--foo
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --output=--foo.slurm-%j.log

# one process that fails ends the others
srun --kill-on-bad-exit=1 cryorbit --foo refine p --ref x --threads 8
