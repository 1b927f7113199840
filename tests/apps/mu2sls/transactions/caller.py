"""Transactions over services: explicit begin and commit, retries by hand, aborts of a callee."""

import logging

from compiler import decorators
from runtime.transaction_exception import TransactionException

logger = logging.getLogger(__name__)


@decorators.service
class Caller(object):
    def __init__(self):
        self.done = []  # type: Persistent[list]
        self.tries = 0  # type: Persistent[int]

    async def move(self, source, target, amount):
        retry = True
        tries = 0
        while retry:
            tries += 1
            try:
                BeginTx()
                have = SyncInvoke('Store', 'get', source)
                if have < amount:
                    AbortTx()
                SyncInvoke('Store', 'set', source, have - amount)
                SyncInvoke('Store', 'set', target, (SyncInvoke('Store', 'get', target) or 0) + amount)
                SyncInvoke('Log', 'append', [source, target, amount])
                CommitTx()
                retry = False
            except TransactionException:
                logger.info("not enough in %s", source)
                retry = tries < 2
                if not retry:
                    return ["failed", tries]
        self.done.append(f"{source}>{target}")
        return ["moved", tries]

    async def move_in_helper(self, source, target, amount):
        try:
            BeginTx()
            await self.change(source, -amount)
            await self.change(target, amount)
            if SyncInvoke('Store', 'get', source) < 0:
                raise ValueError("negative")
            CommitTx()
        except ValueError as e:
            AbortTxNoExc()
            return str(e)
        return "moved"

    async def change(self, key, amount):
        SyncInvoke('Store', 'set', key, SyncInvoke('Store', 'get', key) + amount)

    async def nested(self, keys, amount):
        """The callee begins a transaction too: it joins, and its abort is the end of this one."""
        try:
            BeginTx()
            SyncInvoke('Log', 'append', "nested")
            result = SyncInvoke('Store', 'take_all', keys, amount)
            CommitTx()
            return result
        except TransactionException:
            return "aborted"

    async def doomed(self, key, amount):
        """`AbortTxNoExc` in a joined callee dooms the whole."""
        try:
            BeginTx()
            SyncInvoke('Log', 'append', "doomed")
            answer = SyncInvoke('Store', 'try_take', key, amount)
            CommitTx()
            return answer
        except TransactionException:
            return "aborted"

    async def local(self, value):
        BeginTx()
        self.tries += value
        if value < 0:
            AbortTxNoExc()
            return [int(self.tries), "undone"]
        CommitTx()
        return [int(self.tries), "kept"]

    async def open(self):
        BeginTx()
        self.tries += 1000
        return "left open"

    def finished(self):
        return self.done
