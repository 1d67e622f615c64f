"""Workers: who does a task, what each must have, and what becomes of one that dies."""

import functools
import operator
import os
import sys
import time
from pathlib import Path

import pytest
from support.clusters import two_workers

from kipoi_motifrep.core import workers as ours
from kipoi_motifrep.core.errors import InputError
from kipoi_motifrep.core.workers import WorkerLost, in_order, open_workers, opened_once, tell_program, this_worker


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with two_workers(tmp_path_factory.mktemp("workers")) as address:
        yield address


def test_no_workers_are_asked_for():
    with open_workers() as workers:
        assert workers.here
        assert list(in_order(workers.results(operator.neg, [3, 1, 2]))) == [-3, -1, -2]


def test_results_are_brought_into_order():
    assert list(in_order([(2, "c"), (0, "a"), (1, "b")])) == ["a", "b", "c"]
    with pytest.raises(WorkerLost):
        list(in_order([(0, WorkerLost("x"))]))


def test_more_tasks_than_workers(cluster):
    with open_workers(scheduler=cluster) as workers:
        assert not workers.here
        assert list(in_order(workers.results(operator.neg, range(40)))) == [-one for one in range(40)]


def test_one_task_at_a_time_in_a_process(cluster):
    """Networks are seeded, and models kept, for the whole process."""

    def alone(folder):
        mark = Path(folder, str(os.getpid()))
        mark.mkdir()  # fails if it is there
        time.sleep(0.05)
        mark.rmdir()
        return os.getpid()

    with open_workers(scheduler=cluster) as workers:
        pids = {pid for _, pid in workers.results(alone, [os.getcwd()] * 12)}
    assert os.getpid() not in pids and len(pids) <= 2


def test_what_tasks_work_with_is_opened_once_in_a_process(cluster):
    def task(item):
        kept = opened_once(list, ())
        kept.append(item)
        return os.getpid(), len(kept)

    with open_workers(scheduler=cluster) as workers:
        seen = [one for _, one in workers.results(task, range(10))]
    assert sorted(n for _, n in seen) == sorted(
        1 + i for pid in {pid for pid, _ in seen} for i in range(sum(one == pid for one, _ in seen))
    )


def test_messages_of_tasks(cluster):
    heard = []
    with open_workers(scheduler=cluster) as workers:
        list(workers.results(lambda item: tell_program({"at": item}), [1, 2], hear=heard.append))
        until = time.monotonic() + 20
        while len(heard) < 2 and time.monotonic() < until:
            time.sleep(0.05)
    assert sorted(one["at"] for one in heard) == [1, 2]


def test_tasks_go_where_something_of_them_was_kept(cluster):
    with open_workers(scheduler=cluster) as workers:
        first = dict(workers.results(lambda item: (time.sleep(0.05), this_worker())[1], range(8)))
        where = [first[number] for number in range(8)]
        again = dict(workers.results(lambda item: (time.sleep(0.05), this_worker())[1], range(8), where=where))
        lost = dict(workers.results(operator.neg, [1, 2], where=["tcp://127.0.0.1:9"] * 2))
    assert len(set(where)) == 2 and again == first
    assert lost == {0: -1, 1: -2}
    assert this_worker() == ""


def test_an_error_of_a_task_is_its_own(cluster):
    with open_workers(scheduler=cluster) as workers, pytest.raises(ZeroDivisionError):
        list(workers.results(functools.partial(operator.truediv, 1), [1, 0]))


def test_a_worker_that_dies_is_replaced_and_its_task_done_again(cluster, tmp_path):
    def deadly_once(item):
        mark = tmp_path / "died"
        if item == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        with open(tmp_path / "done", "a") as file:
            file.write(f"{item}\n")
        return item * item

    with open_workers(scheduler=cluster) as workers:
        assert list(in_order(workers.results(deadly_once, range(8)))) == [one * one for one in range(8)]
    assert (tmp_path / "died").exists()


def test_a_file_that_workers_lack_is_sent_to_them(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("peaks.fa").write_text(">a\nACGT\n")
    path = "/proc/self/cwd/peaks.fa"  # that of this process: there is none in the folder where the workers are

    def read(path):
        return (opened_once(str, path), Path(opened_once(str, path)).read_text())

    with open_workers(scheduler=cluster, files=[path]) as workers:
        found = dict(workers.results(read, [path] * 4))
    assert {text for _, text in found.values()} == {">a\nACGT\n"}
    assert all(there != path for there, _ in found.values())
    monkeypatch.setattr(ours, "SENT_AT_MOST", 3)
    with pytest.raises(InputError, match=r"peaks.fa: worker tcp://.* does not have it .*put it there"):
        open_workers(scheduler=cluster, files=[path]).__enter__()


def test_a_folder_that_workers_do_not_share(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"/proc/self/cwd/out: worker tcp://.* does not share this folder"):
        open_workers(scheduler=cluster, folder="/proc/self/cwd/out").__enter__()
    with open_workers(scheduler=cluster, folder=str(tmp_path / "out")):
        assert not list((tmp_path / "out").iterdir())


def test_a_worker_without_this_package_is_named(cluster, monkeypatch):
    monkeypatch.setattr(ours, "PACKAGE", "kipoi_motifrep_of_tomorrow")
    with pytest.raises(InputError, match=r"worker tcp://\S+ does not have .*pip install"):
        open_workers(scheduler=cluster).__enter__()


def test_a_worker_with_another_version_is_named(cluster, monkeypatch):
    monkeypatch.setattr(ours, "__version__", "9.9")
    with pytest.raises(InputError, match=r"worker tcp://\S+ has kipoi_motifrep .*, not 9.9"):
        open_workers(scheduler=cluster).__enter__()


def test_what_cannot_be(monkeypatch):
    with pytest.raises(InputError, match="jobs is 0"):
        open_workers(0).__enter__()
    monkeypatch.setattr(ours, "ANSWER", "0.5s")
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        open_workers(scheduler="tcp://127.0.0.1:9").__enter__()
    monkeypatch.setitem(sys.modules, "distributed", None)
    for given, option in (({"jobs": 2}, "--jobs"), ({"scheduler": "tcp://127.0.0.1:9"}, "--scheduler")):
        with pytest.raises(InputError, match=f"{option} needs Dask: pip install"):
            open_workers(**given).__enter__()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "http://127.0.0.1:9", "head", "tcp://none.invalid:8786"])
def test_a_wrong_address_is_told_within_seconds_and_nothing_more(address, run_python):
    begin = time.monotonic()
    done = run_python(
        "-c",
        "import sys, time; from kipoi_motifrep.core import workers as w\n"
        "w.ANSWER = '0.5s'\n"
        "begin = time.monotonic()\n"
        "try: w.open_workers(scheduler=sys.argv[1]).__enter__()\n"
        "except w.InputError as error: print(error, file=sys.stderr)\n"
        "sys.exit(time.monotonic() - begin > 10)",
        address,
    )
    assert done.returncode == 0 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"no Dask scheduler answers at {address} (") and "such as tcp://" in done.stderr
    assert time.monotonic() - begin < 60  # the end included


def test_importing_it_is_light(run_python):
    done = run_python("-c", "import sys, kipoi_motifrep.core.workers; print('dask' in sys.modules)")
    assert done.stdout.strip() == "False"


def test_a_script_that_starts_itself_again_is_told(tmp_path, run_python):
    """Each process runs the script of the program once more, as multiprocessing has it."""
    script = tmp_path / "script.py"
    script.write_text(
        "from kipoi_motifrep.core.workers import open_workers\nwith open_workers(1) as workers:\n    print(workers)\n"
    )
    done = run_python(script)
    assert "below the line: if __name__ == '__main__':" in done.stderr.splitlines()[-1]
