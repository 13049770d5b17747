"""The rules of README.md on schemas, written down a second time: expressions, documents, and what data fits.

Python's standard library only, and nothing of the Rust code. Of JSON Schema it knows what the vectors need.
"""

import json
import re
import urllib.parse
from fractions import Fraction

import rules
from rules import ANNOTATIONS, LIST, MAP, ONE, Refused


# ---------------------------------------------------------------- regular expressions

SPACE = "\\t-\\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": SPACE}
CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
# Those of ECMA-262's property names that the vectors need.
PROPERTY = re.compile(r"(?:(?:General_Category|gc)=)?(?:Letter|L|Lu|N)|Alphabetic|ASCII|Any"
                      r"|(?:Script|sc|Script_Extensions|scx)=(?:Greek|Grek)")


class Expression:
    """The dialect of README.md's section 6, by its grammar; `python` says the same in Python's words."""

    def __init__(self, text):
        self.text, self.i, self.groups = text, 0, set()
        self.python = self.choice()
        if self.i < len(text):
            self.fail()

    def fail(self):
        raise Refused("expression", self.i)

    def take(self, regex):
        found = re.compile(regex, re.DOTALL).match(self.text, self.i)
        if found:
            self.i = found.end()
        return found

    def choice(self):
        out = self.sequence()
        while self.take(r"\|"):
            out += "|" + self.sequence()
        return out

    def sequence(self):
        out = ""
        while True:
            assertion = self.take(r"\^|\$|\\b|\\B")
            if assertion:
                # Before 3.14 Python's \B is nowhere in an empty text.
                out += {"$": r"\Z", r"\B": r"(?!\b)"}.get(assertion[0], assertion[0])
                continue
            atom = self.atom()
            if atom is None:
                return out
            times = self.take(r"[*+?]\??|\{([0-9]+)(,([0-9]*))?\}\??")
            if times and times[3] and int(times[1]) > int(times[3]):
                self.fail()
            out += atom + (times[0] if times else "")

    def atom(self):
        opening = self.take(r"\(\?<([A-Za-z_][A-Za-z0-9_]*)>|\(\?:|\((?!\?)")
        if opening:
            if opening[1] in self.groups:
                self.fail()
            self.groups |= {opening[1]} - {None}
            out = "(?:" + self.choice() + ")"
            return out if self.take(r"\)") else self.fail()
        if self.take(r"\["):
            return self.set()
        if self.take(r"\\"):
            return "[" + self.escape() + "]"
        plain = self.take(r"[^\^$\\.*+?()\[\]{}|]|\.")
        return plain and (plain[0] if plain[0] == "." else re.escape(plain[0]))

    def escape(self):
        """What a set of Python's holds for an escape: one character, or a class of them."""
        kind = self.take(r"[dDwWsS]")
        if kind:
            name = kind[0].lower()
            return CLASSES[name] if kind[0] == name else "^" + CLASSES[name]
        kind = self.take(r"[pP]\{([^}]*)\}")
        if kind:
            # Python has no properties: such an expression is judged here, and never matched.
            return "xx" if PROPERTY.fullmatch(kind[1]) else self.fail()
        return re.escape(chr(self.code()))

    def code(self):
        """An escape of one character, after its backslash."""
        found = self.take(r"[tnvfr]|c([A-Za-z])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]+)\}|([\x00-\x7f])(?<![A-Za-z0-9<>])")
        if not found:
            self.fail()
        if found[0] in CONTROLS:
            return CONTROLS[found[0]]
        if found[1]:
            return ord(found[1]) % 32
        if found[5]:
            return ord(found[5])
        code = int(found[2] or found[3] or found[4], 16)
        return code if code < 0xD800 or 0xDFFF < code <= 0x10FFFF else self.fail()

    def set(self):
        """After the bracket. Classes that a set of Python's cannot hold stand beside it."""
        negated, items, beside = bool(self.take(r"\^")), "", []
        while not self.take(r"\]"):
            low = self.member()
            if self.take(r"-(?!\])"):
                high = self.member()
                if len(low) > 1 or len(high) > 1 or low > high:
                    self.fail()
                items += re.escape(low) + "-" + re.escape(high)
            elif low[0] == "^" and len(low) > 1:
                beside.append(low)
            else:
                items += low if len(low) > 1 else re.escape(low)
        if not items and not beside:
            self.fail()
        sets = ([f"[{items}]"] if items else []) + [f"[{one}]" for one in beside]
        return "(?:(?!" + "|".join(sets) + r")[\s\S])" if negated else "(?:" + "|".join(sets) + ")"

    def member(self):
        """One character as itself, or a class as a set of Python's holds it."""
        if not self.take(r"\\"):
            plain = self.take(r"[^\]\\]")
            return plain[0] if plain else self.fail()
        if re.match(r"[dDwWsSpP]", self.text[self.i :]):
            return self.escape()
        return chr(self.code())


def expression(pattern):
    return re.compile(Expression(pattern).python, re.ASCII)


# ---------------------------------------------------------------- documents

NEWEST = "https://json-schema.org/draft/2020-12/schema"
DRAFTS = {f"http://json-schema.org/draft-0{n}/schema": n for n in (4, 6, 7)} | {
    "https://json-schema.org/draft/2019-09/schema": 2019, NEWEST: 2020}
META = {uri for uri in DRAFTS} | {f"https://json-schema.org/draft/{year}/meta/{name}" for year, names in {
    "2019-09": "applicator content core format meta-data validation",
    "2020-12": "applicator content core format-annotation format-assertion meta-data unevaluated validation",
}.items() for name in names.split()}
TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
# Keywords whose schemas judge the same value as the schema that they stand in.
IN_PLACE = {"allOf", "anyOf", "dependencies", "dependentSchemas", "else", "if", "not", "oneOf", "then"}


class Digits(float):
    """A whole number that no 64 bits hold: its double."""


def load(text):
    """JSON text: an int for a whole number of at most 64 bits, a double for any other number."""
    def whole(digits):
        return int(digits) if -2**63 <= int(digits) < 2**64 else Digits(digits)
    return json.loads(text, parse_int=whole)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_integer(value, draft):
    """Draft 4: written with neither fraction nor exponent. Later: without a fraction by value."""
    whole = isinstance(value, (int, Digits))
    return is_number(value) and (whole if draft == 4 else value == value // 1)


def equal(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    return a == b and is_number(a) == is_number(b)


def distinct(values):
    return not any(equal(a, b) for i, a in enumerate(values) for b in values[:i])


def escaped(name):
    return str(name).replace("~", "~0").replace("/", "~1")


def segments(pointer):
    return [t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:]]


def below(name, value, place):
    """What a member or an item is: a "schema", a "map" of schemas, a "list" of them, or data."""
    if place == "map" or place == "list" and isinstance(name, int):
        return "schema"
    if place != "schema":
        return None
    if name in LIST and isinstance(value, list):
        return "list"
    return "map" if name in MAP else "schema" if name in ONE else None


def count(value, draft):
    return is_integer(value, draft) and value >= 0


def names(value):
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and distinct(value)


def is_schema(value, draft):
    return isinstance(value, dict) or draft > 4 and isinstance(value, bool)


def some_schemas(value, draft):
    return isinstance(value, list) and len(value) > 0 and all(is_schema(one, draft) for one in value)


def well_formed(key, value, draft, schema):
    """Whether the draft's meta-schema takes the value of a keyword. Keywords that it does not know may be anything."""
    if key in ("title", "description", "pattern", "format", "$ref", "$id", "id", "$comment", "$anchor",
               "$dynamicRef", "$dynamicAnchor", "contentEncoding", "contentMediaType"):
        since = {"$comment": 7, "$anchor": 2019, "$dynamicRef": 2020, "$dynamicAnchor": 2020, "$id": 6,
                 "contentEncoding": 7, "contentMediaType": 7}.get(key, 4)
        return draft < since or key == "id" and draft > 4 or isinstance(value, str)
    if key in ("uniqueItems", "readOnly", "writeOnly", "deprecated"):
        since = {"uniqueItems": 4, "readOnly": 7, "writeOnly": 2019, "deprecated": 2019}[key]
        return draft < since or isinstance(value, bool)
    if key in ("maximum", "minimum"):
        return is_number(value)
    if key in ("exclusiveMaximum", "exclusiveMinimum"):
        return is_number(value) if draft > 4 else isinstance(value, bool) and key[9:].lower() in schema
    if key == "multipleOf":
        return is_number(value) and value > 0
    if key in ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"):
        return count(value, draft)
    if key in ("maxContains", "minContains"):
        return draft < 2019 or count(value, draft)
    if key == "required":
        return names(value) and (draft > 4 or len(value) > 0)
    if key == "enum":
        return isinstance(value, list)
    if key == "type":
        some = value if isinstance(value, list) else [value]
        return len(some) > 0 and all(isinstance(one, str) for one in some) and set(some) <= TYPES and distinct(some)
    if key in ("allOf", "anyOf", "oneOf") or key == "prefixItems" and draft == 2020:
        return some_schemas(value, draft)
    if key == "items":
        return is_schema(value, draft) or draft < 2020 and some_schemas(value, draft)
    if key == "additionalProperties" or key == "additionalItems" and draft < 2020:
        return isinstance(value, bool) or is_schema(value, draft)
    if key == "not" or key in ("contains", "propertyNames") and draft > 4 or key in ("if", "then", "else") and draft > 6 \
            or key in ("contentSchema", "unevaluatedItems", "unevaluatedProperties") and draft > 7:
        return is_schema(value, draft)
    if key in ("properties", "patternProperties", "definitions") or key in ("$defs", "dependentSchemas") and draft > 7:
        return isinstance(value, dict) and all(is_schema(one, draft) for one in value.values())
    if key == "dependencies":
        return isinstance(value, dict) and all(
            is_schema(one, draft) or names(one) and (draft > 4 or one) for one in value.values())
    if key == "dependentRequired" and draft > 7:
        return isinstance(value, dict) and all(map(names, value.values()))
    return True


class Document:
    """A document that is taken, with where its references lead; else the refusal, with its pointer."""

    def __init__(self, text):
        self.root = load(text)
        self.resources, self.anchors, self.dynamic = {"": self.root}, {}, {}
        # By the schema object's identity: its pointer, its base URI, its draft.
        self.schemas, self.references = {}, []
        dialect = self.root.get("$schema", NEWEST) if isinstance(self.root, dict) else NEWEST
        self.draft = DRAFTS.get(dialect.removesuffix("#") if isinstance(dialect, str) else None)
        if self.draft is None:
            raise Refused("/$schema", None)
        self.walk(self.root, "schema", "", "", self.draft)
        for pointer, _, draft, schema in list(self.schemas.values()):
            for key, value in schema.items():
                if not well_formed(key, value, draft, schema):
                    raise Refused(f"{pointer}/{escaped(key)}", None)
        done = 0
        while done < len(self.references):
            base, reference, pointer, draft = self.references[done]
            done += 1
            if not self.target(base, reference, draft):
                raise Refused(pointer, None)
        for schema in [schema for _, _, _, schema in self.schemas.values()]:
            self.finishes(schema, [])

    def walk(self, value, place, pointer, base, draft):
        if place == "schema" and isinstance(value, dict):
            if id(value) in self.schemas:
                return
            base, draft = self.schema(value, pointer, base, draft)
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, v in inside:
            if below(name, v, place):
                self.walk(v, below(name, v, place), f"{pointer}/{escaped(name)}", base, draft)

    def schema(self, value, pointer, base, draft):
        if "$schema" in value:
            own = DRAFTS.get(str(value["$schema"]).removesuffix("#"))
            if own is None or own != draft and str(value.get("id" if own == 4 else "$id", "#")).startswith("#"):
                raise Refused(pointer + "/$schema", None)
            draft = own
        self.expressions(value, pointer)
        key = "id" if draft == 4 else "$id"
        name = value.get(key, "") if draft > 7 or "$ref" not in value else ""
        if isinstance(name, str) and name:
            uri, _, fragment = name.partition("#")
            if uri:
                base = urllib.parse.urljoin(base, uri)
                self.once(self.resources, base, value, f"{pointer}/{key}")
            if fragment and not uri:
                self.once(self.anchors, (base, fragment), value, f"{pointer}/{key}")
        for key in ("$anchor", "$dynamicAnchor") if draft > 7 else ():
            if key in value and (key == "$anchor" or value.get("$anchor") != value[key]):
                self.once(self.anchors, (base, value[key]), value, f"{pointer}/{key}")
        if "$dynamicAnchor" in value and draft == 2020:
            self.dynamic[base, value["$dynamicAnchor"]] = value
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(value.get(key), str):
                self.references.append((base, value[key], f"{pointer}/{key}", draft))
        self.schemas[id(value)] = (pointer, base, draft, value)
        return base, draft

    def once(self, seen, name, value, pointer):
        if name in seen and seen[name] is not value:
            raise Refused(pointer, None)
        seen[name] = value

    def expressions(self, value, pointer):
        texts = [(value.get("pattern"), "/pattern")]
        if isinstance(value.get("patternProperties"), dict):
            texts += [(name, "/patternProperties/" + escaped(name)) for name in value["patternProperties"]]
        for text, where in texts:
            try:
                expression(text) if isinstance(text, str) else None
            except Refused:
                raise Refused(pointer + where, None) from None

    def target(self, base, reference, draft):
        """Where a reference leads, in a tuple; None for nothing, or for what identity leaves out."""
        uri, _, fragment = reference.partition("#")
        uri = urllib.parse.urljoin(base, uri) if uri else base
        if uri not in self.resources:
            return ({},) if uri in META else None
        if not fragment.startswith("/"):
            value = self.resources[uri] if fragment == "" else self.anchors.get((uri, fragment))
            return None if value is None else (value,)
        try:
            pointer = urllib.parse.unquote_to_bytes(fragment).decode("utf-8")
        except UnicodeDecodeError:
            return None
        value, place = self.resources[uri], "schema"
        for token in segments(pointer):
            if place == "schema" and token in ANNOTATIONS:
                return None
            try:
                name = int(token) if isinstance(value, list) else token
                value, place = value[name], below(name, value[name], place)
            except (KeyError, IndexError, TypeError, ValueError):
                return None
        if not is_schema(value, 2020):
            return None
        # What only a reference reaches is a schema as well.
        self.walk(value, "schema", fragment, uri, draft)
        return (value,)

    def finishes(self, schema, way):
        """Refuses a schema that applies to a value by way of itself, so that judging it would never end."""
        if not isinstance(schema, dict) or id(schema) not in self.schemas:
            return
        pointer, base, draft, _ = self.schemas[id(schema)]
        if id(schema) in way:
            raise Refused(pointer, None)
        nexts = [self.target(base, schema["$ref"], draft)[0]] if isinstance(schema.get("$ref"), str) else []
        if not (nexts and draft <= 7):
            for key in IN_PLACE & schema.keys():
                value = schema[key]
                many = value if isinstance(value, list) else value.values() if key.startswith("depend") else [value]
                nexts += many
        for one in nexts:
            self.finishes(one, way + [id(schema)])

    # ------------------------------------------------------------ data

    def judge(self, data):
        return self.valid(self.root, load(data), [""])[0]

    def valid(self, schema, value, scope):
        """Whether the value fits, and which of its members and items were looked at."""
        if isinstance(schema, bool):
            return schema, set()
        _, base, draft, _ = self.schemas.get(id(schema), ("", "", self.draft, schema))
        scope = scope if scope[-1] == base else scope + [base]
        if "$ref" in schema and draft <= 7:
            return self.valid(self.target(base, schema["$ref"], draft)[0], value, scope)
        seen = set()

        def same_value(one):
            ok, more = self.valid(one, value, scope)
            if ok:
                seen.update(more)
            return ok

        def inside(name, one):
            seen.add(name)
            return self.valid(one, value[name], scope)[0]

        ok = all([self.keyword(key, schema, value, draft, base, scope, same_value, inside, seen)
                  for key in sorted(schema, key=lambda key: key.startswith("unevaluated"))])
        return ok, seen

    def keyword(self, key, schema, value, draft, base, scope, same_value, inside, seen):
        rule = schema[key]
        if key == "$ref":
            return same_value(self.target(base, rule, draft)[0])
        if key == "$dynamicRef" and draft == 2020:
            return same_value(self.dynamic_target(base, rule, draft, scope))
        if key == "$recursiveRef" and draft == 2019:
            root = self.resources[base]
            bases = [b for b in scope if isinstance(self.resources[b], dict) and self.resources[b].get("$recursiveAnchor") is True]
            return same_value(self.resources[bases[0]] if root.get("$recursiveAnchor") is True and bases else root)
        if key == "type":
            kinds = rule if isinstance(rule, list) else [rule]
            return any(is_integer(value, draft) if kind == "integer" else is_type(value, kind) for kind in kinds)
        if key == "enum":
            return any(equal(value, one) for one in rule)
        if key == "const" and draft > 4:
            return equal(value, rule)
        if key in IN_PLACE:
            return self.in_place(key, schema, value, draft, scope, same_value)
        if is_number(value):
            return number_fits(key, rule, value, draft, schema)
        if isinstance(value, str):
            return {"maxLength": lambda: len(value) <= rule, "minLength": lambda: len(value) >= rule,
                    "pattern": lambda: bool(expression(rule).search(value))}.get(key, lambda: True)()
        if isinstance(value, list):
            return self.items(key, schema, value, draft, scope, inside, seen)
        if isinstance(value, dict):
            return self.members(key, schema, value, draft, scope, inside, seen)
        return True

    def dynamic_target(self, base, rule, draft, scope):
        first = self.target(base, rule, draft)[0]
        name = rule.partition("#")[2]
        if isinstance(first, dict) and first.get("$dynamicAnchor") == name:
            return next((self.dynamic[b, name] for b in scope if (b, name) in self.dynamic), first)
        return first

    def in_place(self, key, schema, value, draft, scope, same_value):
        rule = schema[key]
        if key == "allOf":
            return all([same_value(one) for one in rule])
        if key == "anyOf":
            return any([same_value(one) for one in rule])
        if key == "oneOf":
            fits = [self.valid(one, value, scope)[0] for one in rule]
            return sum(fits) == 1 and same_value(rule[fits.index(True)])
        if key == "not":
            return not self.valid(rule, value, scope)[0]
        if key == "if" and draft > 6:
            return same_value(schema.get("then", True)) if same_value(rule) else same_value(schema.get("else", True))
        if key == "dependencies" or key == "dependentSchemas" and draft > 7:
            present = [one for name, one in rule.items() if isinstance(value, dict) and name in value]
            return all([set(one) <= value.keys() if isinstance(one, list) else same_value(one) for one in present])
        return True

    def items(self, key, schema, value, draft, scope, inside, seen):
        rule, size = schema[key], len(value)
        if key in ("maxItems", "minItems"):
            return size <= rule if key == "maxItems" else size >= rule
        if key == "uniqueItems":
            return not rule or distinct(value)
        if key == "prefixItems" and draft == 2020 or key == "items" and isinstance(rule, list):
            return all([inside(i, one) for i, one in enumerate(rule[:size])])
        if key == "items":
            first = len(schema.get("prefixItems", ())) if draft == 2020 else 0
            return all([inside(i, rule) for i in range(first, size)])
        if key == "additionalItems" and draft < 2020 and isinstance(schema.get("items"), list):
            return all([inside(i, rule) for i in range(len(schema["items"]), size)])
        if key == "contains" and draft > 4:
            found = [i for i, one in enumerate(value) if self.valid(rule, one, scope)[0]]
            seen.update(found if draft == 2020 else ())
            least, most = (schema.get("minContains", 1), schema.get("maxContains", size)) if draft > 7 else (1, size)
            return least <= len(found) <= most
        if key == "unevaluatedItems" and draft > 7:
            return all([inside(i, rule) for i in range(size) if i not in seen])
        return True

    def members(self, key, schema, value, draft, scope, inside, seen):
        rule, size = schema[key], len(value)
        if key in ("maxProperties", "minProperties"):
            return size <= rule if key == "maxProperties" else size >= rule
        if key == "required":
            return set(rule) <= value.keys()
        if key == "dependentRequired" and draft > 7:
            return all(set(needed) <= value.keys() for name, needed in rule.items() if name in value)
        if key == "properties":
            return all([inside(name, one) for name, one in rule.items() if name in value])
        if key == "patternProperties":
            return all([inside(name, one) for text, one in rule.items() for name in value if expression(text).search(name)])
        if key == "additionalProperties":
            known = set(schema.get("properties", ()))
            texts = [expression(text) for text in schema.get("patternProperties", ())]
            return all([inside(name, rule) for name in value if name not in known and not any(t.search(name) for t in texts)])
        if key == "propertyNames" and draft > 4:
            return all([self.valid(rule, name, scope)[0] for name in value])
        if key == "unevaluatedProperties" and draft > 7:
            return all([inside(name, rule) for name in value if name not in seen])
        return True


def is_type(value, kind):
    if kind == "number":
        return is_number(value)
    return isinstance(value, {"array": list, "boolean": bool, "null": type(None), "object": dict, "string": str}[kind])


def number_fits(key, rule, value, draft, schema):
    if draft == 4 and key in ("exclusiveMaximum", "exclusiveMinimum"):
        return not rule or (value < schema["maximum"] if key == "exclusiveMaximum" else value > schema["minimum"])
    if key == "multipleOf":
        return (Fraction(repr(value)) / Fraction(repr(rule))).denominator == 1
    return {"maximum": lambda: value <= rule, "minimum": lambda: value >= rule, "exclusiveMaximum": lambda: value < rule,
            "exclusiveMinimum": lambda: value > rule}.get(key, lambda: True)()


# ---------------------------------------------------------------- what is published, and what becomes of a record

def publish(event, prefix, log, bindings):
    """The topic and the value of a publish; refused with the rule that forbids it."""
    stream = event["stream"]
    topic = rules.topic_of(prefix, stream)
    if topic is None:
        raise Refused("stream", None)
    streams, _, properties = rules.replay_properties(bindings)
    bound, keys = streams.get(stream), properties.get(stream, {}).get("keys")
    if event.get("tombstone"):
        if not bound:
            raise Refused("not-bound", None)
        if keys == "none":
            raise Refused("key", None)
        return topic, None
    identity = rules.schema_id(event["schema"])
    if identity is None:
        raise Refused("schema-id", None)
    name, version = identity
    stored = {one["version"]: one for one in rules.replay_schemas(log)[0]}.get(version)
    if stored is None:
        raise Refused("unknown-schema", None)
    if stored["withdrawn"]:
        raise Refused("withdrawn-schema", None)
    try:
        data = rules.read_data(rules.unpacked(event["data"]))
        fits = document(stored).judge(data.decode("utf-8"))
    except Refused as refused:
        raise refused if refused.error == "document" else Refused("data", None) from None
    if not fits:
        raise Refused("data", None)
    if bound and bound["schema"] != name:
        raise Refused("bound-elsewhere", None)
    if keys == "none" and event.get("key") is not None:
        raise Refused("key", None)
    return topic, rules.write_envelope(event["schema"], data)


def document(stored):
    """A version's document, which every program has to be able to use before it relies on it."""
    try:
        return Document(stored["document"])
    except Refused:
        raise Refused("document", None) from None


# What the vectors' handler of orders decodes.
ORDER = '{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}'


def becomes(value, handler, validates, log):
    """What a consumer does with a record when its user decided nothing."""
    try:
        schema, data = rules.read_envelope(value)
    except Refused:
        takes = handler == "record" and (value is None or not validates)
        return "handled" if takes else "passed over"
    name, version = rules.schema_id(schema)
    if validates:
        stored = {one["version"]: one for one in rules.replay_schemas(log)[0]}.get(version) if name == "Order" else None
        try:
            if stored is None or not document(stored).judge(data.decode("utf-8")):
                return "held"
        except Refused:
            return "held"
    if handler == "order" and not (name == "Order" and Document(ORDER).judge(data.decode("utf-8"))):
        return "held"
    return "handled"
