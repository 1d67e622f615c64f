"""Predictions along a genome: the same as window by window, whoever does the work and however often it is stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.small_files import PROGRAM, small_files

from kipoi_motifrep.cli import program as cli
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.pipeline import scan as scanning
from kipoi_motifrep.pipeline.scan import scan

keras = pytest.importorskip("keras")
pq = pytest.importorskip("pyarrow.parquet")
layers = keras.layers

LENGTH, BIN, STRIDE = 30, 20, 8
GENOME = {"chr1": 1500, "chr2": 700, "chrTiny": 12}


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Three chromosomes, with stretches of N and of small letters."""
    rng, path = np.random.default_rng(1), tmp_path_factory.mktemp("genome") / "genome.fa"
    text = ""
    for name, length in GENOME.items():
        letters = rng.choice(list("ACGTacgt"), length)
        for start in rng.integers(0, length, length // 250):
            letters[start : start + 60] = "N"
        text += f">{name}\n" + "\n".join("".join(letters[i : i + 50]) for i in range(0, length, 50)) + "\n"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    keras.utils.set_random_seed(3)
    stack = layers.Conv1D(4, 5, activation="relu"), layers.GlobalMaxPooling1D(), layers.Dense(3, activation="sigmoid")
    path = tmp_path_factory.mktemp("network") / "network.keras"
    keras.Sequential([keras.Input((LENGTH, 4)), *stack]).save(path)
    return path


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(scanning, "SHARD_BATCHES", 2)


def sequences(genome):
    parts = genome.read_text().split(">")[1:]
    return {one.split("\n")[0]: "".join(one.split("\n")[1:]).upper() for one in parts}


def reference(genome, network, strand="+"):
    """Bin by bin, letter by letter."""
    model, rows = keras.models.load_model(network), []
    for name, letters in sequences(genome).items():
        for start in range(0, len(letters) - BIN + 1, STRIDE):
            if letters[start : start + BIN].count("N") > BIN / 2:
                continue
            first = start - (LENGTH - BIN) // 2
            window = [letters[i] if 0 <= i < len(letters) else "N" for i in range(first, first + LENGTH)]
            if strand == "-":
                window = ["TGCAN"["ACGTN".index(one)] for one in reversed(window)]
            one_hot = np.array(
                [[0.25] * 4 if one == "N" else [float(one == base) for base in "ACGT"] for one in window]
            )
            rows.append((name, start, one_hot))
    values = model.predict(np.array([one for _, _, one in rows], np.float32), verbose=0)
    return [(name, start) for name, start, _ in rows], values


def read(path):
    table = pq.read_table(path).to_pandas()
    assert (table["end"] - table["start"] == BIN).all()
    return list(zip(table["chr"], table["start"], strict=True)), table.iloc[:, 3:].to_numpy()


def contents(path):
    """A file's bytes, or those of all files of a folder."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {str(one.relative_to(path)): one.read_bytes() for one in files}


def run(network, genome, path, **options):
    return scan(network, genome, path, **{"bin": BIN, "stride": STRIDE, "batch_size": 16, **options})


def test_a_scan_is_what_the_network_says_window_by_window(genome, network, tmp_path, small_shards, capsys):
    [path] = run(network, genome, tmp_path / "scan.parquet")
    places, values = read(path)
    expected = reference(genome, network)
    assert places == expected[0]
    np.testing.assert_allclose(values, expected[1], atol=1e-6)
    assert list(tmp_path.iterdir()) == [path]
    said = capsys.readouterr().err
    n = sum(max(0, (length - BIN) // STRIDE + 1) for length in GENOME.values())
    assert f"left out: {n - len(places)} bins of {n}" in said and "read with 10 bp around" in said


@pytest.mark.parametrize("strands", ["mean", "max"])
def test_both_strands(genome, network, tmp_path, strands):
    # Batches large enough to be compiled.
    [path] = run(network, genome, tmp_path / "scan.parquet", both_strands=strands, batch_size=100)
    places, values = read(path)
    forward, backward = (reference(genome, network, strand) for strand in "+-")
    assert places == forward[0]
    np.testing.assert_allclose(values, getattr(np, strands)([forward[1], backward[1]], axis=0), atol=1e-6)


def test_regions_and_chromosomes_choose_among_the_bins(genome, network, tmp_path, small_shards):
    whole = dict(zip(*read(run(network, genome, tmp_path / "whole.parquet")[0]), strict=True))
    regions = [("1", 0, 1), ("chr1", 95, 96), ("chr1", 90, 133), ("chr1", 1499, 1500), ("chr2", 300, 420)]
    bed = tmp_path / "regions.bed"
    bed.write_text("".join(f"{name}\t{start}\t{end}\n" for name, start, end in regions))

    def wanted(name, start):
        return any(
            name.endswith(one) and first < start + BIN and start < end
            for one, first, end in [(one[-1], first, end) for one, first, end in regions]
        )

    for given, chosen in (
        ({"regions": bed}, [one for one in whole if wanted(*one)]),
        ({"regions": bed, "chromosomes": ["2"]}, [one for one in whole if wanted(*one) and one[0] == "chr2"]),
        ({"chromosomes": ["chr2"]}, [one for one in whole if one[0] == "chr2"]),
    ):
        places, values = read(run(network, genome, tmp_path / "some.parquet", **given)[0])
        assert places == chosen
        np.testing.assert_allclose(values, [whole[one] for one in chosen], atol=1e-6)


def test_a_bigwig_an_output(genome, network, tmp_path, small_shards):
    bigwig = pytest.importorskip("pyBigWig")
    places, values = read(run(network, genome, tmp_path / "scan.parquet")[0])
    paths = run(network, genome, tmp_path / "scan.bw", labels=["MAX", "a b/c", "a b c"])
    assert [path.name for path in paths] == ["scan.MAX.bw", "scan.a_b_c.1.bw", "scan.a_b_c.2.bw"]
    for path, column in zip(paths, values.T, strict=True):
        with bigwig.open(str(path)) as track:
            assert track.chroms() == {name: GENOME[name] for name in ("chr1", "chr2")}
            found = [(name, *one) for name in ("chr1", "chr2") for one in track.intervals(name)]
        # Of a bin of 20 bases, the middle 8.
        assert [one[:3] for one in found] == [(name, start + 6, start + 14) for name, start in places]
        np.testing.assert_allclose([one[3] for one in found], column, atol=1e-6)


@pytest.mark.parametrize("chosen", [None, "chr1\t95\t140\nchr1\t700\t720\n"], ids=["all", "regions"])
def test_a_zarr_holds_the_numbers_of_the_table(genome, network, tmp_path, small_shards, chosen):
    zarr = pytest.importorskip("zarr")
    options = {}
    if chosen:
        options["regions"] = tmp_path / "regions.bed"
        options["regions"].write_text(chosen)
    places, values = read(run(network, genome, tmp_path / "scan.parquet", **options)[0])
    # Over an earlier one, which is replaced as a whole.
    run(network, genome, tmp_path / "scan.zarr", chromosomes=["chr2"])
    [path] = run(network, genome, tmp_path / "scan.zarr", labels=["MAX", "a b", "c"], **options)
    group = zarr.open_group(path, mode="r")
    scanned = {name: GENOME[name] for name in dict.fromkeys(name for name, _ in places)}
    assert sorted(name for name, _ in group.arrays()) == sorted(scanned) == sorted(os.listdir(path))[:-1]
    found = []
    for name, length in scanned.items():
        array = group[name]
        assert array.shape == ((length - BIN) // STRIDE + 1, 3) and array.chunks == (32, 3)
        there = np.flatnonzero(~np.isnan(array[:]).all(axis=1))
        found += [((name, int(i) * STRIDE), array[i]) for i in there]
    assert [place for place, _ in found] == places
    np.testing.assert_array_equal(np.array([row for _, row in found]), values)
    about = dict(group.attrs)
    assert (about["outputs"], about["bin"], about["stride"]) == (["MAX", "a b", "c"], BIN, STRIDE)
    assert {"kipoi_motifrep", "keras"} < set(about["versions"]) and len(about["model"]) == len(about["genome"]) == 64
    assert not list(tmp_path.glob("*.shards")) and not list(tmp_path.glob(".kipoi_motifrep.*"))


@pytest.mark.parametrize("suffix", ["parquet", "zarr"])
def test_a_stopped_scan_goes_on(genome, network, tmp_path, small_shards, monkeypatch, capsys, suffix):
    pytest.importorskip("zarr")
    whole = contents(run(network, genome, tmp_path / f"whole.{suffix}")[0])
    done, real = [], scanning._predict_shard

    def until_the_third(opened, shard):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(shard)
        return real(opened, shard)

    monkeypatch.setattr(scanning, "_predict_shard", until_the_third)
    path = tmp_path / f"scan.{suffix}"
    with pytest.raises(KeyboardInterrupt):
        run(network, genome, path)
    assert not path.exists() and len(list((tmp_path / f"scan.{suffix}.shards").glob("*.npz"))) == 3
    with pytest.raises(InputError, match=rf"scan.{suffix}.shards: holds shards of another scan \(stride differ"):
        run(network, genome, path, stride=9)
    done.clear()
    done.extend("no limit any more")
    capsys.readouterr()
    run(network, genome, path)
    assert "3 of them finished before" in capsys.readouterr().err
    assert contents(path) == {one.replace("whole", "scan"): text for one, text in whole.items()}
    assert sorted(one.name for one in tmp_path.iterdir()) == [f"scan.{suffix}", f"whole.{suffix}"]


def test_workers_change_nothing(genome, network, tmp_path, small_shards):
    here = run(network, genome, tmp_path / "here.parquet")[0].read_bytes()
    assert run(network, genome, tmp_path / "there.parquet", jobs=2)[0].read_bytes() == here


def test_a_killed_program_goes_on(genome, network, tmp_path):
    """Killed at any time, it leaves shards that are whole: the second run's result is the first's, bit for bit."""
    whole = tmp_path / "whole.parquet"
    run(network, genome, whole, batch_size=1)
    path = tmp_path / "scan.parquet"
    code = (
        "import sys, time; from kipoi_motifrep.pipeline import scan as s; real = s._predict_shard;"
        "s._predict_shard = lambda *given: (time.sleep(0.2), real(*given))[1];"
        "s.scan(sys.argv[1], sys.argv[2], sys.argv[3], bin=20, stride=8, batch_size=1)"
    )
    command = [sys.executable, "-c", code, str(network), str(genome), str(path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while len(list(Path(f"{path}.shards").glob("*.npz"))) < 2:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not path.exists()
    run(network, genome, path, batch_size=1)
    assert path.read_bytes() == whole.read_bytes()


def test_a_full_disk_is_one_line(genome, network, tmp_path, run_python):
    """An archive that is cut short is not closed again by its destructor, in lines of Python's own."""
    program = small_files(4000) + PROGRAM
    arguments = ["--genome", genome, "--bin", "20", "--stride", "1", "-o", tmp_path / "out.parquet"]
    done = run_python("-c", program, "scan", network, *arguments)
    assert done.returncode == 2 and "Exception ignored" not in done.stderr, done.stderr
    [line] = [line for line in done.stderr.splitlines() if "error:" in line]
    assert "no space left on device" in line and ".npz" in line


@pytest.mark.parametrize("name", ["\udcff.parquet", "\udcff.zarr"])
def test_a_name_that_is_no_text(genome, network, tmp_path, name):
    pytest.importorskip("zarr")
    assert [path.exists() for path in scan(network, genome, tmp_path / name, bin=20)] == [True]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--stride", "0"], "stride is 0"),
        (["--bin", "-1"], "bin is -1"),
        (["--bin", "31"], "the network reads 30 bp, fewer than bins of 31"),
        (["--batch-size", "0"], "size is 0; it must be at least 1"),
        (["--chromosome", "chr9"], "genome.fa: there is no chromosome 'chr9'; it has chr1, chr2, chrTiny"),
        (["--chromosome", "chrTiny"], "no chromosome is long enough for a bin of 20 bp"),
        (["--regions", "none.bed"], "none.bed: there is no such file"),
        (["--regions", "other.bed"], "other.bed, row 2: chromosome 'chr9' is not in"),
        (["--regions", "far.bed"], "far.bed, row 1: 5-2000 is no stretch of chr1 (1500 bp); is the file for another"),
        (["--jobs", "0"], "jobs is 0; it must be at least 1"),
        (["--labels", "a,b"], "2 labels for 3 outputs"),
        (["--labels", "a,a,b"], "two outputs have one name"),
        (["-o", "scan.hdf5"], "scan.hdf5: its name must end in .parquet, .zarr, .bw"),
        (["-o", "none/"], "none: its name must end in"),
        (["-o", "/proc/none/scan.parquet"], "/proc/none/scan.parquet.shards: cannot write here"),
        (["-o", "other.zarr"], "other.zarr: is a folder that no scan has written; choose another output"),
        (["-o", "file.zarr"], "file.zarr: is a file, and a zarr is a folder"),
        (["-o", "file.zarr/scan.parquet"], "cannot write here (not a directory)"),
        (["-o", "tracks.bw"], "tracks.output1.bw: is a folder; name a file to write"),
        (["-o", "genome.fa"], "its name must end in"),
        (["-o", "mine.parquet"], "mine.parquet.shards: holds files that are of no scan"),
        (["-o", "\udcff.bw"], "its name must be UTF-8 for bigWig"),
        (["--genome", "none.fa"], "none.fa: there is no such file"),
        (["--scheduler", "tcp://127.0.0.1:9"], "no Dask scheduler answers at tcp://127.0.0.1:9"),
    ],
)
def test_what_cannot_be_is_one_line(genome, network, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kipoi_motifrep.core.workers.ANSWER", "0.5s")
    Path("other.bed").write_text("chr1\t0\t100\nchr9\t0\t100\n")
    Path("far.bed").write_text("chr1\t5\t2000\n")
    Path("file.zarr").touch()
    Path("other.zarr").mkdir()
    Path("other.zarr", "zarr.json").write_text('{"attributes": {}, "node_type": "group"}')
    Path("tracks.output1.bw").mkdir()
    Path("mine.parquet.shards").mkdir()
    Path("mine.parquet.shards/of the user").touch()
    before = sorted(os.listdir())
    base = ["scan", str(network), "--genome", str(genome), "--bin", "20", "-o", "scan.parquet"]
    assert cli.main([*base, *options]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(said) == 1 and words in said[0]
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("suffix, library", [("zarr", "zarr"), ("bw", "pyBigWig")])
def test_a_library_that_is_not_there_is_named(genome, network, tmp_path, monkeypatch, suffix, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=rf"scan.{suffix}: needs {library}: pip install 'kipoi_motifrep\[scan\]'"):
        run(network, genome, tmp_path / f"scan.{suffix}")
    assert not list(tmp_path.iterdir())
