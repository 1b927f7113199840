"""One-line operations on persistent fields of every kind, each a method; `test_operations` runs them as plain Python too."""

from sostenuto import Persistent, service


@service
class Operations:
    d: Persistent[dict] = {"a": 1, "b": [2], "c": {"x": 3}}
    m: Persistent[dict] = {1: "one", (1, 2): "pair", None: "none"}
    l: Persistent[list] = [3, 1, 2]
    i: Persistent[int] = 7
    f: Persistent[float] = 2.5
    s: Persistent[str] = "text"
    t: Persistent[tuple] = (1, [2], "x")
    b: Persistent[bool] = False
    e: Persistent[set] = {1, 2}

    def state(self):
        return [self.d, [repr(k) for k in self.m], self.l, self.i, self.f, self.s, self.t, self.b, sorted(self.e)]

    # Subscripts, membership, iteration.
    def dict_get(self): return self.d["a"]
    def dict_set(self): self.d["z"] = 26; return self.d["z"]
    def dict_in(self): return "a" in self.d, "q" in self.d, "q" not in self.d
    def dict_for(self): return [k for k in self.d]
    def dict_missing(self): return self.d["missing"]
    def dict_del(self): del self.d["a"]; return list(self.d)
    def dict_len(self): return len(self.d)
    def dict_eq(self): return self.d == {"a": 1, "b": [2], "c": {"x": 3}}, self.d != {}
    def dict_or(self): return self.d | {"n": 0}
    def dict_ior(self): self.d |= {"n": 0}; return self.d
    def dict_reversed(self): return list(reversed(self.d))
    def dict_bool(self): return bool(self.d), not self.d
    def dict_return(self): return self.d
    def dict_assign(self): self.d = {"new": [1]}; return self.d["new"]
    def dict_nested(self): self.d["b"].append(1); return self.d["b"]
    def dict_deeper(self): self.d["c"]["x"] += 1; return self.d["c"]
    def dict_augment(self): self.d["a"] += 1; return self.d["a"]
    def dict_default(self): return self.d.get("q"), self.d.get("q", 5)
    def dict_keys(self): return list(self.d.keys()), list(self.d.values()), list(self.d.items())
    def dict_update(self): self.d.update(a=9, k=1); return self.d
    def dict_setdefault(self): return self.d.setdefault("q", []), self.d.setdefault("a", 0)
    def dict_pop(self): return self.d.pop("a"), self.d.pop("a", None)
    def dict_popitem(self): return self.d.popitem()
    def dict_clear(self): self.d.clear(); return len(self.d)
    def dict_copy(self): return dict(self.d), {**self.d}, self.d.copy()
    def dict_sum(self): return sum(len(k) for k in self.d), sorted(self.d), max(self.d)
    def dict_none(self): self.d["n"] = None; return "n" in self.d, self.d["n"], self.d.get("n", 1)
    def dict_alias(self): x = self.d["c"]; x["y"] = 1; return self.d["c"]
    def keys_int(self): return self.m[1], 1 in self.m, "1" in self.m, 1.0 in self.m
    def keys_tuple(self): return self.m[(1, 2)], (1, 2) in self.m, self.m[None]

    # Lists.
    def list_get(self): return self.l[0], self.l[-1]
    def list_set(self): self.l[1] = 9; return self.l
    def list_slice(self): return self.l[1:], self.l[::-1]
    def list_slice_set(self): self.l[0:2] = [8]; return self.l
    def list_len(self): return len(self.l)
    def list_del(self): del self.l[0]; return self.l
    def list_append(self): self.l.append(4); return self.l
    def list_pop(self): return self.l.pop(), self.l.pop(0)
    def list_index(self): return self.l.index(2), self.l.count(1)
    def list_sort(self): self.l.sort(key=lambda v: -v); return self.l
    def list_sorted(self): return sorted(self.l), list(reversed(self.l)), sum(self.l), list(self.l)
    def list_add(self): return self.l + [5], [5] + self.l
    def list_iadd(self): self.l += [5]; return self.l
    def list_mul(self): return self.l * 2, 2 * self.l
    def list_eq(self): return self.l == [3, 1, 2], self.l < [4], self.l in ([3, 1, 2],)
    def list_unpack(self): a, *rest = self.l; return a, rest
    def list_bool(self): return bool(self.l), self.l and 1
    def list_return(self): return self.l
    def list_out(self): return self.l[10]

    # Numbers.
    def int_add(self): return self.i + 1, 1 + self.i
    def int_iadd(self): self.i += 1; return self.i
    def int_sub(self): return self.i - 1, 10 - self.i
    def int_isub(self): self.i -= 1; return self.i
    def int_mul(self): return self.i * 2, 2 * self.i, self.i ** 2, self.i % 4, self.i // 2, self.i / 2, divmod(self.i, 2)
    def int_negative(self): return -self.i, +self.i, ~self.i, abs(-self.i)
    def int_compare(self): return self.i < 8, self.i >= 7, 7 == self.i, 0 < self.i < 10
    def int_convert(self): return int(self.i), float(self.i), str(self.i), bool(self.i), hex(self.i)
    def int_index(self): return "abcdefghij"[self.i], list(range(self.i))
    def int_hash(self): return {self.i: 1}[7], self.i in {7}
    def int_format(self): return f"{self.i:03d}", "%d" % self.i, "{}".format(self.i), repr(self.i)
    def int_return(self): return self.i
    def int_zero(self): return self.i // 0
    def float_ops(self): self.f *= 2; return self.f, round(self.f), self.f.is_integer(), self.f > self.i
    def bool_ops(self): self.b = not self.b; return self.b, self.b is True, self.b and 1, self.b + 1

    # Texts, tuples, sets.
    def str_str(self): return str(self.s), self.s, f"{self.s}", repr(self.s)
    def str_method(self): return self.s.upper(), self.s.split("x"), "-".join(self.s)
    def str_add(self): self.s += "!"; return self.s, "a" + self.s, self.s * 2, self.s[1:3], len(self.s), "e" in self.s
    def str_mixed(self): return self.s + 1
    def tuple_type(self): return type(self.t) is tuple, self.t[0], self.t + (9,), len(self.t)
    def tuple_inside(self): self.t[1].append(3); return self.t
    def tuple_assign(self): self.t[0] = 5
    def set_ops(self): self.e.add(3); self.e.discard(1); return sorted(self.e), self.e >= {2}, sorted(self.e | {9}), len(self.e)
