"""Pages of objects."""

import pytest

from rome_objects import errors
from tests.adapters.objects.models import Server, ServerList

CONTEXT = {}
HOSTS = [None, "h1", "h2", "h2", None, "h3", "h1", "h2", None, "h1"]


@pytest.fixture
def servers(place):
    for number, host in enumerate(HOSTS):
        Server(CONTEXT, name=f"s{number}", host=host, cores=number % 3).create()


def ids(page):
    return [server.id for server in page]


def test_filters(servers):
    def found(**filters):
        return ids(ServerList.list(CONTEXT, filters=filters))

    assert found(host="h1") == [2, 7, 10]
    assert found(host=None) == [1, 5, 9]
    assert found(host=["h3", None]) == [1, 5, 6, 9]
    assert found(cores={"ge": 1, "lt": 2}) == [2, 5, 8]
    assert found(name={"like": "s1%"}) == [2]
    assert found(id={"in": [1, 99]}) == [1]
    assert found(host=[]) == []
    assert ServerList.count(CONTEXT, {"host": "h1"}) == 3
    assert ServerList.count(CONTEXT) == 10


@pytest.mark.parametrize("sort", [[], ["-id"], ["host"], ["-host"], ["host", "-name"], ["-cores", "host"]])
@pytest.mark.parametrize("limit", [1, 3])
def test_pages_are_the_whole(servers, sort, limit):
    whole = ids(ServerList.list(CONTEXT, sort=sort))
    assert sorted(whole) == list(range(1, 11))
    pages, marker = [], None
    while page := ServerList.list(CONTEXT, sort=sort, limit=limit, marker=marker):
        pages += ids(page)
        marker = page[-1].id
    assert pages == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": {"color": 1}}, "'color' is no field"), ({"filters": {"tags": 1}}, "'tags' is no field"),
        ({"filters": {"id": {"near": 1}}}, "'near' is none of eq, ne"), ({"sort": ["color"]}, "'color' is no field"),
        ({"sort": "id"}, "a list of fields"), ({"limit": -1}, "not -1"), ({"limit": True}, "not True"),
        ({"marker": [1, 2]}, "marker is a primary key: id"),
    ],
)  # fmt: skip
def test_invalid_queries(servers, arguments, message):
    with pytest.raises(errors.InvalidQuery, match=message):
        ServerList.list(CONTEXT, **arguments)


def test_a_marker_that_does_not_exist(servers):
    with pytest.raises(errors.NotFound, match="the marker, 99"):
        ServerList.list(CONTEXT, sort=["host"], marker=99)


def test_lists_are_sequences_and_primitives(servers):
    page = ServerList.list(CONTEXT, limit=2, load=["tags"])
    assert len(page[:1]) == 1
    assert page.obj_what_changed() == set()
    again = ServerList.obj_from_primitive(page.obj_to_primitive())
    assert again.obj_to_primitive() == page.obj_to_primitive()


@pytest.mark.parametrize("sort", [[], ["host"], ["-host"]])
def test_a_late_page_costs_what_an_early_one_costs(store, stats, sort):
    import sqlalchemy as sa

    from rome_objects import database
    from tests.adapters.objects.models import ServerModel

    with database.engine().begin() as connection:
        rows = [{"name": f"s{number}", "host": f"h{number // 4:04}"} for number in range(2000)]
        connection.execute(sa.insert(ServerModel), rows)
    whole = ids(ServerList.list(CONTEXT, sort=sort))

    def cost(marker):
        ServerList.list(CONTEXT, sort=sort, limit=20, marker=marker)
        before = stats.rounds, stats.rows
        assert len(ServerList.list(CONTEXT, sort=sort, limit=20, marker=marker)) == 20
        return stats.rounds - before[0], stats.rows - before[1]

    early, late = cost(whole[20]), cost(whole[1900])
    assert late[0] == early[0] == (2 if sort else 1)
    assert late[1] <= early[1] + 4
