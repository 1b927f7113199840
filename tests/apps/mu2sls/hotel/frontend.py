"""Books a hotel and a flight together, with the retry loop that mu2sls programs write by hand."""

import logging
import uuid

from compiler import decorators
from runtime.transaction_exception import TransactionException


@decorators.service
class Frontend(object):
    def __init__(self):
        self.attempts = {}  # type: Persistent[dict]

    async def request(self, user_id, flight_id, hotel_id):
        order_id = str(uuid.uuid4())
        retry = True
        result = "Order Failed"
        while retry:
            try:
                BeginTx()
                (hotel_ok, flight_ok) = await self.reserve_both(user_id, flight_id, hotel_id)
                if not (hotel_ok and flight_ok):
                    AbortTx()
                CommitTx()
                retry = False
                result = "Order Successful"
            except TransactionException as e:
                logging.error(f"aborted: {e}")
                retry = False
        if result == "Order Successful":
            SyncInvoke('Order', 'place', order_id, user_id, flight_id, hotel_id)
        self.attempts[user_id] = self.attempts.get(user_id, 0) + 1
        return result

    async def reserve_both(self, user_id, flight_id, hotel_id):
        hotel = AsyncInvoke('Hotel', 'reserve_hotel', hotel_id, user_id)
        flight = AsyncInvoke('Flight', 'reserve_flight', flight_id, user_id)
        results = await WaitAll(hotel, flight)
        return results[0], results[1]

    def tries(self, user_id):
        return self.attempts.get(user_id, 0)
