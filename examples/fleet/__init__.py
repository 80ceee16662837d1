"""A small cloud in two releases, upgraded from one to the other while customers use it.

    python -m examples.fleet            or scripts/fleet, which makes a virtual environment first

The program of the cloud, which both releases share:

    api          HTTP for customers, with an OpenAPI document
    scheduler    chooses a host for each instance
    compute      builds instances on one host; driver is what executes
    services     the rows in which its processes report
    objects      what the objects of both releases have in common
    surely       calls that are repeated after a process was killed
    options      the options of its processes

A release has models, objects and a revision script. `v2` splits the column `size` in two, moves the table `events` to
`actions`, and renames the field `title`:

    v1, v2       models.py, objects.py, migrations/

The demonstration:

    customers    clients that check every answer
    cloud        the processes, started, replaced and killed
    wire         the versions of objects in the messages
    story        what happens, in order
"""
