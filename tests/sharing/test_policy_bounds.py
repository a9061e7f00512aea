r"""What could exhaust the engine's stack, and end the process, is refused before the engine sees it.

Cedar's lexer decides what is a string and what a comment, and so which brackets count: `//[^\n\r]*[\n\r]*` and
`"(\\.|[^"\\])*"`, where a dot is anything but a newline (cedar-policy-core, `parser/grammar.lalrpop`).
"""

import threading

import pytest

from lezha.sharing.cedar import MAX_BYTES, MAX_NESTING, MAX_OPERATORS, MAX_RULE, CedarPolicy
from lezha.sharing.errors import PolicyError

DEEP = "(" * 900 + "true" + ")" * 900
TOO_DEEP = "brackets are nested more than 50 deep."
SCOPE = "forbid (principal, action, resource)"
# The brackets of the scope and of `when` are two of them.
SPARE = MAX_OPERATORS - 2
TOO_MANY = (
    "the rule of line 1 has more than 200 operators, dots and brackets; "
    "write several rules, or [...].contains(...)."
)


def forbid(condition: str) -> str:
    return f"{SCOPE} when {{{condition}}};"


def refused(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        CedarPolicy(text)
    return str(caught.value)


def accepted(text: str) -> list[int]:
    """On which lines the rules of a policy begin, read with a stack of 1 MiB: what a small thread has."""
    found: list[CedarPolicy | PolicyError] = []

    def read() -> None:
        try:
            found.append(CedarPolicy(text))
        except PolicyError as error:
            found.append(error)

    before = threading.stack_size(1 << 20)
    try:
        reader = threading.Thread(target=read)
        reader.start()
    finally:
        threading.stack_size(before)
    reader.join()
    assert isinstance(found[0], CedarPolicy), found
    return [one.line for one in found[0].rules]


# --- strings and comments -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_comment_ends_with_its_line_and_hides_no_brackets_behind_it(end: str) -> None:
    assert refused(forbid(f'{end}//"{end}{DEEP}//"{end}')) == f"the policy, line 3: {TOO_DEEP}"


@pytest.mark.parametrize(
    "condition",
    [
        f'resource.type != "{DEEP}"',
        f'resource.type != "\\"{DEEP}"',
        f'"\\\\" != "{DEEP}"',
        f'"//" != "{DEEP}"',
        f'"\\\\\\"{DEEP}" != ""',
        f"true //{DEEP}\n",
        f"true //{DEEP}\r",
        f'true // " {DEEP}\r\n',
        f'"\n{DEEP}" != ""',
    ],
)
def test_brackets_within_strings_and_comments_nest_nothing(condition: str) -> None:
    assert accepted(forbid(condition)) == [1]


@pytest.mark.parametrize(
    "condition",
    [
        f'"\\\\"{DEEP}""',
        f'"\\\\\\""{DEEP}""',
        f'"a"{DEEP}"a"',
        f'"//"{DEEP}',
        f"1 / {DEEP} //",
        f'"{DEEP}" != {DEEP}',
    ],
)
def test_what_only_looks_like_a_string_or_a_comment_hides_no_brackets(condition: str) -> None:
    assert refused(forbid(condition)) == f"the policy, line 1: {TOO_DEEP}"


@pytest.mark.parametrize("string", ['"', f'"{DEEP}', '"\\\n"', f'"\\\n"{DEEP}', '"\\"'])
def test_a_string_that_does_not_end_is_refused_where_it_begins(string: str) -> None:
    # Nor does one that goes over an escaped newline, for Cedar.
    text = f"{SCOPE}\nwhen {{\n  {string} }};"
    assert refused(text) == "the policy, line 3: the string that begins here does not end."


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_are_counted_however_they_end(end: str) -> None:
    lines = [
        "// one",
        "",
        "forbid",
        "(principal, action, resource);",
        '@id("two") // two',
        SCOPE,
        ";",
        SCOPE,
        ";",
    ]
    text = end.join(lines)
    assert accepted(text) == [3, 5, 8]
    assert accepted(f'@id("of\ntwo") {SCOPE};\n{SCOPE};') == [1, 3]


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u3000", "\x0c", "\u2028"])
def test_whatever_is_space_to_cedar_is_space(space: str) -> None:
    assert accepted(f"{space}\n{space}{SCOPE}{space * 300};{space}") == [2]


# --- brackets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("[" + ")" * 900 + "," + "(" * 900, "line 2: no bracket is open that ) would close."),
        ("(1]", "line 2: no bracket is open that ] would close."),
        ("[1)", "line 2: no bracket is open that ) would close."),
        ("\n[1}", "line 3: no bracket is open that } would close."),
        ("\n(\n1;", "line 4: the ( of line 3 is not closed before the semicolon."),
        ("};\n}", "line 3: no bracket is open that } would close."),
    ],
)
def test_brackets_that_do_not_match_hide_no_others(condition: str, words: str) -> None:
    # Cedar's parser skips what does not fit and goes on.
    assert refused(f"\n{forbid(condition)}") == f"the policy, {words}"


def test_brackets_are_nested_as_deep_as_they_may_be_and_no_deeper() -> None:
    deepest = MAX_NESTING - 1
    assert accepted(forbid("(" * deepest + "true" + ")" * deepest)) == [1]
    for bracket in ("()", "[]", "{}"):
        nested = bracket[0] * MAX_NESTING + bracket[1] * MAX_NESTING
        assert refused(forbid(nested)) == f"the policy, line 1: {TOO_DEEP}"


def test_brackets_beside_each_other_are_not_nested() -> None:
    assert accepted(forbid("[[1],[2]].contains([1]) && " + " && ".join(["(true)"] * MAX_NESTING))) == [1]


# --- chains ---------------------------------------------------------------------------------------------------------

ALLOWED = {
    "and": "true" + " && true" * SPARE,
    "or": "true" + " || true" * SPARE,
    "sum": "0" + " + 0" * (SPARE - 1) + " == 0",
    "difference": "0" + "-0" * (SPARE - 1) + " != 1",
    "product": "0" + "*0" * (SPARE - 1) + " <= 0",
    "else if": "if true then true else " * SPARE + "true",
    "then if": "if true then " * SPARE + "true" + " else true" * SPARE,
    "if if": "if " * SPARE + "true" + " then true else true" * SPARE,
    "in brackets": "!(" * 48
    + "if true then " * (SPARE - 96)
    + "true"
    + " else true" * (SPARE - 96)
    + ")" * 48,
    "conditions": "true" + "} when {true" * SPARE,
}
REFUSED = {
    "and": "true" + " && true" * SPARE + "&& true",
    "or": "true" + "||true" * 2000,
    "sum": "0" + "+0" * 8000,
    "difference": "-" * 199 + "1 == 0",
    "not": "!" * 15_000 + "true",
    "less": "1" + "<1" * 199,
    "less or equal": "1" + "<=1" * 199,
    "equal": "1" + " == 1" * 199,
    "not equal": "1" + " != 1" * 199,
    "division": "1" + "/1" * 199,
    "attributes": "resource" + ".a" * 199,
    "keys": "resource" + '["a"]' * 199,
    "methods": "resource" + ".isEmpty()" * 100,
    "has": "resource has a" + ".a" * 198,
    "if": "if true then true else " * 199 + "true",
    "in": "resource" + " in resource" * 199,
    "is": "resource" + " is Object" * 199,
    "has again": "resource" + " has a" * 199,
    "like": "resource" + ' like "a"' * 199,
    "what Cedar has not": "'" * 199,
    "letters that Cedar has not": "é" * 199,
    "conditions": "true" + "} unless {true" * 199,
}


@pytest.mark.parametrize("condition", ALLOWED.values(), ids=ALLOWED)
def test_a_rule_of_as_many_operators_as_may_be_needs_little_stack(condition: str) -> None:
    assert accepted(forbid(condition)) == [1]


@pytest.mark.parametrize("condition", REFUSED.values(), ids=REFUSED)
def test_a_longer_chain_is_refused_with_its_line(condition: str) -> None:
    assert refused(forbid(condition)) == f"the policy, line 1: {TOO_MANY}"


def test_a_chain_is_refused_in_the_line_in_which_it_is_too_long() -> None:
    text = forbid("true" + " &&\ntrue" * (SPARE + 1))
    assert refused(f"\n{text}") == "the policy, line 200: " + TOO_MANY.replace("line 1", "line 2")


@pytest.mark.parametrize(
    "condition",
    [
        "[" + ",\n".join(['Member::"if"'] * 500) + "].contains(resource.origin)",
        "[" + ", ".join(['"in"'] * 500) + "].contains(resource.type)",
        "[" + ", ".join(map(str, range(500))) + "].contains(1)",
        "{" + ", ".join(f"iffy_{number}: true" for number in range(500)) + "}.iffy_1",
        "{"
        + ", ".join(f"{name}_{number}: 1" for name in ("if", "in", "is") for number in range(70))
        + "}.if_1 == 1",
        "[" + "{_if: 1, inn: 1, isle: 1, hash: 1, likely: 1}," * 190 + "].isEmpty()",
    ],
)
def test_lists_of_any_length_are_no_chains(condition: str) -> None:
    assert accepted(forbid(condition)) == [1]


def test_every_rule_may_have_as_many_as_any() -> None:
    text = "\n".join([forbid(ALLOWED["and"]), forbid(ALLOWED["in brackets"])] * 2)
    assert accepted(text) == [1, 2, 3, 4]


# --- sizes ----------------------------------------------------------------------------------------------------------


def test_a_rule_has_at_most_16_kib() -> None:
    longest = f"{SCOPE}{' ' * (MAX_RULE - len(SCOPE) - 1)};"
    assert accepted(f"// a comment\n{longest}\n{longest}") == [2, 3]
    assert refused(f"\n{SCOPE}\n{longest}") == "the policy, line 2: the rule is longer than 16 KiB."
    assert refused(longest.replace(" ;", "  ;")) == "the policy, line 1: the rule is longer than 16 KiB."


def test_a_file_has_at_most_256_kib() -> None:
    longest = f"//{'é' * ((MAX_BYTES - 2) // 2)}"
    assert accepted(longest) == []
    assert refused(f"{longest}.") == "the policy is larger than 256 KiB."
