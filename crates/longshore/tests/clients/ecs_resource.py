"""The attributes that OpenTelemetry's detector for ECS finds, as JSON."""

import json

from opentelemetry.sdk.extension.aws.resource.ecs import AwsEcsResourceDetector

print(json.dumps(dict(AwsEcsResourceDetector(raise_on_error=True).detect().attributes)))
