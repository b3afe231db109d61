"""`make image-test`: builds the image for real and runs it. Needs root, mmdebstrap, podman and buildah.

Neither a registry nor a container engine is needed: the base image is made from Debian's packages, and
buildah runs the image in a chroot, on the network of this machine. So limits and a read-only root file system
are not shown.

1. Two builds of one commit hold the same files.
2. The image's user may write its data directory and temporary ones only. No compiler is in the image.
3. `callstream doctor --offline` passes.
4. All roles run from the image on a real Kafka. The health check says that they
   are live, and the simulator's check finds no difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from stream.broker import embedded
from stream.service.settings import load
from stream.simulator.accounts import simulated_environment

ROOT = Path(__file__).parent.parent
TOOLS = ("mmdebstrap", "podman", "buildah")
PACKAGES = "python3,python3-venv,ca-certificates"
BASE, IMAGE = "localhost/callstream-base", "localhost/callstream"
FROM_THIS_MACHINE = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
"""What this machine trusts, and where its pip looks, hold for the build too."""

ROLES = ("gateway", "worker", "poller", "notify", "archive", "api")
DATA = "/var/lib/callstream"
UID = 10001
READY_S = 60.0
MAY_WRITE = {DATA, "/tmp", "/var/tmp", "/var/lock", "/run/lock"}
REST = "127.0.0.1:8083"
CHECK = (
    *("simulate", "--gateway", "http://127.0.0.1:8080", "--retry-policy", "rc=5&rp=all&rt=5000"),
    *("--calls", "200", "--rate", "60", "--duplicates", "0.1", "--reorder", "0.1", "--drop", "0.05"),
    *("--serve", "--check", "--timeout", "60", "--seed", "11"),
)


class Buildah:
    """The command, with a storage of its own in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.options = ("--storage-driver=vfs", f"--root={directory}/storage", f"--runroot={directory}/run")
        self.container = ""

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["buildah", *self.options, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.strip()

    def build(self, *arguments: str) -> str:
        """The id of the image."""
        mounts = [f"--volume={path}:{path}:ro" for path in FROM_THIS_MACHINE if Path(path).exists()]
        self("bud", "--quiet", "--format=docker", "--isolation=chroot", "--network=host", *mounts, *arguments)
        return self("inspect", "--format", "{{.FromImageID}}", IMAGE)

    def command(
        self, *command: str, data: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> list[str]:
        """The arguments that run a command in the container."""
        volume = [f"--volume={data}:{DATA}"] if data is not None else []
        variables = [f"--env={name}={value}" for name, value in (environ or {}).items()]
        run = ["run", "--isolation=chroot", *volume, *variables, self.container, "--", *command]
        return ["buildah", *self.options, *run]

    def run(self, *command: str) -> str:
        """What a command in the container prints. Raises CalledProcessError."""
        return subprocess.run(self.command(*command), stdout=subprocess.PIPE, text=True, check=True).stdout


def main() -> None:
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        sys.exit(f"{' and '.join(missing)} must be installed (Debian: apt-get install {' '.join(TOOLS)})")
    with tempfile.TemporaryDirectory(prefix="callstream-image-", dir="/var/tmp") as folder:
        directory = Path(folder)
        buildah = Buildah(directory)
        base(directory, buildah)
        build(buildah)
        try:
            contents(buildah)
            buildah.run("callstream", "doctor", "--offline")
            say("doctor --offline passes in the container")
            asyncio.run(roles(directory, buildah))
        finally:
            buildah("rm", "--all")


def say(line: str) -> None:
    click.echo(f"{time.monotonic() - BEGAN_S:5.0f} s  {line}")


def base(directory: Path, buildah: Buildah) -> None:
    """An image of Debian's packages. Made once and kept, since that takes two minutes."""
    kept = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "callstream" / "image-base.tar"
    if not kept.exists():
        say("making a base image of Debian's packages (two minutes, once)")
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = directory / "base.tar"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(made)],
            check=True,
        )
        shutil.move(made, kept)
    subprocess.run(["podman", *buildah.options, "import", "--quiet", str(kept), BASE], check=True)


def build(buildah: Buildah) -> None:
    """Builds the image twice and compares; the second stays."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    digests = []
    for number in (1, 2):
        arguments = (f"--build-arg=BASE={BASE}", f"--build-arg=VERSION={version}")
        buildah.build(*arguments, "--no-cache", "--file=deploy/Dockerfile", f"--tag={IMAGE}", ".")
        buildah.container = buildah("from", IMAGE)
        listing = "cd /opt/callstream && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"
        digests.append(buildah.run("sh", "-c", listing))
        say(f"build {number}: {digests[-1].split()[0]}")
        if number == 1:
            buildah("rm", "--all")
    if digests[0] != digests[1]:
        sys.exit("two builds of one commit differ")


def contents(buildah: Buildah) -> None:
    """Raises SystemExit if the image holds what it must not, or does not say what it is."""
    find = "find / -xdev -writable -not -path '/proc/*' -not -path '/dev/*' 2>/dev/null; true"
    if more := set(buildah.run("sh", "-c", find).split()) - MAY_WRITE:
        sys.exit(f"writable in the image: {sorted(more)}")
    compilers = "for tool in cc gcc g++ clang make pip; do command -v $tool; done; true"
    if found := buildah.run("sh", "-c", compilers).split():
        sys.exit(f"in the image: {found}")
    said = buildah("inspect", "--format", "{{.Docker.Config.User}} {{.Docker.Config.Healthcheck}}", IMAGE)
    if not said.startswith(f"{UID}:{UID} ") or "healthcheck.py" not in said:
        sys.exit(f"the image has another user or no health check: {said}")
    say("nothing but the data directory and temporary ones is writable, and no compiler is in the image")


async def roles(directory: Path, buildah: Buildah) -> None:
    """All roles from the image, and the simulator's check of what they do."""
    settings = dataclasses.replace(load({}), data_dir=directory / "broker")
    async with embedded(settings) as broker:
        environ = simulated_environment(load({}), {}, rest_url=f"http://{REST}") | {
            "CALLSTREAM_KAFKA": broker.bootstrap,
            "CALLSTREAM_STORE": "rocksdb",
            "CALLSTREAM_INSTANCE_ID": "worker-1",
            "CALLSTREAM_TIME_FACTOR": "60",
            "CALLSTREAM_POLL_INTERVAL_S": "3",
            "CALLSTREAM_POLL_RATE": "400",
            "CALLSTREAM_POLL_CONCURRENCY": "16",
            "CALLSTREAM_OVERDUE_S": "60",
        }
        with running(directory, buildah, environ, ROLES):
            await asyncio.to_thread(wait_healthy, buildah)
            say("all roles are ready, and the health check says that they are live")
            data = data_of(directory, "simulate")
            check = buildah.command("callstream", *CHECK, data=data, environ=environ)
            done = await asyncio.to_thread(subprocess.run, check, check=False)
            if done.returncode != 0:
                sys.exit(f"the simulator's check ended with {done.returncode}")
        say("the simulator's check found no difference")


def data_of(directory: Path, name: str) -> Path:
    """A data directory of the image's user."""
    data = directory / name
    data.mkdir(mode=0o700)
    os.chown(data, UID, UID)
    return data


@contextlib.contextmanager
def running(
    directory: Path, buildah: Buildah, environ: Mapping[str, str], names: Sequence[str]
) -> Iterator[None]:
    """The roles, each with its own data directory and process group; stopped by SIGTERM."""
    started = []
    for name in names:
        command = buildah.command("callstream", name, data=data_of(directory, name), environ=environ)
        with (directory / f"{name}.log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
    try:
        yield
    except BaseException:
        for name in names:
            click.echo(f"--- {name}\n{(directory / f'{name}.log').read_text()}")
        raise
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait(30)


def wait_healthy(buildah: Buildah) -> None:
    """Waits until all roles are ready, as an orchestrator sees them. Raises SystemExit."""
    ready = (
        "import sys, urllib.request\n"
        "for port in (8084, 8081, 8082, 8085, 8086, 8088):\n"
        "    urllib.request.urlopen(f'http://127.0.0.1:{port}/readyz', timeout=3)"
    )
    until = time.monotonic() + READY_S
    while subprocess.run(
        buildah.command("python", "-c", ready), stderr=subprocess.DEVNULL, check=False
    ).returncode:
        if time.monotonic() > until:
            sys.exit("the roles were not ready in time")
        time.sleep(1)
    buildah.run("python", "/opt/callstream/healthcheck.py")


BEGAN_S = time.monotonic()

if __name__ == "__main__":
    main()
