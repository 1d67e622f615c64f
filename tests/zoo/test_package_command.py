"""The command ``package``."""

from support.packaging import INFO, LABELS, filled

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.zoo import check
from kipoi_motifrep.zoo.description import EXAMPLE_INFO


def run(capsys, *arguments):
    status = main(["package", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_command_writes_a_group(tmp_path, mine, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run(capsys, "--example-info")
    assert (status, out) == (0, EXAMPLE_INFO)
    (tmp_path / "info.yaml").write_text(filled(out))
    labels = ("--labels", ",".join(LABELS))
    status, out, err = run(capsys, *mine, *labels, "--info", "info.yaml", "-o", "Mine", "--no-test")
    assert (status, out, err) == (0, "", "Mine: 2 models\n")
    (tmp_path / "info.yaml").rename(tmp_path / "Mine/info.yaml")
    assert run(capsys, mine[0], *labels, "-o", "Mine", "--no-test")[2] == "Mine: 1 model\n"


def test_command_refuses_in_one_line(tmp_path, mine, capsys):
    def refused(words, *arguments):
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1 and words in err

    (tmp_path / "info.yaml").write_text(INFO)
    labels = ("--labels", ",".join(LABELS), "--info", tmp_path / "info.yaml", "-o", tmp_path / "out")
    refused("give networks and -o DIR, or --example-info")
    refused("out/info.yaml: there is no such file", mine[0], "-o", tmp_path / "out")
    refused("give --labels NAMES", mine[0], "--info", tmp_path / "info.yaml", "-o", tmp_path / "out")
    refused("--zoo is 'zenodo'; it must be an address", mine[0], *labels, "--zoo", "zenodo")
    refused("give another by --name NAME", mine[0], *labels, "--zoo", "https://x.org", "--name", "a b")
    refused("give another by --name NAME", mine[0], *labels, "--zoo", "https://x.org", "--name", "upload")
    assert not (tmp_path / "out").exists()


def test_command_reports_a_failed_test(tmp_path, mine, capsys, monkeypatch):
    monkeypatch.setattr(check, "kipoi_test", lambda model, alone: ["WARNING [x] y"] if model.name == "second" else [])
    (tmp_path / "info.yaml").write_text(INFO)
    options = ("--labels", ",".join(LABELS), "--info", tmp_path / "info.yaml")
    status, _, err = run(capsys, *mine, *options, "-o", tmp_path / "Mine")
    assert status == 2
    assert err.splitlines()[1:] == [
        f"kipoi test {tmp_path}/Mine/first: passes",
        f"kipoi test {tmp_path}/Mine/second: WARNING [x] y",
    ]
    status, _, err = run(capsys, *mine, *options, "-o", tmp_path / "zoo", "--zoo", "https://x.org", "--name", "Lab")
    assert status == 2 and "PULL_REQUEST.md" in err
    assert "- [ ] `kipoi test` passes" in (tmp_path / "zoo/PULL_REQUEST.md").read_text()
