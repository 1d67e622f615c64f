"""``kipoi-motifrep package``."""

from __future__ import annotations

import argparse

SUMMARY = "Package trained networks as a Kipoi group, and test it; with --zoo, ready for the public model zoo."
EXAMPLE = """  kipoi-motifrep package --example-info > info.yaml
  kipoi-motifrep package runs --info info.yaml -o my_models
  kipoi-motifrep package mine.keras --labels CTCF,GATA1 --info info.yaml -o my_models
  kipoi-motifrep package runs --info info.yaml --zoo https://zenodo.org/records/123/files --name MyLab -o export"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="folders from 'train', and .keras or .h5 files")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder of the group; with --zoo, of the export")
    parser.add_argument("--info", metavar="YAML", help="authors, licence, citation, ... (default: DIR/info.yaml)")
    parser.add_argument("--example-info", action="store_true", help="print an info file to fill in")
    parser.add_argument(
        "--labels",
        metavar="A,B,...",
        help="names of the outputs, or a file with one a line, for networks that do not carry them",
    )
    parser.add_argument(
        "--trial",
        type=_trial,
        default=0,
        metavar="N|best",
        help="which trial of training folders; best: of each architecture the one with the lowest "
        "validation loss (default: 0)",
    )
    parser.add_argument(
        "--zoo",
        metavar="URL",
        help="export for the model zoo; its files will be uploaded to URL, for example a Zenodo record",
    )
    parser.add_argument("--name", help="of the group in the zoo (default: the name of the output folder)")
    parser.add_argument("--no-test", action="store_true", help="do not run 'kipoi test' at the end")


def _trial(text: str) -> int | None:
    # None stands for the best run: which it is follows from all runs of an architecture, not from a number.
    if text != "best" and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor best")
    return None if text == "best" else int(text)


def run(args: argparse.Namespace) -> int:
    """Package, test, and say how it went.

    Raises
    ------
    InputError
        If neither networks and an output nor --example-info are given.
    """
    from pathlib import Path

    from kipoi_motifrep.core.errors import InputError
    from kipoi_motifrep.core.progress import tell
    from kipoi_motifrep.core.textfile import read_labels
    from kipoi_motifrep.zoo.description import EXAMPLE_INFO, read_info
    from kipoi_motifrep.zoo.packaged import find_networks

    if args.example_info:
        tell(EXAMPLE_INFO.rstrip("\n"))
        return 0
    if not args.networks or not args.output:
        raise InputError("give networks and -o DIR, or --example-info")
    info = read_info(args.info or Path(args.output) / "info.yaml")
    networks = find_networks(args.networks, args.trial, read_labels(args.labels) if args.labels else None)
    return (_export if args.zoo else _write)(networks, info, args)


def _write(networks, info, args: argparse.Namespace) -> int:
    from kipoi_motifrep.core.progress import counted, say
    from kipoi_motifrep.zoo.check import check_group
    from kipoi_motifrep.zoo.group import write_group

    write_group(networks, args.output, info)
    say(f"{args.output}: {counted(len(networks), 'model')}")
    if args.no_test:
        return 0
    return 2 if _report(args.output, check_group(args.output, [network.name for network in networks])) else 0


def _export(networks, info, args: argparse.Namespace) -> int:
    from pathlib import Path

    from kipoi_motifrep.core.progress import counted, say
    from kipoi_motifrep.zoo.check import check_export
    from kipoi_motifrep.zoo.export import export_zoo, write_pull_request

    export = export_zoo(networks, args.output, info, args.zoo, args.name or Path(args.output).absolute().name)
    say(f"{export.group}: {counted(len(networks), 'model')}, for a pull request to the model zoo")
    say(f"{export.upload}: its files, to be uploaded to {args.zoo}")
    failed = None if args.no_test else _report(export.group, check_export(export))
    say(f"{write_pull_request(export, failed)}: text of the pull request")
    return 2 if failed else 0


def _report(group, checks) -> list[str]:
    """Say how each test went, and give the models that failed."""
    from kipoi_motifrep.core.progress import say

    failed = []
    for name, complaints in checks:
        say(f"kipoi test {group}/{name}: {'; '.join(complaints) or 'passes'}")
        if complaints:
            failed.append(name)
    return failed
