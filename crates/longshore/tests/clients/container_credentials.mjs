// What the JavaScript SDK's provider resolves, a line for each set of keys, until SECOND was seen.
import { fromHttp } from "@aws-sdk/credential-provider-http";
import { setTimeout } from "node:timers/promises";

const second = process.argv[2];
const provider = fromHttp({ maxRetries: 0, timeout: 2000 });
const end = Date.now() + 60_000;
let seen;
while (Date.now() < end) {
  const keys = await provider();
  const line = [keys.accessKeyId, keys.secretAccessKey, keys.sessionToken, keys.expiration.toISOString()].join(" ");
  if (line !== seen) {
    seen = line;
    console.log("keys", line);
  }
  if (keys.accessKeyId === second) process.exit(0);
  await setTimeout(100);
}
console.log(`${second} was never seen`);
process.exit(1);
