"""The files of a rendered deployment, and how to tell whether somebody has changed one since."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal, TypeAlias

from tailrace.deploy.cdk import REQUIREMENTS, SETTINGS, cdk_app
from tailrace.deploy.cloudformation import template, yaml
from tailrace.deploy.model import Deployment
from tailrace.deploy.readme import readme
from tailrace.deploy.sam import sam_template
from tailrace.deploy.terraform import terraform

Tool: TypeAlias = Literal["sam", "cdk", "terraform"]
TOOLS: Final[tuple[Tool, ...]] = ("sam", "cdk", "terraform")

_MARK: Final = re.compile(r"[^\n]*tailrace[^\n]*sha256:([0-9a-f]{64})[^\n]*\n")
_COMMENTS: Final = {".md": ("<!-- ", " -->")}  # all others: a hash sign
_UNMARKED: Final = ".json"  # it has no comments


def rendered(deployment: Deployment, tool: Tool) -> dict[str, str]:
    """Relative path → text of every file, in order of their names."""
    files = {
        "Makefile": _makefile(deployment),
        "README.md": readme(deployment, tool),
        "worker/Dockerfile": _DOCKERFILE,
        "worker/requirements.txt": f"tailrace[{','.join(deployment.extras)}]=={deployment.version}\n",
        "worker/tailrace.toml": deployment.config.lstrip(),
    }
    match tool:
        case "sam":
            files["template.yaml"] = yaml(sam_template(deployment))
        case "cdk":
            files |= {
                "app.py": cdk_app(deployment),
                "cdk.json": SETTINGS,
                "requirements.txt": REQUIREMENTS,
                "template.yaml": yaml(template(deployment)),
            }
        case "terraform":
            files["main.tf"] = terraform(deployment)
    return {name: marked(name, files[name], deployment.version) for name in sorted(files)}


def marked(name: str, text: str, version: str) -> str:
    """A text with a first line that says where it comes from and what it was."""
    if name.endswith(_UNMARKED):
        return text
    begin, end = _COMMENTS.get(name[name.rfind(".") :], ("# ", ""))
    digest = _digest(text)
    return f"{begin}Rendered by tailrace {version}; replaced by the next rendering, unless changed. sha256:{digest}{end}\n{text}"


def is_untouched(found: str, new: str) -> bool:
    """Whether a file may be replaced: it is as it was rendered, by any version, or as it would be."""
    mark = _MARK.match(found)
    if found == new:
        return True
    return mark is not None and _digest(found[mark.end() :]) == mark[1]


def _digest(text: str) -> str:
    """Of what was read with "surrogateescape", too: somebody else's bytes need not be UTF-8."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


_DOCKERFILE: Final = """\
FROM public.ecr.aws/lambda/python:3.13
COPY requirements.txt tailrace.toml ./
# Lambda reads the code as a user who owns none of it.
RUN chmod a+r tailrace.toml && pip install --no-cache-dir -r requirements.txt
# Each function names its handler as the command.
"""


def _makefile(deployment: Deployment) -> str:
    return f"""\
# TAILRACE: what pip installs for the capture function; a wheel's path or a URL will do, too.
TAILRACE ?= tailrace=={deployment.version}
REPOSITORY ?= {deployment.name}
TAG ?= {deployment.version}

.PHONY: build image clean

build:  ## the code of the capture function: pure Python, and boto3 is there in Lambda
	rm -rf build/capture
	pip install --quiet --no-deps --target build/capture "$(TAILRACE)"
	chmod -R a+rX build/capture

image:  ## the image of the other functions; Lambda takes no index of several platforms
	docker build --platform linux/amd64 --provenance=false --tag "$(REPOSITORY):$(TAG)" worker

clean:
	rm -rf build
"""
