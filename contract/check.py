#!/usr/bin/env python3
"""Runs every vector in vectors/ against the rules of README.md, written down a second time in rules.py and schema_rules.py.

Python's standard library only, and nothing of the Rust code: a vector that passes both is right, or wrong in a way
that two programs share. Usage: python3 contract/check.py [FILE.json ...]; exit status 0 when all pass.

A case that is in frozen.json must not change: it is part of a version of the contract. `--freeze` adds the new ones.
"""

import hashlib
import json
import pathlib
import sys

sys.dont_write_bytecode = True
import rules
import schema_rules
from rules import Refused, unpacked


# ---------------------------------------------------------------- the vectors

def same(found, expected):
    assert found == expected, f"{found!r}, not {expected!r}"


def outcome(case, read):
    """Either the refusal that the case names, or what reading gave."""
    try:
        result = read()
    except Refused as e:
        assert "error" in case, f"refused: {e}"
        same((e.error, e.at), (case["error"], case["at"]))
        return None
    assert "error" not in case, f"taken, not refused as {case['error']}"
    return result


def names(case):
    kind, string = case["kind"], case["text"]
    if kind == "topic":
        topic = rules.topic_of(case["prefix"], string)
        same(topic is not None, case["valid"])
        same(topic, case.get("topic"))
    elif kind == "schema-id":
        same(rules.schema_id(string) is not None, case["valid"])
        same(rules.schema_id(string), case.get("id"))
    else:
        rule = {
            "stream": rules.is_stream,
            "prefix": rules.is_prefix,
            "schema-name": rules.is_schema_name,
            "version": lambda t: rules.version_of(t) is not None,
            "header": lambda t: not rules.is_reserved_header(t),
        }[kind]
        same(rule(string), case["valid"])


def patterns(case):
    if "other" in case:
        same(rules.overlap(case["pattern"], case["other"]), case["overlap"])
        return
    same(rules.matches(case["text"], case["pattern"]), case["matches"])
    same(rules.takes_stream(case["text"], case["pattern"]), case["stream"])


def envelopes(case):
    value = unpacked(case["value"])
    result = outcome(case, lambda: rules.read_envelope(value))
    if result:
        same(result, (case["schema"], case["data"].encode("utf-8")))
    if case.get("write"):
        same(rules.write_envelope(case["schema"], case["data"].encode("utf-8")), value)


def lines(case):
    line = case["line"] if isinstance(case["line"], bytes) else unpacked(case["line"])
    if "record" in case:
        members = rules.write_line(case["record"])
        refused = [m for m in members if isinstance(m[1], Refused)]
        if refused:
            # The words of `error` are free; everything else is not.
            written = json.loads(line)
            assert isinstance(written.pop("error"), str)
            expected = [(n, json.loads(v)) for n, v in members if n != "error"]
            same(list(written.items()), expected)
        else:
            same("{" + ",".join(rules.quoted(n) + ":" + v for n, v in members) + "}", line.decode("utf-8"))
        return
    found = outcome(case, lambda: rules.read_line(line, case.get("timestamps") == "keep"))
    if found:
        read = dict(case["read"])
        read["key"] = unpacked(read["key"])
        read["headers"] = [[n, unpacked(v)] for n, v in read["headers"]]
        same(found, read)


def answers(case):
    found = outcome(case, lambda: rules.read_answer(case["text"].encode("utf-8"), case["delivery"]))
    if found:
        same(found, case["answer"])


def partitions(case):
    hashed = rules.murmur2(unpacked(case["key"]))
    same(hashed, case["murmur2"])
    assert case["partitions"], "no counts"
    for count, partition in case["partitions"].items():
        same((hashed & 0x7FFFFFFF) % int(count), partition)


def identities(case):
    assert case["documents"], "no documents"
    for document in case["documents"]:
        same(rules.identity(document), (case["canonical"], case["sha256"]))
    for document in case.get("different", []):
        assert rules.identity(document)[0] != case["canonical"], f"{document} is not different"


def documents(case):
    if "expression" in case:
        found = schema_rules.expression(case["expression"])
        for wanted in ("matches", "differs"):
            for t in case[wanted]:
                same((t, bool(found.search(t))), (t, wanted == "matches"))
        return
    try:
        schema_rules.Document(case["document"])
    except Refused as refused:
        # The keyword at fault is named, or a place inside its value.
        assert (str(case["refused"]) + "/").startswith(refused.error + "/"), f"{refused.error}, not {case['refused']}"
    else:
        same(None, case["refused"])


def validation(case):
    document = schema_rules.Document(case["document"])
    assert case["valid"] or case["invalid"], "no data"
    for verdict in ("valid", "invalid"):
        for data in case[verdict]:
            same((data, document.judge(data)), (data, verdict == "valid"))


def log(case):
    same(rules.replay_schemas(case["records"]), (case["versions"], case["ignored"]))


def bindings(case):
    same(rules.replay_properties(case["records"]), (case["streams"], case["ignored"], case.get("properties", {})))


def refusal(case, read):
    """Like `outcome`, where a case names the rule alone."""
    try:
        result = read()
    except Refused as e:
        same(e.error, case.get("refused"))
        return None
    assert "refused" not in case, f"taken, not refused as {case['refused']}"
    return result


def headers(case):
    found = refusal(case, lambda: rules.passed_on(case["consumed"], case["own"], case.get("id")))
    if found is not None:
        same(sorted(map(str, found)), sorted(map(str, case["sent"])))


def publishing(case):
    found = refusal(case, lambda: schema_rules.publish(case["event"], case["prefix"], case["log"], case["bindings"]))
    if found is not None:
        same(found, (case["topic"], unpacked(case["value"])))


def consuming(case):
    if "records" in case:
        commit, highest = rules.to_commit(case["records"], case["position"])
        same(commit, case["commit"])
        for offset in case["forbidden"]:
            assert commit is None or offset > highest, f"{offset} may be committed"
        return
    value = unpacked(case["value"])
    same(schema_rules.becomes(value, case["handler"], case["validates"], case["log"]), case["becomes"])


def http(case):
    if "messages" in case:
        answer = (case["status"], case["content-type"], case["retry-after"], case["body"].encode("utf-8"))
        same(rules.batch_meaning(*answer, case["messages"]), case["means"])
        return
    if "status" in case:
        found = rules.meaning(case["status"], case["content-type"], case["retry-after"], case["body"].encode("utf-8"))
        same((found or {"outcome": "pause"})["outcome"], case["means"])
        same((found or {}).get("delay"), case.get("delay"))
        return
    try:
        found = rules.request_headers(case["record"], case["schema"], case["group"], case["attempt"])
    except Refused:
        found = None
    same(found, None if case.get("rejected") else [tuple(header) for header in case["headers"]])


def dead_letters(case):
    if "group" in case:
        found = [rules.group_topic(case["prefix"], mark, case["group"]) for mark in ("__dead__", "__retry__")]
        # A group has both topics or none.
        same(found if all(found) else None, case["topics"])
        return
    if "letter" in case:
        same(rules.write_dead(case["headers"], case["letter"]), [tuple(h) for h in case["dead"]])
        return
    rule = {
        "read": rules.read_dead,
        "marker": rules.read_marker,
        "copy": lambda h: rules.redriven(h),
        "original": rules.without_dead,
    }[case["law"]]
    found = refusal(case, lambda: rule(case["dead"]))
    if "refused" not in case:
        listed = case["law"] in ("copy", "original")
        same(found, [tuple(h) for h in case["gives"]] if listed else case["gives"])


def completions(case):
    if "unfinished" in case:
        write = rules.write_metadata if case.get("names-topic") else rules.write_completions
        same(write(case["topic-id"], case["committed"], set(case["unfinished"]), case["end"]), case["metadata"])
        return
    if "counts" in case:
        same(rules.counts(case["metadata"], case["topic-id"], case["committed"]), case["counts"])
        return
    found = rules.read_completions(case["metadata"], case["topic-id"], case["committed"], case["log-end"])
    same(found, case["reads"])


CHECKS = {
    "names.json": names,
    "patterns.json": patterns,
    "envelopes.json": envelopes,
    "lines.json": lines,
    "answers.json": answers,
    "partitions.json": partitions,
    "identity.json": identities,
    "documents.json": documents,
    "validation.json": validation,
    "log.json": log,
    "bindings.json": bindings,
    "headers.json": headers,
    "publishing.json": publishing,
    "consuming.json": consuming,
    "http.json": http,
    "dead-letters.json": dead_letters,
    "completions.json": completions,
}


FOLDER = pathlib.Path(__file__).parent


def digest(case):
    return hashlib.sha256(json.dumps(case, sort_keys=True).encode("utf-8")).hexdigest()[:16]


def thaw(vectors, add):
    """What differs from frozen.json; with `add`, new cases are frozen first."""
    path = FOLDER / "frozen.json"
    frozen = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found = {name: {case["name"]: digest(case) for case in cases} for name, cases in vectors.items()}
    if add:
        for name, cases in found.items():
            frozen[name] = cases | frozen.get(name, {})
        path.write_text(json.dumps(frozen, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    for name in sorted(frozen.keys() | found.keys()):
        now, before = found.get(name, {}), frozen.get(name, {})
        for case in sorted(now.keys() | before.keys()):
            if case not in now:
                yield f"{name}: {case}: removed, but part of the contract"
            elif case not in before:
                yield f"{name}: {case}: not frozen yet; run python3 contract/check.py --freeze"
            elif now[case] != before[case]:
                yield f"{name}: {case}: changed, but part of the contract; give the new case another name"


def main(arguments):
    chosen = [one for one in arguments if one != "--freeze"]
    files = {path.name for path in (FOLDER / "vectors").glob("*.json")} | set(CHECKS)
    passed, problems, vectors = 0, [], {}
    for name in sorted(set(chosen) or files):
        try:
            check = CHECKS[name]
            vectors[name] = json.loads((FOLDER / "vectors" / name).read_text(encoding="utf-8"))["cases"]
            assert vectors[name], "no cases"
            assert len({case["name"] for case in vectors[name]}) == len(vectors[name]), "two cases of one name"
        except (OSError, ValueError, KeyError, AssertionError) as e:
            problems.append(f"{name}: unusable: {e!r}")
            continue
        for case in vectors[name]:
            try:
                check(case)
                passed += 1
            except Exception as e:  # A vector that crashes a rule has failed like any other.
                problems.append(f"{name}: {case['name']}: {type(e).__name__}: {e}")
    if not chosen and not (problems and "--freeze" in arguments):
        problems += thaw(vectors, "--freeze" in arguments)
    for problem in problems:
        print(problem)
    print(f"{passed} passed, {len(problems)} failed")
    return 1 if problems or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
