"""The lookup of the URL, and shared engines."""

import os
import threading

import pytest
from sqlalchemy import make_url, text

from rome.errors import InterfaceError
from rome.orm import Session, dispose_engines, engine_for, find_url


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def test_the_environment_takes_precedence_over_the_file(monkeypatch, tmp_path):
    write(tmp_path / "rome.conf", "[rome]", "url = sqlite:///file.db")
    assert find_url() == "sqlite:///file.db"
    monkeypatch.setenv("ROME_URL", "sqlite:///environment.db")
    assert find_url() == "sqlite:///environment.db"


def test_bind_takes_precedence_over_the_argument_and_that_over_the_environment(monkeypatch):
    monkeypatch.setenv("ROME_URL", "sqlite:///environment.db")
    assert Session().get_bind().url == make_url("sqlite:///environment.db")
    assert Session(url="sqlite:///argument.db").get_bind().url == make_url("sqlite:///argument.db")
    bound = engine_for("sqlite:///bound.db")
    assert Session(bound, url="sqlite:///argument.db").get_bind() is bound


def test_files_are_looked_up_in_order(monkeypatch, tmp_path):
    home, here = tmp_path / "home", tmp_path / "here"
    write(home / ".rome.conf", "[rome]", "url = sqlite:///home.db")
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    assert find_url() == "sqlite:///home.db"
    write(here / "rome.conf", "[rome]", "url = sqlite:///here.db")
    assert find_url() == "sqlite:///here.db"


def test_rome_conf_names_the_file(monkeypatch, tmp_path):
    write(tmp_path / "rome.conf", "[rome]", "url = sqlite:///here.db")
    write(tmp_path / "other.ini", "[rome]", "url = rome+redis://user:100%25@localhost/app")
    monkeypatch.setenv("ROME_CONF", str(tmp_path / "other.ini"))
    assert find_url() == "rome+redis://user:100%25@localhost/app"


def test_without_a_url_it_is_a_file(caplog, monkeypatch, tmp_path):
    """It stays the same one; the warning names the file, and the ways to set a URL."""
    with Session() as session:
        session.execute(text("CREATE TABLE t (n INT)"))
        session.execute(text("INSERT INTO t VALUES (7)"))
        session.commit()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    dispose_engines()
    with Session() as session:
        assert session.scalar(text("SELECT n FROM t")) == 7
    assert find_url() == f"rome+file://{tmp_path}/app.rome"
    (record,) = caplog.records
    for way in (str(tmp_path / "app.rome"), "Session(url=", "ROME_URL", "ROME_CONF", "rome.conf", "[rome]"):
        assert way in record.getMessage()


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        (["host = 10.0.0.1", "port = 6380"], "rome+redis://10.0.0.1:6380/rome"),
        ([], "rome+redis://127.0.0.1:6379/rome"),
        (["host = ::1"], "rome+redis://[::1]:6379/rome"),
    ],
)
def test_legacy_keys(tmp_path, lines, url):
    write(tmp_path / "rome.conf", "[Rome]", "backend = redis", *lines)
    assert find_url() == url


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[Rome]", "backend = cassandra"], "unknown backend 'cassandra'"),
        (["[Rome]", "backend = redis", "port = abc"], "the port .* is not a number: 'abc'"),
        (["[Rome]", "backend = redis", "[Cluster]", "redis_cluster_enabled = True"], "redis_cluster_enabled"),
        (["[rome]", "host = localhost"], "neither `url` under .rome. nor `backend`"),
        (["no section"], "can't be read"),
    ],
)
def test_the_error_names_an_invalid_file(tmp_path, lines, message):
    write(tmp_path / "rome.conf", *lines)
    with pytest.raises(InterfaceError, match=message) as raised:
        find_url()
    assert "rome.conf" in str(raised.value)


def test_a_missing_file_that_rome_conf_names_is_an_error(monkeypatch):
    monkeypatch.setenv("ROME_CONF", "nowhere.conf")
    with pytest.raises(InterfaceError, match=r"nowhere\.conf can't be read"):
        find_url()


def test_threads_share_one_engine():
    found = []
    threads = [threading.Thread(target=lambda: found.append(engine_for("sqlite://"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert engine_for("sqlite:///other.db") is not found[0]


def test_disposed_engines_are_replaced():
    before = engine_for("sqlite://")
    dispose_engines()
    assert engine_for("sqlite://") is not before


def test_a_forked_child_has_engines_of_its_own():
    before = engine_for("sqlite://")
    child = os.fork()
    if child == 0:
        os._exit(0 if engine_for("sqlite://") is not before else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert engine_for("sqlite://") is before
