"""Networks that come with the package, and the package built and installed outside its source tree."""

import http.server
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from support.packaging import filled

from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.zoo import shipped as weights
from kipoi_motifrep.zoo.shipped import md5_of, shipped_model, shipped_names, shipped_weights

SOURCES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "kipoi_motifrep", "models")
BUILD = "import sys; from setuptools import build_meta as b; to = sys.argv[1]; b.build_sdist(to); b.build_wheel(to)"


@pytest.fixture
def installed(tmp_path, monkeypatch, checkout):
    """Let the package look for networks as if it were installed from a wheel; give the cache folder."""
    package = tmp_path / "site-packages/kipoi_motifrep"
    for folder in ("zoo/trained", "sequences/descriptions", "sequences/examples"):
        shutil.copytree(checkout / "kipoi_motifrep" / folder, package / folder)
    monkeypatch.setattr(weights, "ROOT", package)
    monkeypatch.setattr(weights, "SHIPPED", package / "zoo/trained")
    monkeypatch.setattr(weights, "EXAMPLES", package / "sequences/examples")
    monkeypatch.setattr(weights, "DESCRIPTIONS", package / "sequences/descriptions")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(weights.ADDRESS_VARIABLE, (checkout / "models").as_uri())
    return tmp_path / "cache/kipoi_motifrep/networks"


def test_every_shipped_group_is_known(checkout):
    groups = {table.parent.name: table for table in (checkout / "models").glob("*/models.tsv")}
    assert groups.keys() == {path.stem for path in weights.SHIPPED.glob("*.tsv")}
    for name, table in groups.items():
        assert (weights.SHIPPED / f"{name}.tsv").resolve() == table
        assert (weights.SHIPPED / f"{name}.yaml").resolve() == table.with_name("model-template.yaml")
    names = shipped_names()
    assert "synthetic/cnn_25" in names and len(set(names)) == len(names)


def test_networks_of_a_checkout(checkout):
    assert shipped_model() == checkout / "models/synthetic/cnn_25"
    assert shipped_weights("synthetic/cnn_2") == checkout / "models/synthetic/weights/cnn_2.keras"
    for name in shipped_names():
        assert shipped_weights(name).exists()


def test_a_network_that_is_none():
    with pytest.raises(InputError, match=r"no network 'cnn_25' comes with this package; there are invivo/cnn_\d+, "):
        shipped_model("cnn_25")


def test_a_small_network_travels_in_the_package(installed, checkout, monkeypatch):
    monkeypatch.setenv(weights.ADDRESS_VARIABLE, "http://127.0.0.1:9/nothing")
    assert shipped_model() == installed / "models/synthetic/cnn_25"
    assert shipped_weights() == installed / "models/synthetic/weights/cnn_25.keras"
    assert md5_of(shipped_weights()) == md5_of(checkout / "models/synthetic/weights/cnn_25.keras")


def test_a_cached_group_is_whole_to_kipoi(installed):
    import kipoi

    model = kipoi.get_model(str(shipped_model()), source="dir")
    batch = next(model.default_dataloader.init_example().batch_iter(batch_size=2))
    assert model.predict_on_batch(batch["inputs"]).shape == (2, 12)


def test_a_network_is_fetched_once(installed, checkout, monkeypatch):
    fetched = shipped_weights("synthetic/cnn_2")
    assert fetched.read_bytes() == (checkout / "models/synthetic/weights/cnn_2.keras").read_bytes()
    monkeypatch.setenv(weights.ADDRESS_VARIABLE, "http://127.0.0.1:9/nothing")
    assert shipped_weights("synthetic/cnn_2") == fetched
    assert {path.name for path in fetched.parent.iterdir()} == {"cnn_2.keras"}


def test_a_damaged_network_is_fetched_again(installed):
    fetched = shipped_weights("synthetic/cnn_2")
    whole = fetched.read_bytes()
    fetched.write_bytes(whole[:1000])
    assert shipped_weights("synthetic/cnn_2").read_bytes() == whole


def test_another_release_changes_what_is_cached(installed):
    fetched = shipped_weights("synthetic/cnn_2")
    table = fetched.parent.parent / "models.tsv"
    table.write_text("model\n")
    fetched.write_bytes(b"older")
    shipped_weights("synthetic/cnn_2")
    assert table.read_bytes() == (weights.SHIPPED / "synthetic.tsv").read_bytes()
    assert fetched.stat().st_size > 100_000


def test_offline_in_one_line(installed, monkeypatch):
    monkeypatch.setenv(weights.ADDRESS_VARIABLE, "http://127.0.0.1:9/models/")
    with pytest.raises(
        InputError,
        match=r"network synthetic/cnn_2 is not on this machine and cannot be fetched from "
        r"http://127.0.0.1:9/models/synthetic/weights/cnn_2.keras \(.*refused.*\); go "
        r"online, work in a checkout",
    ) as error:
        shipped_weights("synthetic/cnn_2")
    assert "\n" not in str(error.value)
    assert not list(installed.rglob("*cnn_2*"))


@pytest.mark.parametrize("address", ["no address", "file:///nowhere/at/all"])
def test_addresses_that_lead_nowhere(installed, monkeypatch, address):
    monkeypatch.setenv(weights.ADDRESS_VARIABLE, address)
    with pytest.raises(InputError, match="cannot be fetched from"):
        shipped_weights("synthetic/cnn_2")


def test_the_address_is_the_projects_by_default(installed, monkeypatch):
    asked = []

    def offline(address, timeout):
        asked.append(address)
        raise OSError("offline")

    monkeypatch.delenv(weights.ADDRESS_VARIABLE)
    monkeypatch.setattr(weights.urllib.request, "urlopen", offline)
    with pytest.raises(InputError, match=r"\(offline\)"):
        shipped_weights("synthetic/cnn_2")
    assert asked == [f"{weights.ADDRESS}/synthetic/weights/cnn_2.keras"]


def test_something_else_behind_the_address(installed, tmp_path, monkeypatch):
    (tmp_path / "models/synthetic/weights").mkdir(parents=True)
    (tmp_path / "models/synthetic/weights/cnn_2.keras").write_text("<html>Sign in</html>")
    monkeypatch.setenv(weights.ADDRESS_VARIABLE, (tmp_path / "models").as_uri())
    with pytest.raises(InputError, match=r"gave is not network synthetic/cnn_2 \(md5 .*, expected .*\); nothing was"):
        shipped_weights("synthetic/cnn_2")
    assert not list(installed.rglob("*cnn_2*"))


def test_over_http(installed, checkout, monkeypatch):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(checkout))

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv(weights.ADDRESS_VARIABLE, f"{base}/models")
        assert shipped_weights("synthetic/cnn_4").exists()
        monkeypatch.setenv(weights.ADDRESS_VARIABLE, f"{base}/elsewhere")
        with pytest.raises(InputError, match="File not found"):
            shipped_weights("synthetic/cnn_2")
    finally:
        server.shutdown()
        server.server_close()


# Built and installed


@pytest.fixture(scope="module")
def built(tmp_path_factory, checkout):
    """Wheel and source distribution, made from a copy so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("build")
    for name in SOURCES:
        source = checkout / name
        if source.is_dir():
            shutil.copytree(
                source,
                folder / "source" / name,
                symlinks=True,
                ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
            )
        else:
            (folder / "source").mkdir(exist_ok=True)
            shutil.copy(source, folder / "source" / name)
    return build(folder / "source", folder / "dist")


def build(source, dist):
    dist.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(dist)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return wheel, sdist


def files_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


def test_wheel_holds_the_package_and_its_data(built, checkout):
    files = files_of(built[0])
    made_by_use = ("__pycache__", ".fai", ".gzi")
    sources = [
        path
        for path in (checkout / "kipoi_motifrep").rglob("*")
        if path.is_file() and not {path.parent.name, path.suffix} & {*made_by_use}
    ]
    assert len(sources) > 100
    for path in sources:
        name = str(path.relative_to(checkout))
        assert files.get(name) == path.read_bytes(), name
    assert not [name for name in files if name.endswith((".fai", ".pyc"))]
    assert all(name.startswith("kipoi_motifrep/") for name in files)
    assert built[0].stat().st_size < 3_000_000


def test_licence_is_in_the_wheel(built, checkout):
    with zipfile.ZipFile(built[0]) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("LICENSE")]
        assert archive.read(name) == (checkout / "LICENSE").read_bytes()


def test_source_distribution_builds_the_same_wheel(built, tmp_path):
    with tarfile.open(built[1]) as archive:
        assert not [member.name for member in archive if member.issym()]
        archive.extractall(tmp_path)  # our own archive; filters are missing in 3.11.0 to 3.11.3
    [source] = tmp_path.iterdir()
    assert {path.name for path in source.iterdir()} >= {"LICENSE", "README.md", "setup.py", "kipoi_motifrep"}
    assert not (source / "models").exists()
    wheel, _ = build(source, tmp_path / "dist")
    assert files_of(wheel) == files_of(built[0])


@pytest.fixture(scope="module")
def elsewhere(built, tmp_path_factory):
    """Run Python with the installed wheel, in another folder, offline, with a cache of its own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--target",
            str(folder / "site"),
            str(built[0]),
        ],
        check=True,
    )
    (folder / "work").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "site"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        weights.ADDRESS_VARIABLE: "http://127.0.0.1:9/models",
    }

    def run(code, *arguments):
        check = f"import kipoi_motifrep, sys; assert kipoi_motifrep.__file__.startswith({str(folder)!r}); "
        return subprocess.run(
            [sys.executable, "-c", check + code, *map(str, arguments)],
            cwd=folder / "work",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    run.folder = folder / "work"
    return run


def command(elsewhere, *arguments):
    return elsewhere("from kipoi_motifrep.cli.program import main; sys.exit(main(sys.argv[1:]))", *arguments)


def test_installed_commands_start(elsewhere):
    done = command(elsewhere, "--help")
    assert done.returncode == 0 and "package" in done.stdout, done.stderr


def test_installed_networks_are_found_or_missed_kindly(elsewhere):
    done = elsewhere("print(kipoi_motifrep.shipped_weights()); print(kipoi_motifrep.shipped_model())")
    found, model = map(Path, done.stdout.splitlines())
    assert found.exists() and model.parent / "weights/cnn_25.keras" == found
    done = elsewhere("kipoi_motifrep.shipped_weights('synthetic/cnn_2')")
    assert "InputError: network synthetic/cnn_2 is not on this machine" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_installed_demo_runs_offline(elsewhere):
    done = command(elsewhere, "demo", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "labels right" in done.stdout
    assert (elsewhere.folder / "out/planted.tsv").exists()


@pytest.mark.slow
def test_installed_package_command_exports_what_passes(elsewhere):
    info = command(elsewhere, "package", "--example-info")
    (elsewhere.folder / "info.yaml").write_text(filled(info.stdout))
    found = elsewhere("print(kipoi_motifrep.shipped_weights())").stdout.strip()
    done = command(
        elsewhere,
        "package",
        found,
        "--info",
        "info.yaml",
        "--zoo",
        "https://example.org",
        "--name",
        "Lab",
        "-o",
        "export",
    )
    assert done.returncode == 0, done.stderr
    assert "kipoi test export/Lab/cnn_25: passes" in done.stderr
    assert "MIT" in (elsewhere.folder / "export/Lab/lab_kipoi.py").read_text()
