"""Torture: thousands of damaged inputs, and jobs killed at any moment; what the program makes of them is counted.

    python -m torture --inputs 10000 --kills 100 --seed 1        (in the folder benchmarks; or: make torture)

The same seed gives the same damage. A case is good when it ends in time, without a traceback, with a message that names
the file if it is refused, with the impossible value refused or its particle set aside, and with the user's files as
they were. A kill is good when the job that is resumed ends with the bytes of the undisturbed one.
"""
