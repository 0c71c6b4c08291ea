"""`meterline clients`: the exact lines that point each known client here.

Owns those lines. Each client's base URL is the one under which it finds its paths: some add `/v1`
themselves, some do not. Sources: the clients' own code and documentation.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from analytics.commands import CommandFailed, output
from analytics.tables import json_line
from proxy.config import Settings

HELP = "show the exact lines that point a client here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client and its lines. `{url}` stands for Meterline's address, `{labels}` and
    `{js_labels}` for example labels as a dict of Python and an object of JavaScript."""

    name: str
    title: str
    lines: str
    note: str = ""


_LABELS = '{"Meterline-Feature": "chat", "Meterline-User": "ana"}'
_JS_LABELS = '{ "Meterline-Feature": "chat", "Meterline-User": "ana" }'

CLIENTS = (
    Client(
        name="curl",
        title="curl",
        lines="""curl {url}/openai/v1/chat/completions \\
  -H "Authorization: Bearer $OPENAI_API_KEY" -H "Content-Type: application/json" \\
  -H "Meterline-Feature: chat" -H "Meterline-User: ana" \\
  -d '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'""",
    ),
    Client(
        name="openai-python",
        title="OpenAI SDK, Python",
        lines="""from openai import OpenAI
client = OpenAI(
    base_url="{url}/openai/v1",
    default_headers={labels},
)""",
        note="Or without touching code: export OPENAI_BASE_URL={url}/openai/v1\n"
        'For one call: extra_headers={"Meterline-Session": "..."}',
    ),
    Client(
        name="openai-node",
        title="OpenAI SDK, Node",
        lines="""import OpenAI from "openai";
const client = new OpenAI({
  baseURL: "{url}/openai/v1",
  defaultHeaders: {js_labels},
});""",
        note="Or without touching code: export OPENAI_BASE_URL={url}/openai/v1",
    ),
    Client(
        name="anthropic-python",
        title="Anthropic SDK, Python",
        lines="""from anthropic import Anthropic
client = Anthropic(
    base_url="{url}/anthropic",
    default_headers={labels},
)""",
        note="Or without touching code: export ANTHROPIC_BASE_URL={url}/anthropic",
    ),
    Client(
        name="anthropic-node",
        title="Anthropic SDK, Node",
        lines="""import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({
  baseURL: "{url}/anthropic",
  defaultHeaders: {js_labels},
});""",
        note="Or without touching code: export ANTHROPIC_BASE_URL={url}/anthropic",
    ),
    Client(
        name="google-genai",
        title="Google Gen AI SDK, Python",
        lines="""from google import genai
client = genai.Client(
    http_options={
        "base_url": "{url}/gemini",
        "headers": {labels},
    },
)""",
        note="Or without touching code: export GOOGLE_GEMINI_BASE_URL={url}/gemini",
    ),
    Client(
        name="langchain",
        title="LangChain, Python",
        lines="""from langchain_openai import ChatOpenAI
from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
labels = {labels}
gpt = ChatOpenAI(
    model="gpt-4o-mini", base_url="{url}/openai/v1", default_headers=labels, stream_usage=True
)
claude = ChatAnthropic(
    model="claude-sonnet-4-5", base_url="{url}/anthropic", default_headers=labels
)
gemini = ChatGoogleGenerativeAI(
    model="gemini-2.5-flash", base_url="{url}/gemini", additional_headers=labels
)""",
        note="stream_usage: once it has a base_url, ChatOpenAI asks for no usage in streams.",
    ),
    Client(
        name="llamaindex",
        title="LlamaIndex, Python",
        lines="""from llama_index.llms.openai import OpenAI
from llama_index.llms.anthropic import Anthropic
labels = {labels}
gpt = OpenAI(model="gpt-4o-mini", api_base="{url}/openai/v1", default_headers=labels)
claude = Anthropic(
    model="claude-sonnet-4-5", base_url="{url}/anthropic", default_headers=labels
)""",
    ),
    Client(
        name="vercel-ai",
        title="Vercel AI SDK",
        lines="""import { createOpenAI } from "@ai-sdk/openai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
const headers = {js_labels};
const openai = createOpenAI({ baseURL: "{url}/openai/v1", headers });
const anthropic = createAnthropic({ baseURL: "{url}/anthropic/v1", headers });
const google = createGoogleGenerativeAI({ baseURL: "{url}/gemini/v1beta", headers });""",
        note="Unlike the providers' own SDKs, this one wants the version in the base URL.",
    ),
    Client(
        name="litellm",
        title="LiteLLM",
        lines="""import litellm
litellm.completion(
    model="openai/gpt-4o-mini",
    api_base="{url}/openai/v1",
    extra_headers={labels},
    messages=[{"role": "user", "content": "Hello"}],
)""",
        note="For anthropic/... api_base={url}/anthropic, for gemini/... {url}/gemini/v1beta\n"
        "The LiteLLM proxy takes the same api_base and extra_headers in litellm_params.",
    ),
    Client(
        name="claude-code",
        title="Claude Code",
        lines="""export ANTHROPIC_BASE_URL={url}/anthropic
export ANTHROPIC_CUSTOM_HEADERS="Meterline-Feature: coding"
claude""",
        note="Its sessions are told apart by themselves.",
    ),
    Client(
        name="codex",
        title="Codex CLI",
        lines="""# ~/.codex/config.toml
model_provider = "meterline"

[model_providers.meterline]
name = "OpenAI through Meterline"
base_url = "{url}/openai/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
http_headers = { "Meterline-Feature" = "coding" }""",
        note="Its sessions are told apart by themselves.",
    ),
    Client(
        name="aider",
        title="aider",
        lines="""export OPENAI_API_BASE={url}/with/feature=chat,user=ana/openai/v1
export ANTHROPIC_API_BASE={url}/with/feature=chat,user=ana/anthropic
aider""",
        note="It sets no headers of yours, so the labels go into the path.",
    ),
    Client(
        name="continue",
        title="Continue",
        lines="""# ~/.continue/config.yaml
name: Mine
version: 0.0.1
schema: v1
models:
  - name: GPT through Meterline
    provider: openai
    model: gpt-4o-mini
    apiKey: ...
    apiBase: {url}/openai/v1
    requestOptions:
      headers:
        Meterline-Feature: coding
  - name: Claude through Meterline
    provider: anthropic
    model: claude-sonnet-4-5
    apiKey: ...
    apiBase: {url}/anthropic/v1""",
    ),
    Client(
        name="open-webui",
        title="Open WebUI",
        lines="""export OPENAI_API_BASE_URL={url}/with/feature=webui/openai/v1
export OLLAMA_BASE_URL={url}/with/feature=webui/ollama""",
        note="In a container, use an address of this machine that it can reach, and set\n"
        "server.host to that. Saved connections (Admin Settings, Connections) win over these.",
    ),
    Client(
        name="azure",
        title="Azure OpenAI SDK, Python",
        lines="""# meterline.toml
[providers.azure]
base_url = "https://YOUR-RESOURCE.openai.azure.com"

# Python
from openai import AzureOpenAI
client = AzureOpenAI(
    azure_endpoint="{url}/azure",
    api_version="2024-10-21",
    default_headers={labels},
)""",
    ),
    Client(
        name="bedrock",
        title="Amazon Bedrock, boto3",
        lines="""# meterline.toml
[providers.bedrock]
base_url = "https://bedrock-runtime.us-east-1.amazonaws.com"

# Python
import boto3
client = boto3.client("bedrock-runtime", region_name="us-east-1")
def through_meterline(request, **_):
    request.url = request.url.replace(client.meta.endpoint_url, "{url}/bedrock", 1)
    request.headers.update({labels})
client.meta.events.register("before-send.bedrock-runtime", through_meterline)""",
        note="The address is changed once the request is signed: AWS checks the signature against\n"
        "its own host, so endpoint_url would not do. Works with Bedrock API keys as well.",
    ),
    Client(
        name="mistral",
        title="Mistral SDK, Python",
        lines="""import os
from mistralai.client import Mistral
client = Mistral(api_key=os.environ["MISTRAL_API_KEY"], server_url="{url}/mistral")
client.chat.complete(
    model="mistral-small-latest",
    messages=[{"role": "user", "content": "Hello"}],
    http_headers={labels},
)""",
    ),
    Client(
        name="groq",
        title="Groq SDK, Python",
        lines="""from groq import Groq
client = Groq(
    base_url="{url}/groq",
    default_headers={labels},
)""",
        note="Or without touching code: export GROQ_BASE_URL={url}/groq\n"
        "With the OpenAI SDK: base_url={url}/groq/openai/v1",
    ),
    Client(
        name="cohere",
        title="Cohere SDK, Python",
        lines="""import cohere
client = cohere.ClientV2(base_url="{url}/with/feature=chat,user=ana/cohere")""",
        note="Or without touching code: export CO_API_URL={url}/cohere",
    ),
    Client(
        name="ollama",
        title="Ollama's clients",
        lines="""from ollama import Client
client = Client(
    host="{url}/ollama",
    headers={labels},
)""",
        note="Or without touching code: export OLLAMA_HOST={url}/ollama\n"
        "With the OpenAI SDK: base_url={url}/ollama/v1",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("client", nargs="?", metavar="NAME", help="only this client")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(args: argparse.Namespace, settings: Settings) -> int:
    chosen = CLIENTS if args.client is None else _named(args.client)
    url = _address(settings)
    if args.format == "json":
        shown = [
            {
                "name": client.name,
                "title": client.title,
                "lines": filled(client.lines, url),
                "note": filled(client.note, url) or None,
            }
            for client in chosen
        ]
        output().write(json_line(shown, indent=True) + "\n")
    else:
        output().write("\n".join(_page(chosen, url)) + "\n")
    return 0


def _named(name: str) -> tuple[Client, ...]:
    """The clients of that name, or those whose name has it as a part: `openai` is two."""
    wanted = name.lower()
    exact = tuple(client for client in CLIENTS if client.name == wanted)
    found = exact or tuple(
        client for client in CLIENTS if wanted in client.name or wanted in client.title.lower()
    )
    if not found:
        names = [client.name for client in CLIENTS]
        close = difflib.get_close_matches(wanted, names, 1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise CommandFailed(f"no client is named {name!r}.{hint} Known: {', '.join(names)}.", 2)
    return found


def filled(text: str, url: str) -> str:
    """The lines for the Meterline at this address."""
    for name, value in (("url", url), ("labels", _LABELS), ("js_labels", _JS_LABELS)):
        text = text.replace(f"{{{name}}}", value)
    return text


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def _page(clients: tuple[Client, ...], url: str) -> Iterator[str]:
    for client in clients:
        yield f"{client.title}  ({client.name})"
        yield from _indented(filled(client.lines, url))
        if client.note:
            yield ""
            yield from _indented(filled(client.note, url))
        yield ""
    yield "Labels: headers Meterline-Feature, -User, -Session, -Environment, Meterline-Tag-NAME;"
    yield f"or in the path, where none can be set: {url}/with/feature=chat,user=ana/PROVIDER/..."


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in text.splitlines())
