"""A deployment as a template for the AWS SAM CLI: that of CloudFormation, with functions in SAM's own words."""

from __future__ import annotations

from typing import Any, Final

from tailrace.deploy.cloudformation import template
from tailrace.deploy.model import Deployment

TRANSFORM: Final = "AWS::Serverless-2016-10-31"
CODE: Final = "build/capture"  # where the README's first step puts it


def sam_template(deployment: Deployment) -> dict[str, Any]:
    """The SAM CLI uploads the folder that CodeUri names."""
    found = template(deployment, code={"Local": CODE})
    resources = {identifier: _in_sam(resource) for identifier, resource in found.pop("Resources").items()}
    version, description = found.pop("AWSTemplateFormatVersion"), found.pop("Description")
    return {
        "AWSTemplateFormatVersion": version,
        "Transform": TRANSFORM,
        "Description": description,
        **found,
        "Resources": resources,
    }


def _in_sam(resource: dict[str, Any]) -> dict[str, Any]:
    if resource["Type"] != "AWS::Lambda::Function":
        return resource
    properties = dict(resource["Properties"])
    code = properties.pop("Code")
    where = {"CodeUri": code["Local"]} if "Local" in code else {"ImageUri": code["ImageUri"]}
    return {**resource, "Type": "AWS::Serverless::Function", "Properties": properties | where}
