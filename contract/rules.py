"""The rules of README.md, written down a second time: names, JSON, envelopes, lines, answers, identity, logs.

Python's standard library only, and nothing of the Rust code. What a schema allows stands in schema_rules.py.
"""

import base64
import datetime
import decimal
import fnmatch
import hashlib
import json
import re

MAX_DEPTH = 127
MAX_VERSION = 2**31 - 1
NAME = re.compile(r"[A-Za-z0-9._-]+")
VERSION = re.compile(r"[1-9][0-9]*")


# ---------------------------------------------------------------- names

RESERVED = ("__schema__", "__dead__", "__retry__", "__connect__")


def reserved_topic(topic):
    return any(word in topic for word in RESERVED) or topic.endswith("__streams__")


def is_reserved_header(name):
    return name[:9].isascii() and name[:9].lower() == "kafkaesk-"


def is_stream(text):
    return bool(NAME.fullmatch(text)) and len(text) <= 249 and not text.startswith("__") and not reserved_topic(text)


def is_prefix(text):
    return text == "" or (bool(NAME.fullmatch(text)) and len(text) <= 249 and not any(word in text for word in RESERVED))


def topic_of(prefix, stream):
    topic = prefix + stream
    good = is_prefix(prefix) and is_stream(stream) and topic not in (".", "..")
    return topic if good and len(topic) <= 249 and not reserved_topic(topic) else None


def is_schema_name(text):
    return bool(NAME.fullmatch(text)) and len(text) <= 239


def version_of(text):
    return int(text) if VERSION.fullmatch(text) and int(text) <= MAX_VERSION else None


def schema_id(text):
    name, _, version = text.rpartition(":")
    if not is_schema_name(name) or version_of(version) is None:
        return None
    return [name, version_of(version)]


# ---------------------------------------------------------------- patterns

def matches(text, pattern):
    return fnmatch.fnmatchcase(text, pattern)


def takes_stream(text, pattern):
    """Whether a subscription with this pattern takes the stream."""
    return matches(text, pattern) and text != "" and not text.startswith("__") and not reserved_topic(text)


ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"


def tokens(pattern):
    """A pattern as steps: None for a star, else the characters of a stream id that the step takes."""
    steps, i = [], 0
    while i < len(pattern):
        if pattern[i] == "*":
            steps.append(None)
            i += 1
            continue
        end = i + 1
        if pattern[i] == "[":
            close = pattern.find("]", i + 2 + (pattern[i + 1 : i + 2] == "!"))
            end = close + 1 if close > 0 else i + 1
        # Python itself says what one step takes.
        steps.append({c for c in ALPHABET if fnmatch.fnmatchcase(c, pattern[i:end])})
        i = end
    return steps


def kinds(steps):
    """One character for all that every step, and the reserved words, treat alike."""
    sets = {frozenset(step) for step in steps if step is not None}
    special = set("".join(RESERVED) + "__streams__")
    found = {}
    for c in ALPHABET:
        found.setdefault((c if c in special else None, tuple(c in one for one in sets)), c)
    return list(found.values())


def remembered(text):
    """The longest end of a text that begins a reserved word: only that can still become one."""
    ends = (text[i:] for i in range(len(text)))
    return next((end for end in ends if any(word.startswith(end) for word in (*RESERVED, "__streams__"))), "")


def overlap(left, right):
    """Searches the texts that both take, by places in both patterns and what the text has of a reserved word."""
    left, right = tokens(left), tokens(right)
    characters = kinds(left + right)
    # `^` marks the beginning: a text that begins with `__` is no stream.
    layer = seen = {(0, 0, "^")}
    for _ in range(250):
        reached = set()
        for a, b, tail in layer:
            for a, b in {(x, y) for x in skips(left, a) for y in skips(right, b)}:
                if a == len(left) and b == len(right) and tail not in ("^", "__streams__"):
                    return True
                for c in characters:
                    x, y = takes(left, a, c), takes(right, b, c)
                    longer = tail + c
                    if x is None or y is None or longer == "^__" or any(word in longer for word in RESERVED):
                        continue
                    reached.add((x, y, longer if longer == "^_" else remembered(longer)))
        layer = reached - seen
        seen = seen | reached
    return False


def skips(steps, at):
    places = [at]
    while at < len(steps) and steps[at] is None:
        at += 1
        places.append(at)
    return places


def takes(steps, at, c):
    if at == len(steps):
        return None
    return at if steps[at] is None else at + 1 if c in steps[at] else None


# ---------------------------------------------------------------- JSON, read strictly

class Refused(Exception):
    def __init__(self, error, at):
        super().__init__(f"{error} at {at}")
        self.error, self.at = error, at


class Number(str):
    """A number as it was written."""


class Reader:
    """Reads JSON bytes. A value is (kind, content, start, end); an object's content is a list of (name, start, value)."""

    SPACE = b" \t\r\n"

    def __init__(self, data):
        self.data, self.i, self.depth = data, 0, 0

    def fail(self, error="syntax", at=None):
        raise Refused(error, self.i if at is None else at)

    def peek(self):
        return self.data[self.i : self.i + 1]

    def space(self):
        while self.peek() and self.peek() in self.SPACE:
            self.i += 1

    def open(self):
        if self.depth == MAX_DEPTH:
            self.fail("too-deep")
        self.depth += 1
        self.i += 1

    def close(self):
        self.depth -= 1
        self.i += 1

    def value(self):
        self.space()
        start, c = self.i, self.peek()
        if c == b"{":
            content = ("object", self.members())
        elif c == b"[":
            content = ("array", self.items())
        elif c == b'"':
            content = ("string", self.string())
        elif c and c in b"-0123456789":
            content = ("number", self.number())
        else:
            for word in (b"true", b"false", b"null"):
                if c and word.startswith(c):
                    for expected in word:
                        if self.peek() != bytes([expected]):
                            self.fail()
                        self.i += 1
                    content = ("null", None) if word == b"null" else ("boolean", word == b"true")
                    break
            else:
                self.fail()
        return (*content, start, self.i)

    def members(self, judge=None):
        """`judge` sees each member as soon as it is read, and may refuse it."""
        self.open()
        members, first = [], True
        while True:
            self.space()
            if self.peek() == b"}":
                self.close()
                return members
            if not first:
                if self.peek() != b",":
                    self.fail()
                self.i += 1
                self.space()
            first = False
            at = self.i
            if self.peek() != b'"':
                self.fail()
            name = self.string()
            if judge:
                text(name, at)
                if any(name == known for known, _, _ in members):
                    self.fail("duplicate-member", at)
            self.space()
            if self.peek() != b":":
                self.fail()
            self.i += 1
            members.append((name, at, self.value()))
            if judge:
                judge(*members[-1])

    def items(self):
        self.open()
        items = []
        self.space()
        if self.peek() == b"]":
            self.close()
            return items
        while True:
            items.append(self.value())
            self.space()
            if self.peek() == b"]":
                self.close()
                return items
            if self.peek() != b",":
                self.fail()
            self.i += 1

    def string(self):
        start = self.i
        self.i += 1
        while True:
            c = self.peek()
            if c == b'"':
                self.i += 1
                return json.loads(self.data[start : self.i].decode("utf-8"))
            if c == b"\\":
                self.i += 1
                if self.peek() == b"u":
                    self.i += 1
                    for _ in range(4):
                        if not self.peek() or self.peek() not in b"0123456789abcdefABCDEF":
                            self.fail()
                        self.i += 1
                elif self.peek() and self.peek() in b'"\\/bfnrt':
                    self.i += 1
                else:
                    self.fail()
            elif not c or c < b" ":
                self.fail()
            else:
                self.i += 1

    def digits(self):
        if not self.peek().isdigit():
            self.fail()
        while self.peek().isdigit():
            self.i += 1

    def number(self):
        start = self.i
        if self.peek() == b"-":
            self.i += 1
        if self.peek() == b"0":
            self.i += 1
        else:
            self.digits()
        if self.peek() == b".":
            self.i += 1
            self.digits()
        if self.peek() and self.peek() in b"eE":
            self.i += 1
            if self.peek() and self.peek() in b"+-":
                self.i += 1
            self.digits()
        return Number(self.data[start : self.i].decode())


def text(string, at):
    """A decoded string, unless it holds half a surrogate pair."""
    try:
        string.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("syntax", at) from None
    return string


def whole(data, read):
    """Everything that comes before and after the value itself."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise Refused("bom", 0)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise Refused("utf-8", e.start) from None
    reader = Reader(data)
    reader.space()
    if not reader.peek():
        raise Refused("empty", 0)
    result = read(reader)
    reader.space()
    if reader.peek():
        reader.fail("trailing")
    return result


def read_object(data, judge):
    def read(reader):
        if reader.peek() != b"{":
            reader.fail("not-an-object")
        return reader.members(judge)

    return {name: value for name, _, value in whole(data, read)}


def need(members, *names):
    for name in names:
        if name not in members:
            raise Refused("missing-member", None)


# ---------------------------------------------------------------- envelope

def read_envelope(value):
    if value is None:
        raise Refused("null", None)

    def judge(name, _, v):
        if name == "schema":
            kind, content, start, _ = v
            if kind != "string":
                raise Refused("wrong-type", start)
            if schema_id(text(content, start)) is None:
                raise Refused("schema-id", start)

    members = read_object(value, judge)
    need(members, "schema", "data")
    _, _, start, end = members["data"]
    return members["schema"][1], value[start:end]


def write_envelope(schema, data):
    return b'{"schema":"' + schema.encode() + b'","data":' + data + b"}"


# ---------------------------------------------------------------- the line

def shown(value):
    """Bytes as the line shows them: JSON text."""
    if value is None:
        return "null"
    try:
        return quoted(value.decode("utf-8"))
    except UnicodeDecodeError:
        return '{"base64":"' + base64.b64encode(value).decode() + '"}'


def quoted(string):
    return json.dumps(string, ensure_ascii=False)


def moment(millis):
    """A timestamp as the line shows it; None for none, and for one before 1970 or after 9999."""
    if millis is None or not 0 <= millis <= 253402300799999:
        return None
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=millis)
    return time.isoformat(timespec="milliseconds") + "Z"


def write_line(record):
    out = [("stream", quoted(record["stream"]))]
    value = unpacked(record.get("value"))
    try:
        schema, data = read_envelope(value)
        out.append(("schema", quoted(schema)))
    except Refused as e:
        schema, refusal = None, e
    if "key" in record and record["key"] is not None:
        out.append(("key", shown(unpacked(record["key"]))))
    headers = [(name, unpacked(v)) for name, v in record.get("headers", [])]
    ids = [v for name, v in headers if name == "kafkaesk-id"]
    identity = None
    if len(ids) == 1 and ids[0] is not None:
        try:
            identity = ids[0].decode("utf-8")
            headers = [(n, v) for n, v in headers if n != "kafkaesk-id"]
        except UnicodeDecodeError:
            pass
    grouped = {}
    for name, v in headers:
        grouped.setdefault(name, []).append(shown(v))
    if grouped:
        parts = [quoted(n) + ":" + (v[0] if len(v) == 1 else "[" + ",".join(v) + "]") for n, v in grouped.items()]
        out.append(("headers", "{" + ",".join(parts) + "}"))
    if identity is not None:
        out.append(("id", quoted(identity)))
    if schema is not None:
        out.append(("data", data.decode("utf-8").replace("\r", " ").replace("\n", " ")))
    elif value is None:
        out.append(("tombstone", "true"))
    else:
        packed = '{"base64":"' + base64.b64encode(value).decode() + '"}'
        out += [("value", packed), ("error", refusal)]
    out += [("partition", str(record["partition"])), ("offset", str(record["offset"]))]
    if moment(record.get("timestamp")):
        out.append(("timestamp", quoted(moment(record["timestamp"]))))
    delivery = record.get("delivery")
    if delivery:
        out += [("group", quoted(delivery["group"])), ("attempt", str(delivery["attempt"]))]
        out.append(("delivery", quoted(delivery["delivery"])))
    return out


# Members that a line may have and reading does not use.
UNUSED = ["partition", "offset", "timestamp", "group", "attempt", "delivery"]
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def read_moment(string):
    parts = MOMENT.fullmatch(string)
    if not parts:
        return None
    date, time, fraction, zone = parts.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        moment = datetime.datetime.fromisoformat(f"{date}T{time}{zone}")
    except ValueError:
        return None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    millis = (moment - epoch) // datetime.timedelta(milliseconds=1) + int(((fraction or "") + "000")[:3])
    return millis if 0 <= millis <= 253402300799999 else None


def distinct(members):
    seen = set()
    for name, at, _ in members:
        if text(name, at) in seen:
            raise Refused("duplicate-member", at)
        seen.add(name)


def field(value):
    """Bytes or None from a value of the line."""
    kind, content, start, _ = value
    if kind == "null":
        return None
    if kind == "string":
        return text(content, start).encode("utf-8")
    if kind == "object":
        distinct(content)
    if kind == "object" and [name for name, _, _ in content] == ["base64"] and content[0][2][0] == "string":
        _, _, (_, packed, at, _) = content[0]
        try:
            unpacked_bytes = base64.b64decode(text(packed, at).encode("ascii"), validate=True)
            if base64.b64encode(unpacked_bytes).decode() != packed:
                raise ValueError("bits behind the last byte")
            return unpacked_bytes
        except ValueError:
            raise Refused("base64", at) from None
    raise Refused("wrong-type", start)


def optional_text(value):
    kind, content, start, _ = value
    if kind == "null":
        return None
    if kind != "string":
        raise Refused("wrong-type", start)
    return text(content, start)


def read_headers(value):
    kind, content, start, _ = value
    if kind == "null":
        return []
    if kind != "object":
        raise Refused("wrong-type", start)
    headers, seen = [], set()
    for name, at, v in content:
        text(name, at)
        if name in seen:
            raise Refused("duplicate-member", at)
        seen.add(name)
        if is_reserved_header(name):
            raise Refused("reserved-header", at)
        for item in v[1] if v[0] == "array" else [v]:
            headers.append([name, field(item)])
    return headers


def read_line(line, keep):
    found = {"key": None, "id": None, "headers": [], "timestamp": None}

    def judge(name, at, value):
        kind, content, start, end = value
        if name in ("schema", "data") and "tombstone" in found:
            raise Refused("misplaced-member", start)
        if name == "tombstone":
            if "schema" in found or "data" in found:
                raise Refused("misplaced-member", start)
            if line[start:end] != b"true":
                raise Refused("wrong-type", start)
            found["tombstone"] = True
        elif name in ("stream", "schema"):
            if kind != "string":
                raise Refused("wrong-type", start)
            good = is_stream(text(content, start)) if name == "stream" else schema_id(text(content, start))
            if not good:
                raise Refused("stream" if name == "stream" else "schema-id", start)
            found[name] = content
        elif name == "data":
            found["data"] = line[start:end].decode("utf-8")
        elif name == "key":
            found["key"] = field(value)
        elif name == "id":
            found["id"] = optional_text(value)
        elif name == "headers":
            found["headers"] = read_headers(value)
        elif name == "timestamp" and keep:
            moment = optional_text(value)
            found["timestamp"] = None if moment is None else read_moment(moment)
            if moment is not None and found["timestamp"] is None:
                raise Refused("timestamp", start)
        elif name in ("value", "error"):
            raise Refused("not-an-event", at)
        elif name not in UNUSED:
            raise Refused("unknown-member", at)

    read_object(line, judge)
    need(found, "stream")
    if "tombstone" not in found:
        need(found, "schema", "data")
    elif found["key"] is None:
        raise Refused("missing-member", None)
    return found


# ---------------------------------------------------------------- answers

SPAN = re.compile(r"([0-9]+) *(ms|s|m|h|d|w|)")
UNIT = {"ms": 1, "s": 1000, "": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
TAKES = {"done": (), "skip": (), "retry": ("delay", "reason"), "reject": ("reason",), "abort": ("reason",)}


def read_delay(value):
    kind, content, start, _ = value
    if kind == "null":
        return None
    if kind == "number":
        millis = float(content) * 1000
        millis = int(millis) + (millis % 1 >= 0.5) if abs(millis) < 1e300 else -1
        if not 0 <= float(content) or not 0 <= millis < 9.2e18:
            raise Refused("span", start)
        return millis
    if kind == "string":
        parts = SPAN.fullmatch(text(content, start))
        millis = int(parts[1]) * UNIT[parts[2]] if parts else -1
        if not 0 <= millis < 2**63:
            raise Refused("span", start)
        return millis
    raise Refused("wrong-type", start)


def read_answer(data, with_delivery):
    found, places = {}, {}
    known = ["outcome", "delay", "reason"] + (["delivery"] if with_delivery else [])

    def judge(name, at, value):
        kind, content, start, _ = value
        if name not in known:
            raise Refused("unknown-member", at)
        if name == "delay":
            content = read_delay(value)
        elif name == "reason":
            content = optional_text(value)
        elif kind != "string":
            raise Refused("wrong-type", start)
        else:
            content = text(content, start)
        if content is not None:
            found[name], places[name] = content, start

    read_object(data, judge)
    need(found, "outcome")
    takes = TAKES.get(found["outcome"])
    if takes is None:
        raise Refused("outcome", places["outcome"])
    for name in ("delay", "reason"):
        if name in found and name not in takes:
            raise Refused("misplaced-member", places[name])
    if with_delivery:
        need(found, "delivery")
    return found


# ---------------------------------------------------------------- partitions

def murmur2(key):
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(key)) & mask
    full = len(key) // 4 * 4
    for i in range(0, full, 4):
        k = int.from_bytes(key[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if full < len(key):
        h = (h ^ int.from_bytes(key[full:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


# ---------------------------------------------------------------- identity

ANNOTATIONS = {"title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly"}
ONE = {"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
       "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
LIST = {"allOf", "anyOf", "oneOf", "prefixItems", "items"}
MAP = {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties", "dependencies"}


def canonical_number(token):
    if re.fullmatch(r"-?[0-9]+", token) and abs(int(token)) > 2**53:
        return token
    value = float(token)
    if value == 0:
        return "0"
    sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
    digits, point = "".join(map(str, digits)), len(digits) + exponent
    minus = "-" if sign else ""
    if len(digits) <= point <= 21:
        return minus + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return minus + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return minus + "0." + "0" * -point + digits
    e = point - 1
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{tail}e{'+' if e > 0 else '-'}{abs(e)}"


def canonical(value, schema):
    kind, content, _, _ = value
    if kind == "object":
        members = [(n, v) for n, _, v in content if not (schema and n in ANNOTATIONS)]
        members.sort(key=lambda m: m[0].encode("utf-16-be"))
        return "{" + ",".join(quoted(n) + ":" + canonical_below(n, v, schema) for n, v in members) + "}"
    if kind == "array":
        return "[" + ",".join(canonical(v, False) for v in content) + "]"
    if kind == "number":
        return canonical_number(content)
    return {"string": quoted, "null": lambda _: "null", "boolean": lambda b: "true" if b else "false"}[kind](content)


def canonical_below(name, value, schema):
    kind, content, _, _ = value
    if schema and name in LIST and kind == "array":
        return "[" + ",".join(canonical(v, True) for v in content) + "]"
    if schema and name in MAP and kind == "object":
        members = sorted(((n, v) for n, _, v in content), key=lambda m: m[0].encode("utf-16-be"))
        return "{" + ",".join(quoted(n) + ":" + canonical(v, True) for n, v in members) + "}"
    return canonical(value, schema and name in ONE)


def strict(value):
    """No member twice, no half surrogate and no number beyond a double, at any depth."""
    kind, content, start, _ = value
    if kind == "object":
        names = [text(n, at) for n, at, _ in content]
        if len(set(names)) != len(names):
            raise Refused("duplicate-member", start)
        for _, _, v in content:
            strict(v)
    elif kind == "array":
        for v in content:
            strict(v)
    elif kind == "string":
        text(content, start)
    elif kind == "number" and abs(float(content)) == float("inf"):
        raise Refused("number", start)
    return value


def read_document(data):
    if len(data) > 8_000_000:
        raise Refused("too-large", None)
    value = strict(whole(data, Reader.value))
    if value[0] not in ("object", "boolean"):
        raise Refused("wrong-type", value[2])
    return value


def identity(document):
    form = canonical(read_document(document.encode("utf-8")), True)
    return form, hashlib.sha256(form.encode("utf-8")).hexdigest()


# ---------------------------------------------------------------- logs

def utf8(data):
    try:
        return data.decode("utf-8")
    except (AttributeError, UnicodeDecodeError):
        return None


def replay_schemas(records):
    versions, ignored = {}, []
    for record in records:
        version = version_of(utf8(unpacked(record["key"])) or "")
        value, known = unpacked(record["value"]), versions.get(version)
        if version and value is None and known and not known["withdrawn"]:
            known["withdrawn"] = True
            continue
        try:
            if not version or value is None or known:
                raise Refused("ignored", None)
            read_document(value)
        except Refused:
            ignored.append(record["offset"])
            continue
        versions[version] = {"version": version, "offset": record["offset"], "document": utf8(value), "withdrawn": False}
    return [versions[v] for v in sorted(versions)], ignored


def replay_bindings(records):
    # Each stream's last binding that counts; of one that is not bound any more the schema is None.
    streams, ignored, _ = replay_properties(records)
    return streams, ignored


PROPERTIES = {"keys": ("any", "none"), "partition-growth": ("propose", "auto", "off")}


def property_of(members, name):
    """What a binding says of a property; the first of its values is the default, also for what is no value of it."""
    value = members.get(name)
    return value[1] if value and value[1] in PROPERTIES[name] else PROPERTIES[name][0]


def replay_properties(records):
    """The bindings, the offsets that do not count, and the properties of the streams that have others than the defaults."""
    properties = {}
    streams, ignored = {}, []
    for record in records:
        stream, value = utf8(unpacked(record["key"])) or "", unpacked(record["value"])
        try:
            if not is_stream(stream) or value is None:
                raise Refused("ignored", None)
            kind, content, _, _ = strict(whole(value, Reader.value))
            members = {n: v for n, _, v in content} if kind == "object" else {}
            kind, schema, _, _ = members.get("schema", ("none", None, 0, 0))
            epoch_kind, epoch, _, _ = members.get("epoch", ("number", "1", 0, 0))
            unbinds = kind == "null"
            if not unbinds and (kind != "string" or not is_schema_name(schema)):
                raise Refused("ignored", None)
            if unbinds and streams.get(stream, {"schema": None})["schema"] is None:
                raise Refused("ignored", None)
            if epoch_kind != "number" or not VERSION.fullmatch(epoch):
                raise Refused("ignored", None)
            if int(epoch) != streams.get(stream, {"epoch": 0})["epoch"] + 1:
                raise Refused("ignored", None)
        except Refused:
            ignored.append(record["offset"])
            continue
        streams[stream] = {"schema": schema, "epoch": int(epoch)}
        properties[stream] = {name: property_of(members, name) for name in PROPERTIES}
    bound = {stream: bound for stream, bound in streams.items() if bound["schema"] is not None}
    defaults = {name: values[0] for name, values in PROPERTIES.items()}
    return bound, ignored, {s: p for s, p in properties.items() if s in bound and p != defaults}


# ---------------------------------------------------------------- publishing

def passed_on(consumed, own, identity):
    """The headers of what a handler publishes: its own, and the trace of the record that it handles."""
    if any(is_reserved_header(name) for name, _ in own):
        raise Refused("reserved-header", None)
    sent = own + ([["kafkaesk-id", identity]] if identity is not None else [])
    return sent if any(name == "traceparent" for name, _ in own) else sent + trace(consumed)


def trace(headers):
    """The last traceparent and every tracestate; nothing without a traceparent."""
    parents = [value for name, value in headers if name == "traceparent"]
    if not parents or parents[-1] is None:
        return []
    states = [["tracestate", value] for name, value in headers if name == "tracestate" and value is not None]
    return [["traceparent", parents[-1]], *states]


def read_data(data):
    """The data of an event, without the white space around it: strict at any depth, and one level less than an envelope."""
    def read(reader):
        reader.depth = 1
        return strict(reader.value())

    _, _, start, end = whole(data, read)
    return data[start:end]


# ---------------------------------------------------------------- consuming

def to_commit(records, position):
    """The offset to commit, and the highest one that may be committed. `position` is the offset that is read next."""
    following = None
    for record in records:
        if not record["finished"]:
            return following, record["offset"]
        following = record["offset"] + 1
    return position, position


# ---------------------------------------------------------------- http

def encoded(data):
    return "".join(chr(b) if chr(b) in ALPHABET + "~" else f"%{b:02X}" for b in data)


def request_headers(record, schema, group, attempt):
    """The headers of a request, with lower-case names, without content-type."""
    headers = [(name, unpacked(value)) for name, value in record["headers"]]
    out = [("kafkaesk-stream", record["stream"]), ("kafkaesk-schema", schema),
           ("kafkaesk-partition", str(record["partition"])), ("kafkaesk-offset", str(record["offset"])),
           ("kafkaesk-group", encoded(group.encode("utf-8"))), ("kafkaesk-attempt", str(attempt))]
    if record["key"] is not None:
        out.append(("kafkaesk-key", encoded(unpacked(record["key"]))))
    if moment(record["timestamp"]):
        out.append(("kafkaesk-timestamp", moment(record["timestamp"])))
    carried = trace(headers)
    if not all(b" "[0] <= byte <= b"~"[0] for _, value in carried for byte in value):
        carried = []
    out += [(name, value.decode("ascii")) for name, value in carried]
    for name, value in headers:
        if value is None or [name, value] in carried:
            continue
        shown_name = name if name == "kafkaesk-id" else "kafkaesk-header-" + encoded(name.encode("utf-8")).lower()
        out.append((shown_name, encoded(value)))
    if sum(len(name) + len(value) + 4 for name, value in out) > 16_384:
        raise Refused("too-large", None)
    return sorted(out)


def meaning(status, media_type, retry_after, body):
    """What an answer means for the message: an answer object, or None where the endpoint is wrong."""
    if 200 <= status <= 299:
        if (media_type or "").partition(";")[0].strip().lower() != "application/vnd.kafkaesk.answer+json":
            return {"outcome": "done"}
        try:
            return read_answer(body, False)
        except Refused:
            return None
    if status in (400, 410, 413, 415, 422):
        return {"outcome": "reject"}
    if status in (408, 409, 425, 429) or 500 <= status <= 599:
        seconds = re.fullmatch(r"[0-9]+", (retry_after or "").strip())
        return {"outcome": "retry"} | ({"delay": int(seconds[0]) * 1000} if seconds else {})
    return None


def batch_meaning(status, media_type, retry_after, body, messages):
    """What an answer to a batch means: a list with the outcome of each message, or a word for the batch as a whole."""
    kind = (media_type or "").partition(";")[0].strip().lower()
    if 200 <= status <= 299:
        if kind == "application/vnd.kafkaesk.answer+json":
            return "pause"
        if kind != "application/x-ndjson":
            return "done"
        lines = body.removesuffix(b"\n").split(b"\n") if body else []
        if len(lines) != messages:
            return "split"
        try:
            return [read_answer(line, False)["outcome"] for line in lines]
        except Refused:
            return "pause"
    found = meaning(status, media_type, retry_after, body)
    if found is None:
        return "pause"
    return "again" if status in (429, 503) or "delay" in found else "split"


# ---------------------------------------------------------------- bytes in vectors

def unpacked(value):
    if isinstance(value, dict):
        return base64.b64decode(value["base64"], validate=True)
    return None if value is None else value.encode("utf-8")


# ---------------------------------------------------------------- dead letters

DEAD = "kafkaesk-dead-"
REASONS = ("rejected", "attempts", "mismatch", "no-event", "unroutable", "skipped")
# The headers behind a dead letter's own, in their order: name, kind, and whether it must be there.
DEAD_HEADERS = (("topic", "topic", True), ("partition", "number", True), ("offset", "number", True),
                ("timestamp", "time", False), ("first", "time", False), ("last", "time", False),
                ("group", "text", True), ("schema", "text", False), ("reason", "reason", True),
                ("error", "error", True), ("attempts", "number", True), ("redriven", "number", False))


def group_topic(prefix, mark, group):
    """The topic of a group, or None."""
    topic = prefix + mark + group
    return topic if NAME.fullmatch(group) and len(topic) <= 249 else None


def cut_error(string):
    """At most 2,048 bytes, whole characters."""
    data = string.encode("utf-8")
    if len(data) <= 2048:
        return string
    return data[: 2048 - len("…".encode("utf-8"))].decode("utf-8", "ignore") + "…"


def write_dead(headers, letter):
    """The headers of a dead letter; times are milliseconds."""
    out = [tuple(header) for header in headers]
    for name, kind, required in DEAD_HEADERS:
        value = letter.get(name)
        if kind == "time":
            value = moment(value)
        if kind == "error":
            value = cut_error(value)
        if value is None or (name == "redriven" and value == 0):
            continue
        out.append((DEAD + name, str(value)))
    return out


def last_text(headers, name):
    """The last header of a name, if it is text."""
    values = [value for key, value in headers if key == name]
    if not values or values[-1] is None:
        return None
    try:
        return unpacked(values[-1]).decode("utf-8")
    except UnicodeDecodeError:
        return None


def read_dead(headers):
    """What a dead letter says; Refused with the name of the first header that is wrong."""
    letter = {}
    for name, kind, required in DEAD_HEADERS:
        value = last_text(headers, DEAD + name)
        if value is None:
            if required:
                raise Refused(DEAD + name, None)
            letter[name] = 0 if name == "redriven" else None
            continue
        letter[name] = value
        if kind == "number":
            if not re.fullmatch("[0-9]+", value) or int(value) >= {"offset": 2**63, "partition": 2**31}.get(name, 2**32):
                raise Refused(DEAD + name, None)
            letter[name] = int(value)
        if kind == "time":
            letter[name] = read_moment(value)
        good = {
            "topic": lambda: NAME.fullmatch(value) and len(value) <= 249 and value not in (".", ".."),
            "reason": lambda: value in REASONS,
            "time": lambda: letter[name] is not None,
        }.get(kind)
        if good and not good():
            raise Refused(DEAD + name, None)
    return letter


def read_marker(headers):
    """What a marker settles and by what; None for a record that is not a marker."""
    offset, by = (last_text(headers, DEAD + name) for name in ("settles", "settled-by"))
    if offset is None:
        return None
    if by not in ("redrive", "purge"):
        raise Refused(DEAD + "settled-by", None)
    if not re.fullmatch("[0-9]+", offset) or int(offset) >= 2**63:
        raise Refused(DEAD + "settles", None)
    return {"offset": int(offset), "by": by}


def redriven(headers):
    """The headers of the copy that is redriven."""
    return [tuple(h) for h in headers] + [(DEAD + "redriven", str(read_dead(headers)["redriven"] + 1))]


def without_dead(headers):
    """A redriven record's headers, when it is given up again."""
    return [tuple(h) for h in headers if not h[0].startswith(DEAD)]


# ---------------------------------------------------------------- completions

def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def take_varints(data):
    """The numbers, or None for bytes that are not varints in their shortest form."""
    numbers, part = [], []
    for byte in data:
        part.append(byte & 0x7F)
        if byte < 0x80:
            if byte == 0 and len(part) > 1:
                return None
            numbers.append(sum(bits << 7 * at for at, bits in enumerate(part)))
            part = []
    return None if part else numbers


def write_completions(topic_id, committed, unfinished, end):
    """The metadata of a commit: `unfinished` are offsets in order, below `end` all others are finished."""
    lengths, at = [], committed
    while True:
        run = at
        while run in unfinished:
            run += 1
        stop = min((offset for offset in unfinished if offset > run), default=end)
        if run >= end:
            break
        lengths.append((run - at, stop - run))
        at = stop
    head = f"kafkaesk:1:{topic_id}:{committed}:"
    text = data = b""
    for unfinished_run, finished_run in lengths:
        data += varint(unfinished_run) + varint(finished_run)
        encoded = base64.urlsafe_b64encode(data).rstrip(b"=")
        if len(head) + len(encoded) > 4096:
            break
        text = encoded
    # Nothing beyond the committed offset is unfinished: a later offset would have been committed.
    return head + text.decode("ascii") if text and unfinished else ""


def write_metadata(topic_id, committed, unfinished, end):
    """The metadata of a commit that names its topic in any case."""
    return write_completions(topic_id, committed, unfinished, end) or f"kafkaesk:1:{topic_id}:{committed}:"


def counts(text, topic_id, committed):
    """Whether an offset was not committed for another topic of that name, as its metadata says."""
    named = re.match(r"kafkaesk:1:([A-Za-z0-9_-]{22}):([^:]*):", text)
    return not named or named[2] != str(committed) or named[1] == topic_id


def read_completions(text, topic_id, committed, log_end):
    """Runs of offsets beyond the commit that are not finished, and where what is known ends; None where nothing is known."""
    head = f"kafkaesk:1:{topic_id}:{committed}:"
    if not text.startswith(head) or len(text.encode("utf-8")) > 4096:
        return None
    runs = text[len(head) :]
    try:
        data = base64.urlsafe_b64decode(runs + "==")
    except ValueError:
        return None
    numbers = take_varints(data)
    # The decoder overlooks foreign characters and bits behind the last byte.
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != runs:
        return None
    if not numbers or len(numbers) % 2 or 0 in numbers[1:]:
        return None
    found, at = [], committed
    for index, length in enumerate(numbers):
        if index % 2 == 0 and length:
            found.append([at, length])
        at += length
    return {"unfinished": found, "end": at} if found and at <= log_end else None
