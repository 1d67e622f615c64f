"""``kipoi-motifrep package``."""

from __future__ import annotations

import argparse

SUMMARY = "Package trained networks as a Kipoi group, and test it; with --zoo, ready for the public model zoo."
EXAMPLE = """  kipoi-motifrep package --example-info > info.yaml
  kipoi-motifrep package runs --info info.yaml -o my_models
  kipoi-motifrep package mine.keras --labels CTCF,GATA1 --info info.yaml -o my_models
  kipoi-motifrep package runs --info info.yaml --zoo https://zenodo.org/record/123/files --name MyLab -o export"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("networks", nargs="*", metavar="NETWORK",
                        help="folders from 'train', and .keras or .h5 files")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder of the group; with --zoo, of the export")
    parser.add_argument("--info", metavar="YAML", help="authors, licence, citation, ... (default: DIR/info.yaml)")
    parser.add_argument("--example-info", action="store_true", help="print an info file to fill in")
    parser.add_argument("--labels", metavar="A,B,...", help="names of the outputs, for files that do not carry them")
    parser.add_argument("--trial", type=int, default=0, help="which trial of training folders (default: 0)")
    parser.add_argument("--zoo", metavar="URL", help="export for the model zoo; files will be uploaded below URL")
    parser.add_argument("--name", help="of the group in the zoo (default: the name of the output folder)")
    parser.add_argument("--no-test", action="store_true", help="do not run 'kipoi test' at the end")


def run(args: argparse.Namespace) -> int:
    """Package, test, and say how it went."""
    from pathlib import Path

    from kipoi_motifrep.errors import InputError
    from kipoi_motifrep.packaging.check import check_group
    from kipoi_motifrep.packaging.description import EXAMPLE_INFO, read_info
    from kipoi_motifrep.packaging.group import write_group
    from kipoi_motifrep.packaging.networks import find_networks
    from kipoi_motifrep.packaging.zoo import export_zoo
    from kipoi_motifrep.progress import say

    if args.example_info:
        print(EXAMPLE_INFO, end="")
        return 0
    if not args.networks or not args.output:
        raise InputError("give networks and -o DIR, or --example-info")
    info = read_info(args.info or Path(args.output) / "info.yaml")
    networks = find_networks(args.networks, args.trial, args.labels.split(",") if args.labels else None)
    group = Path(args.output)
    if args.zoo:
        group, upload = export_zoo(networks, args.output, info, args.zoo, args.name or group.name)
        say(f"{group}: {len(networks)} models; upload the contents of {upload} to {args.zoo}")
    else:
        write_group(networks, group, info)
        say(f"{group}: {len(networks)} models")
    if args.no_test or (args.zoo and not args.zoo.startswith("file://")):
        return 0
    failed = 0
    for name, complaints in check_group(group, [network.name for network in networks]):
        say(f"kipoi test {group}/{name}: {'; '.join(complaints) or 'passes'}")
        failed += bool(complaints)
    return 2 if failed else 0
