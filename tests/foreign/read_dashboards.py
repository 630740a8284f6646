"""Reads alert rules and a dashboard for tests/tests/dashboards.rs: RULES DASHBOARD.

Prints the metrics that their expressions name, one to a line. An expression or a file that is none ends it with 1.
"""

import json
import re
import sys

import promql_parser
import yaml


rules = [rule for group in yaml.safe_load(open(sys.argv[1]))["groups"] for rule in group["rules"]]
panels = json.load(open(sys.argv[2]))["panels"]
assert rules and panels
for rule in rules:
    assert rule.keys() >= {"alert", "expr", "labels", "annotations"}, rule
    assert rule["annotations"].keys() == {"summary", "description"} and "severity" in rule["labels"], rule
    if "for" in rule:
        promql_parser.parse_duration(rule["for"])
for panel in panels:
    assert panel.keys() >= {"id", "type", "title", "gridPos", "targets"} and panel["targets"], panel
expressions = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
for expression in expressions:
    # A variable that Grafana fills in.
    expression = expression.replace("$__rate_interval", "5m")
    try:
        promql_parser.parse(expression)
    except Exception as error:
        sys.exit(f"{expression}: {error}")
    print("\n".join(re.findall(r"\b(?:chancery|process)_[a-z_]+", expression)))
