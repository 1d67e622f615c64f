"""``kipoi-motifrep match``: motifs against databases of known motifs."""

from __future__ import annotations

import argparse

SUMMARY = "The known motifs that each motif is like, with Tomtom's exact statistics."
EXAMPLE = """\
  kipoi-motifrep match filters/filters_trimmed.meme -o matches/
  kipoi-motifrep match filters.meme --database JASPAR2016 --evalue 0.1 -o matches/
  kipoi-motifrep match motifs.jaspar --database JASPAR2026 my_motifs.meme --qvalue 0.5 -o matches/
  kipoi-motifrep match filters.meme --fdr --exclude MA1929.2 MA1930.2 -o matches/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        The command's own parser.
    """
    parser.add_argument("queries", help="motif file: MEME, JASPAR, TRANSFAC, HOMER, CIS-BP, UniPROBE or a relative")
    add_database(parser)
    add_exclude(parser)
    add_threshold(parser)
    parser.add_argument("--incomplete-scores", action="store_true", help="judge an alignment by its own columns only")
    parser.add_argument(
        "--norc", action="store_true", help="do not compare with reverse complements; so it is for RNA in any case"
    )
    parser.add_argument(
        "--fdr",
        type=float,
        nargs="?",
        const=0.05,
        metavar="Q",
        help="also compare each motif with its own shuffles, and call those with a false discovery rate up to this "
        "(0.05 if no number is given); takes several times as long",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the shuffles (default: 0)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads to compute with (default: the machine's)")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for tomtom.tsv, matches.tsv and parameters.json"
    )


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what counts as a match.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    threshold = parser.add_mutually_exclusive_group()
    threshold.add_argument(
        "--evalue",
        type=float,
        default=0.1,
        metavar="E",
        help="report matches with an E-value up to this (default: 0.1)",
    )
    threshold.add_argument(
        "--qvalue",
        type=float,
        nargs="?",
        const=0.5,
        metavar="Q",
        help="report matches with a q-value up to this instead (0.5 if no number is given)",
    )
    parser.add_argument(
        "--min-overlap", type=int, default=1, metavar="N", help="fewest columns that an alignment pairs up (default: 1)"
    )


def add_exclude(parser: argparse.ArgumentParser) -> None:
    """Add the argument that leaves motifs out of the search.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    """
    parser.add_argument(
        "--exclude",
        nargs="+",
        default=(),
        metavar="ID",
        help="motifs that are not searched, such as MA1929.2, or MA1929 for all versions: those that take most chance "
        "matches are in chance_targets.tsv",
    )


def add_database(parser: argparse.ArgumentParser, default: str | None = "JASPAR2026") -> None:
    """Add the arguments that say what is searched.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Any command's parser.
    default : str, optional
        Release; all of them if None.
    """
    parser.add_argument(
        "--database",
        nargs="+",
        default=default and [default],
        metavar="DB",
        help="JASPAR releases (JASPAR2014 to JASPAR2026), motif files and folders of them "
        f"(default: {default or 'all releases'})",
    )
    parser.add_argument(
        "--taxon",
        default="vertebrates",
        metavar="NAME",
        help="taxonomic groups of JASPAR, with commas between them, or all (default: vertebrates)",
    )
    parser.add_argument(
        "--collection",
        default="CORE",
        metavar="NAME",
        help="collections of JASPAR, with commas between them, or all (default: CORE)",
    )


def run(args: argparse.Namespace) -> None:
    """Run the command.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.
    """
    from kipoi_motifrep.core.progress import counted, say
    from kipoi_motifrep.motifs.matches import match

    found = match(
        args.queries,
        args.database,
        taxon=names(args.taxon),
        collection=names(args.collection),
        exclude=args.exclude,
        evalue=args.evalue,
        qvalue=args.qvalue,
        min_overlap=args.min_overlap,
        incomplete_scores=args.incomplete_scores,
        norc=args.norc,
        fdr=args.fdr,
        seed=args.seed,
        threads=args.threads,
        output=args.output,
        progress=True,
    )
    counts = {status: found.statuses.count(status) for status in dict.fromkeys(found.statuses)}
    say(
        f"{counted(len(found.queries), 'motif')} ({', '.join(f'{n} {status}' for status, n in counts.items())}); "
        f"database: {found.database.describe()}" + "; one strand" * bool(found.parameters["norc"])
    )
    if found.chance is not None and found.called is not None:
        say(
            f"{sum(found.called)} called at a false discovery rate of {100 * found.chance.level:g} % "
            f"({found.chance.n_shuffles} shuffles of each)"
        )


def names(text: str) -> list[str] | None:
    """Read a list with commas; ``all`` is None.

    Parameters
    ----------
    text : str
        Such as ``vertebrates,plants``.

    Returns
    -------
    list of str or None
        The names.

    Examples
    --------
    >>> names("vertebrates,plants")
    ['vertebrates', 'plants']
    """
    return None if text.lower() == "all" else text.split(",")
