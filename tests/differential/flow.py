"""How control flows and what suspends: the rows of the catalogue that are no operations on one value.

The templates are those of `catalogue`; besides, `{body}` stands for statements, `{aw}` is `await` in an `async def` and
nothing in a `def`, and a `*` at the end of a name wants an `async def`. The names that they use are in `application`.
"""

#: Statements with bodies: `{body}` is filled with other statements.
CONTROL = r"""
if | if {cond}:\n    {body}
if.else | if {cond}:\n    {body}\nelse:\n    {body}
if.elif | if {cond}:\n    {body}\nelif {cond}:\n    {body}\nelse:\n    {body}
for.range | for {a} in range({n}):\n    {body}
for.else | for {a} in range(3):\n    if {a} == {n}:\n        break\n    {body}\nelse:\n    out.append("no break")
for.continue | for {a} in range(3):\n    if {a} == {n}:\n        continue\n    {body}
while | {a} = 0\nwhile {a} < {n}:\n    {a} += 1\n    {body}
while.else | {a} = 3\nwhile {a} := {a} - 1:\n    if {cond}:\n        break\n    {body}\nelse:\n    out.append("done")
try.except | try:\n    {body}\nexcept (KeyError, IndexError) as error:\n    out.append(show(error.args))\nexcept Exception as error:\n    out.append(type(error).__name__)
try.else | try:\n    {body}\nexcept Exception as error:\n    out.append(told(error))\nelse:\n    {body}
try.finally | try:\n    {body}\nfinally:\n    out.append("finally")
try.finally.body | try:\n    try:\n        {body}\n    finally:\n        {body}\nexcept Exception as error:\n    out.append(told(error))
try.reraise | try:\n    try:\n        {body}\n    except Exception as error:\n        raise Oops("again", str(error)) from error\nexcept Oops as error:\n    out.append(told(error))\n    out.append(told(error.__cause__))
try.bare | try:\n    {body}\nexcept:\n    out.append("anything")
try.return | def {a}():\n    try:\n        return 1\n    finally:\n        out.append("left")\nout.append(show({a}()))
raise.own | try:\n    {body}\n    raise Oops({int}, {str})\nexcept Oops as error:\n    out.append(show(error.args))
raise.uncaught | if {cond}:\n    raise Oops("uncaught", {int})
assert | assert {cond}, {str}
with | with noted(out, {str}):\n    {body}
with.suppress | with contextlib.suppress(KeyError, IndexError):\n    {body}
nested.def | def {a}(one, two=2, *rest, three=3, **more):\n    return show((one, two, rest, three, more))\nout.append({a}(1))\nout.append({a}(1, 2, 3, three=4, five=5))
nested.nonlocal | {a} = 0\ndef {b}():\n    nonlocal {a}\n    {a} += 1\n    return {a}\n{b}()\nout.append(show({b}()))
recursion | def {a}(depth):\n    return [] if depth == 0 else [depth, *{a}(depth - 1)]\nout.append(show({a}({n})))
generator | def {a}():\n    for each in range(3):\n        yield each\n        out.append(show(each))\nout.append(show(list({a}())))
generator.send | def {a}():\n    got = yield 1\n    yield got\n{b} = {a}()\nout.append(show((next({b}), {b}.send(7))))
generator.from | def {a}():\n    yield from [1, 2]\n    return 3\nout.append(show([*{a}()]))
lambda.default | {a} = [lambda each=each: each for each in range(3)]\nout.append(show([call() for call in {a}]))
global.constant | out.append(show((LIMIT, NAMES[{n}], TABLE["a"])))
method.helper | out.append(show(self._next()))
method.order | out.append(show((self._next(), self._next() - self._next())))
method.static | out.append(show(self._double({int})))
method.property | out.append(show(self._ahead))
inherit.method | out.append(show(self._rank({int})))
inherit.hook | out.append(self._climb())
inherit.property | out.append(show(self._rung))
inherit.constant | out.append(show(self.LEVEL))
key.parameter | out.append(show((self.counts.get(k), self.lists.get(k, "none"))))
key.str | self.counts[str(a)] = {int}\nout.append(show(self.counts))
key.fstring | self.lists.setdefault(f"{ k}-{ a}", []).append({int})\nout.append(show(self.lists))
key.plus | self.counts[k + "!"] = self.counts.get(k + "!", 0) + 1\nout.append(show(self.counts))
key.tuple | self._pairs[a, k] = self._pairs.get((a, k), 0) + 1\nout.append(show(self._pairs))
key.item | self.counts[p["name"]] = self.counts.get(str(p["id"]), {int})
key.part | out.append(show([self.counts.get(line["sku"]) for line in p["lines"]]))
key.each | for {a} in items:\n    self.counts[str({a})] = {a}\nout.append(show(self.counts))
key.each.read | out.append(show([self.counts.get(f"n{each}", 0) for each in items]))
key.each.part | for {a} in p["lines"]:\n    self.counts[{a}["sku"]] = self.counts.get({a}["sku"], 0) + 1
key.each.tuple | for {a} in items:\n    self._pairs[{a}, k] = {int}\nout.append(show(list(self._pairs)))
key.assigned | {a} = f"{ k}/{p['id']}"\nself.lists[{a}] = [{int}]\nout.append(show(self.lists.pop({a})))
key.index | out.append(show(self.nums[a] if 0 <= a < len(self.nums) else None))
key.helper | self._held(k + str(a)).append({int})
method.alias | {a} = self._held({str})\n{a}.append({int})\nout.append(show(self.lists))
function.default | out.append(show(defaulted({int})))
return.field | if {cond}:\n    return {field}
return.early | if {cond}:\n    return out
del.local | {a} = {int}\ndel {a}\ntry:\n    out.append(show({a}))\nexcept NameError as error:\n    out.append(type(error).__name__)
walrus | if ({a} := {int}) > 1:\n    out.append(show({a}))
fstring.nested | out.append(f"{f'{self._ticks:>{5}}'!r:<{{n} + 9}}|{self._ticks + 1=}")
print | print("printed", {int})
pass | pass
"""

#: What suspends: `{aw}` is `await` in an `async def` and nothing in a `def`; a `*` in the name wants `async def`.
CALLS = r"""
call | ?{aw}self.other.add({int})
call.named | ?{aw}self.other.add(x={int})
call.default | ?{aw}self.other.add()
call.copies | {a} = [{int}]\n{b} = {aw}self.other.changed({a})\nout.append(show(({a}, {b})))
call.echo | ?{aw}self.other.echo({any})
call.result | {a} = {aw}self.other.table_copy()\n{a}["new"] = []\nout.append(show({a}))
call.fails | try:\n    {aw}self.other.fail({n})\nexcept Exception as error:\n    out.append(told(error))
call.fails.own | try:\n    {aw}self.other.fail(3)\nexcept Oops as error:\n    out.append(show(error.args))
call.fails.uncaught | if {cond}:\n    {aw}self.other.fail({n})
call.finally | try:\n    {aw}self.other.add({int})\nfinally:\n    out.append(show({aw}self.other.add(1)))
call.slow | ?{aw}self.other.slow({int})
call.back | ?{aw}self.other.back({int})
call.entity | ?{aw}Item{number}({str}).add({int})
call.entity.variable | {a} = Item{number}({str})\nout.append(show({aw}{a}.add({int})))\nout.append(show({aw}{a}.add({int})))
call.entity.key | ?{aw}Item{number}({str}).name()
call.nested | ?{aw}self.other.add({aw}self.other.add({int}))
call.order | ?({aw}self.other.add(1), tick(out, self._next()), {aw}self.other.add(2))
call.comprehension | ?[{aw}self.other.add(each) for each in range({n})]
call.condition | if {aw}self.other.add({int}) % 2:\n    {body}\nelse:\n    out.append("even")
call.while | {a} = 0\nwhile {aw}self.other.add(1) % 3:\n    {a} += 1\nout.append(show({a}))
call.for | for {a} in range({n}):\n    out.append(show({aw}self.other.add({a})))
call.for.break | for {a} in range(3):\n    if {aw}self.other.add(1) % 2:\n        break\nelse:\n    out.append("all")
call.boolean | ?({cond}) and {aw}self.other.add({int})
call.ternary | ?{aw}self.other.add(1) if {cond} else {aw}self.other.add(2)
call.fstring | out.append(f"<{{aw}self.other.add({int})}>")
call.walrus | if ({a} := {aw}self.other.add({int})) > 0:\n    out.append(show({a}))
call.match | match {aw}self.other.add({int}):\n    case 0:\n        out.append("zero")\n    case {a}:\n        out.append(show({a}))
call.tuple | {a}, {b} = {aw}self.other.add(1), {aw}self.other.add(2)\nout.append(show(({a}, {b})))
call.lambda.key | out.append(show(sorted({aw}self.other.echo([3, 1, 2]), key=lambda each: -each)))
call.aug | self._ticks += {aw}self.other.add({int})
call.aug.back | self._ticks += {aw}self.other.back({int})
call.aug.item | {intdict}["a"] = {aw}self.other.add({int})
call.store | {listdict}[{str}] = {aw}self.other.changed([{int}])
call.setitem.order | {intdict}[tick(out, {str})] = {aw}self.other.add({int})
call.argument | push([], {aw}self.other.add({int}))
call.star | ?gathered(*{aw}self.other.echo([1, 2]))
call.helper* | ?{aw}self._work({int})
call.helper.function* | ?{aw}worked(self.other, {int})
call.assert | assert {aw}self.other.add(1) is not None
call.return | if {cond}:\n    return {aw}self.other.add({int})
call.client | {a} = self.other\nout.append(show({aw}{a}.add({int})))
call.iterate | for {a} in {aw}self.other.echo([1, 2]):\n    out.append(show({a}))
inherit.super | ?{super}
inherit.relay* | ?await self._relay({int})
inherit.ask | ?self._ask({int})
inherit.ask.twice | ?(self._ask({int}), self._rank(1), self._ask({n}))
inherit.gather* | ?await asyncio.gather(self._relay(1), self.other.add({n}))
call.entity.inherited | ?{aw}Item{number}({str}).mark({str}, {int})
key.entity | ?{aw}Item{number}(k).add(a)
key.entity.fstring | ?{aw}Item{number}(f"{ k}{ a}").add({n})
key.entity.int | ?{aw}Ledger{number}(a).book({int})
key.entity.each | for {a} in p["lines"]:\n    out.append(show({aw}Item{number}({a}["sku"]).add(1)))
key.after | {a} = {aw}self.other.echo(k)\nself.counts[{a} + str(a)] = {int}\nout.append(show(self.counts))
create* | {a} = asyncio.create_task(self.other.add({int}))\nout.append(show(await {a}))
create.named* | {a} = asyncio.create_task(self._work({n}), name="work")\nout.append(show((await {a}, {a}.done(), {a}.result())))
create.two* | {a} = asyncio.create_task(self._work(1))\n{b} = asyncio.create_task(self.other.add(2))\nout.append(show((await {b}, await {a})))
create.between* | {a} = asyncio.create_task(self._work({n}))\nout.append(show(({a}.done(), self.n)))\nself.n += 1\nout.append(show((await {a}, {a}.done(), self.n)))
create.beside* | {a} = asyncio.create_task(self._work({n}))\nout.append(show(await Item{number}("a").add(1)))\nself.n += 1\nout.append(show((await {a}, self.n)))
create.fails* | {a} = asyncio.create_task(self.other.fail({n}))\ntry:\n    await {a}\nexcept Exception as error:\n    out.append(told(error))\nout.append(show(({a}.done(), {a}.cancelled(), told({a}.exception()))))
create.first* | {a} = asyncio.create_task(self.other.add({n}))\nout.append(show((await self.other.add(2), await {a})))
gather.first* | {a} = asyncio.gather(self.other.add({n}), self.other.add(1))\nout.append(show((await self.other.add(2), await {a})))
create.list* | {a} = [asyncio.create_task(self.other.add(each)) for each in range({n})]\nout.append(show([await each for each in {a}]))
create.gather* | {a} = asyncio.create_task(self._work(1))\nout.append(show(await asyncio.gather({a}, self.other.add(2))))
create.twice* | {a} = asyncio.create_task(self.other.add({n}))\nout.append(show((await {a}, await {a})))
create.wait_for* | {a} = asyncio.create_task(self.other.add({n}))\nout.append(show(await asyncio.wait_for({a}, 60)))
create.cancel* | {a} = asyncio.create_task(self._patient(out, 60))\nawait self.other.add(1)\n{a}.cancel()\ntry:\n    await {a}\nexcept asyncio.CancelledError:\n    out.append(show(({a}.cancelled(), self.nums)))
create.sleep* | {a} = asyncio.create_task(asyncio.sleep(0.001, {n}))\nout.append(show((await self.other.add(1), await {a})))
create.task* | {a} = asyncio.create_task(outside({n}, []))\nout.append(show((await self.other.add(1), await {a})))
create.entity* | {a} = asyncio.create_task(Item{number}({str}).add({int}))\nout.append(show((self._next(), await {a})))
create.draws* | {a} = asyncio.create_task(self._drawing(1))\nout.append(show((await self._drawing(2), await {a})))
borrowed.create* | {a} = self._boxes.setdefault("entry", [])\n{b} = asyncio.create_task(self._work(1))\nawait {b}\n{a}.append({int})\nout.append(show(self._boxes))
create.transaction* | async with transaction():\n    {a} = asyncio.create_task(self.other.add(1))\n    out.append(show((self.n, await {a})))
create.late* | {a} = asyncio.create_task(self._work({n}))\nfor {b} in range(2):\n    await self.other.add(1)\nout.append(show(({a}.done(), await {a})))
group* | async with asyncio.TaskGroup() as {a}:\n    {b} = {a}.create_task(self.other.add(1))\n    {c} = {a}.create_task(self._work({n}))\nout.append(show(({b}.result(), {c}.result())))
group.empty* | async with asyncio.TaskGroup():\n    self._ticks += 1
group.loop* | async with asyncio.TaskGroup() as {a}:\n    {b} = [{a}.create_task(Item{number}(each).add(1)) for each in ("a", "b")]\n    out.append("made")\nout.append(show([each.result() for each in {b}]))
group.body* | async with asyncio.TaskGroup() as {a}:\n    {b} = {a}.create_task(self._work(1))\n    out.append(show(await Item{number}("a").add(1)))\n    self.n += 1\nout.append(show(({b}.result(), self.n)))
group.fails* | try:\n    async with asyncio.TaskGroup() as {a}:\n        {a}.create_task(self.other.fail({n}))\nexcept ExceptionGroup as error:\n    out.append(show([told(each) for each in error.exceptions]))
group.fails.star* | try:\n    async with asyncio.TaskGroup() as {a}:\n        {a}.create_task(self.other.fail({n}))\n        {a}.create_task(Item{number}("a").add(1))\nexcept* (ValueError, KeyError) as error:\n    out.append(show([told(each) for each in error.exceptions]))\nexcept* Exception as error:\n    out.append(show(len(error.exceptions)))
group.cancels* | try:\n    async with asyncio.TaskGroup() as {a}:\n        {a}.create_task(self._patient(out, 60))\n        await self.other.add(1)\n        raise Oops("group")\nexcept ExceptionGroup as error:\n    out.append(show(([told(each) for each in error.exceptions], self.nums)))
group.cancels.sibling* | try:\n    async with asyncio.TaskGroup() as {a}:\n        {b} = {a}.create_task(self._patient(out, 60))\n        {a}.create_task(self.other.fail(0))\nexcept ExceptionGroup as error:\n    out.append(show(([told(each) for each in error.exceptions], {b}.cancelled(), self.nums)))
group.nested* | async with asyncio.TaskGroup() as {a}:\n    {a}.create_task(self.other.add(1))\n    async with asyncio.TaskGroup() as {b}:\n        {c} = {b}.create_task(Item{number}("b").add({n}))\n    out.append(show({c}.result()))
group.transaction* | async with transaction():\n    async with asyncio.TaskGroup() as {a}:\n        {b} = {a}.create_task(self.other.add(1))\n        {a}.create_task(Item{number}("a").add(1))\n    out.append(show({b}.result()))
borrowed.iterating | for {a} in self._board:\n    out.append(show({a}))\n    {aw}self.other.add(1)
borrowed.iterating.items | for {a}, {b} in self._board.items():\n    out.append(show(({a}, {aw}self.other.add({b}))))
borrowed.iterating.list | for {a} in self._row:\n    if len(self._row) < 8:\n        {aw}self.other.back({a})
borrowed.changing | for {a} in self._board:\n    self._board[{a}] = {aw}self.other.add(1)
borrowed.inserting | try:\n    for {a} in self._board:\n        {aw}self.other.back(1)\n        self._board[{str}] = 1\nexcept RuntimeError as error:\n    out.append(told(error))
borrowed.deleting | for {a} in list(self._board):\n    {aw}self.other.back(1)\n    self._board.pop({a}, None)\nself._board["a"] = 1
borrowed.view | {a} = self._board\n{aw}self.other.back({int})\n{a}["view"] = len({a})\nout.append(show(self._board))
borrowed.values | {a} = self._board.values()\n{aw}self.other.back(1)\nout.append(show(list({a})))
borrowed.entry | {a} = self._boxes.setdefault("entry", [])\n{aw}self.other.add(1)\n{a}.append({int})\nout.append(show(self._boxes))
borrowed.gone | {a} = self._boxes.setdefault("gone", [1])\n{aw}self.other.add(1)\nself._boxes.pop("gone", None)\n{aw}self.other.add(1)\n{a}.append(2)\nout.append(show(({a}, "gone" in self._boxes)))
borrowed.replaced | {a} = [1]\nself._boxes["again"] = {a}\n{aw}self.other.add(1)\n{a}.append(2)\nself._boxes["again"] = [3]\n{a}.append(4)\n{aw}self.other.add(1)\n{a}.append(5)\nout.append(show(({a}, self._boxes.get("again"))))
borrowed.closure | {a} = self._row\n{b} = lambda: len({a})\n{aw}self.other.back(1)\nout.append(show({b}()))
borrowed.iterator | {a} = iter(self._row)\n{b} = next({a}, 0)\n{aw}self.other.back(1)\nout.append(show([{b}, *{a}]))
borrowed.inside | {a} = (self._row, [1])\n{aw}self.other.back(1)\n{a}[0].append(5)\nout.append(show(({a}, self._row)))
borrowed.slice | {a} = self._row\n{aw}self.other.back(1)\n{a}[:1] = [{int}, {int}]\ndel {a}[4:]\nout.append(show(self._row))
borrowed.two | {a}, {b} = self._row, self._row\n{aw}self.other.back(1)\n{a}.append(6)\nout.append(show(({a} is {b}, {b})))
call.between | {intdict}["a"] = 1\n{aw}self.other.back(1)\n{intdict}["a"] += 1\nout.append(show({intdict}))
call.between.list | {intlist}.append(1)\n{aw}self.other.back(1)\n{intlist}.append(2)\nout.append(show({intlist}))
borrowed.alias | {a} = self._row\n{aw}self.other.add(1)\n{a}.append(3)\nout.append(show(self._row))
borrowed.back | {a} = self._row\n{aw}self.other.back(1)\nout.append(show({a}))
borrowed.aug | self._row[0] += {aw}self.other.add(1)
borrowed.append | self._row.append({aw}self.other.add(1))
borrowed.dict | {a} = self._board\n{aw}self.other.add(1)\nout.append(show({a}))
call.entity.back | {a} = Item{number}({str})\nout.append(show({aw}{a}.around("a", {int})))
call.entity.self | ?{aw}Item{number}("a").around("a", {int})
call.entity.passes | ?{aw}Item{number}({str}).pass_on({str}, {int})
call.entity.service | ?{aw}Item{number}({str}).counted({int})
call.entity.int | ?{aw}Ledger{number}({n}).book({int})
call.entity.int.passes | ?{aw}Ledger{number}({n}).move(2**40, {int})
call.entity.uuid | ?{aw}Desk{number}(UUID(int={n})).sit({str})
call.entity.each | ?[{aw}Item{number}(each).add(1) for each in ("a", "b", "a")]
call.keyword.order | ?({aw}self.other.echo(value=tick(out, self._next())), {aw}self.other.add(x=tick(out, self._next())))
call.conditional.default | ?({aw}self.other.add({int})) or {int}
call.not | ?not {aw}self.other.add({int})
call.compare | ?{aw}self.other.add(1) < {aw}self.other.add({int}) < 9
call.slice | ?({aw}self.other.echo([1, 2, 3]))[{aw}self.other.add(0) % 2:]
call.attribute | ?({aw}self.other.echo(Point(3))).x
call.with | with noted(out, "w"):\n    {aw}self.other.add({int})
call.try.else | try:\n    {aw}self.other.fail({n})\nexcept KeyError:\n    out.append("key")\nexcept Exception:\n    out.append(show({aw}self.other.add(1)))\nelse:\n    out.append("no")
call.raise.after | {listdict}["r"] = [1]\nif {aw}self.other.add({int}) % 3 == 0:\n    raise Oops("after a call")
call.unpack | {a}, *{b} = {aw}self.other.echo([1, 2, 3])\nout.append(show(({a}, {b})))
call.dict | ?{"first": {aw}self.other.add(1), {aw}self.other.echo("k"): 2}
call.assign.attribute | {a} = Point()\n{a}.x = {aw}self.other.add({int})\nout.append(show({a}))
call.del | {intdict}["gone"] = 1\n{aw}self.other.add(1)\ndel {intdict}["gone"]\nout.append("gone" in {intdict})
call.read.after | {aw}self.other.back({int})\nout.append(show((self.n, {intdict}, {intlist})))
send | send(self.other.post({int}))
send.sink | send(self.sink.post({int}))
send.named | send(self.other.post({int}, text={str}))
send.before | send(self.other.post({int}))\nout.append(show({aw}self.other.add(1)))
send.after | {aw}self.other.add(1)\nsend(self.other.post({int}))
send.loop | for {a} in range({n}):\n    send(self.other.post({a}))
send.awaited* | await send(self.other.post({int}))
send.entity | send(Item{number}({str}).post({int}))
task | ?{aw}outside({int}, [1])
task.copies | {a} = [{int}]\n{b} = {aw}outside(1, {a})\nout.append(show(({a}, {b})))
task.fails | try:\n    out.append(show({aw}outside_fails({n})))\nexcept Exception as error:\n    out.append(told(error))
task.async* | ?await outside_slowly({int})
task.argument | ?{aw}outside({aw}self.other.add(1), {aw}outside(2, []))
task.field | {listdict}[{str}] = {aw}outside(self._ticks, [])
task.gather* | ?await asyncio.gather(outside(1, []), self.other.add(2), outside(3, [4]))
sleep* | await asyncio.sleep(0)
sleep.own | {aw}sleep(0)
sleep.result* | ?await asyncio.sleep(0.001, {int})
sleep.between | self._ticks += 1\n{aw}sleep(0)\nself._ticks *= 2\nout.append(show(self._ticks))
wait_for* | ?await asyncio.wait_for(self.other.add({n}), 60)
wait_for.forever* | ?await asyncio.wait_for(self.other.slow({n}), None)
wait_for.named* | ?await asyncio.wait_for(self.other.echo({any}), timeout=60)
wait_for.fails* | try:\n    await asyncio.wait_for(self.other.fail({n}), 60)\nexcept Exception as error:\n    out.append(told(error))
wait_for.late* | try:\n    await asyncio.wait_for(asyncio.sleep(0.05), 0.001)\nexcept TimeoutError:\n    out.append("late")
wait_for.in.time* | ?await asyncio.wait_for(asyncio.sleep(0.001, {n}), 60)
wait_for.helper* | ?await asyncio.wait_for(self._work({n}), 60)
wait_for.cancels* | try:\n    out.append(await asyncio.wait_for(self._patient(out, 60), 0.001))\nexcept TimeoutError:\n    {a} = await self.other.add(1)\n    out.append(show((self.nums, {a})))
wait_for.task* | ?await asyncio.wait_for(outside({n}, []), 60)
wait_for.gather* | ?await asyncio.wait_for(asyncio.gather(self.other.add(1), self.other.add(2)), 60)
wait_for.loop* | for {a} in range({n}):\n    try:\n        await asyncio.wait_for(sleep(0.05 if {a} else 0), 0.001 if {a} else 60)\n        out.append("slept")\n    except asyncio.TimeoutError:\n        out.append("late")
gather* | ?await asyncio.gather(self.other.add(1), self.other.add(x={n}))
gather.star* | ?await asyncio.gather(*[self.other.add(each) for each in range({n})])
gather.entities* | ?await asyncio.gather(Item{number}("a").add(1), Item{number}("b").add(2))
gather.exceptions* | ?[told(each) for each in await asyncio.gather(self.other.add(1), self.other.fail(0), return_exceptions=True)]
gather.fails* | try:\n    await asyncio.gather(self.other.fail(1), self.other.add(1))\nexcept Exception as error:\n    out.append(told(error))
gather.helper* | ?await asyncio.gather(self._work(1), self.other.add(1))
gather.helpers* | ?await asyncio.gather(self._work(1), self._work({n}), self._work({n}))
gather.nested* | ?await asyncio.gather(asyncio.gather(self.other.add(1), self.other.add(2)), self.other.add(3))
gather.empty* | ?await asyncio.gather()
gather.unpack* | {a}, *{b} = await asyncio.gather(self.other.add(1), self.other.echo({n}), Item{number}("a").name())\nout.append(show(({a}, {b})))
gather.list* | {a} = []\nfor {b} in range({n}):\n    {a}.append(self.other.add({b}))\nout.append(show(await asyncio.gather(*{a})))
gather.raises* | try:\n    await asyncio.gather(self.other.add(1), self.other.fail({n}), self.other.fail(0))\nexcept (KeyError, IndexError, ValueError) as error:\n    out.append(told(error))
gather.results* | {a} = await asyncio.gather(self.other.fail({n}), self._work(1), self.other.add(1), return_exceptions=True)\nout.append(show([told(each) for each in {a}]))
gather.draws* | ?await asyncio.gather(self._drawing(1), self._drawing(2))
gather.sleep* | ?await asyncio.gather(asyncio.sleep(0.001, "slept"), self.other.add(1))
transaction* | async with transaction():\n    {body}\n    out.append(show(await self.other.add(1)))
transaction.abort* | try:\n    async with transaction():\n        {body}\n        await self.other.add(5)\n        abort({str})\nexcept Aborted as error:\n    out.append(show(error.args))
transaction.raise* | try:\n    async with transaction():\n        await self.other.add(5)\n        {body}\n        raise Oops("rolled back")\nexcept Oops as error:\n    out.append(show(error.args))
transaction.child* | try:\n    async with transaction():\n        await self.other.fail({n})\nexcept Exception as error:\n    out.append(told(error))
transaction.caught* | async with transaction():\n    try:\n        await self.other.fail({n})\n    except Exception as error:\n        out.append(told(error))
transaction.plain* | async with transaction():\n    {body}
transaction.empty* | async with transaction():\n    pass
transaction.two* | async with transaction():\n    await self.other.add(1)\nasync with transaction():\n    out.append(show(await self.other.add(1)))
transaction.abort.write* | try:\n    async with transaction():\n        {listdict}["doomed"] = [1]\n        self.n += 7\n        {body}\n        abort()\nexcept Aborted as error:\n    out.append(show((error.args, self.n, "doomed" in {listdict})))
transaction.abort.caught* | async with transaction():\n    await self.other.add(1)\n    try:\n        abort("inside")\n    except Aborted as error:\n        out.append(show(error.args))
transaction.abort.if* | try:\n    async with transaction():\n        {body}\n        if await self.other.add({int}) % 2:\n            abort({str})\n        out.append("kept")\nexcept Aborted as error:\n    out.append(told(error))
transaction.abort.entity* | try:\n    async with transaction():\n        out.append(show(await Item{number}({str}).around("b", {int})))\n        await Ledger{number}(1).book({int})\n        if {cond}:\n            abort("entities")\nexcept Aborted as error:\n    out.append(show((error.args, await Item{number}("b").name())))
transaction.abort.held* | {a} = self._row\ntry:\n    async with transaction():\n        {a}.append(7)\n        await self.other.back(1)\n        abort("held")\nexcept Aborted:\n    {a}.append(8)\nout.append(show(({a}, self._row)))
transaction.abort.held.entry* | {a} = self._boxes.setdefault("held", [1])\ntry:\n    async with transaction():\n        {a}.append(2)\n        await self.other.add(1)\n        {a}.append(3)\n        abort("held")\nexcept Aborted:\n    {a}.append(4)\nout.append(show(({a}, self._boxes["held"])))
transaction.abort.held.new* | {a} = [1]\ntry:\n    async with transaction():\n        self._boxes["young"] = {a}\n        {a}.append(2)\n        if {cond}:\n            await self.other.add(1)\n        {a}.append(3)\n        abort("held")\nexcept Aborted:\n    {a}.append(4)\nout.append(show(({a}, self._boxes.get("young"))))
transaction.abort.plain | try:\n    abort({str})\nexcept Exception as error:\n    out.append(told(error))
transaction.joined* | async with transaction():\n    async with transaction():\n        {body}\n        await self.other.add(1)\n    out.append(show(await self.other.add(1)))
transaction.joined.doomed* | try:\n    async with transaction():\n        try:\n            async with transaction():\n                {body}\n                raise Oops("joined")\n        except Oops:\n            out.append("caught")\n        out.append(show(await self.other.add(1)))\nexcept Aborted as error:\n    out.append(show(error.args))
transaction.joined.abort* | try:\n    async with transaction():\n        async with transaction():\n            await self.other.add(3)\n            abort({str})\nexcept Aborted as error:\n    out.append(show(error.args))
transaction.callee* | try:\n    out.append(show(await self.other.whole({n})))\nexcept Aborted as error:\n    out.append(show((error.args, self.n)))
transaction.callee.joined* | try:\n    async with transaction():\n        self.n += 1\n        out.append(show(await self.other.whole({n})))\nexcept Aborted as error:\n    out.append(show((error.args, self.n)))
transaction.callee.doomed* | try:\n    async with transaction():\n        self.n += 1\n        try:\n            await self.other.half({n})\n        except Oops as error:\n            out.append(told(error))\nexcept Aborted as error:\n    out.append(show((error.args, self.n)))
transaction.callee.raises* | try:\n    out.append(show(await self.other.half({n})))\nexcept Oops as error:\n    out.append(told(error))
transaction.back* | try:\n    async with transaction():\n        await self.other.back({int})\n        out.append(show((self.n, {intlist}, {intdict})))\n        if {cond}:\n            abort("back")\nexcept Aborted as error:\n    out.append(show((error.args, self.n)))
transaction.gather* | async with transaction():\n    out.append(show(await asyncio.gather(self.other.add(1), Item{number}("a").add(1))))
transaction.gather.abort* | try:\n    async with transaction():\n        out.append(show(await asyncio.gather(self.other.add(1), Item{number}("a").add(1))))\n        abort("both")\nexcept Aborted:\n    out.append(show(await Item{number}("a").name()))
transaction.send* | async with transaction():\n    send(self.other.post({int}))\n    out.append(show(await self.other.add(1)))
transaction.send.abort* | try:\n    async with transaction():\n        await self.other.add(1)\n        send(self.other.post({int}))\n        abort("not sent")\nexcept Aborted:\n    out.append(show(await self.other.add(1)))
transaction.draw* | async with transaction():\n    out.append(show(self._draw(uuid4())))\n    await self.other.add(1)\n    out.append(show(self._draw(random.random())))
transaction.loop* | for {a} in range({n}):\n    async with transaction():\n        await self.other.add({a})\n        if {cond}:\n            break
transaction.finally* | try:\n    async with transaction():\n        try:\n            {body}\n            abort("finally")\n        finally:\n            await self.other.add(1)\nexcept Aborted:\n    out.append(show(self.n))
transaction.refused* | try:\n    async with transaction():\n        await self.other.slow(1)\nexcept Exception as error:\n    out.append(type(error).__name__)
"""

#: Draws: expressions, each with how it is imported. What they give differs from plain Python's, their kind does not.
DRAWS = r"""
uuid4 | uuid.uuid4()
uuid4.from | uuid4()
uuid4.as | fresh()
uuid4.module.as | ids.uuid4()
random | random.random()
random.module.as | dice.random()
randint | random.randint(1, 10**9)
randint.as | rolled(1, 6)
randrange | dice.randrange(10**6)
getrandbits | random.getrandbits(64)
uniform | random.uniform(1.5, 2.5)
gauss | random.gauss(0, 1)
choice | random.choice(["a", "b", "c"])
choice.from | choice((1, 2, 3))
choices | random.choices("abc", k=4)
sample | random.sample(range(100), 3)
shuffle | (lambda held: (random.shuffle(held), held)[1])([1, 2, 3, 4])
randbytes | random.randbytes(5)
urandom | os.urandom(8)
urandom.from | urandom(3)
token | secrets.token_hex(8)
token.from | token_hex(4)
token_bytes | secrets.token_bytes(6)
randbelow | secrets.randbelow(1000)
seeded | random.Random(5).random()
default.factory | Ticket()
default.argument | drawn_by_default()
helper | drawn_here()
lambda | (lambda: random.random())()
reference | (lambda make: make())(uuid.uuid4)
sort.key | sorted([3, 1, 2], key=lambda each: random.random())
comprehension | [random.random() for _ in range(3)]
generator | tuple(uuid4() for _ in range(2))
map | list(map(lambda _: random.random(), range(2)))
fstring | f"{uuid4()}-{random.getrandbits(4):x}"
"""

#: Clocks: expressions.
CLOCKS = r"""
time | time.time()
uuid1 | uuid.uuid1().time
time.from | now()
time.module.as | clock.time()
time_ns | time.time_ns()
time_ns.from | time_ns()
now | datetime.datetime.now()
now.from | moment.now()
now.zone | moment.now(timezone.utc)
now.module.as | dates.datetime.now(tz=None)
utcnow | datetime.datetime.utcnow()
today | moment.today()
date.today | datetime.date.today()
date.today.from | date.today()
helper | read_here()
lambda | (lambda: time.time())()
reference | (lambda read: read())(moment.now)
sort.key | max([time.time(), 0.0], key=lambda each: (each, time.time()))
"""

#: What is done with a draw `{draw}` or a clock's reading `{read}`; the rows of `DRAWS` and `CLOCKS` fill in.
DRAWING = (
    "out.append(show(self._draw({draw})))",
    "{a} = {draw}\nout.append(show(self._draw({a})))",
    "{a} = lambda: {draw}\nout.append(show((self._draw({a}()), self._draw({a}()))))",
    "for {a} in range({n}):\n    out.append(show(self._draw({draw})))",
    "def {a}():\n    return {draw}\nout.append(show(self._draw({a}())))",
)
DRAWING_KEPT = (
    "{a} = {draw}\nself._draw({a})\n{aw}self.other.add(1)\nout.append(show(repr({a}) in self._drawn))",
    "self._draw({draw})\n{aw}self.other.back(1)\nout.append(show(self._draw({draw})))",
    "out.append(show((self._draw({draw}), {aw}self.other.add(1), self._draw({draw}))))",
    "out.append(show(self._draw({aw}self.other.echo({draw}))))",
)
READING = (
    "out.append(show(shape({read})))",
    "{a}, {b} = {read}, {read}\nout.append(show((shape({a}), {a} <= {b})))",
)
READING_KEPT = (
    "{a} = {read}\nself._memo = repr({a})\n{aw}self.other.add(1)\nout.append(show((repr({a}) == self._memo, {a} <= {read})))",
    "{a} = {read}\n{aw}sleep(0)\nout.append(show(({a} <= {read}, shape({aw}self.other.echo({a})))))",
)

TABLES = {"control": CONTROL, "calls": CALLS, "draws": DRAWS, "clocks": CLOCKS}
