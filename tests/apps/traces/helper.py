"""What the methods use."""


def deep(values):
    return inner(  # multi-line call
        values,
    )


def inner(values):
    return values["a"][5]  # too far


class Thing:
    def __init__(self, n):
        self.n = n

    @property
    def broken(self):
        return self.n.missing  # no attribute
