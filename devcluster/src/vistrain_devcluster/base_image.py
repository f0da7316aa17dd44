"""Makes the Debian base image with debootstrap, for machines that reach no image registry."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from vistrain_devcluster import buildah

REFERENCE = "docker.io/library/debian:bookworm-slim"
SUITE = "bookworm"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What the public slim image leaves out too; dpkg skips the same files of packages installed later.
DOCUMENTATION = ("man", "info", "locale", "groff", "lintian", "linda")
DPKG_SLIM = "".join(
    [
        "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n",
        *(f"path-exclude /usr/share/{folder}/*\n" for folder in DOCUMENTATION),
    ]
)
CACHES = (
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/*",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
)


def ensure(report: Callable[[str], None] = print) -> str:
    """The base image's reference, after making the image where the store does not have it (half a minute).

    Raises BuildahError, also for a debootstrap that fails.
    """
    if buildah.image_id(REFERENCE) is None:
        log = buildah.store() / "debootstrap.log"
        report(f"making {REFERENCE} with debootstrap (log {log})")
        with buildah.working_container("scratch") as (container, root):
            _debootstrap(root, log)
            slim(root)
            buildah.run("config", f"--env=PATH={SEARCH_PATH}", f"--cmd={json.dumps(['bash'])}", container)
            # A fixed time: the same packages give the same digest.
            buildah.run("commit", "--quiet", "--timestamp=0", container, REFERENCE)
    return REFERENCE


def _debootstrap(root: Path, log: Path) -> None:
    with log.open("w") as out:
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", SUITE, str(root)],
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise buildah.BuildahError(f"debootstrap ended with {done.returncode} (log {log}):\n{tail}")


def slim(root: Path) -> None:
    """Takes documentation, translations, caches and logs out of the Debian tree ``root``; licences stay."""
    settings = root / "etc/dpkg/dpkg.cfg.d"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "slim").write_text(DPKG_SLIM)
    _remove(path for folder in DOCUMENTATION for path in (root / "usr/share" / folder).glob("*"))
    _remove(path for pattern in CACHES for path in root.glob(pattern))
    _remove(path for path in (root / "usr/share/doc").glob("*/*") if path.name != "copyright")
    # Packages expect their folders of logs to be there.
    _remove(path for path in (root / "var/log").rglob("*") if not path.is_dir())


def _remove(paths: Iterable[Path]) -> None:
    for path in sorted(paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # gone under its other name: packages share folders by links
