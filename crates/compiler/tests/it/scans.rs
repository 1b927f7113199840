//! Which places `check --explain` says to cost more the more a field holds: those with a comment that says so.

use std::collections::BTreeSet;

use compiler::{App, Cost, SourceFile, compile, explain_methods};

const SOURCE: &str = "\
from sostenuto import service, Persistent

@service
class Store:
    d: Persistent[dict[str, int]] = {}
    l: Persistent[list[int]] = []
    m: Persistent[list[int]] = []
    s: Persistent[set[int]] = set()

    def of_dicts(self, k, n):
        self.d[k] = self.d.get(k, 0) + self.d[k]
        known = k in self.d or self.d.setdefault(k, 1)
        del self.d[k]
        for key in self.d:                      # d entries
            n += self.d[key]
        total = sum(self.d.values())            # d entries
        self.d.clear()                          # d entries
        d = self.d
        d[k] = 1
        if isinstance(d, dict) and k in d:
            return dict(d)                      # d entries
        return sorted(self.s), known, total

    async def of_waits(self, k):
        for key in self.d:                      # d held
            await Store().of_order(1, key)
        for key, n in self.d.items():           # d held
            if n:
                await Store().of_order(1, key)
        all = [await Store().of_order(1, key) for key in self.d]  # d held
        for key in list(self.d):                # d entries
            await Store().of_order(1, key)
        for key in self.d:                      # d entries
            k += key
        for each in self.m:                     # m elements
            await Store().of_order(1, each)
        return all

    def of_lists(self, i, x):
        self.l.append(x)
        self.l.extend([x])
        self.l += [x]
        self.l.insert(0, x)
        self.l[i] = self.l[-1] + self.l[i] + len(self.l)
        if self.l and not self.l or (len(self.l) if self.l else 0):
            return self.l.pop(), self.l.pop(0), self.l.pop(-1), self.l[2:5], self.l[i:]
        del self.l[0], self.l[-1], self.l[:5], self.l[5:]
        for each in self.l:                     # l elements
            x += each
        if x in self.l:                         # l elements
            return self.l.index(x)              # l elements
        if self.l == [1]:                       # l elements
            return self.l[:]                    # l elements
        self.l = [x]                            # l elements
        return [each for each in self.l if each]  # l elements

    def of_order(self, i, x):
        self.l.sort()                           # l rewrites
        self.l.reverse()                        # l rewrites
        self.l.remove(x)                        # l rewrites
        self.l.insert(i, x)                     # l rewrites
        self.l.pop(i)                           # l rewrites
        del self.l[i]                           # l rewrites
        self.l[1:2] = [x]                       # l rewrites
        self.l *= 2                             # l rewrites

    def of_names(self, x):
        l = self.l
        l.append(x)
        other = self.l                          # l elements
        other = [x]
        other.sort()
        if not l:
            return max(l)                       # l elements
        l.sort()                                # l rewrites
";

#[test]
fn places_whose_cost_grows_are_noted() {
    let file = SourceFile { path: "app.py".into(), module: "app".into(), source: SOURCE.to_owned(), package: false };
    let app = App { files: vec![file], classes: None };
    let compiled = compile(&app);
    let manifest = compiled.manifest.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    let (methods, _) = explain_methods(&app, &manifest);
    let name = |what| match what {
        Cost::ReadsEntries => "entries",
        Cost::ReadsElements => "elements",
        Cost::HoldsEntries => "held",
        Cost::Rewrites => "rewrites",
    };
    let scans = methods.iter().flat_map(|method| &method.scans);
    let found: BTreeSet<_> = scans.map(|scan| (scan.line, format!("{} {}", scan.field, name(scan.what)))).collect();
    let comments = SOURCE.lines().enumerate().filter_map(|(index, line)| {
        let (_, comment) = line.split_once('#')?;
        Some((index as u32 + 1, comment.trim().to_owned()))
    });
    assert_eq!(found, comments.collect());
}
