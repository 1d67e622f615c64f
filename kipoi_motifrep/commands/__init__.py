"""The commands of ``kipoi-motifrep``: argparse only, one module each, no logic.

Each module has ``SUMMARY`` (one line), ``EXAMPLE`` (what ``--help`` shows),
``add_arguments(parser)`` and ``run(args)``. Heavy imports happen inside ``run``.
"""
