#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engine as a process: starting, refusing to start, stopping, dying and coming back.

Usage: engine_process.py ENGINE DRIVER [test ...]; ctest runs each test by its name. Standard library
only; waits on lines and exits.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "support"))
from fleet import Process  # noqa: E402

ENGINE, DRIVER = sys.argv[1], sys.argv[2]
DEADLINE_S = 60


class Engine:
    """A running engine; addresses are those that it announced."""

    def __init__(self, *args, env=None, http=False):
        command = [ENGINE, "--listen", "127.0.0.1:0", *args]
        if http:
            command += ["--http", "127.0.0.1:0"]
        self.server = Process("flotilla-engine", command, env)
        self.process = self.server.child
        self.address = self.server.address("grpc")
        self.http = self.server.address("http") if http else None

    def errors(self):
        return "\n".join(self.server.output)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        code = self.process.wait(DEADLINE_S)
        self.server.reader.join(DEADLINE_S)
        return code

    def until(self, condition, what):
        """Wait until condition() is true, for what the engine tells nobody; its end ends the waiting, too."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S} s"
            try:
                code = self.process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{what} did not happen, exit {code}: {self.errors()}")

    def stop(self):
        self.signal(signal.SIGTERM)
        code = self.wait()
        assert code == 0, f"exit {code}: {self.errors()}"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        self.process.stdout.close()


def fails_to_start(*args, env=None):
    """The exit code and log of an engine that must not start."""
    done = subprocess.run([ENGINE, *args], capture_output=True, text=True, timeout=DEADLINE_S,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stderr


def drive(*args):
    """Run the driver to its end; its output."""
    done = subprocess.run([DRIVER, *args], capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, f"driver {args}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def get(address, path):
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=DEADLINE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def page_with(engine, pattern):
    """/metrics, once it has what the pattern says: pages are shared for a moment, the longer the more they cost."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        status, text = get(engine.http, "/metrics")
        if status == 200 and re.search(pattern, text):
            return text
        assert time.monotonic() < deadline, (pattern, status, text)
        time.sleep(0.05)


def test_help_and_usage(folder):
    """--help and --version exit 0 on stdout; a wrong option is 64 with one line."""
    for flag in ("--help", "--version"):
        done = subprocess.run([ENGINE, flag], capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.returncode == 0 and done.stdout and not done.stderr, done
    for wrong in (["--nonsense"], ["--shutdown-timeout", "soon"], ["--shutdown-timeout", "-1s"]):
        code, log = fails_to_start(*wrong)
        assert code == 64 and log.count("\n") == 1, (wrong, code, log)


def test_port_in_use_is_73(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, log = fails_to_start("--listen", "127.0.0.1:%d" % taken.getsockname()[1])
    assert code == 73, (code, log)


def test_open_address_needs_tls_or_insecure(folder):
    for address in ("0.0.0.0:0", "127.0.0.1.example:0", "[::]:0"):
        code, log = fails_to_start("--listen", address)
        assert code == 64 and "--insecure" in log, (code, log)


def test_database_in_use_is_73(folder):
    """A second engine is refused; the first goes on."""
    db = os.path.join(folder, "engine.db")
    with Engine("--db", db) as first:
        code, log = fails_to_start("--listen", "127.0.0.1:0", "--db", db)
        assert code == 73 and "in use" in log, (code, log)
        drive("echo", first.address, "20", "5")
        first.stop()


def test_wrong_databases_are_refused(folder):
    """A folder is 73; text, another program's and a newer schema are 65."""
    code, log = fails_to_start("--listen", "127.0.0.1:0", "--db", folder)
    assert code == 73, (code, log)
    text = os.path.join(folder, "text.db")
    with open(text, "w", encoding="utf-8") as file:
        file.write("no database " * 500)
    code, log = fails_to_start("--listen", "127.0.0.1:0", "--db", text)
    assert code == 65, (code, log)
    for command in (("check", text), ("backup", text, text + ".copy")):
        assert subprocess.run([ENGINE, *command], capture_output=True, check=False).returncode == 65, command
    assert os.listdir(folder) == ["text.db"], os.listdir(folder)
    newer = os.path.join(folder, "newer.db")
    with Engine("--db", newer) as engine:
        engine.stop()
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 77")
    code, log = fails_to_start("--listen", "127.0.0.1:0", "--db", newer)
    assert code == 65 and "77" in log, (code, log)


def test_pages(folder):
    """/health, /ready and /metrics answer; the figures count."""
    db = os.path.join(folder, "engine.db")
    with Engine("--db", db, http=True) as engine:
        drive("echo", engine.address, "20", "5")
        assert get(engine.http, "/health")[0] == 200
        assert get(engine.http, "/ready")[0] == 200
        text = page_with(engine, r'flotilla_engine_calls_total\{operation="StartWorkflowExecution",'
                                 r'status_code="OK"\} 20\n')
        assert "flotilla_engine_commits_total" in text, text
        drive("start", engine.address, "left", "7", "1", os.path.join(folder, "acks"))
        text = page_with(engine, r'flotilla_engine_backlog_tasks\{namespace="default",'
                                 r'task_queue="[^"]+",task_type="Workflow"\} 7\n')
        # What is counted is what the stored runs say of themselves.
        durable = int(re.search(r"flotilla_engine_commit_transitions_total (\d+)\n", text).group(1))
        engine.stop()
    with sqlite3.connect(db) as database:
        stored, = database.execute("SELECT sum(state_transitions) FROM run").fetchone()
    assert durable == stored, (durable, stored)


def test_other_signals_are_ignored(folder):
    """SIGHUP and its like change nothing."""
    with Engine() as engine:
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
                       signal.SIGPIPE):
            engine.signal(number)
        drive("echo", engine.address, "5", "5")
        engine.stop()


def test_sigterm_answers_polls(folder):
    """A hundred polls that wait are answered empty at SIGTERM, and the exit is 0."""
    with Engine() as engine:
        with subprocess.Popen([DRIVER, "poll", engine.address, "100"], stdout=subprocess.PIPE,
                              text=True) as driver:
            assert driver.stdout.readline() == "polling\n"
            # A call that is answered says that the engine has read the polls sent before it.
            drive("echo", engine.address, "1", "1")
            engine.stop()
            assert driver.wait(DEADLINE_S) == 0, driver.stdout.read()


def test_sigterm_under_load_loses_nothing(folder):
    """Starts in flight at SIGTERM are answered or not; those that were are there afterwards."""
    db, acks = os.path.join(folder, "engine.db"), os.path.join(folder, "acks")
    with Engine("--db", db) as engine:
        with subprocess.Popen([DRIVER, "start", engine.address, "wf", "1000000", "50", acks],
                              stdout=subprocess.PIPE, text=True) as driver:
            wait_for_starts(driver, 500)
            engine.stop()
            driver.communicate(timeout=DEADLINE_S)
            assert driver.returncode == 0
    with Engine("--db", db) as engine:
        drive("verify", engine.address, acks)
        engine.stop()


def touch(path):
    with open(path, "w", encoding="utf-8"):
        pass


def wait_for_starts(driver, count):
    """Until the driver says that so many starts were acknowledged."""
    for line in driver.stdout:
        if int(line.split()[0]) >= count:
            return


def test_kill_under_load_loses_nothing(folder):
    """kill -9 twenty times while fifty starts are in flight: all acknowledged ones are there."""
    db = os.path.join(folder, "engine.db")
    for turn in range(20):
        acks = os.path.join(folder, f"acks-{turn}")
        with Engine("--db", db) as engine:
            with subprocess.Popen([DRIVER, "start", engine.address, f"wf-{turn}", "1000000", "50",
                                   acks], stdout=subprocess.PIPE, text=True) as driver:
                wait_for_starts(driver, 100 + 40 * turn)
                engine.signal(signal.SIGKILL)
                engine.wait()
                driver.communicate(timeout=DEADLINE_S)
                assert driver.returncode == 0
        with Engine("--db", db) as engine:
            drive("verify", engine.address, acks)
            engine.stop()
    with sqlite3.connect(db) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_killed_echoes_complete(folder):
    """Workflows that were under way when the engine was killed go on after it is back."""
    db, acks = os.path.join(folder, "engine.db"), os.path.join(folder, "acks")
    with Engine("--db", db) as engine:
        drive("start", engine.address, "left", "200", "20", acks)
        engine.signal(signal.SIGKILL)
        engine.wait()
    with Engine("--db", db, http=True) as engine:
        # The driver's workers serve the old ones too: they are first in the queue.
        drive("echo", engine.address, "50", "10")
        page_with(engine, r"flotilla_engine_open_workflows 0\n")
        engine.stop()


def test_retention_deletes(folder):
    """Closed workflows whose retention is over go, with their histories; the others stay."""
    db = os.path.join(folder, "engine.db")
    with Engine("--db", db) as engine:
        drive("echo", engine.address, "1200", "50")
        engine.stop()
    two_days_ns = 2 * 24 * 3600 * 10**9
    with sqlite3.connect(db) as database:
        database.execute("UPDATE run SET close_ns = close_ns - ?1, close_order = close_order - ?1"
                         " WHERE key IN (SELECT key FROM run LIMIT 1100)", (two_days_ns,))
    with Engine("--db", db) as engine:
        reader = sqlite3.connect(f"file:{db}?mode=ro", uri=True, isolation_level=None)
        engine.until(lambda: reader.execute("SELECT count(*) FROM run").fetchone() == (100,), "100 runs are left")
        assert reader.execute("SELECT count(DISTINCT key) FROM history").fetchone() == (100,)
        reader.close()
        drive("echo", engine.address, "20", "5")
        engine.stop()


def resident_mb(engine):
    with open(f"/proc/{engine.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def test_closed_give_memory_back(folder):
    """When many open workflows have ended, most of what they took is the system's again."""
    acks = os.path.join(folder, "acks")
    with Engine("--db", os.path.join(folder, "engine.db")) as engine:
        drive("start", engine.address, "warm", "100", "50", os.path.join(folder, "warm"))
        few = resident_mb(engine)
        drive("start", engine.address, "wf", "20000", "100", acks)
        many = resident_mb(engine)
        drive("terminate", engine.address, acks)
        engine.until(lambda: resident_mb(engine) <= few + (many - few) / 3, f"memory back from {many} towards {few} MB")
        engine.stop()


def test_memory_is_bounded(folder):
    """Workflows that wait take no more memory than they may; they answer and start in time, also after a kill."""
    db, acks = (os.path.join(folder, name) for name in ("engine.db", "acks"))
    with Engine("--db", db, "--max-memory", "2M") as engine:
        drive("sleep", engine.address, "warm", "100", "50", os.path.join(folder, "warm"), "3600")
        few = resident_mb(engine)
        drive("sleep", engine.address, "wf", "12000", "100", acks, "3600")
        drive("signal", engine.address, acks)
        taken = resident_mb(engine) - few
        assert taken < 13, f"12,000 waiting workflows take {taken} MB"  # without a bound: 20
        engine.process.kill()
    with Engine("--db", db, "--max-memory", "2M") as engine:
        drive("verify", engine.address, acks)
        drive("terminate", engine.address, acks)
        engine.stop()


def test_cold_workflows_start_in_time(folder):
    """Those whose first task is yet to come leave memory and are there when it is due."""
    with Engine("--db", os.path.join(folder, "engine.db"), "--max-memory", "1", http=True) as engine:
        drive("sleep", engine.address, "later", "50", "50", os.path.join(folder, "acks"), "2")
        page_with(engine, r'flotilla_engine_backlog_tasks\{[^}]*"Workflow"[^}]*\} 50\n')
        drive("echo", engine.address, "50", "10")  # its workers serve the old ones, too: they are first in the queue
        page_with(engine, r"flotilla_engine_open_workflows 0\n")
        engine.stop()


def care(*args):
    """`flotilla-engine backup|check|compact`: its exit code and all that it says."""
    done = subprocess.run([ENGINE, *args], capture_output=True, text=True, timeout=DEADLINE_S)
    return done.returncode, done.stdout + done.stderr


def test_backups_of_a_running_engine(folder):
    """Copies that are made under load are whole, hold all that was acknowledged before, and can be served."""
    db, copy, acks = (os.path.join(folder, name) for name in ("engine.db", "copy.db", "acks"))
    with Engine("--db", db) as engine:
        drive("start", engine.address, "before", "300", "20", acks)
        with subprocess.Popen([DRIVER, "start", engine.address, "during", "2000", "20",
                               os.path.join(folder, "during")], stdout=subprocess.PIPE, text=True) as load:
            wait_for_starts(load, 100)
            code, said = care("backup", db, copy)
            assert code == 0 and "0 damages" in said, (code, said)
            code, said = care("check", db)
            assert code == 0, (code, said)
            load.communicate(timeout=DEADLINE_S)
        code, said = care("backup", db, copy)
        assert code == 73 and "is there already" in said, (code, said)
        code, said = care("compact", db)
        assert code == 73 and "in use" in said, (code, said)
        engine.stop()
    assert sorted(name for name in os.listdir(folder) if name.startswith("copy")) == ["copy.db", "copy.db.lock",
                                                                                   "copy.db.mark"]
    with Engine("--db", copy) as engine:
        drive("verify", engine.address, acks)
        drive("terminate", engine.address, acks)
        engine.stop()
    with sqlite3.connect(copy) as database:
        database.execute("DELETE FROM history WHERE key % 2 = 0")
        database.execute("DELETE FROM run WHERE key % 2 = 0")
        database.execute("UPDATE meta SET value = (SELECT count(*) FROM run WHERE 'runs/' || namespace_id || '/' || status"
                         " = name) WHERE name GLOB 'runs/*'")
    code, said = care("compact", copy)
    before_and_after = [int(number) for number in re.findall(r"(\d+) bytes, (\d+) before", said)[0]]
    assert code == 0 and before_and_after[0] < before_and_after[1], (code, said)
    code, said = care("check", copy)
    assert code == 0, (code, said)
    with Engine("--db", copy) as engine:
        engine.stop()


def test_check_names_damages(folder):
    """Each kind of damage is a line of `check`, which ends with 65, and no backup is made of it."""
    db = os.path.join(folder, "engine.db")
    with Engine("--db", db) as engine:
        drive("echo", engine.address, "20", "5")
        engine.stop()
    assert care("check", db)[0] == 0
    for spoil, line in [
            ("UPDATE history SET events = zeroblob(length(events)) WHERE key = 3 AND first_event_id = 1",
             "history is damaged at event 1"),
            ("DELETE FROM history WHERE key = 4 AND first_event_id = (SELECT max(first_event_id) FROM history"
             " WHERE key = 4)", "its history ends at event"),
            ("DELETE FROM history WHERE key = 5 AND first_event_id > 1 AND first_event_id < 5", "damaged at event 3"),
            ("UPDATE run SET state = zeroblob(length(state)) WHERE key = 6", "its state is damaged"),
            ("DELETE FROM run WHERE key = 7", "the history of run 7 belongs to nothing"),
            ("UPDATE meta SET value = value - 1 WHERE name = 'commit_seq'", "was acknowledged"),
            ("UPDATE meta SET value = value + 1 WHERE name GLOB 'runs/*'", "is wrong by 2"),
            ("UPDATE run SET memo = x'0a00' WHERE key = 8", "is not what its state says"),
            ("UPDATE run SET status = 1 WHERE key = 9", "is not what its state says"),
            ("INSERT INTO attribute (id, space, name, value, ended, started) VALUES (1 << 40, 's', 'n', 1, 1, 1)",
             "a search attribute of run 67108864 belongs to nothing")]:
        with sqlite3.connect(db) as database:
            database.execute(spoil)
        code, said = care("check", db)
        assert code == 65 and line in said, (spoil, code, said)
    assert said.count("damage: ") >= 10, said
    code, said = care("backup", db, os.path.join(folder, "copy.db"))
    assert code == 65 and not any(name.startswith("copy") for name in os.listdir(folder)), (code, said)
    assert care("check", os.path.join(folder, "none"))[0] == 66
    assert care("check")[0] == 64
    assert not os.path.exists(os.path.join(folder, "none"))


def test_damaged_files_are_never_backed_up(folder):
    """What SQLite alone would not notice, or would make worse: commits that are lost, pages of an index, a file that was
    cut off, another database's log in the way."""
    db, copy = os.path.join(folder, "engine.db"), os.path.join(folder, "copy.db")
    with Engine("--db", db) as engine:
        drive("echo", engine.address, "200", "10")
        engine.stop()
    page = 4096
    with sqlite3.connect(db) as database:
        index, = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'run_workflow'").fetchone()
    with open(db, "rb") as file:
        whole = file.read()
    with open(db + ".mark", "rb") as file:
        mark = file.read()

    def refused(content, line):
        with open(db, "wb") as file:
            file.write(content)
        code, said = care("check", db)
        assert code == 65 and line in said, (code, said)
        code, said = care("backup", db, copy)
        assert code == 65, (code, said)
        assert not any(name.startswith("copy") for name in os.listdir(folder)), os.listdir(folder)

    refused(whole[:(index - 1) * page] + bytes(page) + whole[index * page:], "damage: ")
    refused(whole[:len(whole) // 2], "")
    refused(b"not a database at all" * 1000, "not a database")
    with open(db + ".mark", "wb") as file:  # 16 bytes that no engine wrote
        file.write(bytes(15) + b"x")
    refused(whole, "cannot say what the last commit was")
    with open(db + ".mark", "wb") as file:
        file.write(mark)
    with sqlite3.connect(db) as database:
        database.execute("UPDATE meta SET value = value - 1 WHERE name = 'commit_seq'")
    code, said = care("backup", db, copy)
    assert code == 65 and "was acknowledged" in said, (code, said)
    assert not any(name.startswith("copy") for name in os.listdir(folder)), os.listdir(folder)

    os.remove(db)
    for rest in ("-wal", "-shm"):
        if os.path.exists(db + rest):
            os.remove(db + rest)
    with open(db, "wb") as file:
        file.write(whole)
    with open(copy + "-wal", "wb") as file:
        file.write(b"of a database that had this name")
    code, said = care("backup", db, copy)
    assert code == 73 and "copy.db-wal" in said, (code, said)
    os.remove(copy + "-wal")
    os.remove(db + ".mark")  # a copy by hand has none: nothing can be said of its end
    assert care("check", db)[0] == 0
    code, said = care("backup", db, copy)
    assert code == 0, (code, said)
    with Engine("--db", copy) as engine:
        engine.stop()


def test_two_backups_of_one_name(folder):
    """At most one of two at a time gets the name, and what has it is whole; a killed one is no obstacle."""
    db, copy = os.path.join(folder, "engine.db"), os.path.join(folder, "copy.db")
    with Engine("--db", db) as engine:
        drive("echo", engine.address, "300", "20")
        with subprocess.Popen([ENGINE, "backup", db, copy], stdout=subprocess.DEVNULL) as killed:
            killed.kill()
        if os.path.exists(copy):  # it was quick
            os.remove(copy)
        assert care("backup", db, copy)[0] == 0
        archive = os.path.join(folder, "archive.db")  # the first name of a backup that was killed at its end
        os.rename(copy, archive)
        os.link(archive, copy + ".partial")
        both = [subprocess.Popen([ENGINE, "backup", db, copy], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                for _ in range(2)]
        codes = sorted((process.communicate(timeout=DEADLINE_S), process.returncode)[1] for process in both)
        assert codes == [0, 73], codes
        for backup in (copy, archive):
            assert care("check", backup)[0] == 0, backup
        engine.stop()
    assert not any("partial" in name for name in os.listdir(folder)), os.listdir(folder)


def test_lost_commits_are_65(folder):
    """A log whose end was cut off is noticed at start, and --accept-data-loss goes on."""
    db, acks = os.path.join(folder, "engine.db"), os.path.join(folder, "acks")
    with Engine("--db", db) as engine:
        drive("start", engine.address, "wf", "50", "5", acks)
        engine.signal(signal.SIGKILL)
        engine.wait()
    os.truncate(db + "-wal", os.path.getsize(db + "-wal") // 2)
    code, log = fails_to_start("--listen", "127.0.0.1:0", "--db", db)
    assert code == 65 and "lost" in log and "flotilla engine check" in log and "--accept-data-loss" in log, (code, log)
    with Engine("--db", db, "--accept-data-loss") as engine:
        assert "store.data_loss" in engine.errors()
        drive("start", engine.address, "left", "3", "1", acks)
        engine.stop()
    with sqlite3.connect(db) as database:
        database.execute("UPDATE run SET state = zeroblob(length(state)) WHERE close_ns = 0")
    code, log = fails_to_start("--listen", "127.0.0.1:0", "--db", db)
    assert code == 65 and "flotilla engine check" in log and "--accept-data-loss" in log, (code, log)


def test_failed_sync_is_74(folder):
    """After a failed sync nothing more is acknowledged, and the engine ends with 74."""
    db, acks = os.path.join(folder, "engine.db"), os.path.join(folder, "acks")
    shim = os.environ["FLO_FAIL_SYNC_SHIM"]
    env = {"LD_PRELOAD": shim, "FLO_FAIL_SYNC_AFTER": "40"}
    with Engine("--db", db, env=env) as engine:
        drive("start", engine.address, "wf", "1000000", "20", acks)
        code = engine.wait()
        assert code == 74 and "store.commit_failed" in engine.errors(), (code, engine.errors())
    with Engine("--db", db) as engine:
        drive("verify", engine.address, acks)
        engine.stop()


def test_second_signal_exits_at_once(folder):
    """The second signal ends an engine that still waits for its clients."""
    with Engine() as engine:
        with socket.create_connection(engine.address.split(":")) as stuck:
            stuck.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            stuck.recv(9)
            engine.signal(signal.SIGTERM)
            engine.signal(signal.SIGINT)
            code = engine.wait()
            assert code in (0, 130), code


def test_full_disk_recovers(folder):
    """While the disk is full writes are refused and reads answered; with room again all goes on."""
    db, acks = os.path.join(folder, "engine.db"), os.path.join(folder, "acks")
    flag = os.path.join(folder, "full")
    env = {"LD_PRELOAD": os.environ["FLO_FAIL_SYNC_SHIM"], "FLO_FULL_DISK_WHILE": flag}
    with Engine("--db", db, env=env, http=True) as engine:
        drive("start", engine.address, "before", "20", "5", acks)
        touch(flag)
        with subprocess.Popen([DRIVER, "start", engine.address, "during", "20", "5",
                               os.path.join(folder, "none")], stdout=subprocess.PIPE,
                              text=True) as driver:
            engine.server.said("store.disk_full")
            assert get(engine.http, "/ready")[0] == 503
            drive("verify", engine.address, acks)
            os.unlink(flag)
            driver.wait(DEADLINE_S)
        engine.server.said("store.disk_free")
        assert get(engine.http, "/ready")[0] == 200
        drive("start", engine.address, "after", "20", "5", acks)
        engine.stop()
    with Engine("--db", db) as engine:
        drive("verify", engine.address, acks)
        engine.stop()


def test_sigterm_full_disk_is_74(folder):
    """A full disk does not keep the engine from ending: what could not be stored is not
    acknowledged."""
    db, acks = os.path.join(folder, "engine.db"), os.path.join(folder, "acks")
    flag = os.path.join(folder, "full")
    env = {"LD_PRELOAD": os.environ["FLO_FAIL_SYNC_SHIM"], "FLO_FULL_DISK_WHILE": flag}
    with Engine("--db", db, env=env, http=True) as engine:
        drive("start", engine.address, "before", "20", "5", acks)
        touch(flag)
        with subprocess.Popen([DRIVER, "start", engine.address, "during", "20", "5",
                               acks + "-late"], stdout=subprocess.PIPE, text=True) as driver:
            engine.server.said("store.disk_full")
            assert get(engine.http, "/ready")[0] == 503
            engine.signal(signal.SIGTERM)
            code = engine.wait()
            driver.communicate(timeout=DEADLINE_S)
        assert code == 74 and "store.commit_failed" in engine.errors(), (code, engine.errors())
    os.unlink(flag)
    with Engine("--db", db) as engine:
        drive("verify", engine.address, acks)
        drive("verify", engine.address, acks + "-late")
        engine.stop()


def test_sigterm_hung_disk_is_74(folder):
    """A disk that does not answer keeps the engine for no longer than its shutdown time."""
    db, acks = os.path.join(folder, "engine.db"), os.path.join(folder, "acks")
    flag = os.path.join(folder, "hung")
    env = {"LD_PRELOAD": os.environ["FLO_FAIL_SYNC_SHIM"], "FLO_HUNG_DISK_ONCE": flag}
    with Engine("--db", db, "--shutdown-timeout", "300ms", env=env, http=True) as engine:
        with subprocess.Popen([DRIVER, "start", engine.address, "wf", "1000000", "20", acks],
                              stdout=subprocess.PIPE, text=True) as driver:
            wait_for_starts(driver, 50)
            touch(flag)
            begun = time.monotonic()
            engine.signal(signal.SIGTERM)
            code = engine.wait()
            took = time.monotonic() - begun
            driver.communicate(timeout=DEADLINE_S)
        assert code == 74 and took < 20, (code, took, engine.errors())
    os.unlink(flag)
    with Engine("--db", db) as engine:
        drive("verify", engine.address, acks)
        engine.stop()


def test_time_skips(folder):
    """Started as SDKs start Temporal's test server: its clock skips, unless it is locked or a worker is busy."""
    server = Process("flotilla-engine", [ENGINE, "0"])
    try:
        done = subprocess.run([os.environ["FLO_SKIP_DRIVER"], server.address("grpc")], capture_output=True, text=True,
                              timeout=DEADLINE_S)
        assert done.returncode == 0, done.stderr
    finally:
        server.child.terminate()
        assert server.child.wait(DEADLINE_S) == 0
        server.reader.join(DEADLINE_S)
        server.child.stdout.close()
    for wrong in (["70000x"], ["1", "2"], ["-1"]):
        code, log = fails_to_start(*wrong)
        assert code == 64 and log.count("\n") == 1, (wrong, code, log)


def main():
    tests = {name[5:]: test for name, test in globals().items() if name.startswith("test_")}
    for name in sys.argv[3:] or tests:
        folder = tempfile.mkdtemp(prefix="flo-engine-")
        try:
            tests[name](folder)
            print("ok", name, flush=True)
        finally:
            shutil.rmtree(folder)


main()
