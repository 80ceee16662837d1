"""Two releases on one database: both see what either writes, at each step of the upgrade."""

import itertools

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import rome
from rome.testing import check_database
from rome_objects.errors import ConstraintViolated, NotFound, SchemaError
from rome_objects.schema import background, state, steps
from rome_objects.schema.releases import load
from tests.adapters.objects.schema.programs import (
    CONTEXT,
    SCRIPTS,
    Action,
    Actions,
    Event,
    Events,
    NewInstance,
    NewInstances,
    Note,
    Notes,
    OldInstance,
    OldInstances,
    Process,
    two_addresses,
)

RELEASES = load(SCRIPTS)
NUMBER = itertools.count()
TITLES = st.sampled_from("abcdef")
CORES = st.integers(1, 3)
SIZES = st.tuples(CORES, CORES)


class Killed(BaseException):
    """The migration ends in the middle of a batch."""


class Upgrade(RuleBasedStateMachine):
    """A process of each release, an operator, and what the database has to contain."""

    url = ""

    @initialize()
    def begin(self):
        name = f"upgrade-{next(NUMBER)}"
        first, second = two_addresses(f"{self.url}/{name}")
        self.address = first
        self.operator = sa.create_engine(first)
        self.old = Process(first, "v1")
        self.new = Process(second, "v2")
        steps.expand(self.operator, RELEASES[:1])
        self.expanded = self.contracted = False
        self.instances = {}  # id → (title, size, note)
        self.events = {}  # id → (instance, text)
        self.notes = {}  # id → event
        for number, title in enumerate("xyz"):
            self.old_creates(title, (number + 1, 2))
        with self.old.running():
            for number in self.instances:
                event = Event(CONTEXT, instance_id=number, text="made")
                event.create()
                self.events[event.id] = (number, "made")

    def teardown(self):
        if hasattr(self, "address"):
            check_database(self.address)
            for engine in (self.operator, self.old.engine, self.new.engine):
                engine.dispose()
            rome.drop_database(self.address)

    def ids(self, data):
        return data.draw(st.sampled_from(sorted(self.instances)))

    # What the old release does.

    @precondition(lambda self: not self.contracted)
    @rule(title=TITLES, size=SIZES)
    def old_creates(self, title, size):
        with self.old.running():
            instance = OldInstance(CONTEXT, title=title, size=f"{size[0]}x{size[1]}")
            self.create(instance, title, size)

    @precondition(lambda self: self.instances and not self.contracted)
    @rule(data=st.data(), title=TITLES, size=SIZES)
    def old_saves(self, data, title, size):
        number = self.ids(data)
        with self.old.running():
            instance = OldInstance.get(CONTEXT, number)
            instance.size = f"{size[0]}x{size[1]}"
            instance.title = title
            self.save(instance, title, size)

    @precondition(lambda self: self.instances and not self.contracted)
    @rule(data=st.data())
    def old_destroys(self, data):
        number = self.ids(data)
        with self.old.running():
            OldInstance.get(CONTEXT, number).destroy()
        self.forget(number)

    @precondition(lambda self: self.instances and not self.contracted)
    @rule(data=st.data(), text=TITLES)
    def old_logs(self, data, text):
        number = self.ids(data)
        with self.old.running():
            event = Event(CONTEXT, instance_id=number, text=text)
            event.create()
        assert event.id not in self.events
        self.events[event.id] = (number, text)

    @precondition(lambda self: self.events and not self.contracted)
    @rule(data=st.data(), text=TITLES)
    def old_changes_an_event(self, data, text):
        number = data.draw(st.sampled_from(sorted(self.events)))
        with self.old.running():
            event = Event.get(CONTEXT, number)
            event.text = text
            event.save()
        self.events[number] = (self.events[number][0], text)

    @precondition(lambda self: not self.contracted)
    @rule()
    def old_reads_all(self):
        with self.old.running():
            found = OldInstances.list(CONTEXT, sort=["title"])
            assert [(one.id, one.title, one.size) for one in found] == sorted(
                (
                    (number, title, f"{cores}x{memory}")
                    for number, (title, (cores, memory), _) in self.instances.items()
                ),
                key=lambda row: row[1],
            )
            assert {one.id: (one.instance_id, one.text) for one in Events.list(CONTEXT)} == self.events

    # What the new release does.

    @precondition(lambda self: self.expanded)
    @rule(title=TITLES, size=SIZES)
    def new_creates(self, title, size):
        with self.new.running():
            instance = NewInstance(CONTEXT, display_name=title, cores=size[0], memory=size[1])
            self.create(instance, title, size)

    @precondition(lambda self: self.expanded and self.instances)
    @rule(data=st.data(), title=TITLES, cores=CORES, note=st.none() | TITLES)
    def new_saves(self, data, title, cores, note):
        number = self.ids(data)
        with self.new.running():
            instance = NewInstance.get(CONTEXT, number)
            assert (instance.cores, instance.memory) == self.instances[number][1]
            instance.cores, instance.display_name, instance.note = cores, title, note
            self.save(instance, title, (cores, instance.memory), note)

    @precondition(lambda self: self.expanded and self.instances)
    @rule(data=st.data(), cores=CORES)
    def new_saves_what_it_did_not_load(self, data, cores):
        number = self.ids(data)
        title, (_, memory), note = self.instances[number]
        with self.new.running():
            instance = NewInstance(CONTEXT, id=number, cores=cores)
            instance.obj_reset_changes(["id"])
            self.save(instance, title, (cores, memory), note)

    @precondition(lambda self: self.expanded and self.instances)
    @rule(data=st.data())
    def new_destroys(self, data):
        number = self.ids(data)
        with self.new.running():
            NewInstance.get(CONTEXT, number).destroy()
        self.forget(number)

    @precondition(lambda self: self.expanded and self.instances)
    @rule(data=st.data(), text=TITLES)
    def new_logs(self, data, text):
        number = self.ids(data)
        with self.new.running():
            action = Action(CONTEXT, instance_id=number, message=text)
            action.create()
        assert action.id not in self.events
        self.events[action.id] = (number, text)

    @precondition(lambda self: self.expanded and self.events)
    @rule(data=st.data())
    def new_gets_and_destroys_an_action(self, data):
        number = data.draw(st.sampled_from(sorted(self.events)))
        with self.new.running():
            action = Action.get(CONTEXT, number)
            assert (action.instance_id, action.message) == self.events.pop(number)
            action.destroy()
            with pytest.raises(NotFound):
                Action.get(CONTEXT, number)

    @precondition(lambda self: self.expanded and self.events)
    @rule(data=st.data())
    def new_refers_to_an_action(self, data):
        number = data.draw(st.sampled_from(sorted(self.events)))
        with self.new.running():
            note = Note(CONTEXT, action_id=number)
            note.create()
        self.notes[note.id] = number

    @precondition(lambda self: self.expanded)
    @rule(cores=CORES)
    def new_lists_by_a_new_column(self, cores):
        with self.new.running():
            found = NewInstances.list(CONTEXT, filters={"cores": cores})
            expected = {number for number, (_, size, _) in self.instances.items() if size[0] == cores}
            assert {one.id for one in found} == expected
            assert NewInstances.count(CONTEXT, {"cores": cores}) == len(expected)

    @precondition(lambda self: self.expanded)
    @rule(limit=st.none() | st.integers(1, 3))
    def new_lists(self, limit):
        with self.new.running():
            found = NewInstances.list(CONTEXT, limit=limit)
            assert [(one.id, one.display_name, (one.cores, one.memory), one.note) for one in found] == [
                (number, *values) for number, values in sorted(self.instances.items())
            ][:limit]
            assert NewInstances.count(CONTEXT) == len(self.instances)

    @precondition(lambda self: self.expanded)
    @rule()
    def new_lists_actions(self):
        with self.new.running():
            assert {one.id: (one.instance_id, one.message) for one in Actions.list(CONTEXT)} == self.events
            assert {one.id: one.action_id for one in Notes.list(CONTEXT)} == {
                note: event for note, event in self.notes.items() if event in self.events
            }

    # What the operator does.

    @precondition(lambda self: not self.expanded)
    @rule()
    def expand(self):
        assert steps.expand(self.operator, RELEASES) == ["v2"]
        self.expanded = True

    @rule()
    def expand_again(self):
        if self.expanded:
            assert steps.expand(self.operator, RELEASES) == []

    @precondition(lambda self: self.expanded and not self.contracted)
    @rule(rows=st.integers(1, 3), mirror=st.sampled_from(RELEASES[1].mirrors))
    def migrate_a_batch(self, rows, mirror):
        background.migrate_batch(self.operator, mirror, rows)

    @precondition(lambda self: self.expanded and not self.contracted)
    @rule(rows=st.integers(1, 3), mirror=st.sampled_from(RELEASES[1].mirrors))
    def migration_is_killed(self, rows, mirror):
        def die(*_):
            raise Killed

        with self.operator.connect() as connection:
            before = state.read_progress(connection, mirror)
        if not before.done:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(state, "advance", die)
                with pytest.raises(Killed):
                    background.migrate_batch(self.operator, mirror, rows)
        with self.operator.connect() as connection:
            assert state.read_progress(connection, mirror) == before

    @precondition(lambda self: self.expanded and not self.contracted)
    @rule()
    def contract_too_early(self):
        with self.operator.connect() as connection:
            done = all(progress.done for progress in state.read(connection).progress.values())
        if not done:
            with pytest.raises(SchemaError, match="run `rome-schema migrate`"):
                steps.contract(self.operator, RELEASES)

    @precondition(lambda self: self.expanded and not self.contracted)
    @rule(wanted=st.sampled_from([False, False, False, True]))
    def migrate_and_contract(self, wanted):
        if wanted:
            steps.migrate(self.operator, RELEASES, 2)
            assert steps.contract(self.operator, RELEASES)
            self.contracted = True

    def create(self, instance, title, size):
        if title in {known for known, *_ in self.instances.values()}:
            with pytest.raises(ConstraintViolated, match="UNIQUE"):
                instance.create()
        else:
            instance.create()
            assert instance.id not in self.instances
            self.instances[instance.id] = (title, size, None)

    def save(self, instance, title, size, note=...):
        number = instance.id
        if title in {known for other, (known, *_) in self.instances.items() if other != number}:
            with pytest.raises(ConstraintViolated, match="UNIQUE"):
                instance.save()
        else:
            instance.save()
            self.instances[number] = (title, size, self.instances[number][2] if note is ... else note)

    def forget(self, number):
        del self.instances[number]
        self.events = {event: value for event, value in self.events.items() if value[0] != number}

    @invariant()
    def raw_rows_are_right(self):
        """The old form has all rows, whoever wrote them."""
        if hasattr(self, "operator") and not self.contracted:
            with self.operator.connect() as connection:
                rows = connection.execute(sa.text("SELECT id, title, size FROM instances")).all()
            assert {row.id: (row.title, row.size) for row in rows} == {
                number: (title, f"{size[0]}x{size[1]}") for number, (title, size, _) in self.instances.items()
            }


def run(url, examples, steps_of_each):
    machine = type("UpgradeHere", (Upgrade,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps_of_each,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_old_and_new_process_in_memory():
    run("rome+memory://", 8, 30)


@pytest.mark.slow
def test_old_and_new_process_on_a_server(redis_server):
    run(redis_server.url("").rstrip("/"), 12, 40)
