"""JASPAR releases and motif files as databases."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.motifs import Motif, jaspar, read_motifs, write_motifs

DATA = Path(__file__).parent / "data"
# Ground truth of Koo & Eddy 2019: TF and width.
PAPER = {
    "MA0151.1": ("Arid3a", 6),
    "MA0466.2": ("CEBPB", 10),
    "MA0477.1": ("FOSL1", 11),
    "MA0062.2": ("Gabpa", 11),
    "MA0496.1": ("MAFK", 15),
    "MA0058.3": ("MAX", 10),
    "MA0052.3": ("MEF2A", 12),
    "MA0502.1": ("NFYB", 15),
    "MA0079.3": ("SP1", 11),
    "MA0083.3": ("SRF", 16),
    "MA0137.3": ("STAT1", 11),
    "MA0095.2": ("YY1", 12),
}


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(shared_cache, monkeypatch):
    """Keep the tests away from the user's cache, and let them share theirs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kipoi_motifrep"


def same(one, other):
    return one.motifs == other.motifs and one.digest == other.digest and one.describe() == other.describe()


# Releases and selections


def test_all_releases_are_at_hand():
    assert jaspar.releases() == [f"JASPAR{year}" for year in range(2014, 2027, 2)]


@pytest.mark.parametrize(
    ("release", "number"),
    [
        ("JASPAR2014", 205),
        ("JASPAR2016", 519),
        ("JASPAR2018", 579),
        ("JASPAR2020", 746),
        ("JASPAR2022", 841),
        ("JASPAR2024", 879),
        ("JASPAR2026", 1019),
    ],
)
def test_number_of_latest_core_vertebrates(release, number):
    assert len(jaspar.load(release)) == number


def test_all_versions_taxa_and_collections():
    assert len(jaspar.load("2016", versions="all")) == 635
    assert len(jaspar.load("2016", taxon="plants")) == 227
    assert len(jaspar.load("2016", taxon=["plants", "Vertebrates"])) == 227 + 519
    assert len(jaspar.load("2016", collection=None, taxon=None, versions="all")) == 2049
    assert len(jaspar.load("2016", collection=["core", "FAM"], taxon=None, versions="all")) == 1209 + 11
    # The argument is used: another collection gives other motifs.
    assert not set(jaspar.load("2016", "PBM").index) & set(jaspar.load("2016", "CORE").index)


def test_a_matrix_without_taxon_is_in_all_taxa():
    assert "MA1407.1" in jaspar.load("2022", taxon=None, versions="all").index


def test_default_is_the_newest_release():
    assert same(jaspar.load(), jaspar.load("JASPAR2026", "CORE", "vertebrates", "latest"))


@pytest.mark.parametrize("name", ["2016", "JASPAR2016", "jaspar2016", " Jaspar2016 "])
def test_spelling_of_a_release(name):
    assert jaspar.load(name).describe().startswith("JASPAR2016 CORE vertebrates, 519 motifs, sha256 ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"release": "JASPAR2017"}, "JASPAR2014.*JASPAR2026"),
        ({"release": "HOCOMOCO"}, "JASPAR2014.*JASPAR2026"),
        ({"taxon": "human"}, "taxon in JASPAR2026.*insects.*vertebrates"),
        ({"collection": "PBM"}, "collection in JASPAR2026.*CORE, UNVALIDATED"),
        ({"versions": "old"}, "latest or all"),
        ({"release": "2016", "collection": "SPLICE", "taxon": "fungi"}, "no motifs"),
    ],
)
def test_unknown_selection_names_the_known(arguments, message):
    with pytest.raises(InputError, match=message):
        jaspar.load(**arguments)


# Content


def test_paper_motifs():
    database = jaspar.load("2016")
    assert {key: (database[key].alt_name, database[key].width) for key in PAPER} == PAPER


def test_known_matrix():
    motif = jaspar.load("2016")["MA0151.1"]
    expected = [[27, 0, 1, 27, 27, 20], [0, 0, 9, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 27, 17, 0, 0, 6]]
    np.testing.assert_array_equal(motif.counts.T, expected)
    np.testing.assert_array_equal(motif.pwm.T, np.array(expected) / 27)
    assert motif.nsites == 27 and motif.consensus == "ATYAAA"
    assert motif.tf_class == ("ARID domain factors",) and motif.tf_family == ("ARID-related factors",)


def test_same_as_pyjaspar():
    pyjaspar = pytest.importorskip("pyjaspar")
    theirs = {
        motif.matrix_id: motif
        for motif in pyjaspar.jaspardb("JASPAR2018").fetch_motifs(collection="CORE", tax_group=["insects"])
    }
    database = jaspar.load("2018", taxon="insects")
    assert set(theirs) == set(database.index)
    for motif in database:
        other = theirs[motif.name]
        assert motif.alt_name == other.name.strip()
        np.testing.assert_array_equal(motif.counts, np.array([other.counts[letter] for letter in "ACGT"]).T)
        known = [value for value in other.tf_family if value.lower() not in ("", "-", "unknown")]
        assert set(motif.tf_family) == {part for value in known for part in value.split("::")}


def test_every_matrix_of_every_release_is_a_motif():
    for release in jaspar.releases():
        database = jaspar.load(release, None, None, "all")
        assert len(database.index) == len(database)
        assert database.motifs[0].name < database.motifs[-1].name
        assert max(np.abs(motif.pwm.sum(axis=1) - 1).max() for motif in database) < 1e-12
        assert all(motif.nsites == int(motif.nsites) for motif in database)


def test_columns_without_counts_are_uniform():
    motif = jaspar.load("2026", "UNVALIDATED", None, "all")["UN0498.1"]
    empty = motif.counts.sum(axis=1) == 0
    assert empty.any()
    np.testing.assert_array_equal(motif.pwm[empty], 0.25)


def test_families_and_index():
    database = jaspar.load("2016")
    assert database.families["MA0079.3"] == "Three-zinc finger Kruppel-related factors"
    assert set(database.families) == set(database.index) == {motif.name for motif in database}
    assert database["MA0079.3"] is database.index["MA0079.3"]
    with pytest.raises(KeyError):
        database["MA0000.0"]


# Cache


def test_cached_load_equals_a_fresh_one(own_cache, monkeypatch):
    fresh = jaspar.load("2014", None, None, "all")
    (file,) = own_cache.iterdir()
    assert file.name.startswith("JASPAR2014-pyjaspar4")
    monkeypatch.setattr(jaspar, "_query", lambda path: pytest.fail("the cache was not used"))
    assert same(jaspar.load("2014", None, None, "all"), fresh)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"rubbish",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:5000] + b"\xff\xff" + data[5002:],
        lambda data: data[:-400] + bytes(400),
    ],
)
def test_damaged_cache_is_made_again(own_cache, damage):
    fresh = jaspar.load("2014")
    (file,) = own_cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert same(jaspar.load("2014"), fresh)
    assert [path.name for path in own_cache.iterdir()] == [file.name]
    assert len(file.read_bytes()) == len(whole)


def test_cache_of_another_shape_is_made_again(own_cache):
    fresh = jaspar.load("2014")
    (file,) = own_cache.iterdir()
    table = dict(np.load(file))
    np.savez(file, **{**table, "width": table["width"][1:]})
    assert same(jaspar.load("2014"), fresh)
    np.savez(file, other=np.arange(3))
    assert same(jaspar.load("2014"), fresh)


def test_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(jaspar.load("2014")) == 205


def test_no_home_folder_is_done_without(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert len(jaspar.load("2014")) == 205


def test_another_pyjaspar_has_another_cache(own_cache, monkeypatch):
    jaspar.load("2014")
    monkeypatch.setattr(jaspar.metadata, "version", lambda name: "4.9.9")
    jaspar.load("2014")
    assert len(list(own_cache.iterdir())) == 2


def test_loading_imports_no_heavy_package():
    code = (
        "import sys; from kipoi_motifrep.motifs import jaspar; jaspar.load('2016'); "
        "print(sorted({'Bio', 'numba', 'pandas', 'pyjaspar', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# Any motif file, and several databases


def test_release_by_name():
    assert same(jaspar.open_database("jaspar2016"), jaspar.load("2016"))
    assert same(jaspar.open_database("2016", taxon="plants", collection="CORE"), jaspar.load("2016", taxon="plants"))


@pytest.mark.parametrize("kind", [str, Path])
def test_motif_file_as_database(kind):
    path = DATA / "full.meme"
    database = jaspar.open_database(kind(path), taxon="vertebrates")
    assert database.motifs == read_motifs(path).motifs
    assert database.release == "" and database.name == str(path)
    assert database.describe() == f"{path}, 2 motifs, sha256 {database.digest[:12]}"


def test_digest_follows_content_not_place(tmp_path):
    motifs = [Motif("a", np.full((3, 4), 0.25)), Motif("b", np.eye(4))]
    for name, written in (("1", motifs), ("2", motifs), ("3", motifs[::-1])):
        write_motifs(written, tmp_path / name)
    digests = [jaspar.open_database(tmp_path / name).digest for name in "123"]
    assert digests[0] == digests[1] != digests[2]


def test_jaspar_survives_a_meme_file(tmp_path):
    database = jaspar.load("2016")
    write_motifs(database, tmp_path / "m.meme")
    assert jaspar.open_database(tmp_path / "m.meme").digest == database.digest


def test_neither_release_nor_file(tmp_path):
    with pytest.raises(InputError, match="no such motif file, and no JASPAR release"):
        jaspar.open_database(tmp_path / "none.meme")
    with pytest.raises(InputError, match="no JASPAR release 'JASPAR1999'"):
        jaspar.open_database("JASPAR1999")


def test_joined_databases():
    path = DATA / "full.meme"
    joined = jaspar.open_databases(["2016", path, "JASPAR2018"])
    assert len(joined) == 519 + 2 + 579
    assert joined.release == "JASPAR2016, JASPAR2018"
    assert joined.name == f"JASPAR2016 CORE vertebrates + {path} + JASPAR2018 CORE vertebrates"
    assert joined["MA0004.1"] is joined.motifs[[motif.name for motif in joined].index("MA0004.1")]
    assert same(jaspar.open_databases(["2016"]), jaspar.open_databases("2016"))


def test_no_databases():
    with pytest.raises(InputError, match="no motif database"):
        jaspar.open_databases([])
