"""The product's images: built from this checkout, small where code changes, complete where it runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from vistrain_devcluster import base_image, buildah, image_template, images
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.node_files import PAUSE_IMAGE

SOURCE = images.REPOSITORY_ROOT
MEMBERS = {"operator": ("crds", "operator"), "trainer": ("crds", "trainer")}


def dockerfile(name: str) -> str:
    return (SOURCE / f"Dockerfile.{name}").read_text()


# Without root --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", images.PRODUCTS)
def test_a_dockerfile_builds_on_any_debian_and_puts_the_code_last(name: str) -> None:
    text = dockerfile(name)
    assert "ARG BASE=docker.io/library/debian:bookworm-slim\n" in text
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE)[0] == "${BASE}"
    assert text.strip().splitlines()[-1] == "COPY --from=code /opt/vistrain /opt/vistrain"


def test_what_the_trainers_image_leaves_out_is_named_as_the_lock_names_it() -> None:
    left_out = re.search(r"--extended-regexp '\^\((.+?)\)=='", dockerfile("trainer"))
    assert left_out
    locked = {
        line.partition("==")[0] for line in (SOURCE / "requirements/trainer.lock").read_text().splitlines()
    }
    assert set(left_out[1].split("|")) <= locked


def test_steps_are_told_unless_a_cache_serves_them() -> None:
    told: list[str] = []
    steps = images._Steps("trainer", told.append)
    for line in (
        "[1/2] STEP 1/2: FROM base AS python",
        "[1/2] STEP 2/2: RUN apt-get update",
        "--> Using cache 218078beb094",
        "[2/2] STEP 1/2: RUN --mount=type=cache,target=/x pip install " + 80 * "y",
        "Get:1 something",
        "[2/2] STEP 2/2: USER 65532",
        "--> 218078beb094",
    ):
        steps(line)
    assert len(told) == 1
    assert told[0].startswith("image trainer: stage 2/2 step 1/2: RUN pip install yyy")
    assert told[0].endswith("…")


def test_a_ca_bundle_of_the_environment_is_mounted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_uv_cache", lambda: tmp_path / "wheels")
    for variable in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    assert images._machine_arguments() == [
        f"--volume={tmp_path}/wheels:{images.WHEELS}",
        f"--build-arg=UV_CACHE_DIR={images.WHEELS}",
    ]
    bundle = tmp_path / "ca.crt"
    bundle.write_text("-")
    monkeypatch.setenv("PIP_CERT", str(bundle))
    assert f"--volume={bundle}:{images.CA_BUNDLE}:ro" in images._machine_arguments()
    assert f"--build-arg=SSL_CERT_FILE={images.CA_BUNDLE}" in images._machine_arguments()


def test_the_base_keeps_licences_and_loses_documentation(tmp_path: Path) -> None:
    kept = ["usr/share/doc/bash/copyright", "usr/bin/bash", "var/lib/dpkg/status", "usr/share/zoneinfo/UTC"]
    lost = [
        "usr/share/doc/bash/README",
        "usr/share/doc/bash/examples/a",
        "usr/share/man/man1/bash.1.gz",
        "usr/share/locale/de/x.mo",
        "var/lib/apt/lists/packages",
        "var/cache/apt/archives/bash.deb",
        "var/log/apt/history.log",
    ]
    for name in kept + lost:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    # Packages of one source share a folder: each file in it is found twice.
    (tmp_path / "usr/share/doc/bash-builtins").symlink_to("bash")
    base_image.slim(tmp_path)
    assert all((tmp_path / name).exists() for name in kept)
    assert not any((tmp_path / name).exists() for name in lost)
    assert (tmp_path / "var/log/apt").is_dir()
    assert "path-exclude /usr/share/man/*" in (tmp_path / "etc/dpkg/dpkg.cfg.d/slim").read_text()


def make_template(config: ClusterConfig, stamp: str) -> Path:
    root = image_template.folder(config)
    shutil.rmtree(root, ignore_errors=True)
    for name in ("content/blobs/sha256/aa", "overlay/snapshots/1/fs/bin/tool", "overlay/metadata.db"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name} {stamp}")
    (root / image_template.STAMP).write_text(json.dumps(stamp))
    return root


def test_a_node_links_the_templates_layers_and_owns_its_databases(tmp_path: Path) -> None:
    config = ClusterConfig(cache=tmp_path)
    template = make_template(config, "one")
    assert image_template.seed(config, "node-a")
    node = config.node_images("node-a")
    for name in ("content/blobs/sha256/aa", "overlay/snapshots/1/fs/bin/tool"):
        assert (node / name).samefile(template / name)
    database = node / "overlay/metadata.db"
    assert not database.samefile(template / "overlay/metadata.db")
    assert database.read_text() == "overlay/metadata.db one"


def test_a_node_keeps_its_content_until_the_template_changes(tmp_path: Path) -> None:
    config = ClusterConfig(cache=tmp_path)
    assert not image_template.seed(config, "node-a")  # there is no template
    make_template(config, "one")
    node = config.node_images("node-a")
    node.mkdir(parents=True)
    (node / "old").write_text("from before there was a template")
    assert image_template.seed(config, "node-a")
    assert not (node / "old").exists()
    (node / "pulled").write_text("since")
    assert not image_template.seed(config, "node-a")
    assert (node / "pulled").exists()
    make_template(config, "two")
    assert image_template.seed(config, "node-a")
    assert (node / "overlay/metadata.db").read_text() == "overlay/metadata.db two"
    assert not (node / "pulled").exists()


def test_loading_a_file_that_is_no_archive_names_it(tmp_path: Path) -> None:
    file = tmp_path / "image.tar"
    file.write_text("no")
    with pytest.raises(ValueError, match=f"{file} is no image archive: .*docker save"):
        images.load(str(file), [])


# With root and the image store ------------------------------------------------------------------------


class Shelf:
    """A node that only keeps what it is given."""

    def __init__(self) -> None:
        self.tags: list[str] = []

    def import_image(self, archive: Path) -> None:
        with tarfile.open(archive) as tar:
            manifest = tar.extractfile("manifest.json")
            assert manifest is not None
            self.tags += json.load(manifest)[0]["RepoTags"]


@pytest.mark.cluster
def test_an_image_of_the_store_reaches_every_node_and_an_unknown_one_is_named() -> None:
    images.pause_archive(ClusterConfig.from_environment())
    shelves = [Shelf(), Shelf()]
    images.load(PAUSE_IMAGE, shelves)
    assert [shelf.tags for shelf in shelves] == [[PAUSE_IMAGE]] * 2
    with pytest.raises(buildah.BuildahError, match=r"no image 'nobody/knows:1'.*docker save"):
        images.load("nobody/knows:1", shelves)


def inspect(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(buildah.run("inspect", "--type=image", image))["OCIv1"]
    return found


def run_in(image: str, *command: str) -> str:
    """Runs a command in a container of the image, as its user; what it prints."""
    with buildah.alone(), buildah.working_container(image) as (container, _):
        done = subprocess.run(
            buildah.command("run", "--user=65532:65532", container, "--", *command),
            env=buildah.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_source(folder: Path, name: str) -> Path:
    """What the image is built from, and no more."""
    folder.mkdir()
    for file in (".dockerignore", f"Dockerfile.{name}"):
        shutil.copy(SOURCE / file, folder)
    for part in ("requirements", *MEMBERS[name]):
        shutil.copytree(SOURCE / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.cluster
@pytest.mark.parametrize("name", images.PRODUCTS)
def test_an_image_runs_as_nobody_says_what_it_is_and_holds_its_command(name: str) -> None:
    image = images.build(name, lambda _: None)
    config = inspect(image)["config"]
    assert config["User"] == "65532:65532"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", config["Labels"]["org.opencontainers.image.version"])
    # A build's proxies and certificates are the machine's own affair.
    assert {entry.partition("=")[0] for entry in config["Env"]} == {
        "PATH",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
    }
    *init, command = config["Entrypoint"]
    assert init == ["tini", "--"]
    assert f"usage: {command}" in run_in(image, *config["Entrypoint"], "--help").lower()


@pytest.mark.cluster
@pytest.mark.parametrize("name", images.PRODUCTS)
def test_a_change_of_code_changes_the_last_layer_only(name: str, tmp_path: Path) -> None:
    source = copy_source(tmp_path / "source", name)
    tag = f"test-{uuid.uuid4().hex[:8]}"
    try:
        first = images.build(name, lambda _: None, source, tag)
        before = inspect(first)["rootfs"]["diff_ids"]
        assert images.build(name, lambda _: None, source, tag) == first
        package = MEMBERS[name][1]
        module = source / package / "src" / f"vistrain_{package}" / "new_module.py"
        module.write_text("ANSWER = 42\n")
        second = images.build(name, lambda _: None, source, tag)
        after = inspect(second)["rootfs"]["diff_ids"]
        assert after[:-1] == before[:-1]
        assert after[-1] != before[-1]
        program = (
            f"import struct, vistrain_{package}.new_module as m; "
            "print(m.ANSWER, struct.unpack('<I', open(m.__cached__, 'rb').read(8)[4:])[0])"
        )
        # Compiled beforehand, and valid (1: by no check) whatever time stamps the file has.
        assert run_in(second, "/opt/vistrain/bin/python", "-c", program).split() == ["42", "1"]
    finally:
        images.forget(name, tag)


@pytest.mark.cluster
def test_the_trainers_image_trains_a_step_and_brings_cuda_without_a_compiler() -> None:
    image = images.build("trainer", lambda _: None)
    program = (Path(__file__).parent / "training_step.py").read_text()
    said = json.loads(run_in(image, "/opt/vistrain/bin/python", "-c", program).splitlines()[-1])
    assert said == {"cuda": True, "finite": True, "compiler": None, "unresolved": []}
