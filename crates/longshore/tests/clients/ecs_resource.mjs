// The attributes that OpenTelemetry's detector for ECS finds, as JSON.
import { detectResources } from "@opentelemetry/resources";
import { awsEcsDetector } from "@opentelemetry/resource-detector-aws";

const resource = detectResources({ detectors: [awsEcsDetector] });
await resource.waitForAsyncAttributes();
console.log(JSON.stringify(resource.attributes));
