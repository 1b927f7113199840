"""Classes of the application that are no services."""

from sostenuto import service, Persistent

class Node:
    __slots__ = ('v', 'next')

    def __init__(self, v, next=None):
        self.v, self.next = (v, next)

    def __iter__(self):
        n = self
        while n:
            yield n.v
            n = n.next

    def __eq__(self, o):
        return isinstance(o, Node) and list(self) == list(o)

    def __repr__(self):
        return f'Node({self.v})'

class Shape:
    registry = {}

    def __init_subclass__(cls, **kw):
        Shape.registry[cls.__name__] = cls

    def area(self):
        raise NotImplementedError

class Sq(Shape):

    def __init__(self, a):
        self.a = a

    def area(self):
        return self.a ** 2

class Ci(Shape):

    def __init__(self, r):
        self.r = r

    def area(self):
        return 3 * self.r ** 2

class NotFound(LookupError):

    def __init__(self, k):
        super().__init__(f'no {k}')
        self.k = k

class Desc:

    def __get__(self, o, t=None):
        return 5

class HasDesc:
    d = Desc()

@service
class Classes:
    shapes: Persistent[dict[str, list]] = {}

    def ll(self, xs):
        n = None
        for x in reversed(xs):
            n = Node(x, n)
        return (list(n), n == n, repr(n))

    def add(self, name, kind, v):
        self.shapes[name] = [kind, v]
        return (Shape.registry[kind](v).area(), isinstance(Shape.registry[kind](v), Shape), HasDesc().d)

    def total(self):
        return sum((Shape.registry[k](v).area() for k, v in self.shapes.values()))

    def need(self, k):
        if k not in self.shapes:
            raise NotFound(k)
        return k

    def tr(self, k):
        try:
            self.need(k)
        except NotFound as e:
            return (e.k, str(e), e.args)


# >>> Classes.ll([1,2,3])
# >>> Classes.add('a','Sq',3)
# >>> Classes.add('b','Ci',1)
# >>> Classes.total()
# >>> Classes.need('z')
# >>> Classes.tr('z')
