"""URLs: passwords appear nowhere; several hosts."""

import traceback

import pytest

import rome
from rome.errors import Error
from rome.storage.redis.address import read_address
from rome.url import parse_url, with_one_host

PASSWORD = "s3cr3tPW"


@pytest.mark.parametrize(
    "url",
    [
        "rome+redis://app:{}@localhost:notaport/x",
        "redis://app:{}@localhost:6379/x",
        "rome+redis://app:{}@localhost:1/x",
        "rome+redis://app:{}@localhost:1/x?bogus=1",
        "rome+redis://app:{}@localhost:1/x?db=q",
        "rome+nosuch://app:{}@localhost:1/x",
        "rome+redis://app:{}@localhost:1/",
        "rome+redis://app:{}@[::1/x",
        "rome+redis://app:{}@localhost:99999999/x",
        "rome+redis://app:{}@localhost:1/x?db=1&db=2",
        "rome+redis://app:{}@localhost:1/x?sentinel_service=m",
        "rome+redis://localhost:1/x?password={}",
        "redis://localhost:1/x?password={}",
        "rome+redis://app:{}/w@localhost:1/x",
        "rome+redis://app:{}#w@localhost:1/x",
        "rome+redis://app:{}?w@localhost:1/x",
        "rome+redis://app:{}@localhost:1,localhost:2/x?cluster=on",
        "rome+redis://app:{}@localhost:1,localhost:/x",
        "rome+redis://app:x,{}@localhost:1,[::1/x?cluster=on",
        "rome+redis://app:x@{}@[localhost:1/x",
        "rome+memory://app:{}@localhost:1/x",
        "rome+file://app:{}@localhost:1/x",
    ],
)
def test_a_password_is_in_no_error(url: str) -> None:
    pytest.importorskip("redis")
    with pytest.raises(Error) as caught:
        rome.connect(url.format(PASSWORD))
    error: BaseException | None = caught.value
    while error is not None:
        assert PASSWORD not in str(error) + repr(error)
        assert PASSWORD not in "".join(traceback.format_exception_only(error))
        error = error.__cause__ or error.__context__


def test_a_password_is_in_no_repr() -> None:
    pytest.importorskip("redis")
    url = parse_url(f"rome+redis://app:{PASSWORD}@localhost:6379/x")
    assert repr(url) == "URL('rome+redis://app:***@localhost:6379/x')"
    assert PASSWORD not in repr(url) + str(url) + repr(read_address(url))
    assert url.password == PASSWORD


@pytest.mark.parametrize(
    ("url", "one_host"),
    [
        ("rome+redis://a:1,b:2/x", "rome+redis://a:1/x?nodes=b:2"),
        ("rome+redis://a,b,[::1]:2/x?cluster=on", "rome+redis://a/x?cluster=on&nodes=b,[::1]:2"),
        ("rome+rediss://u:p,w@[::1]:1,b/x,y?cluster=on", "rome+rediss://u:p,w@[::1]:1/x,y?cluster=on&nodes=b"),
        ("rome+redis://u:p,w@a/x,y", "rome+redis://u:p,w@a/x,y"),
        ("rome+file:///a,b/c.rome", "rome+file:///a,b/c.rome"),
        ("postgresql://a,b/x", "postgresql://a,b/x"),
    ],
)
def test_several_hosts_become_one_and_an_option(url: str, one_host: str) -> None:
    assert with_one_host(url) == one_host
    if url.startswith("rome"):
        assert parse_url(url) == parse_url(one_host)


def test_several_hosts_in_a_repr() -> None:
    url = parse_url("rome+redis://a:1,b:2/x?cluster=on")
    assert str(url) == "rome+redis://a:1/x?cluster=on&nodes=b:2"
    assert parse_url(str(url)) == url
