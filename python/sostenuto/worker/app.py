"""The loaded application and the invocations of it that this process holds."""

import gc
import sys
from types import SimpleNamespace

import sostenuto
from sostenuto.errors import CallError, InternalError
from sostenuto.worker import codec, draws, exceptions, lazy, loader, mu2sls, operations, services, standard
from sostenuto.worker.current import Signal, current
from sostenuto.worker.run import END, NOT_STORABLE, RAISED, SUSPENDED, Run

_IN_TRANSACTION = 1
_NO_JOURNAL_END = (([], []), [], [], (0, []), [], None, ([], []))


class App:
    """Runs methods of the application. `channel.fetch(run, field, key)` gets cells that were not shipped."""

    def __init__(self, channel):
        self.channel = channel
        self.services = {}
        self.suspended = {}
        self.finder = None

    def load(self, modules, descriptions, records, namespace=None, backend=None, cache=None):
        """Loads the application's modules and puts what is durable on its classes. Code is kept in `cache`."""
        names = {"__sos__": namespace or NAMESPACE}
        app_names = {name.partition(".")[0] for name, *_ in modules}
        if any(description[3] for description in descriptions):
            names.update(mu2sls.names(self.services))
            mu2sls.install_modules(app_names)
        standard.know_views()
        if services.any_lists(descriptions):
            standard.know_heaps()
        sostenuto.use(backend or BACKEND)
        lazy.install("asyncio")
        self.finder = loader.Finder(modules, names, cache)
        exceptions.app_modules.clear()
        exceptions.app_modules.update(self.finder.modules)
        self.finder.load_all()
        self.services.update(services.install_all(descriptions, records))
        gc.collect()
        gc.freeze()

    def unload(self):
        """Takes the application's modules out of the process; for tests that load several."""
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        for name in (*self.finder.modules, *self.finder.packages):
            sys.modules.pop(name, None)

    def start(self, message, shipped):
        """START: runs a method from its beginning on these cells. Returns the message that ends the step."""
        _, number, invocation, service, method, key, args, seed, flags, clock, _, journal, delivered, _ = message
        found = self.services.get(service)
        target = None if found is None else found.methods.get(method)
        if target is None:
            return self._refused(number, invocation, CallError(f"there is no method {service}.{method}"))
        self.suspended.pop(invocation, None)
        run = Run(self.channel, number, invocation, target, found.fields, seed, flags & _IN_TRANSACTION)
        current.run = run
        try:
            instance = found.instance(run.cells, key)
            positional, named = codec.decode(args)
            bound = getattr(instance, method)
        except BaseException as error:
            current.run = None
            return self._refused(number, invocation, error)
        return self._execute(run, run.execute, bound, positional, named, (clock, shipped, journal, delivered))

    def resume(self, message, shipped):
        """RESUME: goes on with a suspended invocation, on these cells."""
        _, number, invocation, clock, _, delivered = message
        run = self.suspended.pop(invocation, None)
        if run is None:
            error = InternalError("RESUME of an invocation that this worker does not hold")
            return self._refused(number, invocation, error)
        current.run = run
        return self._execute(run, run.resume, number, clock, shipped, delivered)

    def _execute(self, run, step, *args):
        try:
            message = step(*args)
            if message[0] == END and message[3] == SUSPENDED:
                self.suspended[run.invocation] = run
            return message
        except BaseException as error:
            return self._failed(run, error)
        finally:
            current.run = current.output = None
            current.live = True

    def evict(self, message):
        """EVICT: forgets a suspended invocation."""
        run = self.suspended.pop(message[1], None)
        if run is not None:
            run.evict()

    def _refused(self, number, invocation, error):
        return (END, number, invocation, RAISED, exceptions.encode(error), *_NO_JOURNAL_END)

    def _failed(self, run, error):
        """Our own machinery failed: the invocation ends with an error that can be reported, the worker goes on."""
        import traceback

        text = exceptions.clean("".join(traceback.format_exception(error)))
        told = f"{type(error).__name__}: {exceptions.message(error)}"
        wrapped = InternalError(f"the worker failed in {run.target}: {told}")
        try:
            run.evict()
        except BaseException:
            pass
        payload = exceptions.encode(wrapped, text)
        return (END, run.number, run.invocation, NOT_STORABLE, payload, *_NO_JOURNAL_END)


def _is_live():
    return current.live


NAMESPACE = SimpleNamespace(
    Signal=Signal,
    TaskGroup=operations.TaskGroup,
    create_task=operations.create_task,
    date_today=draws.date_today,
    datetime_now=draws.datetime_now,
    datetime_today=draws.datetime_today,
    datetime_utcnow=draws.datetime_utcnow,
    gather=operations.gather,
    live=_is_live,
    random=draws.RANDOM,
    secrets=draws.Secrets(),
    sleep=operations.sleep,
    time=draws.Time(),
    wait_for=operations.wait_for,
    urandom=draws.urandom,
    uuid1=draws.uuid1,
    uuid4=draws.uuid4,
)


def _class_unchanged(cls):
    return cls


BACKEND = SimpleNamespace(
    abort=operations.abort,
    client=_class_unchanged,
    entity=_class_unchanged,
    send=operations.send,
    service=_class_unchanged,
    sleep=operations.sleep,
    task=operations.task,
    transaction=operations.Transaction,
    is_worker=True,
)
