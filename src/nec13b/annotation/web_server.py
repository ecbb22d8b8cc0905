"""Serves the annotation page: to this machine alone, or to those who have a login."""

import os
import secrets
import socket
from pathlib import Path

import uvicorn

from ..chat.web_server import LOOPBACK
from ..errors import InputError
from .annotation_config import AnnotatePreferencesConfig
from .campaign import Campaign
from .guidelines import guidelines
from .logins import logins_of_environment
from .web_app import AnnotationPage, Questions

KEY_NAME = "session.key"


def serve(config: AnnotatePreferencesConfig, campaign: Campaign, questions: Questions, folder: Path) -> None:
    """Serves the page until Ctrl-C.

    Args:
        config: where it is served, and to whom.
        campaign, questions: what is judged.
        folder: where the key of the cookies lies, so that people stay logged in over a restart.

    Raises:
        InputError: it would be open to everybody, or the port is taken.
    """
    logins = logins_of_environment(config.logins_variable)
    if logins is None and (config.host not in LOOPBACK or config.allowed_hosts):
        raise InputError(
            f"a page that others can reach needs logins: set {config.logins_variable} to name:password,name:password "
            "or to the path of a file of them (docs/annotation.md)"
        )
    # A foreign page may give its own name this machine's address; so on this machine only its own names are answered.
    hosts = config.allowed_hosts or ([*LOOPBACK, "[::1]"] if config.host in LOOPBACK else ["*"])
    page = AnnotationPage(
        campaign, questions, guidelines(config.guidelines, "review" if config.review else "pairs"), logins
    )
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((config.host, config.port))
        except OSError as error:
            raise InputError(f"{config.host}:{config.port} cannot be served ({error}); try another --port") from None
        port, host = listening.getsockname()[1], f"[{config.host}]" if ":" in config.host else config.host
        print(f"http://{host}:{port}  (Ctrl-C ends it)", flush=True)
        settings = uvicorn.Config(
            page.app(_session_key(folder), hosts, config.https),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips="127.0.0.1",
            timeout_graceful_shutdown=5,
        )
        try:
            uvicorn.Server(settings).run(sockets=[listening])
        except KeyboardInterrupt:  # uvicorn has closed everything, and says it once more
            print()


def _session_key(folder: Path) -> str:
    path = folder / KEY_NAME
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
    except FileExistsError:
        pass
    key = path.read_text().strip()
    if len(key) < 64:  # a start that was killed while it wrote
        path.unlink()
        return _session_key(folder)
    return key
