"""Downloads over connections that break."""

import hashlib
import http.server
import os
import threading

import pytest
from support.dataset_files import rows_of
from support.deepsea_bundle import PAPER, expected_rows

from kipoi_motifrep.cli.program import main
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.datasets import download as download_module
from kipoi_motifrep.datasets.download import download


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``content`` with ranges; breaks off after ``patience`` bytes as often as ``breaks`` says."""

    def do_GET(self):
        server = self.server
        if self.path != "/bundle.tar.gz":
            self.send_error(404)
            return
        wanted = self.headers.get("Range") if server.with_ranges else None
        server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        size = len(server.content)
        if wanted and start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start + server.shift}-{size - 1}/{size}")
        data, end = server.content[start:], b"0\r\n\r\n"
        length = ("Transfer-Encoding", "chunked") if server.chunked else ("Content-Length", str(size - start))
        self.send_header(*length)
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            data, end = data[: server.patience], b""
        self.wfile.write(b"%x\r\n%s\r\n%s" % (len(data), data, end) if server.chunked else data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(archive):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.content, server.breaks, server.patience = archive.read_bytes(), 0, 10_000
        server.ranges, server.with_ranges, server.chunked, server.shift = [], True, False, 0
        server.url = f"http://127.0.0.1:{server.server_port}/bundle.tar.gz"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download_and_build(tmp_path, server, bundle, capsys):
    path = tmp_path / "d/bundle.tar.gz"
    command = ["dataset", "deepsea", str(path), "--download", "--url", server.url, "-o", str(tmp_path / "out.h5")]
    assert main(command) == 0
    assert path.read_bytes() == server.content and os.listdir(tmp_path / "d") == ["bundle.tar.gz"]
    assert hashlib.sha256(server.content).hexdigest() in capsys.readouterr().err
    assert rows_of(tmp_path / "out.h5") == expected_rows(PAPER)
    assert main(command) == 0
    assert server.ranges == [None]  # not fetched again
    assert "is there already" in capsys.readouterr().err


def test_a_broken_connection_is_taken_up_where_it_stopped(tmp_path, server):
    server.breaks = 3
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content
    assert server.ranges == [None, *(f"bytes={10_000 * i}-" for i in (1, 2, 3))]


def test_a_broken_answer_of_unknown_length_is_taken_up_too(tmp_path, server):
    server.chunked, server.breaks = True, 2
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content
    assert server.ranges == [None, "bytes=10000-", "bytes=20000-"]


def test_an_earlier_part_is_taken_up(tmp_path, server):
    (tmp_path / "x.part").write_bytes(server.content[:777])
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content and server.ranges == ["bytes=777-"]


def test_a_server_without_ranges_sends_all_again(tmp_path, server):
    server.with_ranges = False
    (tmp_path / "x.part").write_bytes(b"y" * 777)
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content


def test_another_range_than_was_asked_for_is_not_joined_on(tmp_path, server):
    server.shift = 5
    (tmp_path / "x.part").write_bytes(server.content[:777])
    with pytest.raises(InputError, match=r"another part of the file.*remove .*x\.part"):
        download(server.url, tmp_path / "x")
    assert not (tmp_path / "x").exists() and (tmp_path / "x.part").read_bytes() == server.content[:777]


@pytest.mark.parametrize("part", ["whole", "longer"])
def test_a_part_as_long_as_the_file_or_longer(tmp_path, server, part):
    (tmp_path / "x.part").write_bytes(server.content + (b"more" if part == "longer" else b""))
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content
    assert len(server.ranges) == (1 if part == "whole" else 2)


def test_downloads_that_fail(tmp_path, server, monkeypatch):
    with pytest.raises(InputError, match="404"):
        download(server.url + "x", tmp_path / "x")
    with pytest.raises(InputError, match="cannot be fetched"):
        download("http://127.0.0.1:1/x", tmp_path / "x")
    with pytest.raises(InputError, match="cannot be fetched"):
        download("nonsense", tmp_path / "x")
    with pytest.raises(InputError, match="is a folder"):
        download(server.url, tmp_path)
    server.breaks, server.patience = 10, 0
    with pytest.raises(InputError, match="stopped after 0 of"):
        download(server.url, tmp_path / "x")
    monkeypatch.setattr(download_module, "CHUNK", 1000)
    server.breaks, server.patience = 1, 1500
    download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == server.content
