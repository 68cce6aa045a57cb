"""What botocore's container provider resolves, a line for each set of keys, until SECOND was seen."""

import sys
import time

import botocore.session

second = sys.argv[1]
credentials = botocore.session.Session().get_credentials()
print("method", credentials.method, flush=True)
seen = None
end = time.monotonic() + 60
while time.monotonic() < end:
    # Near their end, every look at the keys asks the endpoint.
    keys = credentials.get_frozen_credentials()
    line = f"{keys.access_key} {keys.secret_key} {keys.token}"
    if line != seen:
        seen = line
        print("keys", line, flush=True)
    if keys.access_key == second:
        sys.exit(0)
    time.sleep(0.1)
sys.exit(f"{second} was never seen")
