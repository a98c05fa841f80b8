"""A deployment as an AWS CDK app in Python: the CloudFormation template, included, and what CDK builds and uploads for it."""

from __future__ import annotations

from typing import Final

from tailrace.deploy.model import Deployment

REQUIREMENTS: Final = "aws-cdk-lib>=2.200,<3\nconstructs>=10,<11\n"
SETTINGS: Final = '{\n  "app": "python3 app.py"\n}\n'
_APP: Final = '''\
"""Tailrace on AWS. `cdk deploy` builds and uploads what the functions run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_cdk import App, Environment, Stack
from aws_cdk.aws_ecr_assets import DockerImageAsset, Platform
@IMPORT@from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct

HERE = Path(__file__).parent
@CODE@

class TailraceStack(Stack):
    """The resources of template.yaml. `included.get_resource("Alarms")` gives one of them, to be changed in code."""

    def __init__(self, scope: Construct, construct_id: str, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
@ASSET@        image = DockerImageAsset(self, "Worker", directory=str(HERE / "worker"), platform=Platform.LINUX_AMD64)
        self.included = CfnInclude(
            self,
            "Tailrace",
            template_file=str(HERE / "template.yaml"),
            parameters={
@PARAMETERS@                "WorkerImage": image.image_uri,
            },
        )


if __name__ == "__main__":
    app = App()
    TailraceStack(app, @NAME@, env=Environment(region=@REGION@))
    app.synth()
'''


_OF_CAPTURE: Final = {
    "@IMPORT@": "from aws_cdk.aws_s3_assets import Asset\n",
    "@CODE@": 'CODE = HERE / "build" / "capture"\n',
    "@ASSET@": """\
        if not CODE.is_dir():
            raise SystemExit(f"{CODE} is not there yet: run `make build`")
        code = Asset(self, "CaptureCode", path=str(CODE))
""",
    "@PARAMETERS@": """\
                "CodeBucket": code.s3_bucket_name,
                "CodeKey": code.s3_object_key,
""",
}
"""What stands in the program only where a function needs the zip."""


def cdk_app(deployment: Deployment) -> str:
    """The program. The stack's name and region are of letters, digits and hyphens."""
    text = _APP.replace("@NAME@", f'"{deployment.name}"').replace("@REGION@", f'"{deployment.region}"')
    for mark, lines in _OF_CAPTURE.items():
        text = text.replace(mark, lines if deployment.captures else "")
    return text
