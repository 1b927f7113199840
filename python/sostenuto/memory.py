"""Services in a plain Python process: in memory, for unit tests. Nothing here is durable, and nothing is isolated.

A service class stays a class. `Hotel()` in a test makes an instance with fresh fields, which from then on is the one
that clients of `Hotel` reach; inside a method it is a client, as `Account("alice")` is everywhere outside of tests:
for an entity there is one instance per key. Calls copy arguments and results. `reset()` forgets all instances. For a
service that is written elsewhere (`@client`) a class of the test can stand in (`stand_in`). What needs a server (waiting
for events, isolation between coroutines) is not imitated.

In strict mode, which is on unless `strict(False)` was called, what a server refuses or does differently raises
`NotStorable` where a step of a method ends: see `sostenuto.strict`.
"""

import asyncio
import contextvars
import copy
import functools
import inspect
import sys
import time
import types
import typing

from sostenuto import _PERSISTENT as PERSISTENT
from sostenuto.errors import PART_ABORTED, Aborted, CallError, NotStorable, TransactionError
from sostenuto.snapshot import Snapshot

_MARK = "__sostenuto_service__"
_ELSEWHERE = "__sostenuto_elsewhere__"
_COUNTED = "__sostenuto_counted__"
_IS_COROUTINE = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE
_INLINE = {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>"}

#: How many methods of services are being executed in this context.
_depth = contextvars.ContextVar("sostenuto_depth", default=0)
_transaction = contextvars.ContextVar("sostenuto_transaction", default=None)
#: Whose method is being executed: an instance, None outside of all, `_CALLED` if a client's call is about to begin.
_current = contextvars.ContextVar("sostenuto_current", default=None)
_CALLED = object()

#: Class to instance, and (class, key) to instance.
_services = {}
_entities = {}
#: Client to the service class that stands in for what is written elsewhere.
_stand_ins = {}

_strict = True


def _rules():
    """The module of strict mode; it needs a part of the worker, which nobody needs who only imports the library."""
    from sostenuto import strict as rules

    return rules


def strict(on=True):
    """Whether what a server would refuse raises `NotStorable` here, too; it does unless this turned it off."""
    global _strict
    _strict = on


def reset():
    """Forgets all instances, and with them all state."""
    _services.clear()
    _entities.clear()


def service(cls):
    """Makes the class a service."""
    return _prepare(cls, False)


def entity(cls):
    """Makes the class an entity."""
    return _prepare(cls, True)


def client(cls):
    """Makes the class a client of a service that is written elsewhere, which here a class may stand in for."""
    is_entity = "key" in cls.__dict__.get("__annotations__", {})
    setattr(cls, _ELSEWHERE, is_entity)
    cls.__new__ = _new_client_of_entity if is_entity else _Elsewhere
    return cls


def stand_in(client, service):
    """From now on calls of the client go to this service class: `stand_in(Accounts, FakeAccounts)`."""
    is_entity = getattr(client, _ELSEWHERE, None)
    if is_entity is None:
        raise TypeError(f"{client.__name__} is no client: only classes with @client have services that stand in for them")
    if getattr(service, _MARK, None) is not is_entity:
        kind = "an @entity" if is_entity else "a @service"
        raise TypeError(f"what stands in for {client.__name__} is {kind}, which {service.__name__} is not")
    _stand_ins[client] = service


def _new_client_of_entity(cls, key):
    return _Elsewhere(cls, key)


class _Elsewhere:
    """Calls the methods of what stands in for a service that is written elsewhere."""

    __slots__ = ("_client", "_key")

    def __init__(self, client, *key):
        self._client, self._key = client, key

    def __getattr__(self, name):
        client = self._client
        if name.startswith("_") or not inspect.isfunction(client.__dict__.get(name)):
            raise AttributeError(f"{client.__name__} has no method {name!r} that can be called")
        service = _stand_ins.get(client)
        if service is None:
            return functools.partial(_nobody_there, client, name)
        instance = _entity_instance(service, *self._key) if self._key else _service_instance(service)
        return getattr(_Client(instance), name)

    def __repr__(self):
        return f"<client of {self._client.__name__}>"


def _nobody_there(client, name, *_, **__):
    own = client.__name__
    raise CallError(
        f"{own}.{name} cannot be called here: {own} is written elsewhere, and only a server reaches it; "
        f"in a test, write a service with its methods and call sostenuto.memory.stand_in({own}, …)"
    )


def _prepare(cls, is_entity):
    setattr(cls, _MARK, is_entity)
    for base in cls.__mro__:
        if base.__module__ not in _WITHOUT_METHODS:
            _count_methods(base)
    cls.__new__ = _new_entity if is_entity else _new_service
    initialize = cls.__init__
    cls.__init__ = _without_arguments(None if initialize is object.__init__ else initialize)
    cls.__getattr__ = _late_client
    return cls


#: Modules of base classes that have no methods of a service.
_WITHOUT_METHODS = ("builtins", "abc", "typing", "typing_extensions")


def _count_methods(cls):
    for name, member in list(cls.__dict__.items()):
        if inspect.isfunction(member) and not name.startswith("__") and not hasattr(member, _COUNTED):
            method = _counted(member)
            setattr(method, _COUNTED, True)
            setattr(cls, name, method)


def _without_arguments(original):
    """`__init__` of a class whose instances are set up by `__new__`; the user's declares fields, and is kept."""

    def __init__(self, *_):
        if original is not None and "__sostenuto_ready__" not in self.__dict__:
            original(self)
        self.__dict__["__sostenuto_ready__"] = True

    return __init__


def _counted(method):
    """The method, which knows that a service is at work while it runs, and where its invocation begins and ends."""
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def run(self, /, *args, **named):
            with _Running(self, method, args, named) as running:
                return running.result(await method(self, *running.args, **running.named))
    else:

        @functools.wraps(method)
        def run(self, /, *args, **named):
            with _Running(self, method, args, named) as running:
                return running.result(method(self, *running.args, **running.named))

    return run


class _Running:
    """A method that is being executed: an invocation of its own, or a part of the one that `self.method()` stands in."""

    def __init__(self, instance, method, args, named):
        self.instance, self.method, self.args, self.named = instance, method, args, named

    def __enter__(self):
        current = _current.get()
        #: A step begins and ends here, and is looked at.
        self.is_step = _strict and (current is None or current is _CALLED)
        if self.is_step:
            # A call between services has copied them.
            if current is None:
                self.args, self.named = _copied_arguments(self.method, self.args, self.named)
            _rules().begin(self.instance, _fields(type(self.instance)))
        self.depth = _depth.set(_depth.get() + 1)
        self.current = _current.set(self.instance)
        return self

    def __exit__(self, kind, error, trace):
        _current.reset(self.current)
        _depth.reset(self.depth)
        if self.is_step:
            self._end(error)
        return False

    def _end(self, error):
        if isinstance(error, NotStorable) and getattr(error, "__sostenuto_ends__", None) is self:
            _rules().undo(self.instance)
        else:
            _rules().end(self.instance, _fields(type(self.instance)))

    def result(self, value):
        """The result as the caller gets it."""
        if not self.is_step:
            return value
        try:
            return _rules().copied(value, f"the result of {self.method.__qualname__}")
        except NotStorable as error:
            error.__sostenuto_ends__ = self
            raise


def _copied_arguments(method, args, named):
    if not _strict:
        return copy.deepcopy((args, named))
    name = method.__qualname__
    args = [_rules().copied(value, f"argument {index} of {name}") for index, value in enumerate(args)]
    return args, {key: _rules().copied(value, f"argument {key!r} of {name}") for key, value in named.items()}


def _suspend():
    """A method is going to wait: its step ends here, and the next one begins."""
    instance = _current.get()
    if _strict and instance is not None and instance is not _CALLED:
        _rules().end(instance, _fields(type(instance)))


def _new_service(cls):
    if _depth.get():
        return _Client(_service_instance(cls))
    _services[cls] = instance = _instance(cls)
    return instance


def _new_entity(cls, key):
    instance = _entity_instance(cls, key)
    return _Client(instance) if _depth.get() else instance


def _entity_instance(cls, key):
    instance = _entities.get((cls, key))
    if instance is None:
        instance = _entities[cls, key] = _instance(cls)
        instance.__dict__["key"] = key
        instance.__init__()
    return instance


def _service_instance(cls):
    instance = _services.get(cls)
    if instance is None:
        instance = _services[cls] = _instance(cls)
        instance.__init__()
    return instance


def _instance(cls):
    instance = object.__new__(cls)
    for name in _fields(cls):
        if hasattr(cls, name):
            instance.__dict__[name] = copy.deepcopy(getattr(cls, name))
    return instance


def _fields(cls):
    """Names of the annotated persistent fields."""
    for base in reversed(cls.__mro__):
        for name, annotation in base.__dict__.get("__annotations__", {}).items():
            if isinstance(annotation, str):
                if annotation.partition("[")[0].rpartition(".")[2] == "Persistent":
                    yield name
            elif PERSISTENT in getattr(annotation, "__metadata__", ()):
                yield name


def _late_client(self, name):
    """`self.hotel` of a class that declares `hotel: Hotel`."""
    for base in type(self).__mro__:
        annotation = base.__dict__.get("__annotations__", {}).get(name)
        if isinstance(annotation, str):
            annotation = _evaluate(annotation, base)
        if annotation is not None and getattr(annotation, _MARK, None) is False:
            return _Client(_service_instance(annotation))
        if getattr(annotation, _ELSEWHERE, None) is False:
            return _Elsewhere(annotation)
    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _evaluate(annotation, cls):
    try:
        return typing.get_type_hints(cls)[annotation]
    except Exception:
        return vars(sys.modules[cls.__module__]).get(annotation)


class _Client:
    """Calls the methods of an instance with copies."""

    __slots__ = ("_instance",)

    def __init__(self, instance):
        self._instance = instance

    def __getattr__(self, name):
        instance = object.__getattribute__(self, "_instance")
        method = getattr(type(instance), name, None)
        if not callable(method) or name.startswith("_"):
            raise AttributeError(f"{type(instance).__name__} has no method {name!r} that can be called")
        return functools.partial(_call, getattr(instance, name))

    def __repr__(self):
        return f"<client of {type(self._instance).__name__}>"


def _call(method, *args, **named):
    args, named = _copied_arguments(method, args, named)
    if _caller_awaits(2):
        return _call_async(method, args, named)
    _suspend()
    token = _current.set(_CALLED)
    try:
        result = method(*args, **named)
        if inspect.iscoroutine(result):
            result = _finish(result)
    finally:
        _current.reset(token)
    return result if _strict else copy.deepcopy(result)


async def _call_async(method, args, named):
    _suspend()
    await _after_what_was_sent()
    token = _current.set(_CALLED)
    try:
        result = method(*args, **named)
        if inspect.iscoroutine(result):
            result = await result
    finally:
        _current.reset(token)
    return result if _strict else copy.deepcopy(result)


def _caller_awaits(depth):
    """True if the code that made the call is in an `async def`."""
    frame = sys._getframe(depth)
    while frame is not None and frame.f_code.co_name in _INLINE:
        frame = frame.f_back
    return frame is not None and bool(frame.f_code.co_flags & _IS_COROUTINE)


def _finish(coroutine):
    """Runs a coroutine for a caller that is a plain function."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    coroutine.close()
    raise RuntimeError("an async method was called by a plain one while an event loop runs; make the caller async")


class transaction:
    """Snapshot on enter, rollback if an exception leaves the block. A nested one joins."""

    def __enter__(self):
        _suspend()
        outer = _transaction.get()
        self._own = outer is None
        self._state = _Scope() if outer is None else outer
        self._token = _transaction.set(self._state) if self._own else None
        return self

    def __exit__(self, kind, error, trace):
        scope = self._state
        if not self._own:
            scope.doomed = scope.doomed or error is not None
            return False
        _transaction.reset(self._token)
        if error is None and not scope.doomed:
            for call in scope.sends:
                _carry_out(call)
            return False
        scope.roll_back()
        if error is None:
            raise Aborted(PART_ABORTED)
        return False

    async def __aenter__(self):
        await _after_what_was_sent()
        return self.__enter__()

    async def __aexit__(self, kind, error, trace):
        return self.__exit__(kind, error, trace)


class _Scope:
    """The state of all instances when a transaction began."""

    def __init__(self):
        self.doomed = False
        #: Calls whose results nobody waits for; they happen if it commits.
        self.sends = []
        self.instances = [*_services.values(), *_entities.values()]
        self.saved = Snapshot(_rules().forget(instance.__dict__) for instance in self.instances)
        self.services, self.entities = dict(_services), dict(_entities)

    def roll_back(self):
        for call in self.sends:
            call.close()
        for instance, state in zip(self.instances, self.saved.give_back(), strict=True):
            is_in_step = _rules().KEPT in instance.__dict__
            instance.__dict__.clear()
            instance.__dict__.update(state)
            if is_in_step:
                # The next one begins here.
                _rules().begin(instance, _fields(type(instance)))
        for known, saved in ((_services, self.services), (_entities, self.entities)):
            known.clear()
            known.update(saved)


def abort(reason=None):
    """Raises `Aborted` inside a transaction."""
    if _transaction.get() is None:
        raise TransactionError("abort() outside a transaction: raise an exception of your own instead")
    raise Aborted() if reason is None else Aborted(reason)


def sleep(seconds):
    """Really sleeps."""
    if _transaction.get() is not None:
        raise TransactionError("sleep() inside a transaction would hold its locks; sleep before or after it")
    _suspend()
    if _caller_awaits(3):
        return asyncio.sleep(seconds)
    time.sleep(seconds)
    return None


def task(function, policy):
    """The function, tried again by its policy; without the pauses, so that tests are fast.

    Arguments and the result are copied. A time limit ends `async def` only.
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run(*args, **named):
            _refuse_task(function)
            return await _try_async(function, policy, args, named)
    else:

        @functools.wraps(function)
        def run(*args, **named):
            _refuse_task(function)
            if _caller_awaits(2) and not _in_task.get():
                return _try_later(function, policy, args, named)
            return _try(function, policy, args, named)

    run.__sostenuto_task__ = policy
    return run


_in_task = contextvars.ContextVar("sostenuto_in_task", default=False)


def _refuse_task(function):
    if _transaction.get() is not None:
        name = function.__qualname__
        raise TransactionError(f"the task {name} inside a transaction could run more than once; run it before or after it")


def _try(function, policy, args, named):
    token = _in_task.set(True)
    try:
        for left in range(policy.retries, -1, -1):
            copied = copy.deepcopy((args, named))
            try:
                return copy.deepcopy(function(*copied[0], **copied[1]))
            except Exception:
                if not left:
                    raise
    finally:
        _in_task.reset(token)


async def _try_later(function, policy, args, named):
    return _try(function, policy, args, named)


async def _try_async(function, policy, args, named):
    token = _in_task.set(True)
    timeout = None if policy.timeout is None else policy.timeout / 1_000_000
    try:
        for left in range(policy.retries, -1, -1):
            copied = copy.deepcopy((args, named))
            try:
                return copy.deepcopy(await asyncio.wait_for(function(*copied[0], **copied[1]), timeout))
            except Exception:
                if not left:
                    raise
    finally:
        _in_task.reset(token)


class _Done:
    def __await__(self):
        return iter(())


def send(call):
    """Carries the call out before those that the caller makes later, inside a transaction when that has committed.

    A caller that is a plain function has carried it out by then.
    """
    if inspect.iscoroutine(call):
        scope = _transaction.get()
        if scope is None:
            _carry_out(call)
        else:
            scope.sends.append(call)
    return _Done()


def _carry_out(call):
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(call)
        return
    task = loop.create_task(call)
    for tasks in (_sends, _starting):
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _after_what_was_sent():
    """Calls begin in the order of the program, also those that run beside it."""
    if _starting:
        task = asyncio.current_task()
        if task in _starting:
            _starting.discard(task)
        else:
            await _turn()


@types.coroutine
def _turn():
    """Lets the loop begin what it was given before."""
    yield


#: Calls that were sent and have not ended; those of them that have not begun.
_sends = set()
_starting = set()
