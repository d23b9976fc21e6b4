#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/chat/*.json: what Jinja2, set up as transformers sets it up, makes of chat templates.

Usage: scripts/golden_chat.py    (needs Python 3 with jinja2: scripts/setup.sh makes .venv with it)

The templates are scripts/golden_chat/*.jinja (written for these tests after the model families they are named
for) and the one-liners in scripts/golden_chat/features.json; each is rendered with every conversation of
scripts/golden_chat/conversations.json. A row is [template, conversation, text] or, where Jinja2 raises,
[template, conversation, null, message of raise_exception or ""].
"""

import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
IN = ROOT / "scripts" / "golden_chat"
OUT = ROOT / "tests" / "golden" / "chat"

try:
    import jinja2
    import jinja2.ext
    import jinja2.sandbox
except ImportError:
    venv = ROOT / ".venv" / "bin" / "python"
    if venv.exists() and pathlib.Path(sys.executable) != venv:
        os.execv(venv, [str(venv), *sys.argv])
    sys.exit("golden_chat.py: no jinja2; run scripts/setup.sh, which makes .venv with it")


class Generation(jinja2.ext.Extension):
    """{% generation %}...{% endgeneration %}: a scope that leaves its text as it is."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.CallBlock:
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    def _same(self, caller: jinja2.runtime.Macro) -> str:
        return caller()


def environment() -> jinja2.Environment:
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])

    def raise_exception(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def render(template: jinja2.Template, context: dict) -> list:
    try:
        return [template.render(**context)]
    except jinja2.exceptions.TemplateError as error:
        return [None, error.message if type(error) is jinja2.exceptions.TemplateError else ""]
    except (TypeError, ValueError, KeyError, AttributeError):
        return [None, ""]


def write(name: str, value: dict) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / name
    rows = ",\n".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in value.pop("rows"))
    head = json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:-1]
    path.write_text(head + ',"rows":[\n' + rows + "\n]}\n", encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def main() -> None:
    env = environment()
    conversations = json.loads((IN / "conversations.json").read_text(encoding="utf-8"))
    templates = {p.stem: p.read_text(encoding="utf-8") for p in sorted(IN.glob("*.jinja"))}
    rows = []
    for name, source in templates.items():
        compiled = env.from_string(source)
        rows += [[name, number, *render(compiled, context)] for number, context in enumerate(conversations)]
    write("templates.json", {"templates": templates, "contexts": conversations, "rows": rows})
    features = json.loads((IN / "features.json").read_text(encoding="utf-8"))
    context, sources = features["context"], features["sources"]
    rows = [[source, 0, *render(env.from_string(source), context)] for source in sources]
    write("features.json", {"templates": {}, "contexts": [context], "rows": rows})


if __name__ == "__main__":
    main()
