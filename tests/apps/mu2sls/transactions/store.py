"""Callees that open transactions of their own, which join the caller's."""

from compiler import decorators
from runtime.transaction_exception import TransactionException


@decorators.service
class Store(object):
    def __init__(self):
        self.amounts = {}  # type: Persistent[dict]

    def set(self, key, value):
        self.amounts[key] = value

    def get(self, key):
        return self.amounts.get(key)

    async def take_all(self, keys, amount):
        BeginTx()
        for key in keys:
            if self.amounts[key] < amount:
                AbortTx()
            self.amounts[key] -= amount
        CommitTx()
        return "taken"

    async def try_take(self, key, amount):
        BeginTx()
        self.amounts[key] -= amount
        if self.amounts[key] < 0:
            AbortTxNoExc()
            return "short"
        CommitTx()
        return "taken"


@decorators.service
class Log(object):
    def __init__(self):
        self.entries = []  # type: Persistent[list]

    def append(self, entry):
        self.entries.append(entry)
        return len(self.entries)

    def all(self):
        return self.entries
