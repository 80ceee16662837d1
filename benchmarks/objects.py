"""1,000 objects of 15 fields to primitives and back, compared with oslo.versionedobjects.

python -m benchmarks.objects
"""

import datetime as dt
import time

import oslo_versionedobjects.base
import oslo_versionedobjects.fields

from rome_objects import fields
from rome_objects.versioned import VersionedBase

NOW = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)
KINDS = {"Integer": (5, 7), "String": (5, "some text"), "Boolean": (3, True), "DateTime": (2, NOW)}
OBJECTS = 1000
ROUNDS = 7


def define(module):
    return {
        f"{kind}{at}": getattr(module, f"{kind}Field")() for kind, (count, _) in KINDS.items() for at in range(count)
    }


class Ours(VersionedBase):
    fields = define(fields)


@oslo_versionedobjects.base.VersionedObjectRegistry.register
class Theirs(oslo_versionedobjects.base.VersionedObject):
    fields = define(oslo_versionedobjects.fields)


def seconds(cls):
    objects = [cls(**{name: KINDS[name[:-1]][1] for name in cls.fields}) for _ in range(OBJECTS)]
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for obj in objects:
            cls.obj_from_primitive(obj.obj_to_primitive())
        best = min(best, time.process_time() - start)
    return best


def main():
    ours, theirs = seconds(Ours), seconds(Theirs)
    print(f"rome_objects           {ours * 1000:6.1f} ms")
    print(f"oslo.versionedobjects  {theirs * 1000:6.1f} ms, {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()
