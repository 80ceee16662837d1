"""Another implementation of the objects in models.py."""

from rome_objects.memory import MemoryList, MemoryObject
from tests.adapters.objects import models


class Server(MemoryObject, models.Server, abstract=True):
    rows = {}


class ServerList(MemoryList, models.ServerList, of=Server, abstract=True):
    pass
