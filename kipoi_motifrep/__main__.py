"""``python -m kipoi_motifrep``: the ``kipoi`` program with this plugin registered.

Kipoi's list of plugins is fixed in its code; until this plugin is in it, it is
added here, before Kipoi builds its table of commands.
"""

from __future__ import annotations

import sys
import warnings


def main() -> None:
    """Run Kipoi's command line with ``motifrep`` among its commands."""
    import kipoi.plugin

    from kipoi_motifrep.core.disks import full_disk, quiet_after_full_disks
    from kipoi_motifrep.core.errors import InputError, one_line
    from kipoi_motifrep.core.scratch import own_temporaries
    from kipoi_motifrep.networks.loading import own_model_classes

    kipoi.plugin.PLUGINS.append(
        {
            "plugin": "kipoi_motifrep",
            "url": "https://github.com/kipoi/kipoi_motifrep",
            "cli": True,
            "description": "First-layer filters of a CNN as PWMs with JASPAR matches.",
        }
    )
    # Kipoi imports pkg_resources, which says at every start that it will go; that is nothing to its users.
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
    quiet_after_full_disks()
    from kipoi.__main__ import main as kipoi_main

    try:
        with own_temporaries(), own_model_classes():
            kipoi_main()
    except Exception as error:
        if not isinstance(error, InputError) and full_disk(error) is None:
            raise
        print(f"kipoi: error: {one_line(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
