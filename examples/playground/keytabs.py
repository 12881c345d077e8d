"""Creates files in the source share and a Secret with the keytab of each service user, once the domain is ready."""

import base64
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

KEYTABS = Path("/var/lib/smbferry-lab/keytabs")
ZONES = Path("/var/lib/smbferry-lab/zones")
SOURCE = Path("/srv/src/playground")
DESTINATION = Path("/srv/dst/playground")
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
USERS = ("svc-src", "svc-dst")
FILES, LARGE_BYTES = 200, 64 << 20


def seed() -> None:
    """Creates 200 small files in ten folders and one large file."""
    DESTINATION.mkdir(mode=0o777, exist_ok=True)
    DESTINATION.chmod(0o777)
    for number in range(FILES):
        file = SOURCE / f"folder {number % 10}" / f"file {number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{number}\n" * 100)
    with (SOURCE / "large.bin").open("wb") as large:
        for _ in range(LARGE_BYTES >> 20):
            large.write(os.urandom(1 << 20))


def store(user: str) -> None:
    """Creates or replaces the user's Secret."""
    namespace = (ACCOUNT / "namespace").read_text()
    name = f"{user}-keytab"
    keytab = base64.b64encode((KEYTABS / f"{user}.keytab").read_bytes()).decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"keytab": keytab}}
    path = f"{API}/api/v1/namespaces/{namespace}/secrets"
    try:
        send("POST", path, secret)
    except urllib.error.HTTPError as error:
        if error.code != 409:  # already exists
            raise
        send("PUT", f"{path}/{name}", secret)
    print(f"{name} contains the keytab of {user}")


def send(method: str, url: str, body: dict[str, object]) -> None:
    """Sends one request to the API server."""
    headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    urllib.request.urlopen(request, context=ssl.create_default_context(cafile=ACCOUNT / "ca.crt"), timeout=10).close()


def main() -> None:
    """Waits for the domain, creates the files and Secrets, and keeps running like the other containers of the pod."""
    while not (ZONES.exists() and Path("/srv/dst").is_dir()):
        time.sleep(0.5)
    seed()
    for user in USERS:
        store(user)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
