"""What is wrong with text that is not YAML, worded for the person who wrote it."""

from __future__ import annotations

import re

import yaml


def explain(error: yaml.MarkedYAMLError, text: str, *, numbered: bool) -> tuple[yaml.Mark | None, str]:
    """Where a syntax error lies, and the sentence for it.

    Args:
        error: what the parser says.
        text: what it was given.
        numbered: whether lines of the text may be named.
    """
    problem, context = error.problem or error.context or "", error.context or ""
    here, opened = error.problem_mark or error.context_mark, error.context_mark
    if "another document" in problem:
        return here, "a second document begins here (---); a file holds one"
    if here and _tab_indents(text, here.line):
        return here, "a tab indents this line; YAML wants spaces"
    if "quoted scalar" in context and "unexpected" in problem:
        return opened, "is not YAML: a quote opens here and is not closed"
    if "flow" in context and "<stream end>" in problem:
        bracket = "[" if "sequence" in context else "{"
        return opened, f"is not YAML: what opens with {bracket} here is not closed"
    if "simple key" in context:  # found missing only on the next line
        return opened, f"is not YAML: {problem}"
    unexpected = re.fullmatch(r"expected <block end>, but found ('.*')", problem)
    if unexpected:
        stray = unexpected[1] in ("']'", "'}'", "','", "':'")
        return here, f"is not YAML: {f'did not expect {unexpected[1]}' if stray else _UNEVEN}"
    if numbered and here and opened and here.line != opened.line:
        problem += f" (in what begins in line {opened.line + 1})"
    return here, f"is not YAML: {problem}"


_UNEVEN = "the indentation does not fit the lines above"


def _tab_indents(text: str, line: int) -> bool:
    lines = text.splitlines()
    return line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]
