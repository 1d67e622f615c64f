"""Our program by its code, also where its files cannot grow, as on a full disk or under ``ulimit -f``."""

PROGRAM = "import sys; from kipoi_motifrep.cli.program import main; sys.exit(main(sys.argv[1:]))"


def small_files(n: int) -> str:
    """Begin a program that can write no more than n bytes into a file.

    It keeps no bytecode, which Python would cut off, too, and take for whole from then on.
    """
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({n}, {n}))"
    return f"import resource, sys; sys.dont_write_bytecode = True; {limit}; "
