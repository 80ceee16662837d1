"""Failures: each error names the object, its version where it matters, and the way out; directly and by RPC."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import NoResultFound

from rome_objects import database, errors, serializer
from rome_objects.remoting import remotable
from rome_objects.versioned import VersionedBase
from tests.adapters.objects.models import Server, ServerList, ServerModel

CONTEXT = {"user": "anna"}


class Unlucky(Server, name="Unlucky"):
    VERSION = "1.3"

    @remotable
    def lose(self):
        """Read and write a row that another transaction writes meanwhile, each time."""
        self.refresh()
        self.cores += 1
        self.save()
        with database.engine().begin() as other:
            other.execute(sa.update(ServerModel).values(cores=ServerModel.cores + 10))

    @remotable
    def ask(self, sql):
        return database.connection().execute(sa.text(sql)).scalar_one()


@pytest.fixture
def unlucky(place):
    server = Unlucky(CONTEXT, name="web")
    server.create()
    return server


@pytest.mark.slow  # it waits between the attempts
def test_conflicts_without_end(unlucky):
    with pytest.raises(
        errors.Contended, match=r"Unlucky 1\.3: other transactions wrote the same rows whenever lose ran\. .*try again"
    ) as caught:
        unlucky.lose()
    assert type(caught.value) is errors.Contended
    assert (unlucky.cores, unlucky.obj_what_changed()) == (1, set())
    assert Server.get(CONTEXT, 1).cores % 10 == 1


def test_a_statement_that_the_database_refuses(unlucky):
    with pytest.raises(errors.DatabaseFailed, match=r"Unlucky 1\.3: .* while ask ran: no such table: no_table.*check"):
        unlucky.ask("SELECT 1 FROM no_table")
    with pytest.raises(NoResultFound) as caught:
        unlucky.ask("SELECT 1 FROM servers WHERE id = 99")
    assert type(caught.value) is NoResultFound


def test_an_object_from_the_future(unlucky):
    """As an argument of a call, and as what a process receives that has no conductor."""
    future = unlucky.obj_to_primitive()
    future["versioned_object.version"] = "1.9"
    with pytest.raises(errors.NewerVersion, match=r"Unlucky 1\.9 is newer than 1\.3.*upgrade it, pin the sender"):
        VersionedBase.obj_from_primitive(future)
    with pytest.raises(errors.NewerVersion, match=r"Unlucky 1\.9 is newer than 1\.3"):
        serializer.Serializer().deserialize_entity({}, {"server": [future]})
    future["versioned_object.version"] = "2.0"
    with pytest.raises(errors.OtherMajorVersion, match=r"Unlucky 2\.0 .* 1\.3.*register a class of that version"):
        serializer.Serializer().deserialize_entity({}, future)


def test_a_save_of_a_destroyed_object(unlucky):
    other = Unlucky.get(CONTEXT, unlucky.id)
    unlucky.destroy()
    other.host = "h1"
    with pytest.raises(errors.ObjectGone, match=r"Unlucky id = 1 was destroyed: its changes are not saved"):
        other.save()
    assert other.obj_what_changed() == {"host"}
    assert ServerList.count(CONTEXT) == 0


def test_a_database_that_is_away(conf):
    """A port on which no server listens."""
    from rome.testing.servers import free_port

    database.connect_to(f"rome+redis://127.0.0.1:{free_port()}/away")
    with pytest.raises(errors.DatabaseFailed, match=r"Server 1\.2: the database failed while get ran.*check that"):
        Server.get(CONTEXT, 1)
