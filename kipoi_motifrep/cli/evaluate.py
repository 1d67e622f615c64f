"""``kipoi-motifrep evaluate``."""

from __future__ import annotations

import argparse

SUMMARY = "How well networks predict the labels of a data set, and whether their probabilities are true."
EXAMPLE = """  kipoi-motifrep evaluate models/invivo/cnn_25 models/invivo/cnn_100 --dataset k562.h5 -o accuracy.tsv
  kipoi-motifrep evaluate runs/cnn_25/trial_*/network.keras --average --dataset chip.h5 -o accuracy.tsv"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="names or folders of Kipoi models, or files of Keras, PyTorch or ONNX",
    )
    parser.add_argument("--source", help="Kipoi source of the models (default: dir for a model here, else kipoi)")
    parser.add_argument("--alphabet", help="order of the bases in their input (default: the loader's, else ACGT)")
    parser.add_argument(
        "--dataset", required=True, metavar="FILE", help="HDF5 dataset, as simulate and dataset write it"
    )
    parser.add_argument("--split", default="test", help="split of the dataset (default: test)")
    parser.add_argument("--average", action="store_true", help="also evaluate the mean of all networks' predictions")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE",
        help="table of AUROC, AUPR and calibration error, label by label; reliability curves and parameters go "
        "beside it (FILE.reliability.tsv, FILE.json)",
    )


def run(args: argparse.Namespace) -> None:
    """Evaluate, write and say how it went."""
    import numpy as np

    from kipoi_motifrep.core.accuracy import mean_of_known
    from kipoi_motifrep.core.progress import say
    from kipoi_motifrep.training.evaluate import evaluate

    found = evaluate(
        args.models,
        args.dataset,
        split=args.split,
        average=args.average,
        source=args.source,
        alphabet=args.alphabet,
        output=args.output,
    )
    for one in found:
        means = ((name.replace("_", " "), mean_of_known(values)) for name, values in one.figures())
        said = ", ".join(f"{name} {mean:.3f}" for name, mean in means if not np.isnan(mean))
        say(f"{one.model}: {said or 'no label with both classes'}")
