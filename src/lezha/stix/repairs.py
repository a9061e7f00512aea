"""What is wrong in OASIS's JSON schemas of STIX 2.1 as they are published, put right before they are compiled.

Three kinds of slips recur. Alternatives stand without parentheses (`^a|b$` is "begins with a, or ends with b"),
so that a schema takes what STIX forbids and refuses what it allows. Lists of names are still those of STIX 2.0.
And some rules are missing, or stricter than the text. Each repair says what STIX says. They are written for the
release that is pinned, and fail loudly, when schemas are first read, where another looks different.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

from lezha.stix import clauses, language

_NAME: Final = "[a-z][a-z0-9_]{2,249}"  # STIX 2.1 §3.1

# STIX 2.1 §3.8, beside those that the schemas know
_RESERVED: Final = {"required": ["phone_number"]}

_SOME_OBSERVABLE: Final = "|".join(sorted(clauses.OBSERVABLE_OBJECTS))
_SOME_DOMAIN_OBJECT: Final = "|".join(sorted(clauses.DOMAIN_OBJECTS))

Schema = dict[str, Any]


def repaired(name: str, schema: Schema) -> Schema:
    """Return the schema of the file `name`, such as `common/core.json`, with its slips put right."""
    repair = _REPAIRS.get(name)
    if repair is None:
        return schema
    schema = copy.deepcopy(schema)
    repair(schema)
    return schema


def _properties(schema: Schema) -> None:
    # STIX 2.1 §3.1, §11.1: the whole name has the form, not its beginning or its end.
    patterns = schema["patternProperties"]
    patterns[f"^(?:{_NAME}|id)$"] = patterns.pop("^([a-z][a-z0-9_]{2,249})|id$")


def _core(schema: Schema) -> None:
    schema["not"]["anyOf"].append(_RESERVED)


def _external_reference(schema: Schema) -> None:
    # STIX 2.1 §2.5: keys of hashes are those of the vocabulary (§10.6), wholly.
    names = "MD5|SHA-1|SHA-256|SHA-512|SHA3-256|SHA3-512|SSDEEP|TLSH"
    schema["properties"]["hashes"]["allOf"][1]["propertyNames"]["pattern"] = f"^(?:{names})$"


def _granular_marking(schema: Schema) -> None:
    # STIX 2.1 §7.2.3: a language may stand instead of a marking; keys of dictionaries may have capitals (§2.3).
    schema["required"] = ["selectors"]
    schema["properties"]["selectors"]["items"]["pattern"] = (
        rf"^(?:{_NAME}|id)(?:\.(?:\[[0-9]+\]|[a-zA-Z0-9_-]{{1,250}}))*$"
    )


def _marking_definition(schema: Schema) -> None:
    # STIX 2.1 §3.1, §3.8: names of properties, which the other schemas take from core.json.
    schema["allOf"] = [{"$ref": "../common/properties.json"}]
    reserved = ["severity", "action", "username", "phone_numbers"]
    schema["not"] = {"anyOf": [{"required": [name]} for name in reserved] + [_RESERVED]}
    other = schema["oneOf"][0]["oneOf"][1]["properties"]["definition_type"]
    other["not"]["pattern"] = "^(?:statement|tlp)$"


def _extension_definition(schema: Schema) -> None:
    # STIX 2.1 §7.3.1: created_by_ref is required.
    schema["required"] = sorted({*schema["required"], "created_by_ref"})


def _email_message(schema: Schema) -> None:
    # STIX 2.1 §6.6.1: the value of a header field is a list of strings, and one is enough.
    fields = schema["definitions"]["email-additional-header-fields"]
    (values,) = fields["patternProperties"].values()
    values["oneOf"][0]["minItems"] = 1
    own = "date|received_lines|content_type|from_ref|sender_ref|to_refs|cc_refs|bcc_refs|subject"
    fields["not"]["patternProperties"] = {f"^(?:{own})$": {}}


def _ipv6(schema: Schema) -> None:
    # The pattern has lost its backslashes, so that it refuses every address that embeds an IPv4 address.
    value = schema["allOf"][1]["properties"]["value"]
    for wrong, right in (
        ("^s*((", r"^\s*(("),
        ("2[0-4]d|1dd|[1-9]?d)(.(", r"2[0-4]\d|1\d\d|[1-9]?\d)(\.("),
        ("2[0-4]d|1dd|[1-9]?d)){3}", r"2[0-4]\d|1\d\d|[1-9]?\d)){3}"),
        ("(%.+)?s*(", r"(%.+)?\s*("),
    ):
        value["pattern"] = value["pattern"].replace(wrong, right)


def _artifact(schema: Schema) -> None:
    # STIX 2.1 §6.1: mime_type SHOULD be registered with IANA; it need not be of one of IANA's top-level types.
    del schema["allOf"][1]["properties"]["mime_type"]["pattern"]


def _process(schema: Schema) -> None:
    # STIX 2.1 §6.13: at least one property of this object; name, created and arguments are of STIX 2.0.
    former = ({"required": ["name"]}, {"required": ["created"]}, {"required": ["arguments"]})
    schema["anyOf"] = [one for one in schema["anyOf"] if one not in former]
    schema["anyOf"].append({"required": ["created_time"]})
    # STIX 2.1 §6.13.2: integrity_level is one of the extension's properties.
    extensions = schema["definitions"]["process-extensions-dictionary"]["patternProperties"]
    extensions["^windows-process-ext$"]["allOf"][1]["anyOf"].append({"required": ["integrity_level"]})


def _registry_key(schema: Schema) -> None:
    # STIX 2.1 §6.17: at least one property of this object; modified is of STIX 2.0.
    schema["anyOf"] = [one for one in schema["anyOf"] if one != {"required": ["modified"]}]
    schema["anyOf"].append({"required": ["modified_time"]})
    # The hive, which stands before the first backslash, is not abbreviated; behind it anything may be.
    key = schema["allOf"][1]["properties"]["key"]
    key["not"]["pattern"] = r"^[Hh][Kk](?:[Ll][Mm]|[Cc][Cc]|[Cc][Rr]|[Cc][Uu]|[Uu])(?:\\|$)"


def _software(schema: Schema) -> None:
    # STIX 2.1 §6.14: the whole value is a CPE 2.3 name, and languages are those of RFC 5646.
    properties = schema["allOf"][1]["properties"]
    cpe = properties["cpe"]
    cpe["pattern"] = f"^(?:{cpe['pattern']})$"
    properties["languages"]["items"]["pattern"] = f"^(?:{language.PATTERN})$"


def _observed_data(schema: Schema) -> None:
    # STIX 2.1 §4.14, §2.13: custom observables may bear any name, and no key goes unchecked (`.` is no newline).
    properties = schema["allOf"][1]["properties"]
    objects = properties["objects"]
    (observable,) = objects.pop("patternProperties").values()
    custom = observable["oneOf"][0]["allOf"][1]["not"]["properties"]["type"]
    custom["pattern"] = f"^(?:{_SOME_OBSERVABLE})$"
    objects["additionalProperties"] = observable
    other = properties["object_refs"]["items"]["anyOf"][0]["allOf"][1]
    other["not"]["pattern"] = f"^(?:{_SOME_DOMAIN_OBJECT})--"


_REPAIRS: Final[dict[str, Callable[[Schema], None]]] = {
    "common/core.json": _core,
    "common/cyber-observable-core.json": _core,
    "common/extension-definition.json": _extension_definition,
    "common/external-reference.json": _external_reference,
    "common/granular-marking.json": _granular_marking,
    "common/marking-definition.json": _marking_definition,
    "common/properties.json": _properties,
    "observables/artifact.json": _artifact,
    "observables/email-message.json": _email_message,
    "observables/ipv6-addr.json": _ipv6,
    "observables/process.json": _process,
    "observables/software.json": _software,
    "observables/windows-registry-key.json": _registry_key,
    "sdos/observed-data.json": _observed_data,
}
