"""Accounts as entities, transfers as transactions, audits that always add up."""

import asyncio

from sostenuto import Aborted, Persistent, abort, entity, service, transaction


@entity
class Account:
    """One account; its key is the owner's name."""

    key: str
    funds: Persistent[int] = 0

    def deposit(self, amount: int) -> int:
        """Put money in and return the new balance.

        >>> Account("ada").deposit(100)
        100
        """
        if amount <= 0:
            raise ValueError("the amount must be positive")
        self.funds += amount
        return self.funds

    def withdraw(self, amount: int) -> bool:
        """Take money out; False if there is not enough."""
        if amount <= 0:
            raise ValueError("the amount must be positive")
        if self.funds < amount:
            return False
        self.funds -= amount
        return True

    async def balance(self) -> int:
        """How much there is."""
        return self.funds


@service
class Bank:
    """Moves money between accounts. Never makes or loses any."""

    names: Persistent[dict[str, str]] = {}

    def transfer(self, source: str, target: str, amount: int) -> bool:
        """Move money between two accounts; False if there is not enough."""
        try:
            with transaction():
                if not Account(source).withdraw(amount):
                    abort("insufficient funds")
                Account(target).deposit(amount)
        except Aborted:
            return False
        return True

    def open(self, name: str, source: str, amount: int) -> bool:
        """Open an account with money of another one; False if it exists or there is not enough money."""
        try:
            with transaction():
                if name in self.names:
                    abort("the account exists")
                self.names[name] = source
                if not Account(source).withdraw(amount):
                    abort("insufficient funds")
                Account(name).deposit(amount)
        except Aborted:
            return False
        return True

    async def audit(self, accounts: list[str]) -> int:
        """Sum of the balances of these accounts, at one moment."""
        async with transaction():
            balances = await asyncio.gather(*[Account(name).balance() for name in accounts])
        return sum(balances)

    async def audit_opened(self, others: list[str]) -> int:
        """Sum of the balances of all opened accounts and of the others, at one moment."""
        async with transaction():
            accounts = list(self.names) + others
            balances = await asyncio.gather(*[Account(name).balance() for name in accounts])
        return sum(balances)
