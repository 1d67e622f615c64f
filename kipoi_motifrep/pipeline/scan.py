"""Predictions along a genome.

1. Bins lie on one grid: every so many bases from each chromosome's start, wholly inside the chromosome. The network
   reads a window about the middle of each.
2. A shard is some batches of bins of one chromosome. Which bins go through the network together does not depend on
   who does the shard, so that neither workers nor a kill change a result.
3. Each finished shard is a file in a folder beside the output; a later run does those that are missing.
4. When all are there they become one table, one zarr array a chromosome, or one bigWig an output.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kipoi_motifrep.core.ahead import ahead
from kipoi_motifrep.core.digests import file_digest
from kipoi_motifrep.core.disks import PREFIX, on_disk
from kipoi_motifrep.core.errors import InputError, a_few
from kipoi_motifrep.core.outputs import (
    check_output_file,
    json_default,
    output_folder,
    replacing,
    staged,
    versions,
    write_json,
)
from kipoi_motifrep.core.progress import counted, progress, say
from kipoi_motifrep.core.scratch import scratch
from kipoi_motifrep.core.textfile import parse_json
from kipoi_motifrep.core.workers import WorkerLost, Workers, open_workers, opened_once
from kipoi_motifrep.filters.extract import ModelSource, NetworkChoice
from kipoi_motifrep.filters.output_names import output_names
from kipoi_motifrep.networks.loading import load_model, loader_alphabet, open_network
from kipoi_motifrep.networks.logits import output_columns
from kipoi_motifrep.networks.model_digest import model_digest
from kipoi_motifrep.networks.network import Network
from kipoi_motifrep.sequences.alphabet import reverse_complement
from kipoi_motifrep.sequences.genome import Genome
from kipoi_motifrep.sequences.interval_files import read_rows
from kipoi_motifrep.sequences.problems import Problems

BATCH_SIZE = 1024
SHARD_BATCHES = 16  # of a shard: some seconds, which is what a kill costs at most
BUILD = "is the file for another genome build?"
MOST_N = 0.5  # of a bin's bases; a bin with more is left out
STRANDS = ("mean", "max")
RECORD = "scan.json"  # in the folder of the shards: whose they are
KINDS = {".parquet": "", ".zarr": "zarr", ".bw": "pyBigWig", ".bigwig": "pyBigWig"}  # and the library of the extra
FILES_AT_ONCE = 100  # bigWigs that are written side by side


@dataclass(frozen=True)
class _Scan:
    """What a worker must know of a scan; of `both_strands`, None is the forward strand alone."""

    source: ModelSource
    choice: NetworkChoice
    genome: str
    bin: int
    stride: int
    both_strands: str | None
    batch_size: int

    @property
    def shard_bins(self) -> int:
        """Bins of a shard."""
        return SHARD_BATCHES * self.batch_size

    def n_bins(self, length: int) -> int:
        """Bins on the grid of a chromosome."""
        return max(0, length - self.bin + self.stride) // self.stride


@dataclass(frozen=True, eq=False)
class Shard:
    """Bins of one chromosome.

    Attributes
    ----------
    chromosome : int
        Its place in the genome.
    bins : numpy.ndarray of int64, shape (n,)
        Places on the grid, in order: a bin's first base, divided by the stride.
    """

    chromosome: int
    bins: np.ndarray


@dataclass(frozen=True, eq=False)
class _Opened:
    """A network, and the genome that it goes along."""

    request: _Scan
    model: object
    network: Network
    genome: Genome

    @classmethod
    def of(cls, request: _Scan) -> _Opened:
        genome = Genome(request.genome)
        model = load_model(request.source.model, request.source.source)
        choices = {**vars(request.choice), "alphabet": request.choice.alphabet or loader_alphabet(model)}
        try:
            network = open_network(model, length=request.bin, **choices)
        except InputError:  # one that takes any length may crop more than a bin
            network = open_network(model, **choices)
        return cls(request, model, network, genome)

    def predict(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        """Run the network: shape (n, n_outputs)."""
        source = self.network.source
        return output_columns(source, source.predict(arrays)).astype(np.float32, copy=False)

    def batch(self, chromosome: int, bins: np.ndarray) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
        """Read the bins of a batch that hold enough bases, as the network takes them: of one strand or both."""
        request, length = self.request, self.network.length
        before = (length - request.bin) // 2
        codes = self.genome.fetch(np.full(len(bins), chromosome), bins * request.stride - before, length)
        known = (codes[:, before : before + request.bin] < 4).mean(axis=1) >= 1 - MOST_N
        codes = codes[known]
        strands = [codes] if request.both_strands is None else [codes, reverse_complement(codes)]
        return bins[known], [
            self.network.arrays(self.network.layout.encode_averaged(one)) for one in strands if len(codes)
        ]


def scan(
    model: object,
    genome: str | os.PathLike,
    output: str | os.PathLike,
    *,
    regions: str | os.PathLike | None = None,
    chromosomes: Sequence[str] | None = None,
    bin: int = 200,
    stride: int = 100,
    both_strands: str | None = None,
    batch_size: int = BATCH_SIZE,
    source: str | None = None,
    axes: str | None = None,
    alphabet: str | None = None,
    dna_channels: str | None = None,
    labels: Sequence[str] | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
) -> list[Path]:
    r"""Predict along a genome, and go on where an earlier run was stopped.

    Parameters
    ----------
    model : str, path-like or object
        Name or directory of a Kipoi model, a file, or a loaded model.
    genome : path-like
        FASTA file, plain or bgzip.
    output : path-like
        ``.parquet``: a table with ``chr``, ``start``, ``end`` and a column an output. ``.zarr``: an array a
        chromosome, bins x outputs, whose row i is the bin that begins at base i x stride, NaN where there is none.
        ``.bw``: a bigWig an output (``NAME.OUTPUT.bw``, if there are several); each value covers as many bases as
        the stride, about the bin's middle, so that they do not overlap.
    regions : path-like, optional
        BED file or relative: only bins that overlap one of these intervals.
    chromosomes : sequence of str, optional
        Only these.
    bin, stride : int
        Width of a bin, and how far it is from one to the next, in bases. A network that reads more than a bin is
        given a window about its middle.
    both_strands : {"mean", "max"}, optional
        Predict both strands, and give the mean or the larger one.
    batch_size : int, default 1024
        Bins that go through the network together.
    source, axes, alphabet, dna_channels : str, optional
        How the model is read; see :func:`kipoi_motifrep.networks.loading.open_network`.
    labels : sequence of str, optional
        Names of the outputs; by default the model's own.
    jobs, scheduler
        Who does the work; see :func:`kipoi_motifrep.core.workers.open_workers`.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    InputError
        If something given is wrong; before any long computation.

    Examples
    --------
    >>> import keras
    >>> from pathlib import Path
    >>> from keras.layers import Conv1D, Dense, GlobalMaxPooling1D
    >>> layers = Conv1D(2, 4, activation="relu"), GlobalMaxPooling1D(), Dense(1)
    >>> network = keras.Sequential([keras.Input((12, 4)), *layers])
    >>> _ = Path("genome.fa").write_text(">chr1\nACGTTGCATGCAACGTTGCATGCANNNNNNNNNNNNNNNN\n")
    >>> [table] = scan(network, "genome.fa", "scan.parquet", bin=12, stride=4)
    >>> import pandas
    >>> pandas.read_parquet(table)["start"].tolist()
    [0, 4, 8, 12, 16]
    """
    output = Path(output)
    inputs = [model, genome, regions]
    _check(output, inputs, bin, stride, both_strands, batch_size, labels)
    wanted, choice = ModelSource(model, source), NetworkChoice(None, axes, alphabet, None, dna_channels)
    needed: list[str] = []
    if jobs is not None or scheduler is not None:
        wanted, needed = wanted.portable()
        needed.append(os.path.abspath(genome))
    request = _Scan(wanted, choice, os.path.abspath(genome), bin, stride, both_strands, batch_size)
    shards = plan_shards(Genome(genome), request, regions, chromosomes)
    work = output.with_name(f"{output.name}.shards")
    with open_workers(jobs, scheduler, needed) as workers:
        opened = _Opened.of(request)
        names = _describe(opened, model, labels)
        files = _bigwig_files(output, names) if KINDS[output.suffix.lower()] == "pyBigWig" else [output]
        for path in files[1:]:
            check_output_file(path, inputs)
        record: dict[str, Any] = {
            "model": model_digest(opened.model),
            "layout": str(opened.network.layout),
            "genome": file_digest(genome),
            "regions": None if regions is None else file_digest(regions),
            "chromosomes": None if chromosomes is None else list(chromosomes),
            **{name: getattr(request, name) for name in ("bin", "stride", "both_strands", "batch_size")},
            "outputs": list(names),
            "versions": versions(),
        }
        record = json.loads(json.dumps(record, default=json_default))  # as it is read again
        with output_folder(work):
            _claim(work, record)
            left = [number for number in range(len(shards)) if not _part(work, number).exists()]
            bins = counted(sum(len(one.bins) for one in shards), "bin")
            finished = f", {len(shards) - len(left)} of them finished before" if len(left) < len(shards) else ""
            say(f"{bins} in {counted(len(shards), 'shard')}{finished}")
            _predict(workers, opened, [shards[number] for number in left], [_part(work, number) for number in left])
            _finish(files, work, shards, opened.genome, request, record)
    shutil.rmtree(work)
    return files


def _check(
    output: Path,
    inputs: Sequence[object],
    bin: int,
    stride: int,
    both_strands: str | None,
    batch_size: int,
    labels: Sequence[str] | None,
) -> None:
    kind = output.suffix.lower()
    if kind not in KINDS:
        raise InputError(f"its name must end in {', '.join(KINDS)}, which says what is written", path=output)
    if KINDS[kind] and importlib.util.find_spec(KINDS[kind]) is None:
        raise InputError(f"needs {KINDS[kind]}: pip install 'kipoi_motifrep[scan]'", path=output)
    if KINDS[kind] == "pyBigWig" and "\\udc" in ascii(str(output)):  # a byte that is no text
        raise InputError("its name must be UTF-8 for bigWig; choose another output", path=output)
    if kind != ".zarr" or not output.is_dir():
        check_output_file(output, inputs)
        if kind == ".zarr" and output.exists():
            raise InputError("is a file, and a zarr is a folder; choose another output", path=output)
    elif "stride" not in _read_json(output / "zarr.json").get("attributes", {}) and any(output.iterdir()):
        raise InputError("is a folder that no scan has written; choose another output", path=output)
    for name, value in (("bin", bin), ("stride", stride), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    if both_strands not in (None, *STRANDS):
        raise InputError(f"both_strands is {both_strands!r}; it must be one of {', '.join(STRANDS)}")
    if len(set(labels or ())) < len(labels or ()):
        raise InputError("two outputs have one name; give each output a name of its own")


def _read_json(path: Path) -> dict:
    """Read a mapping; an empty one where the file is gone, or is another program's."""
    try:
        found = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _describe(opened: _Opened, model: object, labels: Sequence[str] | None) -> tuple[str, ...]:
    """Say how the network reads bins, and name its outputs."""
    network, bin = opened.network, opened.request.bin
    if network.length < bin:
        raise InputError(f"the network reads {network.length} bp, fewer than bins of {bin}; give bin={network.length}")
    say(network.describe())
    if network.length > bin:
        say(f"bins of {bin} bp, read with {network.length - bin} bp around them")
    missing = [name for name in network.input_shapes if name != network.input_name]
    if missing:
        say(f"zeros for {', '.join(missing)}: a genome does not give these inputs of the network")
    probe = np.zeros((2, network.length, 4), np.float32)
    n_outputs = opened.predict(network.arrays(network.layout.from_one_hot(probe))).shape[1]
    return output_names(opened.model, model, n_outputs, labels=labels)


def plan_shards(
    genome: Genome, request: _Scan, regions: str | os.PathLike | None = None, chromosomes: Sequence[str] | None = None
) -> list[Shard]:
    """Cut the bins of a scan into shards.

    Parameters
    ----------
    genome : Genome
        What is scanned.
    request : _Scan
        Says how bins lie.
    regions : path-like, optional
        Only bins that overlap one of these.
    chromosomes : sequence of str, optional
        Only these.

    Returns
    -------
    list of Shard
        In the order of the genome.

    Raises
    ------
    InputError
        If the genome has no such chromosome, a region is none of it, or there is no bin.
    """
    for name in chromosomes or ():
        if genome.find(name) < 0:
            raise InputError(f"there is no chromosome {name!r}; it has {a_few(genome.names)}", path=genome.path)
    chosen = range(len(genome.names)) if chromosomes is None else sorted({genome.find(one) for one in chromosomes})
    wanted = None if regions is None else _read_regions(regions, genome)
    shards = []
    for number in chosen:
        bins = np.arange(request.n_bins(int(genome.lengths[number])))
        if wanted is not None:
            # A bin overlaps a region if it begins before the region's end and ends behind its start.
            inside = np.zeros(len(bins) + 1, np.int64)
            for start, end in wanted.get(number, ()):
                first = max(0, (start - request.bin) // request.stride + 1)
                stop = -(-end // request.stride)
                if first < len(bins):
                    inside[first] += 1
                    inside[min(stop, len(bins))] -= 1
            bins = bins[np.cumsum(inside)[:-1] > 0]
        size = request.shard_bins
        shards += [Shard(number, bins[first : first + size]) for first in range(0, len(bins), size)]
    if not shards:
        what = "no region has" if regions is not None else "no chromosome is long enough for"
        raise InputError(f"{what} a bin of {request.bin} bp", path=regions or genome.path)
    return shards


def _read_regions(path: str | os.PathLike, genome: Genome) -> dict[int, list[tuple[int, int]]]:
    problems, found = Problems(path), dict[int, list[tuple[int, int]]]()
    for rows in read_rows(path, genome, problems):
        for row, name, start, end in zip(rows.row, rows.chromosome, rows.start, rows.end, strict=True):
            number = genome.find(name)
            if number < 0:
                problems.add(
                    row, f"chromosome {name!r} is not in {genome.path} (which has {a_few(genome.names)}); {BUILD}"
                )
            elif not 0 <= start < end <= genome.lengths[number]:
                problems.add(row, f"{start}-{end} is no stretch of {name} ({genome.lengths[number]} bp); {BUILD}")
            else:
                found.setdefault(number, []).append((start, end))
    problems.raise_first()
    return found


def _claim(work: Path, record: dict[str, object]) -> None:
    """See that the shards of a folder are of this scan; mark a new folder."""
    path = work / RECORD
    if not path.exists():
        if any(not one.startswith(PREFIX) for one in os.listdir(work)):  # it would go with the shards at the end
            raise InputError("holds files that are of no scan; move them away, or choose another output", path=work)
        write_json(path, record)
        return
    former = _read_json(path)
    other = [name for name in record if former.get(name) != record[name]]
    if other:
        raise InputError(
            f"holds shards of another scan ({', '.join(other)} differ); finish that one, or remove the folder",
            path=work,
        )


def _part(work: Path, number: int) -> Path:
    return work / f"{number:06}.npz"


def _predict(workers: Workers, opened: _Opened, shards: Sequence[Shard], parts: Sequence[Path]) -> None:
    """Have all shards predicted, and keep each when it is done."""
    task: Callable[[Shard], tuple[np.ndarray, np.ndarray]] = (
        partial(_predict_shard, opened) if workers.here else partial(_predict_there, opened.request)
    )
    results = workers.results(task, shards)
    for number, outcome in progress(results, "scan", total=len(shards), unit="shard"):
        if isinstance(outcome, WorkerLost):
            raise outcome
        bins, values = outcome
        with replacing(parts[number]) as temporary:
            np.savez(temporary, bins=bins, values=values)


def _predict_there(request: _Scan, shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    return _predict_shard(opened_once(_Opened.of, request), shard)


def _predict_shard(opened: _Opened, shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    """Predict the bins of a shard that hold enough bases: which they are, and shape (n, n_outputs)."""
    size, strands = opened.request.batch_size, opened.request.both_strands
    batches = [shard.bins[first : first + size] for first in range(0, len(shard.bins), size)]
    kept, values = [], []
    for bins, arrays in ahead(partial(opened.batch, shard.chromosome), batches, most=2):
        if len(bins):
            found = [opened.predict(one) for one in arrays]
            values.append(found[0] if strands is None else getattr(np, strands)(found, axis=0))
            kept.append(bins)
    if not kept:
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)
    return np.concatenate(kept), np.concatenate(values)


Part = tuple[str, np.ndarray, np.ndarray]  # chromosome, its bins, and their values: shape (n, n_outputs)


def _finish(
    files: Sequence[Path],
    work: Path,
    shards: Sequence[Shard],
    genome: Genome,
    request: _Scan,
    record: Mapping[str, Any],
) -> None:
    """Put the shards together into the files that were asked for."""

    def parts(columns: slice = slice(None)) -> Iterator[Part]:
        for number, shard in enumerate(shards):
            with np.load(_part(work, number)) as part:
                if len(part["bins"]):
                    yield genome.names[shard.chromosome], part["bins"], part["values"][:, columns]

    output, n_bins, n_kept = files[0], sum(len(one.bins) for one in shards), 0
    lengths = {genome.names[one.chromosome]: int(genome.lengths[one.chromosome]) for one in shards}
    kind = output.suffix.lower()
    if kind == ".parquet":
        n_kept = _write_parquet(output, parts(), request, record["outputs"])
    elif kind == ".zarr":
        with on_disk(output), scratch(output.parent) as passing:
            n_kept = _write_zarr(passing / "new", parts(), lengths, request, record)
            # A kill between the two loses nothing: the shards are still there.
            if output.exists():
                os.replace(output, passing / "former")
            os.replace(passing / "new", output)
    else:
        with staged(output.parent, [one.name for one in files]) as stage:
            for first in range(0, len(files), FILES_AT_ONCE):
                some = slice(first, first + FILES_AT_ONCE)
                n_kept = _write_bigwigs([stage / one.name for one in files[some]], parts(some), lengths, request)
    if n_kept < n_bins:
        say(f"left out: {counted(n_bins - n_kept, 'bin')} of {n_bins}, more than half of which is N")


def _write_parquet(path: Path, parts: Iterable[Part], request: _Scan, names: Sequence[str]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [("chr", pa.string()), ("start", pa.int64()), ("end", pa.int64())]
    schema, n = pa.schema([*columns, *((name, pa.float32()) for name in names)]), 0
    # By a file that is open: pyarrow wants names of UTF-8.
    with (
        replacing(path) as temporary,
        open(temporary, "wb") as file,
        pq.ParquetWriter(file, schema, compression="zstd") as table,
    ):
        for chromosome, bins, values in parts:
            starts = bins * request.stride
            arrays = [pa.array([chromosome] * len(starts)), pa.array(starts), pa.array(starts + request.bin)]
            table.write_table(pa.Table.from_arrays([*arrays, *map(pa.array, values.T.copy())], schema=schema))
            n += len(bins)
    return n


def _write_zarr(
    path: Path, parts: Iterable[Part], lengths: Mapping[str, int], request: _Scan, record: Mapping[str, Any]
) -> int:
    import zarr

    group, n = zarr.open_group(path, mode="w", attributes=dict(record)), 0
    # On the grid, a bin is found without an index; of chunks without a bin, such as in a long stretch of N, there is
    # no file.
    arrays = {
        name: group.create_array(
            name,
            shape=(request.n_bins(length), len(record["outputs"])),
            chunks=(request.shard_bins, len(record["outputs"])),
            dtype="float32",
            fill_value=np.nan,
            dimension_names=("bin", "output"),
        )
        for name, length in lengths.items()
    }
    for chromosome, bins, values in parts:
        arrays[chromosome].set_orthogonal_selection(bins, values)
        n += len(bins)
    return n


def _write_bigwigs(paths: Sequence[Path], parts: Iterable[Part], lengths: Mapping[str, int], request: _Scan) -> int:
    import pyBigWig

    # Bins overlap where the stride is smaller than they are, and a bigWig's values may not.
    span, n = min(request.bin, request.stride), 0
    shift = (request.bin - span) // 2
    with ExitStack() as stack:
        tracks = [pyBigWig.open(str(path), "w") for path in paths]
        for track in tracks:
            stack.callback(track.close)
            track.addHeader(list(lengths.items()))
        for chromosome, bins, values in parts:
            starts = bins * request.stride + shift
            for track, column in zip(tracks, values.T, strict=True):
                track.addEntries(chromosome, starts, values=column.astype(np.float64), span=span)
            n += len(bins)
    return n


def _bigwig_files(output: Path, names: Sequence[str]) -> list[Path]:
    """Name a bigWig an output; what a file's name cannot hold is left out of it, but no two have one name."""
    if len(names) == 1:
        return [output]
    plain = [re.sub(r"[^\w.+-]+", "_", name) for name in names]
    plain = [f"{name}.{i}" if plain.count(name) > 1 else name for i, name in enumerate(plain)]
    return [output.with_suffix(f".{name}{output.suffix}") for name in plain]
