"""Every operation that the generator knows, by name: what is asked of a value and what changes it; `flow` has the others.

A template's holes: `{x}` a place of the row's type, `{y}` any expression of it, `{Y}` a new object of it; `{e}` `{E}`
an element (`{E}` new, so that no object is stored twice), `{k}` a key, `{v}` `{V}` a value; `{i}` `{j}` small indices,
`{n}` 0 to 2, `{s}` a step; `{a}` `{b}` `{c}` new names; `{int}` `{str}` `{list}` expressions of these types. A template
that begins with `?` is an expression whose value is shown, any other is one or more statements. A condition after `;`
in the name: `flat` wants immutable elements or values, `ordered` ones that can be sorted, `text` ones whose text is that of
equal ones too, as that of sets is not, `int` and `str` these.
"""

from differential.flow import TABLES as FLOW

LIST = r"""
getitem | ?{x}[{i}]
getslice | ?{x}[{i}:{j}]
getslice.step | ?{x}[::{s}]
getslice.open | ?({x}[{i}:], {x}[:{j}], {x}[:])
len | ?len({x})
bool | ?bool({x})
not | ?not {x}
contains | ?({e} in {x}, {e} not in {x})
index | ?{x}.index({e})
count | ?{x}.count({e})
copy | ?{x}.copy()
add | ?{x} + {y}
radd | ?{y} + {x}
mul;flat | ?{x} * {n}
rmul;flat | ?{n} * {x}
eq | ?({x} == {y}, {y} == {x})
ne | ?{x} != {y}
lt;ordered | ?({x} < {y}, {x} > {y})
le;ordered | ?({x} <= {y}, {x} >= {y})
lt.wrong | ?{x} < 3
iter | ?[each for each in {x}]
iter.for | for {a} in {x}:\n    out.append(show({a}))
next | ?next(iter({x}), None)
reversed | ?list(reversed({x}))
sorted;ordered | ?sorted({x})
sorted.key | ?sorted({x}, key=lambda each: repr(each))
sorted.reverse;ordered | ?sorted({x}, reverse=True)
min;ordered | ?(min({x}), max({x}))
min.key | ?max({x}, key=repr, default=None)
sum;int | ?sum({x})
sum.start;int | ?sum((each * 2 for each in {x}), 1)
any | ?(any({x}), all({x}))
any.generator | ?any(each == {e} for each in {x})
all.generator | ?all(show(each) for each in {x})
enumerate | ?[(index, each) for index, each in enumerate({x})]
enumerate.start | ?list(enumerate({x}, {n}))
zip | ?list(zip({x}, range(9)))
map | ?list(map(show, {x}))
filter | ?list(filter(None, {x}))
join;str | ?"-".join({x})
list | ?list({x})
tuple | ?tuple({x})
set;flat | ?set({x})
dict;flat | ?dict(enumerate({x}))
fromkeys;flat | ?dict.fromkeys({x}, 0)
repr;text | ?repr({x})
str;text | ?str({x})
format;text | ?f"{{x}}"
format.conversion;text | ?f"{{x}!r:>12}"
percent;text | ?"%s" % ({x},)
unpack | {a}, *{b} = {x}\nout.append(show(({a}, {b})))
unpack.exact | {a}, {b} = {x}\nout.append(show(({a}, {b})))
unpack.last | *{a}, {b} = {x}\nout.append(show(({a}, {b})))
star.display | ?[*{x}, *{x}]
star.call | ?gathered(*{x})
hash | ?hash({x})
getitem.wrong | ?{x}["a"]
is | ?{x} is {x}
copy.copy | ?copy.copy({x})
copy.deepcopy | ?copy.deepcopy({x})
isinstance | ?isinstance({x}, list)
dunder | ?({x}.__len__(), {x}.__contains__({e}))
comprehension.set;flat | ?{each for each in {x}}
comprehension.dict;flat | ?{each: index for index, each in enumerate({x})}
comprehension.if | ?[each for each in {x} if each != {e}]
comprehension.nested | ?[(one, two) for one in {x}[:2] for two in {x}[:2]]
comprehension.walrus | ?[last for each in {x} if (last := show(each))]
match | match {x}:\n    case []:\n        out.append("empty")\n    case [{a}]:\n        out.append(show({a}))\n    case [{b}, *{c}]:\n        out.append(show(({b}, {c})))
match.mapping | match {x}:\n    case {"a": {a}}:\n        out.append(show({a}))\n    case _:\n        out.append("other")
slice.object | ?{x}[slice({i}, {j})]
bisect;ordered | ?bisect.bisect(sorted({x}), {e})
reduce;int | ?functools.reduce(lambda one, two: one - two, {x}, 0)
chain | ?list(itertools.chain({x}, {x}))
islice | ?list(itertools.islice({x}, {n}))
setitem | {x}[{i}] = {E}
setitem.order | {x}[tick(out, {i})] = tick(out, {E})
delitem | del {x}[{i}]
delitem.two | del {x}[0], {x}[{i}]
setslice | {x}[{i}:{j}] = [{E}, {E}]
setslice.grow | {x}[{n}:{n}] = [{E}]
setslice.all | {x}[:] = [{E}]
setslice.step | {x}[::2] = [{E}, {E}]
setslice.iterator | {x}[{i}:] = (each for each in [{E}, {E}])
delslice | del {x}[{i}:{j}]
delslice.step | del {x}[::2]
append | {x}.append({E})
append.result | ?{x}.append({E})
append.bound | {a} = {x}.append\n{a}({E})
extend | {x}.extend([{E}, {E}])
extend.generator | {x}.extend(each for each in [{E}, {E}])
extend.self;flat | {x}.extend({x}[:2])
insert | {x}.insert({i}, {E})
pop | ?{x}.pop()
pop.index | ?{x}.pop({i})
pop.first | ?{x}.pop(0)
remove | {x}.remove({e})
clear | {x}.clear()
reverse | {x}.reverse()
sort;ordered | {x}.sort()
sort.key | {x}.sort(key=lambda each: show(each))
sort.reverse | {x}.sort(key=show, reverse=True)
iadd | {x} += [{E}]
iadd.tuple | {x} += ({E},)
iadd.wrong | {x} += 5
imul;flat | {x} *= {n}
aug.item;int | {x}[{i}] += {int}
aug.item.order;int | {x}[tick(out, {i})] += tick(out, {int})
aug.item.str;str | {x}[{i}] += {str}
swap | {x}[0], {x}[-1] = {x}[-1], {x}[0]
rotate;flat | {x}[:] = {x}[1:] + {x}[:1]
target.tuple | {x}[{i}], {a} = {E}, {int}\nout.append(show({a}))
target.star | {a}, *{x}[{n}:] = [{int}, {E}, {E}]
target.chain;flat | {a} = {x}[{i}] = {E}\nout.append(show({a}))
target.for;flat | for {x}[{i}] in ({E}, {E}):\n    out.append(show({x}))
target.walrus;flat | {x}.append({a} := {E})\nout.append(show({a}))
assign.comprehension;flat | {x} = [each for each in {x} if each != {e}]
assign.sorted;flat | {x} = sorted({x}, key=repr)
assign.slice;flat | {x} = {x}[{i}:]
assign.alias | {a} = {x}\n{x} = {Y}\n{a}.append({E})\nout.append(show({a}))
alias.append | {a} = {x}\n{a}.append({E})\nout.append(show({x}))
alias.iadd | {a} = {x}\n{a} += [{E}]\nout.append(show({x}))
alias.is | {a} = {x}\nout.append(show({a} is {x}))
alias.nested | {a} = {x}\n{b} = {a}\n{b}.insert(0, {E})\nout.append(show({a}))
alias.late | {a} = {x}\nout.append(show(len({a})))\n{a}[:0] = [{E}]\n{a}.pop()
iter.append | for {a}, {b} in enumerate({x}):\n    if {a} < 2:\n        {x}.append({E})
iter.remove | for {a} in {x}:\n    {x}.remove({a})
iter.pop | for {a} in {x}:\n    out.append(show({x}.pop()))
iter.replace | for {a}, _ in enumerate({x}):\n    {x}[{a}] = {E}
iter.clear | for {a} in {x}:\n    out.append(show({a}))\n    {x}.clear()
iter.copy | for {a} in list({x}):\n    {x}.remove({a})
iter.held | {a} = iter({x})\n{b} = next({a}, 0)\n{x}.append({E})\nout.append(show([{b}, *{a}]))
iter.generator;flat | {a} = (each for each in {x})\n{x}.append({E})\nout.append(show(list({a})))
helper.push | push({x}, {E})
helper.generator | ?list(doubled({x}))
heap;int | heapq.heapify({x})\nheapq.heappush({x}, {int})
del.alias | {a} = {x}\ndel {a}\nout.append(show({x}))
lambda | ?(lambda held: len(held))({x})
closure | def {a}():\n    return len({x})\n{x}.append({E})\nout.append(show({a}()))
attribute.wrong | ?{x}.nothing
json;int | ?json.dumps(list({x}))
"""

DICT = r"""
getitem | ?{x}[{k}]
getitem.missing | ?{x}["no such key"]
get | ?{x}.get({k})
get.default | ?{x}.get({k}, {v})
contains | ?({k} in {x}, {k} not in {x})
len | ?len({x})
bool | ?bool({x})
not | ?not {x}
iter | ?[each for each in {x}]
iter.for | for {a} in {x}:\n    out.append(show({x}[{a}]))
next | ?next(iter({x}), None)
reversed | ?list(reversed({x}))
keys | ?list({x}.keys())
values | ?list({x}.values())
items | ?list({x}.items())
keys.repr | ?repr({x}.keys())
values.repr;flat | ?repr({x}.values())
items.repr;flat | ?repr({x}.items())
keys.reversed | ?list(reversed({x}.keys()))
values.reversed | ?list(reversed({x}.values()))
items.reversed | ?list(reversed({x}.items()))
keys.contains | ?({k} in {x}.keys(), len({x}.keys()))
values.contains | ?({v} in {x}.values(), len({x}.values()))
items.contains | ?(({k}, {v}) in {x}.items(), len({x}.items()))
keys.and | ?{x}.keys() & {{k}, {k}}
keys.or | ?{x}.keys() | {{k}}
keys.sub | ?{x}.keys() - {{k}}
keys.xor | ?{x}.keys() ^ {{k}}
keys.compare | ?({x}.keys() == {{k}}, {x}.keys() <= {{k}}, {x}.keys() >= {{k}})
keys.isdisjoint | ?{x}.keys().isdisjoint([{k}])
items.and;flat | ?{x}.items() & {({k}, {v})}
items.compare | ?{x}.items() == {y}.items()
keys.live | {a} = {x}.keys()\n{x}[{k}] = {V}\nout.append(show(list({a})))
values.live | {a} = {x}.values()\n{x}[{k}] = {V}\nout.append(show(list({a})))
items.live | {a} = {x}.items()\n{x}[{k}] = {V}\nout.append(show(list({a})))
items.for | for {a}, {b} in {x}.items():\n    out.append(show(({a}, {b})))
eq | ?({x} == {y}, {y} == {x})
ne | ?{x} != {y}
lt.wrong | ?{x} < {y}
or | ?{x} | {y}
ror | ?{y} | {x}
or.wrong | ?{x} | 5
copy | ?{x}.copy()
copy.copy | ?copy.copy({x})
copy.deepcopy | ?copy.deepcopy({x})
dict | ?dict({x})
dict.pairs | ?dict(list({x}.items()))
list | ?list({x})
tuple | ?tuple({x})
set | ?set({x})
sorted | ?sorted({x}, key=repr)
sorted.items | ?sorted({x}.items(), key=lambda pair: show(pair[1]))
min | ?min({x}, key=repr, default=None)
max.get;int | ?max({x}, key={x}.get)
sum;int | ?sum({x}.values())
any | ?(any({x}), all({x}.values()))
enumerate | ?list(enumerate({x}))
zip | ?list(zip({x}, {x}.values()))
map | ?list(map({x}.get, list({x})))
filter | ?list(filter(None, {x}))
repr;text | ?repr({x})
str;text | ?str({x})
format;text | ?f"{{x}}"
format.conversion;text | ?f"{{x}!r:>12}"
percent;text | ?"%s" % ({x},)
hash | ?hash({x})
unhashable | ?{x}[[]]
unhashable.in | ?[] in {x}
is | ?{x} is {x}
item.is | {a} = {k}\nout.append(show({x}[{a}] is {x}[{a}]))
isinstance | ?isinstance({x}, dict)
dunder | ?({x}.__len__(), {x}.__contains__({k}), {x}.__getitem__({k}))
unpack | {a}, *{b} = {x}\nout.append(show(({a}, {b})))
star.display | ?[*{x}]
star.dict | ?{**{x}, "more": 1}
star.call | ?gathered(*{x})
star.named | ?named(**{"first": 1, "second": 2})
comprehension | ?{key: show(value) for key, value in {x}.items()}
comprehension.if | ?[key for key in {x} if {x}[key] != {v}]
comprehension.nested | ?[(one, two) for one in {x} for two in {x}]
comprehension.set | ?{show(value) for value in {x}.values()}
generator.any | ?any(value == {v} for value in {x}.values())
generator.sum | ?sum(1 for key in {x} if key)
match | match {x}:\n    case {"a": {a}, **{b}}:\n        out.append(show(({a}, {b})))\n    case {}:\n        out.append("other")
match.key | match {x}:\n    case {"b": _}:\n        out.append("b")\n    case _:\n        out.append("no b")
fromkeys | ?{x}.fromkeys(["p", "q"], 1)
setitem | {x}[{k}] = {V}
setitem.order | {x}[tick(out, {k})] = tick(out, {V})
setitem.unhashable | {x}[[]] = {V}
delitem | del {x}[{k}]
delitem.two | del {x}[{k}], {x}[{k}]
delitem.order | {a} = list({x})[:1]\nfor {b} in {a}:\n    {c} = {x}.pop({b})\n    {x}[{b}] = {c}
pop | ?{x}.pop({k})
pop.held | {a} = {x}.pop({k})\nout.append(show({a}))
pop.default | ?{x}.pop({k}, None)
popitem | ?{x}.popitem()
setdefault | ?{x}.setdefault({k}, {V})
setdefault.is | {a} = {k}\nout.append(show({x}.setdefault({a}, {V}) is {x}[{a}]))
update | {x}.update({{k}: {V}, {k}: {V}})
update.pairs | {x}.update([({k}, {V}), ({k}, {V})])
update.generator | {x}.update((key, {V}) for key in [{k}, {k}])
update.wrong | {x}.update([1])
update.odd | {x}.update([(1, 2, 3)])
update.named;anykey | {x}.update(a={V}, z={V})
update.self | {x}.update({x})
clear | {x}.clear()
clear.fill | {x}.clear()\n{x}[{k}] = {V}
ior | {x} |= {{k}: {V}}
ior.pairs | {x} |= [({k}, {V})]
ior.wrong | {x} |= 5
aug.item;int | {x}[{k}] += {int}
aug.item.order;int | {x}[tick(out, {k})] += tick(out, {int})
aug.get;int | {x}[{k}] = {x}.get({k}, 0) + 1
aug.str;str | {x}[{k}] += {str}
move | {x}[{k}] = {x}.pop({k})
reinsert | {a} = {k}\n{x}[{a}] = {x}.pop({a})
reinsert.all | for {a} in list({x})[:-1]:\n    {x}[{a}] = {x}.pop({a})
reinsert.first | for {a} in list({x})[:1]:\n    {b} = {x}.pop({a})\n    {x}[{k}] = {V}\n    {x}[{a}] = {b}
reinsert.new | {a} = {k}\n{x}.pop({a}, None)\n{x}[{a}] = {V}
swap;flat | {x}[{k}], {x}[{k}] = {x}[{k}], {x}[{k}]
target.tuple | {x}[{k}], {a} = {V}, {int}\nout.append(show({a}))
target.nested | ({x}[{k}], [{a}, *{b}]) = ({V}, [1, 2, 3])\nout.append(show(({a}, {b})))
target.star | {a}, *{b} = {x}.items()\nout.append(show(({a}, {b})))
target.chain;flat | {a} = {x}[{k}] = {x}[{k}] = {V}\nout.append(show({a}))
target.for;anykey | for {x}["a"] in [{V}, {V}]:\n    out.append(show(len({x})))
target.walrus;flat | {x}[{k}] = ({a} := {V})\nout.append(show({a}))
target.comprehension;flat | {x} = {key: value for key, value in {x}.items() if key != {k}}
target.reversed;flat | {x} = dict(reversed(list({x}.items())))
assign | {x} = {Y}
assign.empty | {x} = {}
assign.alias | {a} = {x}\n{x} = {Y}\n{a}[{k}] = {V}\nout.append(show({a}))
assign.kept | {a} = {Y}\n{x} = {a}\n{a}[{k}] = {V}\nout.append(show({x}))
alias | {a} = {x}\n{a}[{k}] = {V}\nout.append(show({x}))
alias.ior | {a} = {x}\n{a} |= {{k}: {V}}\nout.append(show({x}))
alias.del | {a} = {x}\n{a}.pop({k}, None)\nout.append(show({x}))
alias.value | {a} = {x}[{k}]\n{x}[{k}] = {V}\nout.append(show({a}))
alias.value.del | {a} = {x}[{k}]\ndel {x}[{k}]\nout.append(show({a}))
iter.insert | for {a} in {x}:\n    {x}[({a}, "new")] = {V}
iter.delete | for {a} in {x}:\n    del {x}[{a}]
iter.replace | for {a} in {x}:\n    {x}[{a}] = {V}
iter.clear | for {a} in {x}.values():\n    out.append(show({a}))\n    {x}.clear()
iter.copy | for {a} in list({x}):\n    if {a} != {k}:\n        del {x}[{a}]
iter.items | for {a}, {b} in {x}.items():\n    {x}[{a}] = {V}
iter.held | {a} = iter({x})\n{b} = next({a}, 0)\n{x}[{k}] = {V}\nout.append(show([{b}, *{a}]))
iter.while | while {x}:\n    out.append(show({x}.popitem()))
helper.put | put({x}, {k}, {V})
closure | def {a}(key):\n    return {x}.get(key)\nout.append(show({a}({k})))
lambda.key | ?sorted({x}, key=lambda key: show({x}[key]))
try.key | try:\n    {a} = {x}[{k}]\nexcept KeyError as error:\n    out.append(show(error.args))\nelse:\n    out.append(show({a}))
attribute.wrong | ?{x}.nothing
in.condition | if {k} in {x}:\n    del {x}[{k}]\nelse:\n    {x}[{k}] = {V}
count;int | for {a} in "abca":\n    {x}[{a}] = {x}.get({a}, 0) + 1
group | for {a}, {b} in [("a", 1), ("b", 2), ("a", 3)]:\n    out.append(show({x}.setdefault({a}, {V})))
json;int | ?json.dumps({str(key): value for key, value in {x}.items()})
"""

SET = r"""
add | {x}.add({E})
add.result | ?{x}.add({E})
discard | {x}.discard({e})
remove | {x}.remove({e})
pop | out.append(show({x}.pop() if len({x}) == 1 else None))
clear | {x}.clear()
update | {x}.update([{E}, {E}])
update.two | {x}.update({{E}}, [{E}])
len | ?len({x})
bool | ?bool({x})
not | ?not {x}
contains | ?({e} in {x}, {e} not in {x})
iter | ?sorted([each for each in {x}])
sorted | ?sorted({x})
min | ?(min({x}), max({x}))
sum;int | ?sum({x})
or | ?{x} | {y}
and | ?{x} & {y}
sub | ?{x} - {y}
xor | ?{x} ^ {y}
or.wrong | ?{x} | [1]
union | ?{x}.union({y}, [{e}])
intersection | ?{x}.intersection({y})
difference | ?{x}.difference({y})
symmetric_difference | ?{x}.symmetric_difference({y})
issubset | ?{x}.issubset({y})
issuperset | ?{x}.issuperset({y})
isdisjoint | ?{x}.isdisjoint({y})
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} <= {y}, {x} > {y}, {x} >= {y})
eq.frozen | ?{x} == frozenset({x})
copy | ?{x}.copy()
copy.deepcopy | ?copy.deepcopy({x})
frozenset | ?frozenset({x})
hash | ?hash({x})
hash.frozen | ?hash(frozenset({x})) == hash(frozenset({x}))
list | ?sorted(list({x}))
set | ?set({x})
isinstance | ?isinstance({x}, set)
is | ?{x} is {x}
comprehension | ?{(each, 1) for each in {x}}
any | {a} = {e}\nout.append(show(any(each == {a} for each in {x})))
repr | ?repr({x}) if len({x}) < 2 else None
format | ?f"{{x}}" if len({x}) < 2 else None
ior | {x} |= {{E}}
iand | {x} &= {{E}, {E}}
isub | {x} -= {{e}}
ixor | {x} ^= {{E}}
ior.wrong | {x} |= [1]
intersection_update | {x}.intersection_update([{e}, {e}])
difference_update | {x}.difference_update([{e}])
symmetric_difference_update | {x}.symmetric_difference_update([{E}])
alias | {a} = {x}\n{a}.add({E})\nout.append(show({x}))
alias.ior | {a} = {x}\n{a} |= {{E}}\nout.append(show({x}))
assign | {x} = {Y}
assign.comprehension | {x} = {each for each in {x} if each != {e}}
iter.add | for {a} in {x}:\n    {x}.add({a})
iter.change | for _ in {x}:\n    {x}.symmetric_difference_update([{E}])
unpack | {a}, *{b} = sorted({x})\nout.append(show(({a}, {b})))
star | ?sorted([*{x}])
add.unhashable | {x}.add([])
"""

INT = r"""
add | ?{x} + {y}
sub | ?{x} - {y}
mul | ?{x} * {y}
truediv | ?{x} / {y}
floordiv | ?{x} // {y}
mod | ?{x} % {y}
divmod | ?divmod({x}, {y})
pow | ?{x} ** {n}
pow.three | ?pow({x}, {n}, 7)
lshift | ?{x} << {n}
rshift | ?{x} >> {n}
and | ?{x} & {y}
or | ?{x} | {y}
xor | ?{x} ^ {y}
invert | ?~{x}
neg | ?-{x}
pos | ?+{x}
abs | ?abs({x})
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} <= {y}, {x} > {y}, {x} >= {y})
chain | ?-2 < {x} < 9 <= {y}
bool | ?bool({x})
not | ?not {x}
hash | ?hash({x})
float | ?float({x})
str | ?str({x})
repr | ?repr({x})
format | ?f"{{x}:>+8,}"
format.hex | ?f"{{x}:#x}"
percent | ?"%05d" % {x}
hex | ?(hex({x}), oct({x}), bin({x}))
round | ?round({x}, -1)
bit_length | ?({x}.bit_length(), {x}.bit_count())
to_bytes | ?abs({x}).to_bytes(40, "big")
as_integer_ratio | ?{x}.as_integer_ratio()
attributes | ?({x}.real, {x}.imag, {x}.numerator)
index | ?[0, 1, 2][{x}]
range | ?list(range(min(3, {x})))
complex | ?complex({x}, 1)
isinstance | ?(isinstance({x}, int), isinstance({x}, bool))
wrong | ?{x} + "a"
wrong.call | ?{x}()
wrong.index | ?{x}[0]
conditional | ?"yes" if {x} else "no"
or.default | ?{x} or {y}
and.then | ?{x} and {y}
walrus | ?({a} := {x}) + {a}
match | match {x}:\n    case 0 | 1:\n        out.append("small")\n    case int({a}) if {a} > 5:\n        out.append(show({a}))\n    case _:\n        out.append("other")
iadd | {x} += {y}
isub | {x} -= {y}
imul | {x} *= {n}
ifloordiv | {x} //= {y}
imod | {x} %= {y}
ipow | {x} = {x} % 97\n{x} **= {n}
ilshift | {x} <<= {n}
irshift | {x} >>= {n}
iand | {x} &= {y}
ior | {x} |= {y}
ixor | {x} ^= {y}
assign | {x} = {y}
assign.chain | {a} = {x} = {y}\nout.append(show({a}))
assign.swap | {a} = {y}\n{x}, {a} = {a}, {x}\nout.append(show({a}))
assign.tuple | {x}, {a} = {y}, {x}\nout.append(show({a}))
assign.for | for {x} in range({n}):\n    out.append(show({x}))
assign.big | {x} = 2 ** 70 + {n}
iadd.order | {x} += tick(out, {y})
iadd.wrong | {x} += "a"
"""

FLOAT = r"""
add | ?{x} + {y}
sub | ?{x} - {y}
mul | ?{x} * {y}
truediv | ?{x} / {y}
floordiv | ?{x} // {y}
mod | ?{x} % {y}
divmod | ?divmod({x}, {y})
pow | ?abs({x}) ** {n}
neg | ?(-{x}, +{x})
abs | ?abs({x})
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} <= {y}, {x} > {y}, {x} >= {y})
bool | ?bool({x})
hash | ?hash({x}) if {x} == {x} else None
int | ?int({x})
round | ?round({x}, 1)
math | ?(math.floor({x}), math.ceil({x}), math.trunc({x}))
is_integer | ?{x}.is_integer()
hex | ?{x}.hex()
as_integer_ratio | ?{x}.as_integer_ratio()
str | ?(str({x}), repr({x}))
format | ?f"{{x}:.2f}|{{x}:e}|{{x}:>9.1%}"
percent | ?"%.3g" % {x}
mixed | ?{x} + {int}
isinstance | ?isinstance({x}, float)
isnan | ?(math.isnan({x}), math.isinf({x}))
iadd | {x} += {y}
isub | {x} -= {y}
imul | {x} *= {y}
itruediv | {x} /= {y}
ifloordiv | {x} //= {y}
imod | {x} %= {y}
ipow | {x} = abs({x}) % 9.5\n{x} **= {n}
assign | {x} = {y}
assign.special | {x} = float("inf") if {x} > 0 else -0.0
assign.nan | {x} = float("nan")
"""

STR = r"""
add | ?{x} + {y}
mul | ?{x} * {n}
mod | ?"%s!" % {x}
getitem | ?{x}[{i}]
getslice | ?{x}[{i}:{j}]
getslice.step | ?{x}[::{s}]
len | ?len({x})
bool | ?bool({x})
contains | ?{y} in {x}
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} <= {y}, {x} > {y}, {x} >= {y})
iter | ?[each for each in {x}]
reversed | ?list(reversed({x}))
sorted | ?sorted({x})
repr | ?repr({x})
str | ?str({x})
ascii | ?ascii({x})
format | ?f"{{x}!r:^10}|{{x}:>6.2}"
format.method | ?"{0}-{name}".format({x}, name={y})
upper | ?({x}.upper(), {x}.lower(), {x}.title(), {x}.swapcase(), {x}.capitalize(), {x}.casefold())
split | ?({x}.split(), {x}.split("a"), {x}.rsplit("b", 1), {x}.splitlines())
join | ?{x}.join(["p", "q"])
strip | ?({x}.strip(), {x}.lstrip("a"), {x}.rstrip("b"))
replace | ?{x}.replace("a", {y})
find | ?({x}.find({y}), {x}.rfind("b"), {x}.count("a"))
index | ?({x}.index({y}), {x}.rindex({y}))
startswith | ?({x}.startswith({y}), {x}.endswith(("a", "b")))
partition | ?({x}.partition("a"), {x}.rpartition("b"))
prefix | ?({x}.removeprefix("a"), {x}.removesuffix("b"))
is | ?({x}.isdigit(), {x}.isalpha(), {x}.isalnum(), {x}.isupper(), {x}.islower(), {x}.isspace(), {x}.isidentifier())
justify | ?({x}.center(7, "*"), {x}.ljust(5), {x}.rjust(5), {x}.zfill(6), {x}.expandtabs(2))
translate | ?{x}.translate(str.maketrans("ab", "ba"))
encode | ?{x}.encode()
int | ?int({x})
float | ?float({x} + "1")
list | ?(list({x}), tuple({x}))
set | ?set({x})
ord | ?[ord(each) for each in {x}]
hash | ?hash({x}) == hash({x})
unpack | {a}, *{b} = {x}\nout.append(show(({a}, {b})))
isinstance | ?isinstance({x}, str)
re | ?re.findall("[ab]+", {x})
match | match {x}:\n    case "a" | "b":\n        out.append("ab")\n    case str({a}):\n        out.append({a})
wrong | ?{x} + 1
wrong.item | {x}[0] = "z"
iadd | {x} += {y}
imul | {x} = {x}[:20]\n{x} *= {n}
imod | {x} = "<%s>"\n{x} %= ({y},)
assign | {x} = {y}
assign.chain | {a} = {x} = {y}\nout.append(show({a}))
assign.slice | {x} = {x}[:{n}] + {y}
min | ?(min({x}), max({x}))
enumerate | ?dict(enumerate({x}))
"""

BYTES = r"""
add | ?{x} + {y}
mul | ?{x} * {n}
getitem | ?{x}[{i}]
getslice | ?{x}[{i}:{j}]
getslice.step | ?{x}[::{s}]
len | ?len({x})
bool | ?bool({x})
contains | ?({y} in {x}, 97 in {x})
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} <= {y}, {x} > {y}, {x} >= {y})
iter | ?[each for each in {x}]
repr | ?(repr({x}), str({x}))
format | ?f"{{x}}"
mod | ?b"<%s>" % {x}
hex | ?({x}.hex(), bytes.fromhex({x}.hex()))
decode | ?{x}.decode("latin-1")
find | ?({x}.find({y}), {x}.count(b"a"))
index | ?{x}.index({y})
split | ?({x}.split(b"a"), {x}.partition(b"a"))
replace | ?{x}.replace(b"a", {y})
upper | ?({x}.upper(), {x}.strip(), {x}.startswith(b"a"))
join | ?{x}.join([b"p", b"q"])
list | ?(list({x}), tuple({x}))
hash | ?hash({x}) == hash({x})
bytearray | ?bytearray({x})
from_bytes | ?int.from_bytes({x}, "big")
isinstance | ?isinstance({x}, bytes)
wrong | ?{x} + "a"
iadd | {x} += {y}
imul | {x} = {x}[:20]\n{x} *= {n}
assign | {x} = {y}
"""

TUPLE = r"""
getitem | ?{x}[{i}]
getslice | ?{x}[{i}:{j}]
len | ?len({x})
bool | ?bool({x})
contains | ?({int} in {x}, {str} not in {x})
add | ?{x} + {y}
mul | ?({x} * {n}, {n} * {x})
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} >= {y})
iter | ?[each for each in {x}]
reversed | ?list(reversed({x}))
count | ?{x}.count({int})
index | ?{x}.index({int})
hash | ?hash({x}) == hash({x})
repr | ?(repr({x}), str({x}))
format | ?f"{{x}}"
percent | ?"%s %s %s" % {x}
unpack | {a}, {b}, {c} = {x}\nout.append(show(({a}, {b}, {c})))
unpack.star | {a}, *{b} = {x}\nout.append(show(({a}, {b})))
star | ?(*{x}, 1)
star.call | ?gathered(*{x})
list | ?(list({x}), tuple({x}))
key | ?{{x}: 1}[{x}]
isinstance | ?isinstance({x}, tuple)
wrong.item | {x}[0] = 1
wrong.append | {x}.append(1)
match | match {x}:\n    case (0, {a}, _):\n        out.append(show({a}))\n    case (int(), str(), {b}):\n        out.append(show({b}))
iadd | {x} = {x}[:4]\n{x} += ({int},)
imul | {x} = {x}[:3]\n{x} *= {n}
assign | {x} = {y}
"""

BOOL = r"""
and | ?{x} and {y}
or | ?{x} or {y}
not | ?not {x}
bit | ?({x} & {y}, {x} | {y}, {x} ^ {y})
int | ?({x} + 1, int({x}), {x} * 3)
eq | ?({x} == {y}, {x} != {y}, {x} == 1)
is | ?({x} is True, {x} is not False)
lt | ?({x} < {y}, {x} >= {y})
hash | ?hash({x})
repr | ?(repr({x}), str({x}))
format | ?f"{{x}}|{{x}:>3}"
conditional | ?1 if {x} else 2
if | if {x}:\n    out.append("true")\nelse:\n    out.append("false")
index | ?("no", "yes")[{x}]
isinstance | ?(isinstance({x}, bool), isinstance({x}, int))
iand | {x} &= {y}
ior | {x} |= {y}
ixor | {x} ^= {y}
assign | {x} = {y}
assign.not | {x} = not {x}
"""

NONE = r"""
is | ?({x} is None, {x} is not None)
eq | ?({x} == None, {x} != {int})
or | ?{x} or {int}
bool | ?bool({x})
hash | ?hash({x}) == hash({x})
repr | ?(repr({x}), str({x}))
format | ?f"{{x}}"
if | if {x} is None:\n    {x} = {int}\nelse:\n    {x} = None
match | match {x}:\n    case None:\n        out.append("none")\n    case _:\n        out.append("some")
assign | {x} = None
assign.int | {x} = {int}
wrong | ?{x} + {int}
wrong.attribute | ?{x}.nothing
wrong.iter | for {a} in {x}:\n    out.append(show({a}))
"""

POINT = r"""
getattr | ?({x}.x, {x}.y, {x}.tags, {x}.near)
getattr.wrong | ?{x}.nothing
repr | ?repr({x})
str | ?str({x})
format | ?f"{{x}}"
eq | ?({x} == {y}, {x} != {y}, {x} == {x})
lt.wrong | ?{x} < {y}
hash | ?hash({x})
bool | ?bool({x})
is | ?{x} is {x}
asdict | ?dataclasses.asdict({x})
astuple | ?dataclasses.astuple({x})
fields | ?[field.name for field in dataclasses.fields({x})]
replace | ?dataclasses.replace({x}, x={int})
copy | ?copy.copy({x})
copy.deepcopy | ?copy.deepcopy({x})
method | ?{x}.moved({int})
method.changes | {x}.move({int})
property | ?{x}.size
isinstance | ?isinstance({x}, Point)
vars | ?vars({x})
getattr.call | ?getattr({x}, "x")
match | match {x}:\n    case Point(x=0):\n        out.append("origin")\n    case Point({a}, {b}):\n        out.append(show(({a}, {b})))\n    case None:\n        out.append("none")
setattr | {x}.x = {int}
setattr.two | {x}.x, {x}.y = {int}, 1.5
setattr.list | {x}.tags = [{str}]
setattr.order | {x}.x = tick(out, {int})
aug | {x}.x += {int}
aug.list | {x}.tags += [{str}]
aug.dict | {x}.near |= {{str}: {int}}
nested.append | {x}.tags.append({str})
nested.item | {x}.near[{str}] = {int}
nested.aug | {x}.near["a"] += 1
nested.del | del {x}.near[{str}]
nested.slice | {x}.tags[1:] = [{str}, {str}]
alias | {a} = {x}\n{a}.x -= 1\nout.append(show({x}))
alias.nested | {a} = {x}.tags\n{a}.append({str})\nout.append(show({x}))
alias.detached | {a} = {x}.tags\n{x}.tags = []\n{a}.append({str})\nout.append(show(({x}, {a})))
assign | {x} = {Y}
assign.replace | {x} = dataclasses.replace({Y}, x={int})
helper | rename({x}, {str})
"""

ENUM = r"""
name | ?({x}.name, {x}.value)
eq | ?({x} == {y}, {x} != {y})
is | ?({x} is {y}, {x} is Color.RED)
lt.wrong | ?{x} < {y}
hash | ?hash({x}) == hash({y})
repr | ?(repr({x}), str({x}))
format | ?f"{{x}}"
bool | ?bool({x})
call | ?Color({x}.value)
getitem | ?Color[{x}.name]
call.wrong | ?Color("no colour")
contains | ?{x} in Color
iter | ?[each.name for each in Color]
len | ?len(Color)
key | ?{{x}: 1}.get({y})
isinstance | ?isinstance({x}, Color)
method | ?{x}.darker()
match | match {x}:\n    case Color.RED:\n        out.append("red")\n    case Color():\n        out.append({x}.name)
assign | {x} = {y}
wrong.value | {x}.value = 3
str.member | ?(Size.BIG == "big", {"big": 1}[Size.BIG], f"{Size.BIG.value}")
"""

FROZEN = r"""
contains | ?{int} in {x}
len | ?(len({x}), bool({x}))
or | ?{x} | {y}
and | ?{x} & {y}
sub | ?{x} - {y}
xor | ?{x} ^ {y}
eq | ?({x} == {y}, {x} != {y}, {x} == set({x}))
lt | ?({x} < {y}, {x} <= {y}, {x} > {y}, {x} >= {y})
hash | ?hash({x}) == hash(frozenset({x}))
iter | ?sorted({x})
key | ?{{x}: 1}.get({y})
copy | ?{x}.copy() is {x}
methods | ?({x}.union([1]), {x}.issubset({y}), {x}.isdisjoint({y}))
wrong.add | {x}.add(1)
ior | {x} |= {y}
isub | {x} -= {y}
assign | {x} = {y}
"""

KEY = r"""
getattr | ?({x}.a, {x}.b)
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} >= {y})
hash | ?hash({x}) == hash({x})
repr | ?repr({x})
key | ?{{x}: 1}[{x}]
replace | ?dataclasses.replace({x}, a={int})
frozen | {x}.a = 1
sorted | ?sorted([{x}, {y}])
assign | {x} = {y}
"""

DECIMAL = r"""
add | ?({x} + {y}, {x} - {y})
mul | ?{x} * {y}
truediv | ?{x} / {y}
floordiv | ?({x} // {y}, {x} % {y})
pow | ?{x} ** {n}
neg | ?(-{x}, +{x}, abs({x}))
eq | ?({x} == {y}, {x} != {y}, {x} == 1)
lt | ?({x} < {y}, {x} <= {y}, {x} > {y}, {x} >= {int})
bool | ?(bool({x}), not {x})
hash | ?hash({x})
str | ?(str({x}), repr({x}))
format | ?f"{{x}:.3f}|{{x}:>9}"
quantize | ?{x}.quantize(Decimal("0.1"))
int | ?(int({x}), float({x}), round({x}, 1))
as_tuple | ?tuple({x}.as_tuple())
methods | ?({x}.is_zero(), {x}.is_signed(), {x}.normalize(), {x}.copy_abs())
mixed | ?{x} * {int}
wrong | ?{x} + 0.5
key | ?{{x}: 1}.get({y})
isinstance | ?isinstance({x}, Decimal)
iadd | {x} += {y}
imul | {x} *= {n}
isub | {x} -= {int}
assign | {x} = {y}
assign.int | {x} = Decimal({int}) / 4
"""

WHEN = r"""
attributes | ?({x}.year, {x}.month, {x}.day, {x}.hour, {x}.microsecond, {x}.tzinfo, {x}.fold)
add | ?({x} + timedelta(hours={int}), {x} - timedelta(days=1))
sub | ?{x} - {y}
eq | ?({x} == {y}, {x} != {y})
lt | ?({x} < {y}, {x} >= {y})
hash | ?hash({x}) == hash({x})
repr | ?(repr({x}), str({x}), {x}.isoformat())
format | ?f"{{x}:%Y-%m-%d %H:%M}"
strftime | ?{x}.strftime("%d.%m.%y")
replace | ?{x}.replace(year=2020, minute={n})
date | ?({x}.date(), {x}.time(), {x}.timetz())
utc | ?{x}.astimezone(timezone.utc) if {x}.tzinfo else None
offset | ?({x}.utcoffset(), {x}.tzname())
key | ?{{x}: 1}.get({y})
isinstance | ?(isinstance({x}, moment), isinstance({x}, date))
iadd | {x} += timedelta(minutes={n})
assign | {x} = {y}
assign.zone | {x} = {x}.replace(tzinfo=timezone(timedelta(hours=2)))
"""

DAY = r"""
attributes | ?({x}.year, {x}.month, {x}.day, {x}.weekday(), {x}.isocalendar()[:2])
add | ?({x} + timedelta(days={int}), {x} - timedelta(days=1))
sub | ?{x} - {y}
lt | ?({x} < {y}, {x} == {y}, {x} >= {y})
hash | ?hash({x}) == hash({x})
repr | ?(repr({x}), str({x}), f"{{x}:%d.%m.}")
replace | ?{x}.replace(day=1)
key | ?{{x}: 1}.get({y})
type | ?(type({x}) is date, isinstance({x}, moment))
iadd | {x} += timedelta(days={n})
assign | {x} = {y}
"""

SPAN = r"""
attributes | ?({x}.days, {x}.seconds, {x}.microseconds, {x}.total_seconds())
add | ?({x} + {y}, {x} - {y})
mul | ?({x} * {n}, {x} * 0.5)
truediv | ?({x} / {y}, {x} // timedelta(hours=1))
neg | ?(-{x}, abs({x}))
lt | ?({x} < {y}, {x} == {y}, {x} >= {y})
bool | ?bool({x})
hash | ?hash({x}) == hash({x})
repr | ?(repr({x}), str({x}), f"{{x}}")
iadd | {x} += {y}
imul | {x} *= {n}
assign | {x} = {y}
"""

UID = r"""
attributes | ?({x}.int, {x}.hex, {x}.bytes, {x}.version)
eq | ?({x} == {y}, {x} < {y})
hash | ?hash({x}) == hash({x})
repr | ?(repr({x}), str({x}), f"{{x}}")
key | ?{{x}: 1}.get({y})
wrong | ?{x} + 1
frozen | {x}.int = 1
isinstance | ?isinstance({x}, UUID)
assign | {x} = {y}
"""


def _rows(table):
    for line in table.strip().splitlines():
        name, _, template = line.partition(" | ")
        name, _, condition = name.partition(";")
        yield name.strip(), condition.strip(), template.replace("\\n", "\n")


class Operation:
    """One row: its full name, its condition, its template."""

    __slots__ = ("name", "condition", "template")

    def __init__(self, group, name, condition, template):
        self.name = f"{group}.{name}"
        self.condition = condition
        self.template = template


TABLES = {
    "list": LIST, "dict": DICT, "set": SET, "int": INT, "float": FLOAT, "str": STR, "bytes": BYTES, "tuple": TUPLE,
    "bool": BOOL, "none": NONE, "point": POINT, "enum": ENUM, "frozen": FROZEN, "key": KEY, "decimal": DECIMAL,
    "when": WHEN, "day": DAY, "span": SPAN, "uid": UID, **FLOW,
}  # fmt: skip

#: Group to its operations.
OPERATIONS = {group: [Operation(group, *row) for row in _rows(table)] for group, table in TABLES.items()}

#: The names of all operations.
NAMES = [operation.name for operations in OPERATIONS.values() for operation in operations]
