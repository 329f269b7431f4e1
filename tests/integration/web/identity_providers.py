"""A real identity provider beside a hub: the npm package oidc-provider, which tools/setup-clients installs."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import httpx
from joserfc.jwk import RSAKey

ROOT = Path(__file__).parents[3]
INSTALLED = ROOT / "var" / "clients" / "oidc-provider"
CLIENT_ID = "datong"
CLIENT_SECRET = "a secret & of this test: only"
PEOPLE: Mapping[str, Mapping[str, object]] = {
    "wang": {"name": "王芳", "employee_number": "e1001"},
    "li": {"name": "李雷", "employee_number": "e1002"},
    "zhao": {"name": "赵敏", "employee_number": "e1003"},
}


@contextmanager
def identity_provider(port: int, hub_url: str) -> Iterator[None]:
    """Run the provider with a key that is made anew each time; whoever types a login of `PEOPLE` is that person."""
    key = RSAKey.generate_key(2048, parameters={"use": "sig", "alg": "RS256"}, auto_kid=True)
    configuration = {
        "port": port,
        "keys": {"keys": [key.as_dict(private=True)]},
        "client": {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": [f"{hub_url}/sign-in/with/city/back"],
            "post_logout_redirect_uris": [f"{hub_url}/sign-in"],
        },
        "people": PEOPLE,
    }
    script = Path(__file__).with_name("oidc_provider.mjs")
    command = ["node", str(script), str(INSTALLED), json.dumps(configuration)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield
        finally:
            process.terminate()


def sign_in_there(browser: httpx.Client, address: str, login: str) -> str:
    """Sign in at the provider as its forms ask for it, and return the address at the hub that it leads back to."""
    for _ in range(12):
        answer = browser.get(address)
        if answer.is_redirect:
            address = str(answer.next_request.url) if answer.next_request else ""
        else:
            form = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
            assert form is not None, answer.text
            values = {"prompt": "login", "login": login, "password": "any"}
            if 'value="consent"' in answer.text:
                values = {"prompt": "consent"}
            sent = browser.post(str(answer.url.join(unescape(form[1]))), data=values)
            assert sent.next_request is not None, sent.text
            address = str(sent.next_request.url)
        if "/sign-in/with/" in address:
            return address
    raise AssertionError(address)
