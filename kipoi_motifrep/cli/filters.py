"""``kipoi-motifrep filters``: what each filter of a network's first layer learned."""

from __future__ import annotations

import argparse

from kipoi_motifrep.cli.validate import add_reading

SUMMARY = "PWMs of the filters of a network's first layer, from sequences or from the weights."
EXAMPLE = """\
  kipoi-motifrep filters models/synthetic/cnn_25 --source dir --dataset synthetic.h5 -o filters/
  kipoi-motifrep filters network.keras --fasta peaks.fa -o filters/
  kipoi-motifrep filters network.keras --intervals peaks.bed --genome hg38.fa --sites -o filters/
  kipoi-motifrep filters MODEL --dataloader_args intervals_file=peaks.bed fasta_file=hg38.fa --sites -o filters/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    add_inputs(parser)
    add_rule(parser)
    add_sites(parser)
    add_workers(parser)
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the results")


def add_inputs(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the arguments that name a model and its sequences.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    required : bool, default True
        Whether there must be sequences.
    """
    add_model(parser)
    # Sequences come from one place: what activates a filter is counted over all of them.
    sequences = parser.add_mutually_exclusive_group(required=required)
    sequences.add_argument(
        "--dataloader_args",
        "--dataloader-args",
        nargs="+",
        metavar="ARG",
        help="arguments of the model's own loader: key=value ..., JSON text, or a JSON file",
    )
    sequences.add_argument("--fasta", metavar="FILE", help="FASTA file of sequences")
    sequences.add_argument("--intervals", metavar="BED", help="BED file or a relative of it, with --genome")
    parser.add_argument("--genome", metavar="FILE", help="the genome of --intervals (FASTA, plain or bgzip)")
    add_reading(parser)
    sequences.add_argument("--dataset", metavar="FILE", help="HDF5 dataset, as simulate and dataset write it")
    parser.add_argument("--split", default="test", help="split of the dataset (default: test)")
    # All of these are found by measuring the network; they are for those where that is not what is wanted.
    parser.add_argument("--layer", help="name of a convolution (default: the first that reads DNA)")
    add_layout(parser)
    parser.add_argument(
        "--alphabet",
        help="order of the bases in it (default: the loader's, else ACGT; auto: told from labels or matches)",
    )
    parser.add_argument(
        "--activation", metavar="LAYER", help="layer or operation that is the non-linearity behind it (default: found)"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="sequences a batch (default: by the network)")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a model.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument("model", help="name or directory of a Kipoi model, or a file of Keras, PyTorch or ONNX")
    parser.add_argument(
        "--arch",
        metavar="FILE",
        help="the network that a file of weights belongs to: JSON or YAML of Keras, or FILE.py:Class, "
        "or a function that makes it, which is run",
    )
    parser.add_argument("--source", help="Kipoi source of the model (default: dir for a model here, else kipoi)")


def add_layout(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how a model's input is laid out, which is found where it is not said.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument("--axes", help="axis order of the DNA input, such as L,4 or 4,1,L (default: found)")
    parser.add_argument(
        "--dna-channels",
        metavar="A:B",
        help="which four channels are the bases, such as 0:4, where there are others beside them",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the work is done.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="share the work out to N processes of this machine, one thread each"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="share the work out to the workers of this Dask scheduler"
    )


def add_sites(parser: argparse.ArgumentParser) -> None:
    """Add the argument that asks for the sites.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument(
        "--sites", action="store_true", help="also write every site: sites.bed with coordinates, else sites.tsv"
    )


def add_rule(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say how PWMs are made.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument(
        "--window", type=int, metavar="BP", help="width of the window cut at a site (default: what the filter sees)"
    )
    # One rule says which positions are sites; the paper's is the default.
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="FRACTION",
        help="sites are above this fraction of the filter's maximum (default: 0.5)",
    )
    rule.add_argument(
        "--quantile", type=float, metavar="Q", help="sites are above this quantile of the filter's activations"
    )
    rule.add_argument("--top", type=int, metavar="K", help="the best K sites of every filter")
    parser.add_argument(
        "--unweighted",
        dest="weighted",
        action="store_false",
        help="count sites instead of weighting them by activation",
    )
    parser.add_argument("--best-per-sequence", action="store_true", help="at most one site a filter and sequence")


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.
    """
    from kipoi_motifrep.core.progress import counted, say
    from kipoi_motifrep.filters import extract_filters

    found = extract_filters(**gathered(args))
    statuses = [status for bank in found for status in bank.status]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    n_sequences = counted(found[0].n_sequences, "sequence")
    say(f"{args.output}: {counted(len(statuses), 'filter')} ({counts}), from {n_sequences}")


def gathered(args: argparse.Namespace) -> dict:
    """Bring a command's arguments into the form that its function takes them in.

    Parameters
    ----------
    args : argparse.Namespace
        Of a command with :func:`add_model`, and perhaps :func:`add_inputs`.

    Returns
    -------
    dict
        Weights and architecture are one ``model``, the loader's arguments are a mapping, names of outputs a list.

    Examples
    --------
    >>> gathered(argparse.Namespace(command="filters", model="network.keras", arch=None, dataloader_args=None))
    {'model': 'network.keras', 'dataloader_args': None}
    """
    from kipoi_motifrep.core.textfile import read_labels
    from kipoi_motifrep.networks.file_kinds import NetworkFile

    given = {name: value for name, value in vars(args).items() if name not in ("command", "run", "arch")}
    if args.arch is not None:
        given["model"] = NetworkFile(args.model, args.arch)
    if given.get("dataloader_args") is not None:
        given["dataloader_args"] = loader_arguments(args.dataloader_args)
    if given.get("labels") is not None:
        given["labels"] = read_labels(args.labels)
    return given


def loader_arguments(texts: list[str]) -> dict[str, object]:
    """Read ``--dataloader_args``.

    Parameters
    ----------
    texts : list of str
        ``key=value`` pairs, JSON text, or the name of a JSON file.

    Returns
    -------
    dict
        Arguments of the loader.

    Raises
    ------
    InputError
        If it is none of them.

    Examples
    --------
    >>> loader_arguments(["fasta_file=hg38.fa", "resize_len=1000"])
    {'fasta_file': 'hg38.fa', 'resize_len': 1000}
    """
    from kipoi_utils import parse_json_file_str_or_arglist

    from kipoi_motifrep.core.errors import InputError

    try:
        return parse_json_file_str_or_arglist(texts)
    except Exception as error:
        raise InputError(
            f"--dataloader_args {' '.join(texts)}: give key=value pairs, JSON text or a JSON file "
            f"({' '.join(str(error).split())})"
        ) from error
