"""The application's services in this process: classes with durable fields, clients in the place of instances.

`Account("alice")` in user code is a client, whose methods make calls; the instance that runs a method is made here and
never seen by anyone but its own methods.
"""

import enum
import sys

from sostenuto.errors import CallError
from sostenuto.worker import codec
from sostenuto.worker.cells import DictField, Fields, ListField, ScalarField
from sostenuto.worker.operations import Call
from sostenuto.worker.views import encode_key

_SCALAR, _DICT, _LIST = 0, 1, 2


def any_lists(descriptions):
    """Has any of these services a list field?"""
    return any(kind == _LIST for _, _, _, _, fields, *_ in descriptions for _, kind, *_ in fields)


class Service:
    """A service or entity of the manifest."""

    __slots__ = ("name", "cls", "is_entity", "fields", "methods", "client", "make")

    def __init__(self, description):
        name, module, is_entity, _, fields, methods, _ = description
        self.name = name
        self.is_entity = bool(is_entity)
        self.cls = getattr(sys.modules[module], name)
        kinds = {_SCALAR: ScalarField, _DICT: DictField, _LIST: ListField}
        self.fields = Fields([kinds[kind](name, field, initial, held) for field, kind, initial, held in fields])
        #: Method name to the name that messages show.
        self.methods = {method: f"{name}.{method}" for method, *_ in methods}
        self.client = _client_class(self)

    def install(self, services, clients):
        """Puts fields and clients on the user's class and makes its constructor give clients."""
        cls = self.cls
        for name, field in self.fields.items():
            setattr(cls, name, field)
        for attribute, target in clients:
            setattr(cls, attribute, ClientAttribute(self.name, attribute, target, services))
        cls.__new__ = staticmethod(self._construct)

    def _construct(self, cls, *args, **named):
        if cls is not self.cls:
            raise TypeError(f"{cls.__name__} is derived from the service {self.name} and is no service itself")
        return self.client(*args, **named)

    def instance(self, cells, key):
        """The object whose methods run."""
        instance = object.__new__(self.cls)
        state = instance.__dict__
        state["__sostenuto_cells__"] = cells
        if key is not None:
            state["key"] = codec.decode(key)
        return instance


class ClientAttribute:
    """Descriptor of `hotel: Hotel` on a service."""

    __slots__ = ("owner", "name", "target", "services")

    def __init__(self, owner, name, target, services):
        self.owner = owner
        self.name = name
        self.target = target
        self.services = services

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return client_of(self.services, self.target)

    def __set__(self, instance, value):
        raise AttributeError(f"{self.owner}.{self.name} is the client of {self.target} and cannot be assigned")


def client_of(services, name, *key):
    """A client of the service with this name."""
    service = services.get(name)
    if service is None:
        raise CallError(f"there is no service {name}")
    return service.client(*key)


class Client:
    """What stands for another service; its methods make calls."""

    __slots__ = ("__sostenuto_key__",)

    __sostenuto_unstorable__ = "a client of a service cannot be stored; store its key"

    def __getattr__(self, name):
        raise AttributeError(f"{type(self).__name__} has no method {name!r} that can be called")

    def __repr__(self):
        key = self.__sostenuto_key__
        return f"{type(self).__name__}({'' if key is None else repr(codec.decode(key))})"

    def __eq__(self, other):
        return type(other) is type(self) and other.__sostenuto_key__ == self.__sostenuto_key__

    def __hash__(self):
        return hash((type(self), self.__sostenuto_key__))

    def __reduce_ex__(self, protocol):
        raise TypeError("a client of a service cannot be pickled")


def _client_class(service):
    """The class of a service's clients, with a method for each of its methods."""
    members = {"__slots__": (), "__init__": _entity_init(service) if service.is_entity else _service_init(service)}
    for method in service.methods:
        members[method] = _remote_method(service.name, method)
    return type(service.name, (Client,), members)


def _service_init(service):
    def __init__(self):
        self.__sostenuto_key__ = None

    __init__.__qualname__ = f"{service.name}.__init__"
    return __init__


def _entity_init(service):
    name = service.name

    def __init__(self, key, /):
        try:
            self.__sostenuto_key__ = encode_key(key)
        except codec.Unstorable as problem:
            raise TypeError(f"the key of {name}: {problem}") from None

    __init__.__qualname__ = f"{name}.__init__"
    return __init__


def _remote_method(service, method):
    def remote(self, /, *args, **named):
        return Call(service, self.__sostenuto_key__, method, args, named)

    remote.__name__ = method
    remote.__qualname__ = f"{service}.{method}"
    return remote


def install_all(descriptions, records):
    """The services by name, after the application's modules are loaded."""
    services = {}
    for description in descriptions:
        services[description[0]] = Service(description)
    for description in descriptions:
        services[description[0]].install(services, description[6])
    codec.registry.clear()
    for name, is_enum in records:
        _register(name, is_enum)
    return services


def _register(name, is_enum):
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        found = sys.modules.get(".".join(parts[:count]))
        for part in parts[count:]:
            found = getattr(found, part, None)
        if not isinstance(found, type):
            continue
        if issubclass(found, enum.Enum) if is_enum else codec.is_dataclass(found):
            codec.registry.add(name, found)
            return
