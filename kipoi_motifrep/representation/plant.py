"""From a model and motifs to tables of what the motifs do when planted: what the ``plant`` command does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import h5py
import numpy as np

from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.outputs import PARAMETERS_FILE, staged, write_bytes, write_parameters
from kipoi_motifrep.core.progress import counted, say
from kipoi_motifrep.core.tables import write_table
from kipoi_motifrep.core.workers import open_workers
from kipoi_motifrep.filters.batches import LoaderBatches
from kipoi_motifrep.filters.extract import ModelSource, NetworkChoice, Opened, SequenceSource, open_inputs, origin
from kipoi_motifrep.filters.output_names import output_names
from kipoi_motifrep.filters.sharing import SharedNetwork
from kipoi_motifrep.filters.streaming import PWMRule, network_pwms
from kipoi_motifrep.motifs import Motif
from kipoi_motifrep.motifs.files import motifs_of
from kipoi_motifrep.networks.loading import load_model, loader_alphabet, open_network
from kipoi_motifrep.networks.logits import Logits
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.representation.backgrounds import Backgrounds, given_backgrounds, shuffled_backgrounds
from kipoi_motifrep.representation.planting import (
    COLUMNS,
    DISTANCES,
    WAYS,
    Interaction,
    Planted,
    n_backgrounds,
    plant_motifs,
)
from kipoi_motifrep.sequences.shuffling import random_sequences

SHUFFLED, RANDOM = "shuffled", "random"
PARTNERS = 4  # strongest motifs that are planted in pairs, too
SEQUENCES = 60_000  # that go through the network, so that time stays bounded
FILES = ("planted.tsv", "planted_pairs.tsv", "planted.h5")
PAIR_COLUMNS = ("motif", "partner", "orientation", "distance", "output", "unit", "interaction", "error")


def plant(
    model: object,
    sequences: object = None,
    motifs: object = None,
    *,
    source: str | None = None,
    dataloader_args: Mapping | None = None,
    fasta: str | os.PathLike | None = None,
    intervals: str | os.PathLike | None = None,
    genome: str | os.PathLike | None = None,
    auto_resize_len: int | None = None,
    centre: str | None = None,
    use_strand: bool = False,
    dataset: str | os.PathLike | None = None,
    split: str = "test",
    layer: str | None = None,
    axes: str | None = None,
    alphabet: str | None = None,
    activation: str | None = None,
    dna_channels: str | None = None,
    background: str | os.PathLike = SHUFFLED,
    composition: Sequence[float] | None = None,
    length: int | None = None,
    backgrounds: int | None = None,
    partners: int = PARTNERS,
    step: int | None = None,
    labels: Sequence[str] | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    output: str | os.PathLike | None = None,
) -> Planted:
    r"""Plant motifs in background sequences, and measure what they do to a network's outputs.

    Outputs are taken before the sigmoid or softmax, where there is one. The method and its source are those of
    :mod:`kipoi_motifrep.representation.planting`.

    Parameters
    ----------
    model, sequences, source, dataloader_args, fasta, intervals, genome, auto_resize_len, centre, use_strand, dataset, \
split, layer, axes, alphabet, activation, dna_channels
        The network and its sequences; see :func:`kipoi_motifrep.extract_filters`. Sequences are not needed for motifs
        that are given, on backgrounds that are not shuffled ones.
    motifs : str, path-like, Motif, array, or list of them, optional
        A motif file, or motifs; by default the trimmed PWMs of the network's own filters, except dead ones.
    background : {"shuffled", "random"} or path-like
        What motifs are planted in: the sequences, shuffled with their dinucleotides kept; random sequences; or those of
        a FASTA file, as they are.
    composition : sequence of 4 floats, optional
        Probabilities of A, C, G, T in random sequences; all alike by default.
    length : int, optional
        Of random sequences, in bases, where the model takes any.
    backgrounds : int, optional
        How many; by default 64, or down to 8 where there are hundreds of motifs; see `n_backgrounds`.
    partners : int, default 4
        How many of the strongest motifs are planted in pairs, too; 0 for none.
    step : int, optional
        Plant pairs at distances of every so many bases; by default at some from 8 to 200.
    labels : sequence of str, optional
        Names of the outputs; by default those that the model or the dataset has.
    seed : int, default 0
        Of backgrounds, sites and places.
    batch_size : int, optional
        Sequences a batch; it does not change the result.
    jobs, scheduler
        Who runs the network, which changes nothing; see :func:`kipoi_motifrep.core.workers.open_workers`.
    output : path-like, optional
        Folder for ``planted.tsv``, ``planted_pairs.tsv``, ``planted.h5`` and ``parameters.json``.

    Returns
    -------
    Planted
        Mean changes of all outputs and their standard errors.

    Raises
    ------
    InputError
        If something given is wrong; before any long computation, and with nothing written.

    Examples
    --------
    A network that counts AC, and what two motifs do to it:

    >>> import keras
    >>> from keras.layers import Conv1D, Dense, Flatten
    >>> network = keras.Sequential([keras.Input((20, 4)), Conv1D(1, 2, activation="relu"), Flatten(), Dense(1)])
    >>> weights = np.eye(4)[[0, 1]].reshape(2, 4, 1), [-1], np.ones((19, 1)), [0]
    >>> network.set_weights([np.array(one) for one in weights])
    >>> motifs = {"AC": np.eye(4)[[0, 1]], "GT": np.eye(4)[[2, 3]]}
    >>> found = plant(network, ["TTTTTTTTTTTTTTTTTTTT"] * 2, motifs)
    >>> found.names, found.change[:, :2, 0].round(3).tolist()  # forward, and reversed
    (('AC', 'GT'), [[1.0, 0.0], [0.0, 1.0]])
    """
    wanted, choice = ModelSource(model, source), NetworkChoice(layer, axes, alphabet, activation, dna_channels)
    given = (dataloader_args, fasta, intervals, dataset, sequences)
    origins = None
    if all(one is None for one in given):
        if motifs is None:
            raise InputError("give sequences, by which the network's filters are found, or motifs to plant")
        if background == SHUFFLED:
            raise InputError("give sequences to shuffle, or ask for other backgrounds: random, or a FASTA file")
    else:
        origins = SequenceSource(
            dataloader_args, fasta, intervals, genome, auto_resize_len, centre, use_strand, dataset, split, sequences
        )
    for name, value, least in (
        ("seed", seed, 0), ("backgrounds", backgrounds, 2), ("partners", partners, 0), ("step", step, 1),
        ("batch_size", batch_size, 1), ("length", length, 1),
    ):  # fmt: skip
        if value is not None and value < least:
            raise InputError(f"{name} must be {least} or more, not {value}")
    if composition is not None and background != RANDOM:
        raise InputError("a composition is of random backgrounds; ask for these")
    held = None if motifs is None else motifs_of(motifs)
    inputs = [model, dataloader_args, fasta, intervals, genome, dataset, motifs, background]
    files = [*FILES, PARAMETERS_FILE]
    asked = jobs is not None or scheduler is not None
    with (
        open_workers(jobs, scheduler, wanted.portable()[1] if asked else ()) as workers,
        nullcontext() if output is None else staged(output, files, inputs) as stage,
    ):
        opened = None if origins is None else open_inputs(wanted, origins, choice, batch_size)
        if opened is None:
            loaded = load_model(model, source)
            found = {**vars(choice), "alphabet": choice.alphabet or loader_alphabet(loaded)}
            network = open_network(loaded, length=length, **found)
        else:
            loaded, network = opened.model, opened.network
        if length not in (None, network.length):
            raise InputError(f"length is {length}, but the network reads {network.length} bp; leave it out")
        for line in network.describe().splitlines():
            say(line)
        logits = Logits(network)
        outputs = output_names(loaded, model, logits.n_outputs, labels=labels, dataset=dataset)
        chosen = _filters(opened) if held is None else list(held)
        apart = DISTANCES if step is None else tuple(range(step, network.length // 2, step))
        n = backgrounds or n_backgrounds(len(chosen), network.length, SEQUENCES, partners, apart)
        made = _backgrounds(network, opened, background, composition, n, seed, auto_resize_len)
        result = plant_motifs(
            logits,
            chosen,
            made,
            outputs,
            partners=partners,
            distances=apart,
            seed=seed,
            batch_size=batch_size,
            workers=workers,
            shared=SharedNetwork.of(wanted, choice, network) if asked else None,
        )
        if stage is not None:
            write_planted(result, stage)
            file = background not in (SHUFFLED, RANDOM)
            record = {
                **({} if origins is None else vars(origins)),
                **vars(choice),
                "partners": partners,
                "distances": apart,
                "seed": seed,
                "batch_size": batch_size,
                "motifs": list(result.names) if held is None else str(held.path),
                "motifs_sha256": None if held is None else held.digest,
                "background": background,
                "background_sha256": file_digest(background) if file else None,
                "composition": composition,
                "length": network.length,
                "backgrounds": made.n,
                "labels": list(outputs),
                "output": output,
                "source": source,
                **origin(wanted, origins),
                "found": network.describe().splitlines(),
            }
            write_parameters(stage, "plant", record)
    return result


def _filters(opened: Opened | None) -> list[Motif]:
    """Trimmed PWMs of the network's filters that are active and hold information."""
    assert opened is not None  # without motifs, sequences were asked for
    banks = network_pwms(opened.network, opened.batches, PWMRule())
    active = [motif for bank in banks for motif in bank.motifs(trimmed=True, include_dead=False)]
    chosen = [motif for motif in active if motif.information().max() > 0]
    n = sum(map(len, banks))
    if not chosen:
        raise InputError(
            f"there is no filter to plant: all {n} are dead or without information on these sequences; are they those "
            "that the network was trained for?"
        )
    if len(chosen) < n:
        say(f"{counted(n - len(chosen), 'filter')} of {n} dead or without information: not planted")
    return chosen


def _backgrounds(
    network: Network,
    opened: Opened | None,
    background: str | os.PathLike,
    composition: Sequence[float] | None,
    n: int,
    seed: int,
    auto_resize_len: int | None,
) -> Backgrounds:
    """Make or read the sequences to plant in."""
    if background == RANDOM:
        codes = random_sequences(n, network.length, np.random.default_rng([seed, 0]), composition)
        return Backgrounds(codes, f"{n} random sequences")
    if background == SHUFFLED:
        assert opened is not None
        if missing := network.not_given(opened.first.inputs):
            say(f"note: {', '.join(missing)} of the network not given: zeros; a model's own dataloader gives them")
        return shuffled_backgrounds(network, opened.batches, _number(opened.batches, n), n, seed)
    from kipoi_motifrep.sequences.loaders import SequencesDl

    loader = SequencesDl(str(background), auto_resize_len)
    if loader.length != network.length:
        raise InputError(
            f"its sequences are {loader.length} bp, but the network reads {network.length} bp; give such, or have them "
            f"cut or filled up: auto_resize_len={network.length}",
            path=background,
        )
    name = f"{min(n, loader.n)} sequences of {os.path.basename(background)}, as they are"
    return given_backgrounds(network, LoaderBatches(loader, 256), loader.n, n, name)


def _number(batches: LoaderBatches, wanted: int) -> int:
    """Count the sequences of a loader that says how many it has; of another, the first are taken."""
    n = getattr(batches.loader, "n", None)
    return n if isinstance(n, int) else wanted


def write_planted(found: Planted, folder: str | os.PathLike) -> None:
    """Write ``planted.tsv``, ``planted_pairs.tsv`` (long: one row a number) and ``planted.h5`` (the same, as arrays).

    Parameters
    ----------
    found : Planted
        What to write.
    folder : str or path-like
        Where to.
    """
    folder = Path(folder)
    write_table(folder / FILES[0], COLUMNS, found.table())
    write_table(folder / FILES[1], PAIR_COLUMNS, found.pair_table())
    # Made in memory: on a full disk HDF5 itself fails with pages of internals, or crashes.
    with h5py.File(FILES[2], "w", driver="core", backing_store=False) as file:
        file.attrs.update({"n_backgrounds": found.n_backgrounds, "backgrounds": found.backgrounds})
        for name in ("names", "outputs", "units"):
            file.create_dataset(name, data=np.array(getattr(found, name), object), dtype=h5py.string_dtype())
        for name in ("form", "place", "orientation"):
            file[f"ways/{name}"] = np.array([getattr(way, name) for way in WAYS], "S")
        file["ways/copies"] = np.array([way.copies for way in WAYS])
        for name in ("baseline", "change", "error"):
            file[name] = getattr(found, name)
        for number, one in enumerate(found.interactions):
            group = file.create_group(f"pairs/{number:03d}")
            group.attrs.update({"first": one.first, "second": one.second, "orientation": one.orientation})
            for name in ("distances", "interaction", "error"):
                group[name] = getattr(one, name)
        file.flush()
        image = file.id.get_file_image()
    write_bytes(folder / FILES[2], image)


def read_planted(folder: str | os.PathLike, motifs: Sequence[Motif]) -> Planted:
    """Read what `write_planted` wrote.

    Parameters
    ----------
    folder : str or path-like
        Where it lies.
    motifs : sequence of Motif
        Those that were planted, in their order.

    Returns
    -------
    Planted
    """
    with h5py.File(Path(folder) / FILES[2], "r") as file:
        pairs = []
        for group in file["pairs"].values() if "pairs" in file else ():
            first, second, orientation = (str(group.attrs[name]) for name in ("first", "second", "orientation"))
            along, interaction, error = (group[name][:] for name in ("distances", "interaction", "error"))
            pairs.append(Interaction(first, second, orientation, along, interaction, error))
        baseline, change, error = (file[name][:] for name in ("baseline", "change", "error"))
        outputs, units = (tuple(file[name].asstr()[:]) for name in ("outputs", "units"))
        n, backgrounds = int(file.attrs["n_backgrounds"]), str(file.attrs["backgrounds"])
    return Planted(tuple(motifs), outputs, units, n, backgrounds, baseline, change, error, tuple(pairs))
