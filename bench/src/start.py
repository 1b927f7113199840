"""One measured load of an application, in a process of its own: prints the seconds it took, and those of CPU. `bench start` runs it.

`plain FOLDER NAME…` imports the modules as CPython does that finds no compiled ones; `worker FRAME CODE` loads what a
worker is told (`init.frame`), with the folder for compiled code.
"""

import asyncio
import dataclasses
import marshal
import sys
import time

import sostenuto
from sostenuto.worker.app import App
from sostenuto.worker.code_cache import CodeCache

assert asyncio and dataclasses and sostenuto, "what every application imports is not what is measured"


def plain(folder, *names):
    """Imports the modules from source."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
    begun = now()
    for name in names:
        __import__(name)
    return begun


def worker(frame, code):
    """Loads them as a worker does when the message is there."""
    with open(frame, "rb") as file:
        data = file.read()
    _, modules, services, records, _ = marshal.loads(data[4:])[0]
    app = App(None)
    begun = now()
    app.load(modules, services, records, cache=CodeCache(code, modules))
    return begun


def now():
    """Both clocks."""
    return time.perf_counter(), time.process_time()


before = {"plain": plain, "worker": worker}[sys.argv[1]](*sys.argv[2:])
print(*[after - before for before, after in zip(before, now(), strict=True)])
