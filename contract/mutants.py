#!/usr/bin/env python3
"""Changes the rules of rules.py and schema_rules.py one at a time, and shows which changes no vector notices.

A change (mutant) that every vector passes is either a vector that is missing, or it changes no verdict. Those that change
none are listed in mutants.json, each with the reason. Usage: python3 contract/mutants.py [--list] [TEXT ...]; exit status 0
when every other mutant is caught and every listed one is still there. --list shows the listed ones with their reasons. With
a TEXT, only mutants whose description contains one are tried. All take some minutes.
"""

import ast
import collections
import json
import multiprocessing
import pathlib
import signal
import sys
import types

sys.dont_write_bytecode = True
FOLDER = pathlib.Path(__file__).parent
MODULES = ("rules", "schema_rules", "check")
MUTATED = MODULES[:2]
# A mutant that uses so many seconds of a processor has no end: all cases together take two.
SECONDS = 4
SWAPS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
         ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.Add: ast.Sub, ast.Sub: ast.Add,
         ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitXor: ast.BitAnd, ast.BitAnd: ast.BitOr,
         ast.RShift: ast.LShift, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And}
# A number of a draft becomes its neighbours, since there are none between.
DRAFTS = [4, 6, 7, 2019, 2020]
NAMES = {"any": "all", "all": "any", "max": "min", "min": "max", "startswith": "endswith", "endswith": "startswith",
         "partition": "rpartition", "rpartition": "partition", "fullmatch": "match", "lower": "upper"}


def loaded(sources):
    """The three modules of these texts or trees, without anything of another mutant."""
    modules = {}
    for name in MODULES:
        module = types.ModuleType(name)
        module.__file__ = str(FOLDER / f"{name}.py")
        # Recorded before it runs: the modules import each other.
        sys.modules[name] = modules[name] = module
        exec(sources[name], module.__dict__)
    return modules


def neighbours(number, drafts):
    if drafts and number in DRAFTS:
        at = DRAFTS.index(number)
        return DRAFTS[max(at - 1, 0) : at] + DRAFTS[at + 1 : at + 2]
    return [number + 1, number - 1]


def changes(node, drafts):
    """What one node may become: pairs of a description and a function that changes it and gives the way back."""
    def swap(holder, field, new):
        def change():
            old = getattr(holder, field)
            setattr(holder, field, new)
            return lambda: setattr(holder, field, old)
        return change

    def without(items, at, *others):
        def change():
            removed = [(one, one.pop(at)) for one in (items, *others)]
            return lambda: [one.insert(at, old) for one, old in removed]
        return change

    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            if type(op) in SWAPS:
                new = node.ops[:at] + [SWAPS[type(op)]()] + node.ops[at + 1 :]
                yield f"{type(op).__name__} to {SWAPS[type(op)].__name__}", swap(node, "ops", new)
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in SWAPS:
        yield f"{type(node.op).__name__} to {SWAPS[type(node.op)].__name__}", swap(node, "op", SWAPS[type(node.op)]())
    if isinstance(node, ast.BoolOp):
        for at in range(len(node.values)):
            yield f"without operand {at + 1}", without(node.values, at)
    if isinstance(node, (ast.Set, ast.List, ast.Tuple)) and isinstance(node.ctx if hasattr(node, "ctx") else ast.Load(), ast.Load) and len(node.elts) > 1:
        for at, one in enumerate(node.elts):
            if isinstance(one, ast.Constant):
                yield f"without {one.value!r}", without(node.elts, at)
    if isinstance(node, ast.Dict) and len(node.keys) > 1:
        for at, key in enumerate(node.keys):
            if isinstance(key, ast.Constant):
                yield f"without {key.value!r}", without(node.keys, at, node.values)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"{node.value} to {not node.value}", swap(node, "value", not node.value)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        for other in neighbours(node.value, drafts):
            yield f"{node.value} to {other}", swap(node, "value", other)
    if isinstance(node, ast.Constant) and type(node.value) in (str, bytes) and node.value:
        yield "text changed", swap(node, "value", node.value + ("!" if isinstance(node.value, str) else b"!"))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "without not", swap(node, "op", ast.UAdd())
    if isinstance(node, (ast.If, ast.IfExp, ast.While)) and not isinstance(node.test, ast.Constant):
        yield "condition true", swap(node, "test", ast.copy_location(ast.Constant(True), node.test))
        yield "condition false", swap(node, "test", ast.copy_location(ast.Constant(False), node.test))
    if isinstance(node, ast.comprehension):
        for at in range(len(node.ifs)):
            yield f"without filter {at + 1}", without(node.ifs, at)
    if isinstance(node, ast.Name) and node.id in NAMES:
        yield f"{node.id} to {NAMES[node.id]}", swap(node, "id", NAMES[node.id])
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield f"{node.attr} to {NAMES[node.attr]}", swap(node, "attr", NAMES[node.attr])
    for field in ("body", "orelse", "finalbody"):
        body = getattr(node, field, None)
        if isinstance(body, list) and not isinstance(node, (ast.Module, ast.ClassDef)):
            for at, one in enumerate(body):
                is_text = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
                if isinstance(one, (ast.Expr, ast.Raise, ast.AugAssign)) and not is_text:
                    new = body[:at] + [ast.copy_location(ast.Pass(), one)] + body[at + 1 :]
                    yield f"without line {one.lineno - getattr(node, 'lineno', one.lineno)}", swap(node, field, new)


def sites(tree):
    """Every node that may change, with the function and the statement that it stands in; None for a table."""
    def walk(node, function, statement):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            function = f"{function}.{node.name}" if function else node.name
        elif isinstance(node, ast.stmt) and function:
            statement = node
        if not isinstance(node, ast.JoinedStr):
            yield node, function, statement
            for child in ast.iter_child_nodes(node):
                yield from walk(child, function, statement)

    for top in tree.body:
        if not isinstance(top, (ast.Import, ast.ImportFrom)) and not is_text(top):
            yield from walk(top, "", None)


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def no_rules(tree):
    """Texts that are no rule: what describes a function, and names of encodings, which Python reads loosely."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and is_text(node.body[0]):
            yield id(node.body[0].value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("encode", "decode"):
            yield from map(id, node.args)


def mutants(name, tree, source):
    """Each with its description, which is unique, the lines of its statement, and what changes the tree."""
    lines, skipped, seen = source.splitlines(), set(no_rules(tree)), collections.Counter()
    for node, function, statement in sites(tree):
        if id(node) in skipped:
            continue
        at = node.iter.lineno if isinstance(node, ast.comprehension) else getattr(node, "lineno", None)
        for what, change in changes(node, name == "schema_rules"):
            text = f"{name}.{function or '(tables)'}: {lines[at - 1].strip()}: {what}"
            seen[text] += 1
            where = (statement.lineno, statement.end_lineno) if statement else function or at
            yield text + (f" #{seen[text]}" if seen[text] > 1 else ""), where, change


# ---------------------------------------------------------------- running

class Endless(BaseException):
    pass


def ended(*_):
    raise Endless


def cases():
    for path in sorted((FOLDER / "vectors").glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            yield path.name, case


def traced(modules, all_cases):
    """For each line of the rules, the numbers of the cases that run it."""
    by_line, files = collections.defaultdict(list), {str(FOLDER / f"{name}.py"): name for name in MUTATED}

    def trace(frame, event, _):
        name = files.get(frame.f_code.co_filename)
        if name is None:
            return None
        if event == "line":
            lines.add((name, frame.f_lineno))
        return trace

    for number, (file, case) in enumerate(all_cases):
        lines = set()
        sys.settrace(trace)
        try:
            modules["check"].CHECKS[file](case)
        finally:
            sys.settrace(None)
        for line in lines:
            by_line[line].append(number)
    return by_line


def tables(trees):
    """For each line of a table, all lines that use it, by way of other tables as well."""
    uses, tops = collections.defaultdict(set), {}
    for name, tree in trees.items():
        for top in tree.body:
            for target in top.targets if isinstance(top, ast.Assign) else ():
                tops[target.id] = (name, top.lineno, top.end_lineno)
            for node in ast.walk(top):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    uses[node.id].add((name, node.lineno))
    def closure(table, seen):
        if table in seen:
            return set()
        seen.add(table)
        found = set(uses[table])
        for other, (name, first, last) in tops.items():
            if any((name, line) in found for line in range(first, last + 1)):
                found |= closure(other, seen)
        return found
    return {(name, line): closure(table, set()) for table, (name, first, last) in tops.items() for line in range(first, last + 1)}


def relevant(name, where):
    """The cases that can notice a change there: those that run its statement, or use its table; all for what a class holds."""
    if isinstance(where, tuple):
        lines = {(name, line) for line in range(where[0], where[1] + 1)}
    else:
        lines = WORK["tables"].get((name, where))
        if lines is None:
            return range(len(WORK["cases"]))
    numbers = sorted({case for line in lines for case in WORK["by_line"].get(line, ())})
    # What no case runs by itself, such as a member of a class, may be seen by all.
    return numbers or range(len(WORK["cases"]))


def caught(arguments):
    """The mutants of one share that no vector notices."""
    share, shares = arguments
    signal.signal(signal.SIGVTALRM, ended)
    survivors, count = [], 0
    for name, tree, found in WORK["modules"]:
        for number, (text, where, change) in enumerate(found):
            if number % shares != share:
                continue
            count += 1
            back = change()
            try:
                if survives(name, tree, relevant(name, where)):
                    survivors.append(text)
            finally:
                back()
    return survivors, count


def survives(name, tree, numbers):
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        check = loaded(WORK["sources"] | {name: compile(ast.fix_missing_locations(tree), f"{name}.py", "exec")})["check"]
        for number in numbers:
            file, case = WORK["cases"][number]
            check.CHECKS[file](case)
    except (Exception, Endless):
        return False
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return True


WORK = {}


def main(arguments):
    listed = json.loads((FOLDER / "mutants.json").read_text(encoding="utf-8"))
    reasons = {mutant: reason for reason, some in listed.items() for mutant in some}
    if "--list" in arguments:
        for reason, some in listed.items():
            print(f"{reason}:\n  " + "\n  ".join(some))
        return 0
    sources = {name: (FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in MODULES}
    compiled = {name: compile(source, str(FOLDER / f"{name}.py"), "exec") for name, source in sources.items()}
    trees = {name: ast.parse(sources[name]) for name in MUTATED}
    all_cases = list(cases())
    WORK.update(cases=all_cases, sources=compiled, tables=tables(trees), by_line=traced(loaded(compiled), all_cases))
    texts = [one for one in arguments if not one.startswith("--")]
    chosen = lambda mutant: not texts or any(text in mutant for text in texts)
    WORK["modules"] = [(name, trees[name], [one for one in mutants(name, trees[name], sources[name]) if chosen(one[0])])
                       for name in MUTATED]
    shares = 40
    with multiprocessing.get_context("fork").Pool() as pool:
        found = []
        for some in pool.imap_unordered(caught, [(share, shares) for share in range(shares)]):
            found.append(some)
            print(f"{len(found)} of {shares} shares done", file=sys.stderr, flush=True)
    survivors = {text for some, _ in found for text in some}
    missed, stale = sorted(survivors - reasons.keys()), sorted(filter(chosen, reasons.keys() - survivors))
    for text in missed:
        print(f"no vector notices: {text}")
    for text in stale:
        print(f"listed in mutants.json, but caught or gone: {text}")
    total = sum(count for _, count in found)
    print(f"{total} mutants: {total - len(survivors)} caught by {len(all_cases)} vectors, "
          f"{len(survivors & reasons.keys())} change no verdict, {len(missed)} missed")
    return 1 if missed or stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
