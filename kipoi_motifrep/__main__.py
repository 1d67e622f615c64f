"""``python -m kipoi_motifrep``: the ``kipoi`` program with this plugin registered.

Kipoi's list of plugins is fixed in its code; until this plugin is in it, it is
added here, before Kipoi builds its table of commands.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run Kipoi's command line with ``motifrep`` among its commands."""
    import kipoi.plugin

    from kipoi_motifrep.core.errors import InputError, one_line
    from kipoi_motifrep.networks.loading import own_model_classes

    kipoi.plugin.PLUGINS.append(
        {
            "plugin": "kipoi_motifrep",
            "url": "https://github.com/kipoi/kipoi_motifrep",
            "cli": True,
            "description": "First-layer filters of a CNN as PWMs with JASPAR matches.",
        }
    )
    from kipoi.__main__ import main as kipoi_main

    try:
        with own_model_classes():
            kipoi_main()
    except InputError as error:
        print(f"kipoi: error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
