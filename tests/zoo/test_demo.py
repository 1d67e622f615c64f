"""The demo: everything once, without a network connection."""

from kipoi_motifrep.cli.program import main


def test_demo_ends_with_the_report(tmp_path, monkeypatch, checkout, capsys):
    monkeypatch.chdir(checkout)
    for name in ("http_proxy", "https_proxy"):  # offline
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("labels right" in line for line in lines)
    assert lines[-2].startswith("cnn_25 is localist: ") and lines[-1] == f"report: {tmp_path}/demo/cnn_25/report.html"
    assert (tmp_path / "demo/cnn_25/report.html").is_file()
