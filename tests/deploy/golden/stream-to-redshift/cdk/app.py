# Rendered by tailrace 0.1.0; replaced by the next rendering, unless changed. sha256:637a79ef1ab158a0618318fbc9060a91e46b56f088891d011a1591dc8233cf1b
"""Tailrace on AWS. `cdk deploy` builds and uploads what the functions run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_cdk import App, Environment, Stack
from aws_cdk.aws_ecr_assets import DockerImageAsset, Platform
from aws_cdk.aws_s3_assets import Asset
from aws_cdk.cloudformation_include import CfnInclude
from constructs import Construct

HERE = Path(__file__).parent
CODE = HERE / "build" / "capture"


class TailraceStack(Stack):
    """The resources of template.yaml. `included.get_resource("Alarms")` gives one of them, to be changed in code."""

    def __init__(self, scope: Construct, construct_id: str, **options: Any) -> None:
        super().__init__(scope, construct_id, **options)
        if not CODE.is_dir():
            raise SystemExit(f"{CODE} is not there yet: run `make build`")
        code = Asset(self, "CaptureCode", path=str(CODE))
        image = DockerImageAsset(self, "Worker", directory=str(HERE / "worker"), platform=Platform.LINUX_AMD64)
        self.included = CfnInclude(
            self,
            "Tailrace",
            template_file=str(HERE / "template.yaml"),
            parameters={
                "CodeBucket": code.s3_bucket_name,
                "CodeKey": code.s3_object_key,
                "WorkerImage": image.image_uri,
            },
        )


if __name__ == "__main__":
    app = App()
    TailraceStack(app, "tailrace", env=Environment(region="eu-west-1"))
    app.synth()
