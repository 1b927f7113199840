"""A calculator, whose field is returned as it is."""

from compiler import decorators


@decorators.service
class Calculator(object):
    def __init__(self):
        self.value = 0  # type: Persistent[int]

    def add(self, x):
        self.value += x
        return self.value

    def sub(self, x):
        self.value = self.value - x
        return self.value

    def mul(self, x):
        self.value *= x
        return self.value

    def negate(self):
        self.value = -self.value
        return self.value

    def div(self, x):
        assert x != 0, "division by zero"
        self.value = self.value / x
        return self.value

    def get(self):
        return self.value
