"""The pure parts of the standard library."""

import re, json, hashlib, math, string, textwrap, statistics, base64, datetime as dt, decimal, fractions, bisect, heapq, copy, operator, struct, zlib, html, urllib.parse, ipaddress, difflib, calendar, unicodedata, binascii, hmac, uuid
from decimal import Decimal
from datetime import datetime, timedelta, date, timezone
from sostenuto import service, Persistent
WORD = re.compile('\\w+')

@service
class Standard:
    docs: Persistent[dict[str, str]] = {}
    heap: Persistent[list[tuple[int, str]]] = []
    when: Persistent[dict[str, datetime]] = {}
    price: Persistent[Decimal] = Decimal('0.00')

    def put(self, text: str):
        h = hashlib.sha256(text.encode()).hexdigest()[:8]
        self.docs[h] = text
        return (h, WORD.findall(text), re.sub('a', 'b', text), json.loads(json.dumps({'t': text, 'd': dict(self.docs)})))

    def hp(self, n: int, s: str):
        heapq.heappush(self.heap, (n, s))
        return (heapq.nsmallest(2, self.heap), self.heap)

    def bis(self, n: int):
        xs = [a for a, _ in self.heap]
        xs.sort()
        bisect.insort(xs, n)
        return (xs, math.sqrt(n), statistics.mean(xs))

    def at(self, k: str, iso: str):
        self.when[k] = datetime.fromisoformat(iso)
        self.when[k] += timedelta(days=1)
        return (self.when[k], self.when[k].strftime('%Y'), self.when[k].date(), (self.when[k] - datetime(2020, 1, 1)).days)

    def pay(self, s: str):
        self.price += Decimal(s)
        return (self.price.quantize(Decimal('0.1')), self.price)

    def cp(self):
        c = copy.deepcopy(self.heap)
        c.append((0, 'c'))
        d = copy.copy(self.docs)
        return (len(c) - len(self.heap), dict(d) == self.docs)

    def b(self):
        return (base64.b64encode(b'abc').decode(), zlib.crc32(b'abc'), struct.pack('>I', 3).hex(), urllib.parse.quote('a b'), html.escape('<'), hmac.new(b'k', b'm', 'sha256').hexdigest()[:6], str(uuid.uuid5(uuid.NAMESPACE_DNS, 'a')))

    def js(self):
        return json.dumps(self.heap)


# >>> Standard.put('a cat')
# >>> Standard.hp(3,'c')
# >>> Standard.hp(1,'a')
# >>> Standard.bis(2)
# >>> Standard.at('k','2024-01-02T03:04:05')
# >>> Standard.pay('1.25')
# >>> Standard.cp()
# >>> Standard.b()
# >>> Standard.js()
