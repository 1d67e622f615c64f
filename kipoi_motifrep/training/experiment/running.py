"""Running an experiment: train, interpret, record; kill it at any point and it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kipoi_motifrep.core.errors import InputError, one_line
from kipoi_motifrep.core.outputs import check_output_file
from kipoi_motifrep.core.progress import say
from kipoi_motifrep.datasets.hdf5 import Dataset, open_dataset
from kipoi_motifrep.datasets.simulate import simulate_published, write_simulated
from kipoi_motifrep.motifs.jaspar import PAPER_RELEASE, open_database
from kipoi_motifrep.pipeline import interpret
from kipoi_motifrep.representation import read_known_motifs
from kipoi_motifrep.training.architectures import ARCHITECTURES
from kipoi_motifrep.training.experiment.record import LayerRecord, RunRecord, read_record, record_name
from kipoi_motifrep.training.experiment.tabulate import TABLES
from kipoi_motifrep.training.runs import NETWORK_FILE, PAPER_PROTOCOL, Protocol, Result, Run, check_result
from kipoi_motifrep.training.sweep import plan, run_sweep
from kipoi_motifrep.training.train import data_digest

SYNTHETIC = "synthetic"
# Architectures whose deeper layers the paper looks at, too.
DEEPER = ("cnn_1", "cnn_1_3")


@dataclass(frozen=True)
class Experiment:
    """Which networks to train on which data, and where their records go.

    Attributes
    ----------
    folder : pathlib.Path
        ``units/`` for the records, ``networks/`` for what training writes.
    task : str
        "synthetic", or a dataset file.
    architectures : tuple of str
        Names, or ``("all",)``.
    trials, seed, jobs : int
        Initialisations of each, seed of them all, processes side by side.
    protocol : Protocol
        Of training.
    truth : str or None
        File of the known motifs. The synthetic task has its own; without one, other tasks have no true matches.
    scheduler : str or None
        Address of a Dask scheduler to train on.

    Examples
    --------
    >>> experiment = Experiment(Path("sweep"), protocol=Protocol(first_activation="exponential"))
    >>> experiment.networks.as_posix()
    'sweep/networks_exponential'
    >>> experiment.record_path(Run("cnn_2", trial=0, seed=0)).as_posix()
    'sweep/units/cnn_2.exponential.0.json'
    """

    folder: Path
    task: str = SYNTHETIC
    architectures: tuple[str, ...] = ("all",)
    trials: int = 5
    seed: int = 0
    jobs: int = 1
    protocol: Protocol = PAPER_PROTOCOL
    truth: str | None = None
    scheduler: str | None = None

    @property
    def networks(self) -> Path:
        """Folder of the networks; first activations have folders of their own."""
        activation = self.protocol.first_activation
        return self.folder / ("networks" if activation == "relu" else f"networks_{activation}")

    def record_path(self, run: Run) -> Path:
        """Name the file of a run's record."""
        return self.folder / "units" / record_name(run.architecture, self.protocol.first_activation, run.trial)


def dataset_of(experiment: Experiment) -> Dataset:
    """Open the experiment's data set; the published synthetic one is made when it is missing.

    Parameters
    ----------
    experiment : Experiment
        Its task says which.

    Returns
    -------
    Dataset
        Checked.

    Raises
    ------
    InputError
        If the task is no dataset file.
    """
    if experiment.task != SYNTHETIC:
        return open_dataset(experiment.task)
    path = experiment.folder / "synthetic.h5"
    if not path.exists():
        write_simulated(path, simulate_published(), {"command": "simulate", "published": True})
    return open_dataset(path)


def run_experiment(experiment: Experiment) -> Iterator[tuple[Run, RunRecord | None, str]]:
    """Train and interpret all networks that have no record yet.

    Records alone say what is done: a folder with nothing but ``units/`` is enough to go on.

    Parameters
    ----------
    experiment : Experiment
        What to run.

    Yields
    ------
    run : Run
        A network.
    record : RunRecord or None
        Its record; None if it failed, and the rest go on.
    error : str
        Why it failed.

    Raises
    ------
    InputError
        If the file of the known motifs is wrong, a record is of another data set, seed or protocol, or a table would
        be written over an input.
    """
    for name in TABLES:
        check_output_file(experiment.folder / name, [experiment.task, experiment.truth])
    if experiment.truth is not None:  # before hours of training
        read_known_motifs(experiment.truth).against(open_database(PAPER_RELEASE))
    dataset = dataset_of(experiment)
    runs = plan(experiment.architectures, experiment.trials, experiment.seed)
    missing = [run for run in runs if not experiment.record_path(run).exists()]
    finished = [experiment.record_path(run) for run in runs if run not in missing]
    digest = data_digest(dataset) if finished else ""
    for path in finished:  # tables must not mix networks of different data or protocols
        check_result(read_record(path).training, experiment.seed, experiment.protocol, digest, path)
    say(f"{len(finished)} of {len(runs)} networks are finished")
    for trained in run_sweep(
        missing, dataset.path, experiment.networks, experiment.protocol, experiment.jobs, experiment.scheduler
    ):
        record, error = None, trained.error
        if trained.contents is not None:
            try:
                record = record_run(experiment, trained.run, trained.contents, dataset)
            except (InputError, OSError) as failure:
                error = one_line(failure)
        yield trained.run, record, error


def record_run(experiment: Experiment, run: Run, result: Result, dataset: Dataset) -> RunRecord:
    """Interpret a trained network by the paper's settings, and write its record.

    Parameters
    ----------
    experiment : Experiment
        What it belongs to.
    run : Run
        Which network.
    result : Result
        Contents of its ``result.json``.
    dataset : Dataset
        Its test sequences give the PWMs.

    Returns
    -------
    RunRecord
        As written to ``units/``.

    Raises
    ------
    InputError
        If the network or the file of the known motifs cannot be read.
    """
    # The paper's database; no importance, which no table holds.
    synthetic = experiment.task == SYNTHETIC
    n_layers = len(ARCHITECTURES[run.architecture].convs) if run.architecture in DEEPER else 1
    layers, metrics = [], {}
    for layer in (f"conv{i}" for i in range(1, n_layers + 1)):
        found = interpret(
            run.folder(experiment.networks) / NETWORK_FILE,
            dataset=dataset.path,
            layer=layer,
            database=PAPER_RELEASE,
            truth=experiment.truth or (SYNTHETIC if synthetic else None),
            importance=False,
            plant=False,
            threads=1,  # networks are interpreted side by side, as they are trained
        )
        layers.append(LayerRecord.of(found))
        seen = found.representation
        metrics[layer] = {
            "trained": dict(seen.metrics),
            "shuffled": dict(seen.shuffled.mean if seen.shuffled else {}),
            "untrained": dict(seen.untrained or {}),
        }
    record = RunRecord(
        run.architecture,
        experiment.protocol.first_activation,
        run.trial,
        run.random_seed,
        SYNTHETIC if synthetic else Path(dataset.path).stem,
        result,
        tuple(layers),
        metrics,
        found.matches.database.describe(),
    )
    record.write(experiment.record_path(run))
    return record
