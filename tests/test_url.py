"""URLs: passwords appear nowhere."""

import traceback

import pytest

import rome
from rome.errors import Error
from rome.storage.redis.address import read_address
from rome.url import parse_url

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
