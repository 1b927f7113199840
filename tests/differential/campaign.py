"""Runs many programs in all ways, compares, counts; and makes a program that differs smaller."""

import ast
import contextlib
import gc
import multiprocessing
import re
from collections import Counter
from dataclasses import dataclass, field

from differential import ways
from differential.catalogue import NAMES
from differential.compiling import compile_all
from differential.plain import plain
from differential.program import Program, make

#: Programs that are compiled and loaded together.
BATCH = 40
#: A batch process ends after so many batches, so that what loaded modules leave behind is gone.
BATCHES_MAX = 25
#: Classes of which the random service is made.
_OF_FAMILY = re.compile(r"(Main|Base|Mixin)\d")
#: Bounds of the search for a smaller program.
ROUNDS_MAX = 40
CANDIDATES_MAX = 40


@dataclass
class Failure:
    """A program that behaves differently."""

    program: Program
    way: str
    difference: tuple

    def __str__(self):
        what, ours, theirs = self.difference
        return f"{what}\n  plain:    {ours}\n  {self.way + ':':<9} {theirs}"


@dataclass
class Tally:
    """What a number of programs showed."""

    programs: int = 0
    #: Code to number of programs; one of each for the report.
    refused: Counter = field(default_factory=Counter)
    examples: dict = field(default_factory=dict)
    refused_programs: int = 0
    #: Operation to number of programs that executed it.
    exercised: Counter = field(default_factory=Counter)
    #: The same of programs that the compiler refused.
    only_written: Counter = field(default_factory=Counter)
    #: How many results were exceptions, and how many there were.
    raised: int = 0
    results: int = 0
    failures: list = field(default_factory=list)

    def add(self, other):
        """Takes in what other programs showed."""
        self.programs += other.programs
        self.refused_programs += other.refused_programs
        self.refused.update(other.refused)
        self.exercised.update(other.exercised)
        self.only_written.update(other.only_written)
        self.raised += other.raised
        self.results += other.results
        self.failures += other.failures
        for code, example in other.examples.items():
            self.examples.setdefault(code, example)

    def never(self):
        """Operations that no program executed, but for those that the compiler refuses as yet."""
        refused = self.refused_always()
        return [name for name in NAMES if not self.exercised[name] and name not in refused]

    def refused_always(self):
        """Objects held over suspensions that only refused programs have."""
        return [name for name in NAMES
                if name.startswith("calls.borrowed") and self.only_written[name] and not self.exercised[name]]  # fmt: skip


def judge(programs, plant=None):
    """Runs these programs in all ways. `plant` may change what the compiler wrote, and the worker."""
    tally = Tally(programs=len(programs))
    compiled = compile_all(programs)
    accepted = [program for program in programs if not _is_refused(tally, program, compiled)]
    oracle = {program.module: plain(program) for program in accepted}
    for program in accepted:
        _count(tally, program, oracle[program.module])
    if compiled.init is None:
        return tally
    init = plant.lowered(compiled.init) if plant else compiled.init
    worker = ways.load(init)
    try:
        with plant.planted() if plant else contextlib.nullcontext():
            for program in accepted:
                tally.failures.extend(_compare(worker, program, init, oracle[program.module]))
    finally:
        worker.close()
        gc.unfreeze()
        gc.collect()
    return tally


def _is_refused(tally, program, compiled):
    errors = compiled.refused.get(program.module)
    if not errors:
        return False
    tally.refused_programs += 1
    tally.refused.update({code for code, _, _ in errors})
    for code, line, message in errors:
        tally.examples.setdefault(code, (program.module, line, message))
    tally.only_written.update({name for names in program.operations.values() for name in names})
    return True


def _count(tally, program, outcome):
    executed = {name for line in outcome.lines for name in program.operations.get(line, ())}
    tally.exercised.update(executed)
    tally.results += len(outcome.results)
    tally.raised += sum(result.startswith("raise ") for result in outcome.results)


def _compare(worker, program, init, oracle):
    drawn = None
    for way in ways.WAYS:
        outcome = ways.on_worker(worker, program, init, way)
        found = oracle.difference(outcome, drawn)
        if found:
            yield Failure(program, way, found)
            return
        drawn = outcome.drawn


def run(seed, first, count, jobs=1, told=lambda tally: None):
    """Makes and judges programs `first` to `first + count - 1`; `told` hears of the progress."""
    starts = range(first, first + count, BATCH)
    work = [(seed, start, min(BATCH, first + count - start)) for start in starts]
    total = Tally()
    if jobs == 1:
        parts = map(_batch, work)
        for part in parts:
            total.add(part)
            told(total)
        return total
    with multiprocessing.get_context("fork").Pool(jobs, maxtasksperchild=BATCHES_MAX) as pool:
        for part in pool.imap(_batch, work):
            total.add(part)
            told(total)
    return total


def _batch(work):
    seed, first, count = work
    return judge([make(seed, number) for number in range(first, first + count)])


# Smaller programs.


def shrink(failure, plant=None, rounds=ROUNDS_MAX):
    """The smallest program found that still behaves differently in the same way."""
    for _ in range(rounds):
        smaller = _smaller(failure, plant)
        if smaller is None:
            return failure
        failure = smaller
    return failure


def _smaller(failure, plant):
    candidates = [each for each in _candidates(failure.program) if _is_python(each[0])]
    for start in range(0, len(candidates), CANDIDATES_MAX):
        part = [_numbered(*candidate, index + 1, failure.program)
                for index, candidate in enumerate(candidates[start : start + CANDIDATES_MAX])]  # fmt: skip
        failures = [each for each in judge(part, plant).failures if each.way == failure.way]
        if failures:
            return min(failures, key=lambda each: _size(each.program))
    return None


def _size(program):
    return len(program.meanwhile), len(program.script), len(program.text)


def _is_python(text):
    try:
        compile(text, "", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def _numbered(text, script, meanwhile, number, original):
    """The program under another number: the names of services are unique in an application."""
    text = re.sub(rf"\b(Main|Base|Mixin|Marked|Other|Sink|Item|Ledger|Desk){original.number}\b", rf"\g<1>{number}", text)
    return Program(original.seed, number, text, script, meanwhile)


def _candidates(program):
    """Texts, scripts and others' calls with something left out, most of it first."""
    others = program.meanwhile
    if len(others) > 1:
        yield program.text, program.script, {}
    for left_out in others:
        yield program.text, program.script, {count: call for count, call in others.items() if count != left_out}
    for index in range(len(program.script)):
        yield program.text, program.script[:index] + program.script[index + 1 :], others
    called = _called(program)
    count = sum(1 for _ in _blocks(ast.parse(program.text), called))
    for size in (8, 4, 2, 1):
        for which in range(count):
            yield from _without(program, called, which, size)


def _without(program, called, which, size):
    length = len(list(_blocks(ast.parse(program.text), called))[which])
    for start in range(0, length, size) if size <= length else ():
        tree = ast.parse(program.text)
        block = list(_blocks(tree, called))[which]
        removed = block[start : start + size]
        block[start : start + size] = _inside(removed[0]) if size == 1 else []
        if not block:
            block.append(ast.Pass())
        text = ast.unparse(tree)
        if text != program.text:
            yield text, program.script, program.meanwhile
        if size == 1 and _inside(removed[0]):
            tree = ast.parse(program.text)
            block = list(_blocks(tree, called))[which]
            block[start : start + 1] = [] if len(block) > 1 else [ast.Pass()]
            yield ast.unparse(tree), program.script, program.meanwhile


def _called(program):
    return {method for method, _ in [*program.script, *program.meanwhile.values()]}


def _inside(statement):
    """The statements within a statement, which may take its place."""
    if isinstance(statement, ast.FunctionDef):
        return []
    return [inner for name in ("body", "orelse", "finalbody") for inner in getattr(statement, name, [])]


def _blocks(tree, called):
    """Lists of statements of the methods that the script calls."""
    for node in tree.body:
        if not (isinstance(node, ast.ClassDef) and _OF_FAMILY.match(node.name)):
            continue
        node.body[:] = [each for each in node.body if not re.fullmatch(r"[mw]\d+|setup", getattr(each, "name", ""))
                        or each.name in called]  # fmt: skip
        for method in node.body:
            if getattr(method, "name", None) in called:
                for inner in ast.walk(method):
                    for name in ("body", "orelse", "finalbody"):
                        block = getattr(inner, name, None)
                        if isinstance(block, list) and block:
                            yield block


def shown(program):
    """The part of a program's text that is its own: the fields that it uses and the methods that are called."""
    lines = program.text.splitlines()
    called = _called(program)
    family = [each for each in ast.parse(program.text).body if _OF_FAMILY.match(getattr(each, "name", ""))]
    text_of = lambda node: "\n".join(lines[node.lineno - 1 : node.end_lineno])
    own = [each for part in family for each in part.body if getattr(each, "name", None) in called]
    text = "\n".join(map(text_of, own))
    is_used = lambda node: isinstance(node, ast.AnnAssign) and re.search(rf"self\.{node.target.id}\b", text)
    told = []
    for part in family:
        told += [lines[part.lineno - 1], *(text_of(each) for each in part.body if each in own or is_used(each))]
    return "\n".join(told)
