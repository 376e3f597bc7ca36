"""Every mistake in a file ends in one sentence for each: file, line, field: what is wrong; what is right.

Each case changes one thing in a small valid file. `{file}` in a message stands for the path of that file. The messages
are those that a user would want to read, so this table is where to argue about their wording.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moonas import content
from moonas.errors import MoonasError, SpecError
from moonas.registry import DATA_SETS, STRATEGIES
from moonas.spec.encoding import FAMILY_SPECS
from moonas.spec.load import load_problem
from moonas.spec.metric import METRICS
from moonas.spec.problem import ProblemSpec

PROBLEM = """\
name: small
encoding: tiny_cnn
data: {name: digits}
device: here
objectives:
  - metric: accuracy
  - metric: params
search: {population: 8}
"""
ENCODING = """\
family: staged_cnn
stem: {width: 8}
stages:
  - block: plain
    depth: 1
    width: [8, 16]
head: {width: 0}
"""
DEVICE = """\
kind: measured
processor: cpu
runtime: onnxruntime
threads: 1
"""

# Lists that grow with moonas; everything else in the messages is written out.
FIELDS = ", ".join(sorted(ProblemSpec.model_fields))
MEASURED = ", ".join(sorted(METRICS))
OR_FUNCTION = "or give a function of your own as package.module:function"
OR_OWN = "or give your own as package.module:name"
OR_FILE = "or give the path of a file"
NAME_RULE = "must be letters, digits, '_', '-' or '.', the first a letter or digit"
DARTS_CELLS = """\
family: darts
normal: [{{inputs: {inputs}, first: none, second: none}}]
reduction:
  - {{inputs: 0+1, first: none, second: none}}
"""
OWN_FAMILY = """\
family: my_spaces:Mine
width: []
kernel: [3, 5, 3]
mixed: [1, {a: 2}]
deep: [[1], [2]]
layers:
  - units:
flag: [true, 1]
"""
FAMILIES = ", ".join(sorted(FAMILY_SPECS))
BLOCKS = "plain, residual, bottleneck, separable, inverted_residual, fused_inverted_residual"
DEVICE_FIELDS = (
    "batch, environment, fusion, kind, machine, meter, model, name, power, price, processor, roofline, round_ms, "
    "rounds, runtime, scale, source, space, table, threads, validation"
)
DATA = ", ".join(DATA_SETS.names())
STRATEGY = ", ".join(STRATEGIES.names())


def shipped(kind: str) -> str:
    return ", ".join(sorted(path.stem for path in content.shipped_folder(kind).glob("*.yaml")))


ENCODINGS = shipped("encodings")
DEVICES = shipped("hw_profiles")


def line(number: int, text: str, *, of: str = PROBLEM) -> str:
    """The file with one line changed."""
    lines = of.splitlines()
    lines[number - 1 : number] = text.splitlines()
    return "\n".join(lines) + "\n"


def plus(text: str, *, to: str = PROBLEM) -> str:
    """The file with something added at its end: line 9 of a problem, line 8 of an encoding, line 5 of a device."""
    return to + text + "\n"


def objectives(text: str) -> str:
    """The problem with its objectives, written on line 5, replaced."""
    return PROBLEM.split("objectives:")[0] + f"objectives: {text}\n"


def without_data(text: str) -> str:
    """A valid problem of three lines that trains nothing, and something added on line 4."""
    task = "{input_shape: [1, 8, 8], classes: 10}"
    return f"encoding: tiny_cnn\ntask: {task}\nobjectives: [{{metric: params}}]\n{text}\n"


def case(name: str, text: str | bytes, *messages: str) -> Any:
    return pytest.param(text, "\n".join(messages), id=name)


UNKNOWN_KEYS = [
    case(
        "unknown_key",
        plus("serch: {population: 8}"),
        f"{{file}}, line 9, serch: unknown key; choose from {FIELDS}; did you mean 'search'?",
    ),
    case("unknown_key_like_no_other", plus("x9: 1"), f"{{file}}, line 9, x9: unknown key; choose from {FIELDS}"),
    case(
        "unknown_nested_key",
        line(8, "search:\n  populaton: 8"),
        "{file}, line 9, search.populaton: unknown key; choose from halving, options, population, screen, strategy; "
        "did you mean 'population'?",
    ),
    case(
        "unknown_key_twice_nested",
        line(3, "data:\n  name: digits\n  split:\n    trian: 0.6"),
        "{file}, line 6, data.split.trian: unknown key; choose from test, train, val; did you mean 'train'?",
    ),
    case(
        "unknown_key_in_an_objective",
        line(7, "  - metric: params\n    gaol: minimize"),
        "{file}, line 8, objectives.1.gaol: unknown key; choose from at_least, at_most, cost, goal, metric, reference; "
        "did you mean 'goal'?",
    ),
    case(
        "unknown_key_in_a_constraint",
        plus("constraints:\n  - metric: params\n    at_mots: 5"),
        "{file}, line 11, constraints.0.at_mots: unknown key; choose from at_least, at_most, cost, metric; "
        "did you mean 'at_most'?",
    ),
    case(
        "unknown_key_beside_a_device",
        line(4, "device:\n  name: here\n  thread: 2"),
        f"{{file}}, line 6, device.thread: unknown key; choose from {DEVICE_FIELDS}; did you mean 'threads'?",
    ),
    case(
        "unknown_key_beside_an_encoding_of_ones_own",
        line(2, "encoding:\n  name: my.module:Space\n  option: {a: 1}"),
        "{file}, line 4, encoding.option: unknown key; choose from name, options; did you mean 'options'?",
    ),
    case("number_as_key", plus("5: x"), f"{{file}}, line 9, 5: unknown key; choose from {FIELDS}"),
    case("yaml_boolean_as_key", plus("on: x"), f"{{file}}, line 9, on: unknown key; choose from {FIELDS}"),
    case("list_as_key", plus("? [a, b]\n: x"), "{file}, line 9: a key must be a word"),
    case("mapping_as_key", plus("? {a: b}\n: x"), "{file}, line 9: a key must be a word"),
]

WRONG_TYPES = [
    case(
        "text_for_a_whole_number",
        line(8, "search: {population: many}"),
        "{file}, line 8, search.population: must be a whole number, is the text 'many'",
    ),
    case(
        "fraction_for_a_whole_number",
        line(8, "search: {population: 8.5}"),
        "{file}, line 8, search.population: must be a whole number, is 8.5",
    ),
    case(
        "whole_number_in_quotes",
        line(8, "search: {population: '8'}"),
        "{file}, line 8, search.population: must be a whole number, is the text '8'; YAML takes that for text, write 8",
    ),
    case(
        "true_for_a_whole_number",
        line(8, "search: {population: true}"),
        "{file}, line 8, search.population: must be a whole number, is true",
    ),
    case(
        "list_for_a_whole_number",
        line(8, "search: {population: [8]}"),
        "{file}, line 8, search.population: must be a whole number, is the list [8]",
    ),
    case(
        "mapping_for_a_whole_number",
        line(8, "search: {population: {a: 1}}"),
        "{file}, line 8, search.population: must be a whole number, is a mapping",
    ),
    case(
        "nothing_for_a_whole_number",
        line(8, "search:\n  population:"),
        "{file}, line 9, search.population: must be a whole number, is empty",
    ),
    case(
        "text_for_a_number",
        plus("training: {learning_rate: fast}"),
        "{file}, line 9, training.learning_rate: must be a number, is the text 'fast'",
    ),
    case(
        "true_for_a_number",
        plus("training: {learning_rate: yes}"),
        "{file}, line 9, training.learning_rate: must be a number, is true",
    ),
    case(
        "percent_for_a_number",
        line(3, "data: {name: digits, split: {train: 60%}}"),
        "{file}, line 3, data.split.train: must be a number, is the text '60%'",
    ),
    case("number_for_text", line(1, "name: 5"), "{file}, line 1, name: must be text, is 5"),
    case("list_for_text", line(1, "name: [a, b]"), "{file}, line 1, name: must be text, is the list [a, b]"),
    case("mapping_for_text", line(1, "name: {a: b}"), "{file}, line 1, name: must be text, is a mapping"),
    case("nothing_for_text", line(1, "name:"), "{file}, line 1, name: must be text, is empty"),
    case(
        "number_for_true_or_false",
        plus("training: {flip: 1}"),
        "{file}, line 9, training.flip: must be true or false, is 1",
    ),
    case(
        "text_for_true_or_false",
        plus("training: {flip: maybe}"),
        "{file}, line 9, training.flip: must be true or false, is the text 'maybe'",
    ),
    case(  # a list is shown as YAML writes it, not as Python does
        "list_for_true_or_false",
        plus("training: {flip: [true]}"),
        "{file}, line 9, training.flip: must be true or false, is the list [true]",
    ),
    case(
        "list_for_mapping",
        plus("training: [8]"),
        "{file}, line 9, training: must be `key: value` pairs, is the list [8]",
    ),
    case("number_for_mapping", plus("budget: 100"), "{file}, line 9, budget: must be `key: value` pairs, is 100"),
    case("nothing_for_mapping", plus("budget:"), "{file}, line 9, budget: must be `key: value` pairs, is empty"),
    case(
        "empty_list_for_mapping",
        plus("budget: []"),
        "{file}, line 9, budget: must be `key: value` pairs, is an empty list",
    ),
    case(
        "list_for_options",
        line(8, "search: {options: [a]}"),
        "{file}, line 8, search.options: must be `key: value` pairs, is the list [a]",
    ),
    case(
        "mapping_for_list", objectives("{metric: accuracy}"), "{file}, line 5, objectives: must be a list, is a mapping"
    ),
    case("text_for_list", plus("record: params"), "{file}, line 9, record: must be a list, is the text 'params'"),
    case("nothing_for_list", plus("constraints:"), "{file}, line 9, constraints: must be a list, is empty"),
    case(
        "text_for_an_objective",
        objectives("[{metric: accuracy}, params]"),
        "{file}, line 5, objectives.1: must be `key: value` pairs, is the text 'params'",
    ),
    case(
        "nothing_for_an_objective",
        line(7, "  -"),
        "{file}, line 7, objectives.1: must be `key: value` pairs, is empty",
    ),
    case("number_in_a_list_of_names", plus("record: [params, 5]"), "{file}, line 9, record.1: must be text, is 5"),
    case(
        "list_for_a_path",
        line(3, "data: {name: npz, path: [a.npz]}"),
        "{file}, line 3, data.path: must be text, is the list [a.npz]",
    ),
    case(
        "list_for_data",
        line(3, "data: [digits]"),
        "{file}, line 3, data: must be `key: value` pairs, is the list [digits]",
    ),
    case(
        "list_for_device",
        line(4, "device: [here]"),
        "{file}, line 4, device: must be the name of a device profile or `key: value` pairs, is the list [here]",
    ),
    case(
        "nothing_for_device",
        line(4, "device:"),
        "{file}, line 4, device: must be the name of a device profile or `key: value` pairs, is empty",
    ),
    case(
        "nothing_for_the_name_of_a_device",
        line(4, "device: {name: }"),
        "{file}, line 4, device.name: must be text, is empty",
    ),
    case(
        "list_for_the_name_of_a_device",
        line(4, "device: {name: [here]}"),
        "{file}, line 4, device.name: must be text, is the list [here]",
    ),
    case(
        "nothing_for_encoding",
        line(2, "encoding:"),
        "{file}, line 2, encoding: must be the name of an encoding or `key: value` pairs, is empty",
    ),
    case(
        "number_for_the_name_of_an_encoding",
        line(2, "encoding: {name: 5}"),
        "{file}, line 2, encoding.name: must be text, is 5",
    ),
    case(
        "bad_name_beside_an_encoding_written_out",
        line(1, "name: 5").replace(
            "encoding: tiny_cnn",
            "encoding: {family: staged_cnn, stem: {width: 8}, stages: [{block: plain, depth: 1, width: 8}]}",
        ),
        "{file}, line 1, name: must be text, is 5",
    ),
    case(
        "input_shape_too_short",
        without_data("").replace("[1, 8, 8]", "[8]"),
        "{file}, line 2, task.input_shape: must hold 3 whole numbers (channels, height, width), "
        "or 2 (length, channels), holds 1",
    ),
    case(
        "input_shape_too_long",
        without_data("").replace("[1, 8, 8]", "[32, 1, 8, 8]"),
        "{file}, line 2, task.input_shape: must hold 3 whole numbers (channels, height, width), "
        "or 2 (length, channels), holds 4",
    ),
    case(
        "number_for_input_shape",
        without_data("").replace("[1, 8, 8]", "8"),
        "{file}, line 2, task.input_shape: must be a list, is 8",
    ),
    case(
        "fraction_in_input_shape",
        without_data("").replace("[1, 8, 8]", "[1, 8, 8.5]"),
        "{file}, line 2, task.input_shape.2: must be a whole number, is 8.5",
    ),
]

YAML_TRAPS = [
    case(
        "exponent_without_a_point",
        plus("training:\n  learning_rate: 1e-3"),
        "{file}, line 10, training.learning_rate: must be a number, is the text '1e-3'; "
        "YAML takes that for text, write 0.001",
    ),
    case(
        "millions_as_2e6",
        plus("constraints: [{metric: flops, at_most: 2e6}]"),
        "{file}, line 9, constraints.0.at_most: must be a number, is the text '2e6'; "
        "YAML takes that for text, write 2000000",
    ),
    case(
        "more_than_a_float_can_be",  # there is nothing sensible to write instead
        plus("training: {learning_rate: 1e400}"),
        "{file}, line 9, training.learning_rate: must be a number, is the text '1e400'",
    ),
    case(
        "not_a_number_in_words",  # YAML's own is .nan, which no field takes
        plus("training: {learning_rate: nan}"),
        "{file}, line 9, training.learning_rate: must be a number, is the text 'nan'",
    ),
    case(  # 0.8 would be no better
        "fraction_with_an_exponent_for_a_whole_number",
        line(8, "search: {population: 8e-1}"),
        "{file}, line 8, search.population: must be a whole number, is the text '8e-1'",
    ),
    case(
        "on_where_text_is_expected",
        line(8, "search: {strategy: on}"),
        "{file}, line 8, search.strategy: must be text, is true; "
        "YAML takes on, off, yes and no for true and false: put it in quotes",
    ),
    case(
        "yes_where_text_is_expected",
        plus("record: [yes]"),
        "{file}, line 9, record.0: must be text, is true; "
        "YAML takes on, off, yes and no for true and false: put it in quotes",
    ),
    case(
        "date_where_text_is_expected",
        line(1, "name: 2001-01-02"),
        "{file}, line 1, name: YAML takes 2001-01-02 for a date; put it in quotes",
    ),
    case(
        "date_that_is_none",
        line(1, "name: 2001-13-01"),
        "{file}, line 1, name: YAML takes 2001-13-01 for a date; put it in quotes",
    ),
    case(
        "date_among_options",
        line(8, "search: {options: {since: 2001-01-02}}"),
        "{file}, line 8, search.options.since: YAML takes 2001-01-02 for a date; put it in quotes",
    ),
    case(  # an hour and a half would silently be ninety hours
        "hours_and_minutes",
        plus("budget: {hours: 1:30}"),
        "{file}, line 9, budget.hours: YAML takes 1:30 for 90, a number in base 60; write it out",
    ),
    case(
        "leading_zero",
        line(8, "search: {population: 010}"),
        "{file}, line 8, search.population: YAML takes 010 for 8, a number in base 8; write it out",
    ),
    case(
        "text_over_several_lines",  # one mistake, one line
        plus("seed: |\n  a\n  b"),
        "{file}, line 9, seed: must be a whole number, is the text 'a\\nb\\n'",
    ),
]

NUMBERS = [
    case(
        "zero_population",
        line(8, "search: {population: 0}"),
        "{file}, line 8, search.population: must be at least 2, is 0",
    ),
    case(
        "population_beyond_reason",
        line(8, "search: {population: 100001}"),
        "{file}, line 8, search.population: must be at most 100000, is 100001",
    ),
    case("zero_trials", plus("budget: {trials: 0}"), "{file}, line 9, budget.trials: must be at least 1, is 0"),
    case(
        "negative_budget", plus("budget: {hours: -1.5}"), "{file}, line 9, budget.hours: must be more than 0, is -1.5"
    ),
    case(
        "no_time", plus("budget: {trial_seconds: 0}"), "{file}, line 9, budget.trial_seconds: must be more than 0, is 0"
    ),
    case(
        "endless_budget", plus("budget: {hours: .inf}"), "{file}, line 9, budget.hours: must be a finite number, is inf"
    ),
    case(
        "budget_of_nan", plus("budget: {hours: .nan}"), "{file}, line 9, budget.hours: must be a finite number, is nan"
    ),
    case(
        "reference_of_nan",
        objectives("[{metric: accuracy, reference: .nan}]"),
        "{file}, line 5, objectives.0.reference: must be a finite number, is nan",
    ),
    case(
        "limit_of_infinity",
        plus("constraints: [{metric: params, at_most: .inf}]"),
        "{file}, line 9, constraints.0.at_most: must be a finite number, is inf",
    ),
    case(
        "learning_rate_of_nan",
        plus("training: {learning_rate: .nan}"),
        "{file}, line 9, training.learning_rate: must be a finite number, is nan",
    ),
    case(
        "share_of_nan",
        line(3, "data: {name: digits, split: {train: .nan}}"),
        "{file}, line 3, data.split.train: must be a finite number, is nan",
    ),
    case(
        "momentum_of_one",
        plus("training: {momentum: 1}"),
        "{file}, line 9, training.momentum: must be less than 1, is 1",
    ),
    case(
        "weight_decay_above_one",
        plus("training: {weight_decay: 2}"),
        "{file}, line 9, training.weight_decay: must be at most 1, is 2",
    ),
    case("batch_of_one", plus("training: {batch: 1}"), "{file}, line 9, training.batch: must be at least 2, is 1"),
    case("zero_epochs", plus("fidelity: {epochs: 0}"), "{file}, line 9, fidelity.epochs: must be at least 1, is 0"),
    case("negative_seed", plus("seed: -1"), "{file}, line 9, seed: must be at least 0, is -1"),
    case(
        "negative_seed_of_the_split",
        line(3, "data: {name: digits, seed: -1}"),
        "{file}, line 3, data.seed: must be at least 0, is -1",
    ),
    case(  # scikit-learn takes 32 bits
        "seed_of_the_split_beyond_32_bits",
        line(3, "data: {name: digits, seed: 4294967296}"),
        "{file}, line 3, data.seed: must be at most 4294967295, is 4294967296",
    ),
    case(
        "negative_workers",
        plus("workers: -1"),
        "{file}, line 9, workers: must be auto or a whole number from 0 to 1024, is -1",
    ),
    case(
        "workers_in_words",
        plus("workers: many"),
        "{file}, line 9, workers: must be auto or a whole number from 0 to 1024, is the text 'many'",
    ),
    case(
        "workers_of_true",
        plus("workers: true"),
        "{file}, line 9, workers: must be auto or a whole number from 0 to 1024, is true",
    ),
    case(
        "workers_of_nothing",
        plus("workers:"),
        "{file}, line 9, workers: must be auto or a whole number from 0 to 1024, is empty",
    ),
    case(
        "one_class",
        without_data("").replace("classes: 10", "classes: 1"),
        "{file}, line 2, task.classes: must be at least 2, is 1",
    ),
    case(
        "images_without_height",
        without_data("").replace("[1, 8, 8]", "[1, 0, 8]"),
        "{file}, line 2, task.input_shape.1: must be at least 1, is 0",
    ),
]

NAMES = [
    case(
        "name_with_a_slash",
        line(1, "name: a/b"),
        f"{{file}}, line 1, name: {NAME_RULE}, is the text 'a/b'",
    ),
    case(
        "name_that_leaves_the_folder",
        line(1, "name: ../up"),
        f"{{file}}, line 1, name: {NAME_RULE}, is the text '../up'",
    ),
    case(
        "empty_name",
        line(1, "name: ''"),
        f"{{file}}, line 1, name: {NAME_RULE}, is the text ''",
    ),
    case(  # it names a folder, and no file system takes this
        "endless_name",
        line(1, f"name: {'a' * 300}"),
        f"{{file}}, line 1, name: must be at most 100 characters long, is the text '{'a' * 59}…'",
    ),
    case(
        "misspelled_encoding",
        line(2, "encoding: tiny_cn"),
        f"{{file}}, line 2, encoding.name: unknown encoding 'tiny_cn'; choose from {ENCODINGS}, {OR_FILE}; "
        "did you mean 'tiny_cnn'?",
    ),
    case(
        "unknown_encoding",
        line(2, "encoding: resnet9"),
        f"{{file}}, line 2, encoding.name: unknown encoding 'resnet9'; choose from {ENCODINGS}, {OR_FILE}; "
        "did you mean 'resnet'?",
    ),
    case(
        "encoding_file_that_is_missing",
        line(2, "encoding: mine/tiny_cn.yaml"),
        f"{{file}}, line 2, encoding.name: no such file: mine/tiny_cn.yaml; choose from {ENCODINGS}, {OR_FILE}; "
        "did you mean 'tiny_cnn'?",
    ),
    case(
        "fields_beside_a_named_encoding",
        line(2, "encoding:\n  name: tiny_cnn\n  stem: {width: 4}"),
        "{file}, line 4, encoding.stem: cannot be set beside a named encoding; "
        "`moonas copy NAME` gives you a file of your own to edit",
    ),
    case(
        "misspelled_device",
        line(4, "device: heer"),
        f"{{file}}, line 4, device.name: unknown device profile 'heer'; choose from {DEVICES}, {OR_FILE}; "
        "did you mean 'here'?",
    ),
    case(
        "misspelled_device_beside_fields",
        line(4, "device:\n  rounds: 4\n  name: heer"),
        f"{{file}}, line 6, device.name: unknown device profile 'heer'; choose from {DEVICES}, {OR_FILE}; "
        "did you mean 'here'?",
    ),
    case(
        "misspelled_strategy",
        line(8, "search: {strategy: nsga}"),
        f"{{file}}, line 8, search.strategy: unknown strategy 'nsga'; choose from {STRATEGY}, {OR_OWN}; "
        "did you mean 'nsga2'?",
    ),
    case(
        "strategy_in_capitals",
        line(8, "search: {strategy: NSGA2}"),
        f"{{file}}, line 8, search.strategy: unknown strategy 'NSGA2'; choose from {STRATEGY}, {OR_OWN}; "
        "did you mean 'nsga2'?",
    ),
    case(
        "unknown_strategy",
        line(8, "search: {strategy: magic}"),
        f"{{file}}, line 8, search.strategy: unknown strategy 'magic'; choose from {STRATEGY}, {OR_OWN}",
    ),
    case(
        "misspelled_data_set",
        line(3, "data: {name: digit}"),
        f"{{file}}, line 3, data.name: unknown data set 'digit'; choose from {DATA}, {OR_OWN}; did you mean 'digits'?",
    ),
    case(
        "misspelled_data_set_by_bare_name",
        line(3, "data: digit"),
        f"{{file}}, line 3, data.name: unknown data set 'digit'; choose from {DATA}, {OR_OWN}; did you mean 'digits'?",
    ),
    case(
        "unknown_processor",
        line(4, "device: {name: here, processor: gpu}"),
        "{file}, line 4, device.processor: must be one of cpu, cuda, is the text 'gpu'; did you mean 'cpu'?",
    ),
]

METRIC_USES = [
    case("no_encoding", line(2, ""), "{file}, encoding: is missing"),
    case("nothing_in_braces", "{}", "{file}, encoding: is missing", "{file}, objectives: is missing"),
    case("no_objectives", PROBLEM.split("objectives:")[0], "{file}, objectives: is missing"),
    case("empty_objectives", objectives("[]"), "{file}, line 5, objectives: must hold at least one, is an empty list"),
    case(
        "objective_without_metric",
        line(7, "  - goal: minimize"),
        "{file}, line 7, objectives.1.metric: is missing",
    ),
    case(
        "misspelled_metric",
        line(7, "  - metric: prams"),
        f"{{file}}, line 7, objectives.1.metric: nothing measures 'prams'; choose from {MEASURED}, {OR_FUNCTION}; "
        "did you mean 'params'?",
    ),
    case(
        "unknown_metric",
        line(7, "  - metric: happiness"),
        f"{{file}}, line 7, objectives.1.metric: nothing measures 'happiness'; choose from {MEASURED}, {OR_FUNCTION}",
    ),
    case(
        "function_without_a_colon",
        line(7, "  - {metric: my.module.f, goal: minimize}"),
        f"{{file}}, line 7, objectives.1.metric: nothing measures 'my.module.f'; choose from {MEASURED}, {OR_FUNCTION}",
    ),
    case(
        "objective_twice",
        plus("").replace("  - metric: params", "  - metric: params\n  - metric: accuracy"),
        "{file}, line 8, objectives.2.metric: accuracy is in objectives twice; keep one",
    ),
    case(
        "objective_twice_once_by_its_path",
        objectives("[{metric: 'm:f', goal: minimize}, {metric: f, goal: minimize}]"),
        "{file}, line 5, objectives.1.metric: f is in objectives twice; keep one",
    ),
    case(
        "wrong_goal_of_the_only_objective",
        objectives("[{metric: accuracy, goal: maximise}]"),
        "{file}, line 5, objectives.0.goal: must be one of maximize, minimize, is the text 'maximise'; "
        "did you mean 'maximize'?",
    ),
    case(
        "goal_of_true",
        objectives("[{metric: accuracy}, {metric: params, goal: on}]"),
        "{file}, line 5, objectives.1.goal: must be one of maximize, minimize, is true",
    ),
    case(
        "function_without_goal",
        line(7, "  - metric: my.module:joules"),
        "{file}, line 7, objectives.1.goal: is missing; say maximize or minimize",
    ),
    case(
        "misspelled_device_of_a_metric",
        line(7, "  - metric: latency_ms@raspbery_pi_4"),
        f"{{file}}, line 7, objectives.1.metric: unknown device profile 'raspbery_pi_4'; choose from {DEVICES}, "
        f"{OR_FILE}; did you mean 'raspberry_pi_4'?",
    ),
    case(
        "misspelled_device_of_a_recorded_metric",
        plus("record:\n  - latency_ms@heer"),
        f"{{file}}, line 10, record.0: unknown device profile 'heer'; choose from {DEVICES}, {OR_FILE}; "
        "did you mean 'here'?",
    ),
    case(
        "live_device_of_a_metric",
        line(7, "  - metric: latency_ms@here"),
        "{file}, line 7, objectives.1.metric: here is timed live, and only `device` can be; name a profile that "
        "predicts",
    ),
    case(
        "timed_metric_of_another_device",
        line(7, "  - metric: latency_p90_ms@t4"),
        "{file}, line 7, objectives.1.metric: nothing measures 'latency_p90_ms@t4'; of other devices there are "
        "latency_ms@NAME and coverage@NAME, NAME being a device profile",
    ),
    case(
        "no_device_after_the_sign",
        plus("record: [latency_ms@]"),
        "{file}, line 9, record.0: nothing measures 'latency_ms@'; of other devices there are latency_ms@NAME and "
        "coverage@NAME, NAME being a device profile",
    ),
    case(
        "timed_metric_of_a_device_that_predicts",
        plus("constraints: [{metric: latency_p90_ms, at_most: 2}]").replace("device: here", "device: t4"),
        "{file}, line 9, constraints.0.metric: latency_p90_ms is timed, and the latencies of t4 are predicted; write "
        "latency_ms",
    ),
    case(
        "coverage_without_a_table",
        plus("record: [coverage@t4, coverage]"),
        "{file}, line 9, record.0: coverage@t4 is of predictions from a table of measured kernels, and t4 has none; "
        "leave it out",
        "{file}, line 9, record.1: coverage is of predictions from a table of measured kernels, and here has none; "
        "leave it out",
    ),
    case(
        "wrong_field_of_a_further_device",
        plus("devices: {t4: {batch: 0}}\nrecord: [latency_ms@t4]"),
        "{file}, line 9, devices.t4.batch: must be at least 1, is 0",
    ),
    case(
        "list_of_devices",
        plus("devices: [t4]"),
        "{file}, line 9, devices: must be `name: device profile` pairs, is the list [t4]",
    ),
    case(
        "function_called_like_a_known_metric",
        line(7, "  - {metric: 'my.module:latency_ms', goal: minimize}"),
        "{file}, line 7, objectives.1.metric: a function cannot be called latency_ms: moonas measures that",
    ),
    case(
        "two_functions_of_one_name",  # they would share a column
        line(7, "  - {metric: 'm:f', goal: minimize}") + "constraints: [{metric: 'n:f', at_most: 1}]\n",
        "{file}, line 9, constraints.0.metric: two functions are called f: m:f and n:f; rename one",
    ),
    case(
        "function_both_cheap_and_dear",
        line(7, "  - {metric: 'm:f', goal: minimize, cost: dear}")
        + "constraints: [{metric: 'm:f', at_most: 1, cost: cheap}]\n",
        "{file}, line 9, constraints.0.cost: f is dear in objectives.1; make them agree",
    ),
    case(
        "cost_on_a_known_metric",
        line(7, "  - {metric: params, cost: cheap}"),
        "{file}, line 7, objectives.1.cost: is known for this metric; only functions of your own need it",
    ),
    case(
        "unknown_cost",
        line(7, "  - {metric: 'm:f', goal: minimize, cost: free}"),
        "{file}, line 7, objectives.1.cost: must be one of cheap, dear, is the text 'free'",
    ),
    case(
        "at_most_below_at_least",
        plus("constraints:\n  - metric: accuracy\n    at_least: 0.9\n    at_most: 0.5"),
        "{file}, line 12, constraints.0.at_most: 0.5 is below at_least 0.9: nothing fits",
    ),
    case(
        "constraint_without_limit",
        plus("constraints:\n  - metric: params"),
        "{file}, line 10, constraints.0: sets no limit; give at_most or at_least",
    ),
    case(
        "constraint_on_nothing_measured",
        plus("constraints: [{metric: happiness, at_least: 1}]"),
        f"{{file}}, line 9, constraints.0.metric: nothing measures 'happiness'; choose from {MEASURED}, {OR_FUNCTION}",
    ),
    case(
        "constraint_twice",
        plus("constraints:\n  - {metric: params, at_most: 9}\n  - {metric: params, at_least: 1}"),
        "{file}, line 11, constraints.1.metric: params is in constraints twice; keep one",
    ),
    case(
        "misspelled_record",
        plus("record: [flop]"),
        f"{{file}}, line 9, record.0: nothing measures 'flop'; choose from {MEASURED}; did you mean 'flops'?",
    ),
    case(  # it is a function, so do not ask for one
        "function_in_record",
        plus("record: ['my.module:joules']"),
        f"{{file}}, line 9, record.0: nothing measures 'my.module:joules'; choose from {MEASURED}",
    ),
]

DATA_AND_TASK = [
    case(
        "both_data_and_task",
        plus("task: {input_shape: [1, 8, 8], classes: 10}"),
        "{file}, line 9, task: is given beside data; keep one",
    ),
    case(
        "neither_data_nor_task",
        without_data("").replace("task: {input_shape: [1, 8, 8], classes: 10}\n", ""),
        "{file}, data: is missing; give data, or task (input_shape, classes) for a search without training",
    ),
    case(
        "nothing_for_data",
        line(3, "data:"),
        "{file}, line 3, data: is missing; give data, or task (input_shape, classes) for a search without training",
    ),
    case(
        "accuracy_without_data",
        line(3, "task: {input_shape: [1, 8, 8], classes: 10}"),
        "{file}, line 6, objectives.0.metric: accuracy needs data to train on",
    ),
    case(
        "constraint_on_accuracy_without_data",
        without_data("constraints: [{metric: accuracy, at_least: 0.5}]"),
        "{file}, line 4, constraints.0.metric: accuracy needs data to train on",
    ),
    case(
        "accuracy_recorded_without_data",
        without_data("record: [params, accuracy]"),
        "{file}, line 4, record.1: accuracy needs data to train on",
    ),
    case(
        "npz_without_path",
        line(3, "data: {name: npz}"),
        "{file}, line 3, data.path: is missing; say where the data lies, as in --set data.path=FILE",
    ),
    case(
        "folder_with_an_empty_path",
        line(3, "data:\n  name: folder\n  path:"),
        "{file}, line 5, data.path: is missing; say where the data lies, as in --set data.path=FILE",
    ),
    case(
        "digits_with_path",
        line(3, "data:\n  name: digits\n  path: digits.npz"),
        "{file}, line 5, data.path: digits are built in and have no path; leave it out",
    ),
    case("data_without_name", line(3, "data: {seed: 1}"), "{file}, line 3, data.name: is missing"),
    case(
        "split_not_summing_to_one",
        line(3, "data:\n  name: digits\n  split: {train: 0.6, val: 0.2, test: 0.3}"),
        "{file}, line 5, data.split: the shares must sum to one, they sum to 1.1",
    ),
    case(
        "negative_share",
        line(3, "data: {name: digits, split: {train: 0.6, val: -0.2, test: 0.6}}"),
        "{file}, line 3, data.split.val: must be at least 0, is -0.2",
    ),
    case(
        "share_above_one",
        line(3, "data: {name: digits, split: {train: 60}}"),
        "{file}, line 3, data.split.train: must be at most 1, is 60",
    ),
    case(
        "nothing_to_validate_on",
        line(3, "data: {name: digits, split: {train: 0.8, val: 0}}"),
        "{file}, line 3, data.split.val: must be more than 0",
    ),
    case(
        "list_for_split",
        line(3, "data: {name: digits, split: [0.6, 0.2, 0.2]}"),
        "{file}, line 3, data.split: must be `key: value` pairs, is the list [0.6, 0.2, 0.2]",
    ),
    case(
        "wrong_runtime_for_cuda",
        line(4, "device:\n  processor: cuda\n  runtime: onnxruntime"),
        "{file}, line 6, device.runtime: onnxruntime measures on cpu only; for cuda set runtime: torch",
    ),
    case(
        "cuda_with_the_runtime_of_the_profile",
        line(4, "device: {name: here, processor: cuda}"),
        "{file}, line 4, device.runtime: onnxruntime measures on cpu only; for cuda set runtime: torch",
    ),
]

NOT_YAML = [
    case("empty_file", "", "{file}: must hold `key: value` pairs, holds nothing"),
    case("only_a_comment", "# nothing here yet\n", "{file}: must hold `key: value` pairs, holds nothing"),
    case("only_a_document_start", "---\n", "{file}: must hold `key: value` pairs, holds nothing"),
    case("only_a_list", "- a\n- b\n", "{file}: must hold `key: value` pairs, holds a list"),
    case("only_a_scalar", "digits\n", "{file}: must hold `key: value` pairs, holds a single value"),
    case("binary_file", b"\x89PNG\r\n\x1a\n\x00\x00", "{file}: is not a text file; a YAML file in UTF-8 is expected"),
    case(
        "latin_1",
        PROBLEM.encode() + "# größer\n".encode("latin-1"),
        "{file}: is not a text file; a YAML file in UTF-8 is expected",
    ),
    case("utf_16", PROBLEM.encode("utf-16"), "{file}: is not a text file; a YAML file in UTF-8 is expected"),
    case("control_character", plus("seed: \x07"), "{file}, line 9: is not a text file: it holds the character #x0007"),
    case("zero_byte", plus("seed: \x00"), "{file}, line 9: is not a text file: it holds the character #x0000"),
    case(
        "tab_as_indentation",
        plus("budget:\n\ttrials: 8"),
        "{file}, line 10: a tab indents this line; YAML wants spaces",
    ),
    case(
        "tab_after_spaces",
        plus("budget:\n  trials: 8\n \thours: 1"),
        "{file}, line 11: a tab indents this line; YAML wants spaces",
    ),
    case(  # the line where it opens, not the one after the last
        "unclosed_bracket",
        plus("record: [params, flops"),
        "{file}, line 9: is not YAML: what opens with [ here is not closed",
    ),
    case(
        "unclosed_brace",
        plus("budget: {trials: 8"),
        "{file}, line 9: is not YAML: what opens with { here is not closed",
    ),
    case(
        "unclosed_bracket_in_the_middle",
        line(4, "record: [params, flops"),
        "{file}, line 5: is not YAML: expected ',' or ']', but got ':' (in what begins in line 4)",
    ),
    case("bracket_too_many", plus("record: [params]]"), "{file}, line 9: is not YAML: did not expect ']'"),
    case(
        "unclosed_quote",
        plus("seed: 'abc\nworkers: 0"),
        "{file}, line 9: is not YAML: a quote opens here and is not closed",
    ),
    case("missing_colon", line(2, "encoding tiny_cnn"), "{file}, line 2: is not YAML: could not find expected ':'"),
    case("missing_colon_at_the_end", plus("seed 8"), "{file}, line 9: is not YAML: could not find expected ':'"),
    case(
        "uneven_indentation",
        plus("budget:\n    trials: 8\n  hours: 1"),
        "{file}, line 11: is not YAML: the indentation does not fit the lines above",
    ),
    case(
        "second_document",
        plus("---\nname: other"),
        "{file}, line 9: a second document begins here (---); a file holds one",
    ),
    case("repeated_key", plus("seed: 1\nseed: 2"), "{file}, line 10, seed: is given twice, first in line 9; keep one"),
    case(
        "repeated_key_in_quotes",
        plus("seed: 1\n'seed': 2"),
        "{file}, line 10, seed: is given twice, first in line 9; keep one",
    ),
    case(
        "repeated_nested_key",
        plus("budget:\n  trials: 8\n  hours: 1\n  trials: 9"),
        "{file}, line 12, budget.trials: is given twice, first in line 10; keep one",
    ),
    case(
        "repeated_key_in_a_list",
        line(6, "  - {metric: accuracy, metric: flops}"),
        "{file}, line 6, objectives.0.metric: is given twice, first in line 6; keep one",
    ),
    case("unknown_alias", plus("record: *mine"), "{file}, line 9: is not YAML: found undefined alias 'mine'"),
    case(
        "list_that_contains_itself",
        plus("record: &mine [params, *mine]"),
        "{file}, line 9, record.1: an alias that contains itself; write it out",
    ),
    case(
        "mapping_that_contains_itself",
        plus("budget: &mine\n  trials: *mine"),
        "{file}, line 10, budget.trials: an alias that contains itself; write it out",
    ),
    case(
        "merge_key",
        plus("budget:\n  <<: {trials: 8}"),
        "{file}, line 10: merge keys (<<) are not read; write the fields out",
    ),
]

TAGS = [
    case(
        "tag_that_would_call_a_function",
        plus("seed: !!python/object/apply:os.system [exit 1]"),
        "{file}, line 9, seed: the tag !!python/object/apply:os.system is not read; write a plain value",
    ),
    case(  # the field takes a list, so only the tag is wrong
        "tag_that_would_call_a_function_on_a_list",
        plus("record: !!python/object/apply:os.system [params]"),
        "{file}, line 9, record: the tag !!python/object/apply:os.system is not read; write a plain value",
    ),
    case(
        "tag_that_would_make_an_object",
        line(8, "search: !!python/object:builtins.dict {population: 8}"),
        "{file}, line 8, search: the tag !!python/object:builtins.dict is not read; write a plain value",
    ),
    case(
        "tag_that_would_import",
        line(1, "name: !!python/name:os.system ''"),
        "{file}, line 1, name: the tag !!python/name:os.system is not read; write a plain value",
    ),
    case(
        "tag_of_ones_own", plus("seed: !mine 4"), "{file}, line 9, seed: the tag !mine is not read; write a plain value"
    ),
    case(
        "tag_on_the_whole_file",
        "!!python/object/apply:os.system\n" + PROBLEM,
        "{file}, line 1: the tag !!python/object/apply:os.system is not read; write a plain value",
    ),
    case("tag_int_on_text", plus("seed: !!int x"), "{file}, line 9, seed: cannot be read as a plain value (int 'x')"),
    case(
        "tag_int_on_nothing", plus("seed: !!int ''"), "{file}, line 9, seed: cannot be read as a plain value (int '')"
    ),
    case(
        "tag_bool_on_text", plus("seed: !!bool x"), "{file}, line 9, seed: cannot be read as a plain value (bool 'x')"
    ),
]

SEVERAL = [
    case(
        "a_line_for_each",
        line(4, "device: {rounds: 1}")
        + "training: {batch: big, flip: 1}\nbudget: {trials: 0}\nseed: -1\nsead: 2\nworkers: -1\n",
        "{file}, line 4, device.rounds: must be at least 2, is 1",
        "{file}, line 9, training.batch: must be a whole number, is the text 'big'",
        "{file}, line 9, training.flip: must be true or false, is 1",
        "{file}, line 10, budget.trials: must be at least 1, is 0",
        "{file}, line 11, seed: must be at least 0, is -1",
        f"{{file}}, line 12, sead: unknown key; choose from {FIELDS}; did you mean 'seed'?",
        "{file}, line 13, workers: must be auto or a whole number from 0 to 1024, is -1",
    ),
    case(
        "two_metrics",
        objectives("[{metric: acuracy}, {metric: prams}]"),
        f"{{file}}, line 5, objectives.0.metric: nothing measures 'acuracy'; choose from {MEASURED}, {OR_FUNCTION}; "
        "did you mean 'accuracy'?",
        f"{{file}}, line 5, objectives.1.metric: nothing measures 'prams'; choose from {MEASURED}, {OR_FUNCTION}; "
        "did you mean 'params'?",
    ),
    case(
        "encoding_device_and_seed",
        plus("seed: -1").replace("tiny_cnn", "tiny_cn").replace("device: here", "device: heer"),
        f"{{file}}, line 2, encoding.name: unknown encoding 'tiny_cn'; choose from {ENCODINGS}, {OR_FILE}; "
        "did you mean 'tiny_cnn'?",
        f"{{file}}, line 4, device.name: unknown device profile 'heer'; choose from {DEVICES}, {OR_FILE}; "
        "did you mean 'here'?",
        "{file}, line 9, seed: must be at least 0, is -1",
    ),
    case(
        "inside_an_encoding_written_out_and_beside_it",
        plus("seed: -1").replace(
            "encoding: tiny_cnn",
            "encoding: {family: staged_cnn, stem: {width: 0}, stages: [{block: plain, depth: 1, width: 8}]}",
        ),
        "{file}, line 2, encoding.stem.width: must be a whole number from 1 to 65536, is 0",
        "{file}, line 9, seed: must be at least 0, is -1",
    ),
]

PROXIES = ", ".join(sorted(name for name, metric in METRICS.items() if metric.source == "zero_cost"))
NO_LESS_WORK = "takes no less work (epochs x images x pixels x seeds) than"


def halving(text: str, fidelity: str = "{}", *, to: str = PROBLEM) -> str:
    """The problem with a halving on line 8 and a fidelity on line 9."""
    return line(8, f"search: {{halving: {text}}}", of=to) + f"fidelity: {fidelity}\n"


SPARING = [
    case(
        "halving_without_rungs",
        halving("{keep: 0.5}"),
        "{file}, line 8, search.halving.rungs: is missing",
    ),
    case(
        "halving_of_no_rungs",
        halving("{rungs: []}"),
        "{file}, line 8, search.halving.rungs: must hold at least one, is an empty list",
    ),
    case(
        "halving_that_keeps_nobody",
        halving("{rungs: [{epochs: 1}], keep: 0}"),
        "{file}, line 8, search.halving.keep: must be more than 0, is 0",
    ),
    case(
        "halving_that_keeps_all",
        halving("{rungs: [{epochs: 1}], keep: 1}"),
        "{file}, line 8, search.halving.keep: must be less than 1, is 1",
    ),
    case(
        "unknown_key_of_a_rung",
        halving("{rungs: [{epochs: 1, sample: 5}]}"),
        "{file}, line 8, search.halving.rungs.0.sample: unknown key; "
        "choose from epochs, resolution, samples, seeds; did you mean 'samples'?",
    ),
    case(
        "rungs_in_the_wrong_order",
        halving("{rungs: [{epochs: 2, samples: 500}, {epochs: 3, samples: 100}]}"),
        f"{{file}}, line 8, search.halving.rungs.0: {NO_LESS_WORK} rung 2; the cheapest rung comes first",
    ),
    case(
        "rung_as_dear_as_the_top",
        halving("{rungs: [{epochs: 2, samples: 100}, {epochs: 5, samples: 100}]}", "{epochs: 1, samples: 500}"),
        f"{{file}}, line 8, search.halving.rungs.1: {NO_LESS_WORK} the problem's fidelity, which is the top rung; "
        "the cheapest rung comes first",
    ),
    case(
        "rungs_whose_pixels_make_them_dear",
        halving("{rungs: [{epochs: 1, resolution: 16}]}", "{epochs: 2, resolution: 8}"),
        f"{{file}}, line 8, search.halving.rungs.0: {NO_LESS_WORK} the problem's fidelity, which is the top rung; "
        "the cheapest rung comes first",
    ),
    case(
        "halving_without_training",
        without_data("search: {halving: {rungs: [{epochs: 1}]}}"),
        "{file}, line 4, search.halving: compares networks by how they train, and no objective comes of training; "
        "add one, such as accuracy",
    ),
    case(
        "halving_of_what_a_table_says",
        without_data("table: {path: t.csv, metrics: {params: p}}\nsearch: {halving: {rungs: [{epochs: 1}]}}"),
        "{file}, line 5, search.halving: compares networks by how they train, and no objective comes of training; "
        "the table has them, so leave it out",
    ),
    case(
        "halving_by_objectives_that_need_no_training",
        halving("{rungs: [{epochs: 1}]}").replace("accuracy", "flops"),
        "{file}, line 8, search.halving: compares networks by how they train, and no objective comes of training; "
        "add one, such as accuracy",
    ),
    case(
        "rung_of_a_resolution_for_sequences",
        halving("{rungs: [{epochs: 1, resolution: 8}]}").replace(
            "{name: digits}", "{name: npz, path: x.npz, kind: sequences}"
        ),
        "{file}, line 8, search.halving.rungs.0.resolution: is for images; these are sequences",
    ),
    case(
        "screen_by_what_is_no_proxy",
        line(8, "search: {screen: {metric: synflo}}"),
        f"{{file}}, line 8, search.screen.metric: 'synflo' is no zero-cost proxy; "
        f"choose from {PROXIES}; did you mean 'synflow'?",
    ),
    case(
        "screen_that_keeps_all",
        line(8, "search: {screen: {metric: synflow, keep: 1}}"),
        "{file}, line 8, search.screen.keep: must be less than 1, is 1",
    ),
    case(
        "screen_of_odd_generations",
        line(8, "search: {screen: {metric: synflow, generations: second}}"),
        "{file}, line 8, search.screen.generations: must be one of first, all, is the text 'second'",
    ),
    case(
        "screen_without_data",
        without_data("search: {screen: {metric: synflow}}"),
        "{file}, line 4, search.screen: synflow needs data to look at",
    ),
]

BROKEN_PROBLEMS = [
    *UNKNOWN_KEYS,
    *WRONG_TYPES,
    *YAML_TRAPS,
    *NUMBERS,
    *NAMES,
    *METRIC_USES,
    *DATA_AND_TASK,
    *NOT_YAML,
    *TAGS,
    *SEVERAL,
    *SPARING,
]

BROKEN_ENCODINGS = [
    case("no_family", line(1, "", of=ENCODING), f"{{file}}, family: is missing; choose from {FAMILIES}"),
    case(
        "unknown_family",
        line(1, "family: stagedcnn", of=ENCODING),
        f"{{file}}, line 1, family: unknown encoding family 'stagedcnn'; choose from {FAMILIES}, or give your own as "
        "package.module:name; did you mean 'staged_cnn'?",
    ),
    case(
        "unknown_key",
        plus("stage: []", to=ENCODING),
        "{file}, line 8, stage: unknown key; choose from drop_path, family, head, name, norm, "
        "resolution, squeeze, stages, stem, task, zero_gamma; did you mean 'stages'?",
    ),
    case(
        "unknown_key_in_a_stage",
        line(6, "    width: 8\n    kernal: 3", of=ENCODING),
        "{file}, line 7, stages.0.kernal: unknown key; choose from activation, block, bottleneck_ratio, "
        "depth, expansion, "
        "groups, kernel, squeeze_ratio, stride, width; "
        "did you mean 'kernel'?",
    ),
    case(
        "no_stages",
        "family: staged_cnn\nstem: {width: 8}\nstages: []\n",
        "{file}, line 3, stages: must hold at least one, is an empty list",
    ),
    case(
        "mapping_for_stages",
        "family: staged_cnn\nstem: {width: 8}\nstages: {block: plain}\n",
        "{file}, line 3, stages: must be a list, is a mapping",
    ),
    case(
        "text_for_a_stage",
        "family: staged_cnn\nstem: {width: 8}\nstages: [plain]\n",
        "{file}, line 3, stages.0: must be `key: value` pairs, is the text 'plain'",
    ),
    case("number_for_stem", line(2, "stem: 8", of=ENCODING), "{file}, line 2, stem: must be `key: value` pairs, is 8"),
    case("stage_without_depth", line(5, "", of=ENCODING), "{file}, line 4, stages.0.depth: is missing"),
    case(
        "unknown_block",
        line(4, "  - block: plane", of=ENCODING),
        f"{{file}}, line 4, stages.0.block: must be one of {BLOCKS}, is the text 'plane'; did you mean 'plain'?",
    ),
    case(
        "unknown_block_among_choices",
        line(4, "  - block: [plain, dense]", of=ENCODING),
        f"{{file}}, line 4, stages.0.block: must be one of {BLOCKS}, is the text 'dense'",
    ),
    case(
        "number_for_block",
        line(4, "  - block: 5", of=ENCODING),
        f"{{file}}, line 4, stages.0.block: must be one of {BLOCKS}, is 5",
    ),
    case(
        "even_kernel",
        line(2, "stem: {width: 8, kernel: 4}", of=ENCODING),
        "{file}, line 2, stem.kernel: must be an odd number from 1 to 31, is 4",
    ),
    case(
        "even_kernel_among_choices",
        line(6, "    width: 8\n    kernel: [3, 4, 5]", of=ENCODING),
        "{file}, line 7, stages.0.kernel: must be an odd number from 1 to 31, is 4",
    ),
    case(
        "empty_list_as_gene",
        line(6, "    width: []", of=ENCODING),
        "{file}, line 6, stages.0.width: an empty list offers no choice; give at least one value",
    ),
    case(
        "gene_offering_a_choice_twice",
        line(6, "    width: [8, 16, 8]", of=ENCODING),
        "{file}, line 6, stages.0.width: offers 8 twice; keep one",
    ),
    case(
        "block_offered_twice",
        line(4, "  - block: [plain, plain]", of=ENCODING),
        "{file}, line 4, stages.0.block: offers plain twice; keep one",
    ),
    case(
        "list_in_a_gene",
        line(6, "    width: [8, [16]]", of=ENCODING),
        "{file}, line 6, stages.0.width: must be a whole number from 1 to 65536, is the list [16]",
    ),
    case(
        "mapping_for_gene",
        line(6, "    width: {from: 8}", of=ENCODING),
        "{file}, line 6, stages.0.width: must be a whole number from 1 to 65536, is a mapping",
    ),
    case(
        "nothing_for_gene",
        line(6, "    width:", of=ENCODING),
        "{file}, line 6, stages.0.width: must be a whole number from 1 to 65536, is empty",
    ),
    case(
        "text_for_width",
        line(2, "stem: {width: 1e1}", of=ENCODING),
        "{file}, line 2, stem.width: must be a whole number from 1 to 65536, is the text '1e1'; "
        "YAML takes that for text, write 10",
    ),
    case(
        "zero_width",
        line(2, "stem: {width: 0}", of=ENCODING),
        "{file}, line 2, stem.width: must be a whole number from 1 to 65536, is 0",
    ),
    case(
        "negative_depth",
        line(5, "    depth: [1, -1]", of=ENCODING),
        "{file}, line 5, stages.0.depth: must be a whole number from 0 to 1000, is -1",
    ),
    case(
        "stride_too_large",
        line(2, "stem: {width: 8, stride: 5}", of=ENCODING),
        "{file}, line 2, stem.stride: must be a whole number from 1 to 4, is 5",
    ),
    case(
        "true_for_expansion",
        line(6, "    width: 8\n    expansion: true", of=ENCODING),
        "{file}, line 7, stages.0.expansion: must be a number from 0.25 to 16, is true",
    ),
    case(
        "negative_head",
        line(7, "head: {width: -1}", of=ENCODING),
        "{file}, line 7, head.width: must be a whole number from 0 to 65536, is -1",
    ),
    case(
        "nothing_for_head", line(7, "head:", of=ENCODING), "{file}, line 7, head: must be `key: value` pairs, is empty"
    ),
    case(
        "several",
        line(2, "stem: {width: 0, kernel: 2}", of=line(5, "    depth: deep", of=ENCODING)),
        "{file}, line 2, stem.width: must be a whole number from 1 to 65536, is 0",
        "{file}, line 2, stem.kernel: must be an odd number from 1 to 31, is 2",
        "{file}, line 5, stages.0.depth: must be a whole number from 0 to 1000, is the text 'deep'",
    ),
    case(
        "lists_of_a_family_of_ones_own",
        OWN_FAMILY,
        "{file}, line 2, width: an empty list offers no choice; give at least one value",
        "{file}, line 3, kernel: offers 3 twice; keep one",
        "{file}, line 4, mixed: must hold choices (numbers, words, true, false) or mappings, is the list [1, {a: 2}]",
        "{file}, line 5, deep: must hold choices (numbers, words, true, false) or mappings, is the list [[1], [2]]",
        "{file}, line 7, layers.0.units: is empty; give a value, or a list of values to choose from",
    ),
    case(
        "inputs_of_a_darts_node",
        DARTS_CELLS.format(inputs="1+0"),
        "{file}, line 2, normal.0.inputs: must be two nodes, the lower first, as 0+1 (0 and 1 are the inputs of the "
        "cell), is the text '1+0'",
    ),
    case(
        "number_for_the_inputs_of_a_darts_node",
        DARTS_CELLS.format(inputs="1"),
        "{file}, line 2, normal.0.inputs: must be two nodes, the lower first, as 0+1 (0 and 1 are the inputs of the "
        "cell), is 1",
    ),
    case(
        "darts_node_that_reads_a_later_one",
        DARTS_CELLS.format(inputs="[0+1, 1+2]"),
        "{file}, line 2, normal.0.inputs: node 2 reads nodes 0 to 1 only, is given 1+2",
    ),
    case(
        "too_many_darts_nodes",
        DARTS_CELLS.format(inputs="0+1") + "  - {inputs: 0+1, first: none, second: none}\n" * 6,
        "{file}, line 3, reduction: must hold at most 6 nodes, holds 7",
    ),
    case("empty_file", "", "{file}: must hold `key: value` pairs, holds nothing"),
    case(
        "tab_as_indentation",
        line(5, "\tdepth: 1", of=ENCODING),
        "{file}, line 5: a tab indents this line; YAML wants spaces",
    ),
]

BROKEN_DEVICES = [
    case(
        "unknown_key",
        plus("thread: 2", to=DEVICE),
        f"{{file}}, line 5, thread: unknown key; choose from {DEVICE_FIELDS}; did you mean 'threads'?",
    ),
    case(
        "unknown_kind",
        line(1, "kind: guessed", of=DEVICE),
        "{file}, line 1, kind: must be one of measured, fitted, spec-sheet, is the text 'guessed'",
    ),
    case(
        "unknown_runtime",
        line(3, "runtime: tourch", of=DEVICE),
        "{file}, line 3, runtime: must be one of onnxruntime, torch, ncnn, is the text 'tourch'; did you mean 'torch'?",
    ),
    case(
        "wrong_runtime_for_cuda",
        line(2, "processor: cuda", of=DEVICE),
        "{file}, line 3, runtime: onnxruntime measures on cpu only; for cuda set runtime: torch",
    ),
    case(
        "wrong_default_runtime_for_cuda",
        "processor: cuda\n",
        "{file}, runtime: onnxruntime measures on cpu only; for cuda set runtime: torch",
    ),
    case(
        "text_for_threads",
        line(4, "threads: two", of=DEVICE),
        "{file}, line 4, threads: must be a whole number, is the text 'two'",
    ),
    case(
        "several",
        "rounds: 1\nround_ms: 0\nbatch: 0\n",
        "{file}, line 3, batch: must be at least 1, is 0",
        "{file}, line 1, rounds: must be at least 2, is 1",
        "{file}, line 2, round_ms: must be more than 0, is 0",
    ),
    case(
        "repeated_key",
        plus("threads: 2", to=DEVICE),
        "{file}, line 5, threads: is given twice, first in line 4; keep one",
    ),
    case("only_a_list", "- measured\n", "{file}: must hold `key: value` pairs, holds a list"),
    case("number_for_name", plus("name: 5", to=DEVICE), "{file}, line 5, name: must be text, is 5"),
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str | bytes) -> Path:
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def complaint(problem: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_problem(problem)
    return str(caught.value)


def lines_of(message: str, path: Path) -> list[str]:
    """The lines in a settled order: what matters is that each is there, and nothing else."""
    return sorted(message.replace("{file}", str(path)).splitlines())


def test_the_files_that_the_tables_break_are_valid() -> None:
    write("own.yaml", ENCODING)
    write("bench.yaml", DEVICE)
    text = PROBLEM.replace("tiny_cnn", "own.yaml").replace("here", "bench.yaml")
    assert load_problem(write("problem.yaml", PROBLEM)).name == "small"
    assert load_problem(write("problem.yaml", text)).device.name == "bench"
    assert load_problem(write("problem.yaml", without_data(""))).data is None


@pytest.mark.parametrize(("text", "message"), BROKEN_PROBLEMS)
def test_a_broken_problem_is_explained(text: str | bytes, message: str) -> None:
    path = write("problem.yaml", text)
    assert lines_of(complaint(path), path) == lines_of(message, path)


@pytest.mark.parametrize(("text", "message"), BROKEN_ENCODINGS)
def test_a_broken_encoding_is_explained_in_its_own_file(text: str, message: str) -> None:
    path = write("own.yaml", text)
    problem = write("problem.yaml", line(2, "encoding: own.yaml"))
    assert lines_of(complaint(problem), path) == lines_of(message, path)


@pytest.mark.parametrize(("text", "message"), BROKEN_DEVICES)
def test_a_broken_device_is_explained_in_its_own_file(text: str, message: str) -> None:
    path = write("bench.yaml", text)
    problem = write("problem.yaml", line(4, "device: bench.yaml"))
    assert lines_of(complaint(problem), path) == lines_of(message, path)


def test_an_encoding_written_into_the_problem_is_explained_there() -> None:
    indented = ENCODING.replace("depth: 1", "depth: -1").replace("\n", "\n  ")
    path = write("problem.yaml", line(2, f"encoding:\n  {indented}"))
    expected = f"{path}, line 7, encoding.stages.0.depth: must be a whole number from 0 to 1000, is -1"
    assert complaint(path) == expected


def test_a_tag_is_never_executed() -> None:
    touched = Path("touched")
    for tagged in (
        f"seed: !!python/object/apply:os.mkdir [{touched}]",
        f"search: !!python/object/apply:os.mkdir {{args: [{touched}]}}",
        f"? !!python/object/apply:os.mkdir [{touched}]\n: 1",
    ):
        with pytest.raises(SpecError):
            load_problem(write("problem.yaml", plus(tagged)))
        assert not touched.exists()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("[" * 5000, id="open_lists"),
        pytest.param("[" * 5000 + "]" * 5000, id="lists"),
        pytest.param("{a: " * 5000 + "}" * 5000, id="mappings"),
        pytest.param("\n" + "".join(" " * depth + "a:\n" for depth in range(1, 1200)), id="indented_mappings"),
        pytest.param("\n" + "".join(" " * depth + "-\n" for depth in range(1, 1200)), id="indented_lists"),
    ],
)
def test_very_deep_nesting_is_refused(value: str) -> None:
    path = write("problem.yaml", plus(f"seed: {value}"))
    assert complaint(path) == f"{path}: is nested too deeply to be read"


@pytest.mark.parametrize(
    ("value", "how"),
    [
        pytest.param(str(list(range(1000))), "must be a whole number, is the list [0, 1, 2", id="list"),
        pytest.param("x" * 10_000, "must be a whole number, is the text 'xxx", id="text"),
        pytest.param("'" + "9" * 4000 + "'", "must be a whole number, is the text '999", id="digits_in_quotes"),
        pytest.param("-" + "9" * 250, "must be at least 0, is -999", id="number"),
        pytest.param("0x" + "f" * 6000, "cannot be read as a plain value (int '0xfff", id="hexadecimal"),
        pytest.param("9" * 5000, "cannot be read as a plain value (int '999", id="number_beyond_python"),
        pytest.param("[" * 100 + "]" * 100, "must be a whole number, is the list [[[", id="nested_list"),
    ],
)
def test_an_endless_value_is_shown_cut_short(value: str, how: str) -> None:
    path = write("problem.yaml", plus(f"seed: {value}"))
    message = complaint(path)
    assert message.startswith(f"{path}, line 9, seed: {how}")
    assert len(message) < 200
    assert "…" in message


def test_lines_are_counted_right_with_the_line_ends_of_any_system() -> None:
    for end in ("\n", "\r\n", "\r"):
        path = write("problem.yaml", plus("seed: x").replace("\n", end))
        assert complaint(path) == f"{path}, line 9, seed: must be a whole number, is the text 'x'"


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert load_problem(write("problem.yaml", b"\xef\xbb\xbf" + PROBLEM.encode())).name == "small"


def test_a_file_name_that_cannot_name_a_run_is_explained() -> None:
    path = write("my problem.yaml", PROBLEM.replace("name: small\n", ""))
    assert complaint(path) == f"{path}, name: {NAME_RULE}, is the text 'my problem'"


PROBLEMS = shipped("problems")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", f"unknown problem 'digit'; choose from {PROBLEMS}, {OR_FILE}; did you mean 'digits'?"),
        ("zzz", f"unknown problem 'zzz'; choose from {PROBLEMS}, {OR_FILE}"),
        ("", f"unknown problem ''; choose from {PROBLEMS}, {OR_FILE}"),
        ("digit.yaml", f"no such file: digit.yaml; choose from {PROBLEMS}, {OR_FILE}; did you mean 'digits'?"),
        ("digits.yaml", f"no such file: digits.yaml; choose from {PROBLEMS}, {OR_FILE}; did you mean 'digits'?"),
        ("mine/zzz.yml", f"no such file: mine/zzz.yml; choose from {PROBLEMS}, {OR_FILE}"),
        ("folder", f"folder is a folder, a file is needed; choose from {PROBLEMS}, {OR_FILE}"),
        ("folder.yaml", f"folder.yaml is a folder, a file is needed; choose from {PROBLEMS}, {OR_FILE}"),
    ],
)
def test_a_problem_that_is_not_there_is_explained(name: str, message: str) -> None:
    Path("folder").mkdir()
    Path("folder.yaml").mkdir()
    with pytest.raises(MoonasError) as caught:
        load_problem(name)
    assert str(caught.value) == message


def test_a_name_no_file_system_takes_is_an_unknown_problem() -> None:
    with pytest.raises(MoonasError, match="unknown problem"):
        load_problem("x" * 5000)


def test_a_file_that_may_not_be_read_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("problem.yaml", PROBLEM)

    def refuse(self: Path, *args: object, **kwargs: object) -> str:
        raise PermissionError(13, "Permission denied")  # root may read everything, so chmod would not do

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert complaint(path) == f"{path}: cannot be read: Permission denied"


def test_a_file_that_grows_by_its_aliases_is_refused_before_it_fills_the_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    path = write("problem.yaml", "\n".join(lines))
    assert complaint(path) == f"{path}: grows to more than 100,000 values by its aliases"


def test_a_file_too_large_to_be_a_problem_is_not_read() -> None:
    path = write("problem.yaml", "# nothing\n" * 200_000)
    assert complaint(path) == f"{path}: is no file of this kind: it is larger than 1,000,000 bytes"


def test_half_a_character_is_refused() -> None:
    path = write("problem.yaml", plus('task: "\\ud800"'))
    assert "task: holds half of a surrogate pair, which is no character" in complaint(path)
