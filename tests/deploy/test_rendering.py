"""What is written for each tool: the same bytes each time, in that tool's own words, saying no more and no less than the model.

``UPDATE_GOLDEN=1 pytest tests/deploy/test_rendering.py`` writes the golden files anew; what changed in them is what a user will
be asked to deploy. ``make deploy-check`` gives the same renderings to cfn-lint, SAM, the CDK and a parser of HCL.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml as pyyaml
from configurations import CONFIGURATIONS, HEAD, ORDERS, REDSHIFT, deployment_of
from hypothesis import given
from hypothesis import strategies as st

from tailrace.deploy.cloudformation import template, yaml
from tailrace.deploy.files import TOOLS, Tool, is_untouched, marked, rendered
from tailrace.deploy.model import ACCOUNT, Alarm, Bucket, Function, Parameter, Role, arn_of, parameter
from tailrace.deploy.sam import sam_template
from tailrace.deploy.terraform import Block, resources, terraform

GOLDEN: Final = Path(__file__).parent / "golden"
ARGUMENTS: Final = json.loads((Path(__file__).parent / "terraform_arguments.json").read_text(encoding="utf-8"))
MAIN: Final = {"sam": "template.yaml", "terraform": "main.tf"}
CASES: Final = [(name, tool) for name in CONFIGURATIONS for tool in MAIN]


def compare(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(("name", "tool"), CASES)
def test_a_configuration_is_rendered_as_it_was(name: str, tool: Tool) -> None:
    compare(GOLDEN / name / MAIN[tool], rendered(deployment_of(CONFIGURATIONS[name]), tool)[MAIN[tool]])


@pytest.mark.parametrize(("name", "tool"), [("stream-to-redshift", "cdk"), *((name, "sam") for name in CONFIGURATIONS)])
def test_what_stands_beside_it_is_rendered_as_it_was(name: str, tool: Tool) -> None:
    for path, text in rendered(deployment_of(CONFIGURATIONS[name]), tool).items():
        if path not in ("template.yaml", "main.tf"):
            compare(GOLDEN / name / tool / path, text)


@pytest.mark.parametrize("tool", TOOLS)
def test_rendering_twice_gives_the_same_bytes(tool: Tool) -> None:
    for text in CONFIGURATIONS.values():
        assert rendered(deployment_of(text), tool) == rendered(deployment_of(text), tool)


# ---- CloudFormation and SAM


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_template_is_the_yaml_of_its_document(name: str) -> None:
    for document in (template(deployment_of(CONFIGURATIONS[name])), sam_template(deployment_of(CONFIGURATIONS[name]))):
        assert pyyaml.safe_load(yaml(document)) == document


TRAPS = ["yes", "NO", "null", "1e3", "012", "2026-11-29", ":", "- a", "a: b", "&a", "*a", "!a", "a #b", "#", "a:"]
SCALARS = st.text() | st.integers() | st.booleans() | st.sampled_from(TRAPS)
DOCUMENTS = st.dictionaries(
    st.text(min_size=1),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4)
    ),
    min_size=1,
    max_size=5,
)


@given(DOCUMENTS)
def test_any_document_comes_back_from_yaml(document: dict[str, Any]) -> None:
    assert pyyaml.safe_load(yaml(document)) == document


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_reference_in_the_template_leads_somewhere(name: str) -> None:
    document = template(deployment_of(CONFIGURATIONS[name]))
    known = {*document["Resources"], *document["Parameters"], "AWS::AccountId", "AWS::Region", "AWS::Partition"}
    found = list(references(document))
    assert found
    assert set(found) <= known


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref":
                yield inner
            elif key == "Fn::GetAtt":
                yield inner[0]
            elif key == "Fn::Sub":
                yield from (m.split(".")[0] for m in re.findall(r"\$\{([^!][^}]*)\}", inner))
            elif key == "DependsOn":
                yield from inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_token_is_left_in_any_file(name: str) -> None:
    for tool in TOOLS:
        for path, text in rendered(deployment_of(CONFIGURATIONS[name]), tool).items():
            assert "\x01" not in text, path
            assert "\x02" not in text, path


def test_a_policy_variable_of_iam_is_not_taken_for_one_of_the_template() -> None:
    document = template(deployment_of(CONFIGURATIONS["stream-to-redshift"]))
    statements = document["Resources"]["OrdersLoadRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (owner,) = [s["Condition"] for s in statements if s["Sid"] == "Redshift1Result"]
    assert owner == {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}


def test_a_text_with_a_token_keeps_what_only_looks_like_one() -> None:
    deployment = deployment_of(CONFIGURATIONS["exports"])
    alarm = next(part for part in deployment.resources if isinstance(part, Alarm))
    odd = replace(deployment, resources=(*deployment.resources, replace(alarm, id="Odd", what=f"{ACCOUNT} ${{d}}")))
    said = template(odd)["Resources"]["Odd"]["Properties"]["AlarmDescription"]
    assert said == {"Fn::Sub": "${AWS::AccountId} ${!d}"}


def test_sam_says_the_same_of_functions_as_cloudformation() -> None:
    deployment = deployment_of(CONFIGURATIONS["chain-table-in-a-vpc"])
    plain, sam = template(deployment)["Resources"], sam_template(deployment)["Resources"]
    assert plain.keys() == sam.keys()
    for identifier, resource in plain.items():
        if resource["Type"] == "AWS::Lambda::Function":
            ours = dict(sam[identifier]["Properties"])
            image, folder = ours.pop("ImageUri", None), ours.pop("CodeUri", None)
            assert resource["Properties"].pop("Code") == ({"ImageUri": image} if image else plain_code())
            assert folder == (None if image else "build/capture")
            assert ours == resource["Properties"]
        else:
            assert resource == sam[identifier]


def plain_code() -> dict[str, Any]:
    return {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}


def test_buckets_and_keys_stay_when_the_stack_goes() -> None:
    document = template(deployment_of(CONFIGURATIONS["chain-table-in-a-vpc"]))
    kept = {r["Type"] for r in document["Resources"].values() if r.get("DeletionPolicy") == "RetainExceptOnCreate"}
    assert kept == {"AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key"}


# ---- Terraform


def is_known(kind: str, body: dict[str, Any], known: dict[str, Any], place: str = "") -> list[str]:
    """What the provider does not know in a body, or misses in it."""
    faults = [f"{kind}{place}: {name} is missing" for name in known["!"] if name not in body]
    for name, value in body.items():
        if name in ("depends_on", "lifecycle") and not place:
            continue
        if name not in known or name == "!":
            faults.append(f"{kind}{place}: {name} is not known")
            continue
        blocks = value if isinstance(value, list) and value and isinstance(value[0], Block) else [value]
        for block in blocks:
            if isinstance(block, Block) != (known[name] is not None):
                faults.append(f"{kind}{place}.{name}: is {'a block' if isinstance(block, Block) else 'no block'}")
            elif isinstance(block, Block):
                faults += is_known(kind, dict(block.body), known[name], f"{place}.{name}")
    return faults


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_provider_knows_every_argument_and_misses_none(name: str) -> None:
    faults = [
        fault
        for made in resources(deployment_of(CONFIGURATIONS[name]))
        for fault in is_known(made.kind, made.body, ARGUMENTS[made.kind])
    ]
    assert faults == []


def test_the_check_of_arguments_sees_what_is_wrong() -> None:
    known = ARGUMENTS["aws_lambda_event_source_mapping"]
    assert is_known("m", {"function": "x"}, known) == ["m: function_name is missing", "m: function is not known"]
    wrong = {"function_name": "x", "destination_config": {"on_failure": 1}}
    assert is_known("m", wrong, known) == ["m.destination_config: is no block"]
    deep = {"function_name": "x", "destination_config": Block({"on_failure": Block({"arn": 1})})}
    assert len(is_known("m", deep, known)) == 2


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_reference_in_the_module_leads_somewhere(name: str) -> None:
    deployment = deployment_of(CONFIGURATIONS[name])
    text = terraform(deployment)
    made = {f"{m.kind}.{m.name}" for m in resources(deployment)}
    assert len(made) == text.count('\nresource "')
    used = set(re.findall(r"(?<![.\w\"])(aws_[a-z0-9_]+\.[a-z0-9_]+)(?=[.\]},\s])", text))
    assert used
    assert used <= made
    declared = set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))
    assert set(re.findall(r"var\.(\w+)", text)) <= declared


def test_texts_cannot_break_out_of_hcl() -> None:
    hostile = 'a"b\\c${d}%{e}\nf'
    text = HEAD + REDSHIFT + ORDERS
    deployment = deployment_of(text)
    alarm = next(part for part in deployment.resources if isinstance(part, Alarm))
    changed = replace(alarm, what=hostile)
    odd = replace(deployment, resources=tuple(changed if p is alarm else p for p in deployment.resources))
    assert 'alarm_description = "a\\"b\\\\c$${d}%%{e}\\nf"' in re.sub(" +", " ", terraform(odd))


# ---- all tools say the same


def names_in(tool: str, deployment: Any) -> set[str]:
    """The names in AWS of functions, roles, queues, alarms, buckets … that a rendering makes."""
    keys = ("FunctionName", "RoleName", "QueueName", "TopicName", "AlarmName", "BucketName", "LogGroupName", "Name")
    if tool == "terraform":
        own = ("function_name", "name", "alarm_name", "bucket")
        kinds = set(ARGUMENTS) - {"aws_iam_role_policy", "aws_lambda_permission"}
        found = [(m, key) for m in resources(deployment) for key in own if m.kind in kinds and key in m.body]
        return {str(m.body[key]) for m, key in found if not str(m.body[key]).startswith("\x01")}
    made = sam_template(deployment)["Resources"] if tool == "sam" else template(deployment)["Resources"]
    found = [r["Properties"][key] for r in made.values() for key in keys if key in r["Properties"]]
    return {name["Fn::Sub"] if isinstance(name, dict) and "Fn::Sub" in name else str(name) for name in found}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_tool_makes_the_same_functions_roles_and_alarms(name: str) -> None:
    deployment = deployment_of(CONFIGURATIONS[name])
    wanted = {p.name for p in deployment.resources if isinstance(p, Function | Role | Alarm)}
    wanted |= {p.name for p in deployment.resources if isinstance(p, Bucket) and ACCOUNT not in p.name}
    assert len(wanted) > 5
    for tool in TOOLS:
        assert wanted <= names_in(tool, deployment), tool


def test_what_must_be_given_is_asked_for_by_every_tool_with_the_command_that_finds_it_out() -> None:
    deployment = deployment_of(CONFIGURATIONS["stream-to-redshift"])
    assert [p.id for p in deployment.parameters] == ["WorkerImage", "OrdersStream", "DwhWorkgroup"]
    for tool in TOOLS:
        readme = rendered(deployment, tool)["README.md"]
        for asked in deployment.parameters[1:]:
            assert asked.ask in readme
            assert isinstance(asked, Parameter)
    assert parameter("OrdersStream") != arn_of("OrdersStream")


def test_sam_is_told_where_images_lie_and_the_cdk_that_it_must_be_at_home() -> None:
    deployment = deployment_of(CONFIGURATIONS["stream-to-redshift"])
    assert "--image-repository ${IMAGE%:*} " in rendered(deployment, "sam")["README.md"]
    steps = rendered(deployment, "cdk")["README.md"]
    assert steps.index("cdk bootstrap aws://$ACCOUNT/$AWS_REGION") < steps.index("cdk deploy ")


# ---- marks


def test_a_file_tells_whether_it_was_changed() -> None:
    text = marked("a.yaml", "one: 1\n", "0.1.0")
    assert text.startswith("# Rendered by tailrace 0.1.0")
    assert is_untouched(text, "anything")
    assert not is_untouched(text + "two: 2\n", "anything")
    assert not is_untouched(text.replace("one", "eno"), "anything")
    assert not is_untouched("one: 1\n", "anything")
    assert not is_untouched("", "anything")
    assert not is_untouched(text + "\udcff", "anything")  # a byte that is no UTF-8, as it is read
    assert is_untouched("same", "same")


def test_an_older_rendering_may_be_replaced() -> None:
    assert is_untouched(marked("a.yaml", "one: 1\n", "0.0.9"), marked("a.yaml", "one: 2\n", "0.1.0"))
