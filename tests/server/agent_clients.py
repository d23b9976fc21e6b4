# SPDX-License-Identifier: Apache-2.0
"""Goal: Codex and Claude Code complete a small edit of a file, and LangChain calls a tool, all unmodified.
Method: the real server over an engine that plays the model (agent_server, argv[1]): it looks at the file and changes
it with the client's own tools, sees each result, and says that it is done. Clients that are not installed are skipped,
with what would install them."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from client_support import check

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Agent:
    """The server, its model making these calls."""

    def __init__(self, *calls):
        self.calls = [{"name": name, "arguments": arguments} for name, arguments in calls]

    def __enter__(self):
        self.process = subprocess.Popen([sys.argv[1], json.dumps(self.calls)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        return self

    def __exit__(self, *unused):
        _, self.log = self.process.communicate(timeout=60)
        check(self.process.returncode == 0, "the server ends cleanly")


def program(name):
    here = ROOT / ".agents" / "node_modules" / ".bin" / name
    return str(here) if here.exists() else shutil.which(name)


def run(command, folder, **environment):
    """The output of a client that must end well."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, "HOME": str(folder), **environment}, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100)
    check(done.returncode == 0, f"{pathlib.Path(command[0]).name} ends with {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


PATCH = """apply_patch <<'EOF'
*** Begin Patch
*** Update File: sign.txt
@@
-turn left
+turn right
*** End Patch
EOF"""


def codex(client, folder):
    with Agent(("exec_command", {"cmd": "cat sign.txt"}), ("exec_command", {"cmd": PATCH})) as agent:
        provider = f'{{name="deepwell",base_url="{agent.url}/v1",env_key="KEY",wire_api="responses"}}'
        # Without a sandbox: the folder is a test's own. Tools that run at OpenAI are turned off.
        return run([client, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
                    "-m", "fake-model", "-c", "model_provider=deepwell", "-c", f"model_providers.deepwell={provider}",
                    "-c", 'web_search="disabled"', "-c", "features.multi_agent=false", "Change left to right."],
                   folder, CODEX_HOME=str(folder), KEY="none")


def claude(client, folder):
    sign = str(folder / "sign.txt")
    with Agent(("Read", {"file_path": sign}),
               ("Edit", {"file_path": sign, "old_string": "left", "new_string": "right"})) as agent:
        return run([client, "-p", "Change left to right.", "--model", "fake-model", "--allowedTools", "Read,Edit",
                    "--max-turns", "5"], folder, ANTHROPIC_BASE_URL=agent.url, ANTHROPIC_API_KEY="none",
                   CLAUDE_CONFIG_DIR=str(folder), CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1")


def edits_a_file(name, complete):
    client = program(name)
    if client is None:
        print(f"{name}: skipped, it is not installed; scripts/setup.sh agents installs it where npm can")
        return False
    with tempfile.TemporaryDirectory() as folder:
        sign = pathlib.Path(folder) / "sign.txt"
        sign.write_text("turn left\n")
        said = complete(client, pathlib.Path(folder))
        check(sign.read_text() == "turn right\n", f"{name} edits the file: {sign.read_text()!r}; it said {said[-2000:]}")
        check("Done: the file is changed." in said, f"{name} says the model's last words: {said[-2000:]}")
    print(f"{name}: ok")
    return True


def langchain():
    try:
        from langchain_core.messages import ToolMessage
        from langchain_openai import ChatOpenAI, OpenAIEmbeddings
    except ImportError as missing:
        print(f"langchain: skipped, {missing}; scripts/setup.sh test makes .venv with it")
        return False
    schema = {"type": "function", "function": {"name": "add", "parameters": {
        "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}}}
    with Agent(("add", {"a": 2, "b": 3})) as agent:
        model = ChatOpenAI(base_url=f"{agent.url}/v1", api_key="none", model="fake-model").bind_tools([schema])
        history = [("user", "2 + 3?")]
        asked = model.invoke(history)
        check(asked.tool_calls[0]["args"] == {"a": 2, "b": 3}, f"langchain sees the call: {asked.tool_calls}")
        history += [asked, ToolMessage("5", tool_call_id=asked.tool_calls[0]["id"])]
        text = "".join(chunk.content for chunk in model.stream(history))
        check(text == "Done: the file is changed.", f"langchain streams the answer: {text!r}")
        embeddings = OpenAIEmbeddings(base_url=f"{agent.url}/v1", api_key="none", model="fake-model",
                                      check_embedding_ctx_length=False)
        check([len(v) for v in embeddings.embed_documents(["a", "bc"])] == [4, 4], "langchain embeds")
    print("langchain: ok")
    return True


ran = [edits_a_file("codex", codex), edits_a_file("claude", claude), langchain()]
sys.exit(0 if any(ran) else 77)
