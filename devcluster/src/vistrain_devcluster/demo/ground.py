"""The cluster that the demo stands on: the dev cluster, or one that is there already."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vistrain_devcluster import buildah, delivery, images, requirements
from vistrain_devcluster.cluster import Cluster, RequirementsMissing
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.demo import objects
from vistrain_devcluster.demo.tell import Teller
from vistrain_devcluster.kubectl import Kubectl

SYSTEM = "vistrain-system"
CHART = images.REPOSITORY_ROOT / "charts" / "vistrain"


class GroundError(RuntimeError):
    """The cluster cannot be made ready; the text says what to do."""


@dataclass(frozen=True)
class Place:
    """A cluster with our images within its reach."""

    kubectl: Kubectl
    helm: str
    trainer_image: str
    operator_image: str
    shell: str
    """What a person types before kubectl to reach this cluster."""

    def install(self, values: dict[str, str] | None = None) -> None:
        """`helm upgrade --install` of the chart, waiting until the operator is ready."""
        # As strings: a tag of digits is no number.
        named = {
            **_image_values("image", self.operator_image),
            **_image_values("trainer.image", self.trainer_image),
        }
        settings = [part for name, value in named.items() for part in ("--set-string", f"{name}={value}")]
        settings += [part for name, value in (values or {}).items() for part in ("--set", f"{name}={value}")]
        flags = [
            part
            for flag, value in (
                ("--kubeconfig", self.kubectl.kubeconfig),
                ("--kube-context", self.kubectl.context),
            )
            if value is not None
            for part in (flag, value)
        ]
        command = [self.helm, "upgrade", "--install", "vistrain", str(CHART), "--namespace", SYSTEM, *flags]
        done = subprocess.run(
            [*command, "--create-namespace", "--wait", "--timeout", "180s", *settings],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise GroundError(f"helm could not install the chart: {done.stderr.strip()}")

    def commands(self, run: str) -> list[str]:
        """Three commands to look further."""
        kubectl = f"{self.shell} -n {objects.NAMESPACE}"
        metrics = f"/api/v1/namespaces/{SYSTEM}/services/vistrain:metrics/proxy/metrics"
        return [
            f"{kubectl} get dtrain -o wide",
            f"{kubectl} describe dtrain {run}",
            f"{self.shell} get --raw {metrics} | grep ^vistrain_",
        ]


def _image_values(prefix: str, reference: str) -> dict[str, str]:
    """The chart's values for an image by digest, or by tag where there is no digest."""
    repository, at, digest = reference.partition("@")
    if at:
        return {f"{prefix}.repository": repository, f"{prefix}.digest": digest}
    repository, _, tag = reference.rpartition(":")
    return {f"{prefix}.repository": repository, f"{prefix}.tag": tag}


def dev_cluster(teller: Teller) -> Place:
    """The dev cluster, brought up, with the images of this checkout on both nodes and the chart installed."""
    config = ClusterConfig.from_environment()
    cluster = Cluster(config, teller.live)
    try:
        with teller.stage("Bringing up a real Kubernetes on this machine, with the images of this checkout"):
            if requirements.missing_packages():
                teller.live("installing what Debian has of it")
                requirements.install()
            references = delivery.up_with_images(cluster, teller.live)
    except RequirementsMissing as missing:
        raise GroundError("this machine lacks:\n  " + "\n  ".join(missing.problems)) from missing
    except (RuntimeError, OSError) as error:
        raise GroundError(str(error)) from error
    binaries = config.cache / "bin"
    kubectl = Kubectl(str(binaries / "kubectl"), kubeconfig=str(config.kubeconfig))
    shell = f"{binaries / 'kubectl'} --kubeconfig {config.kubeconfig}"
    place = Place(kubectl, str(binaries / "helm"), references["trainer"], references["operator"], shell)
    with teller.stage("helm upgrade --install vistrain charts/vistrain"):
        place.install()
    return place


def existing(context: str, registry_address: str | None, teller: Teller, *, insecure: bool = False) -> Place:
    """A cluster of the user's own, named by its kubectl context. Its nodes are not changed.

    A registry on this machine is spoken to in plain HTTP, another one when `insecure`.
    """
    kubectl = Kubectl(_tool("kubectl"), context=context)
    helm = _tool("helm")
    try:
        with teller.stage(f"Looking at the cluster of context {context}"):
            kubectl.run("version")
        if registry_address:
            with teller.stage(f"Building the images and pushing them to {registry_address}"):
                plain = insecure or registry_address.startswith(("localhost", "127."))
                references = images.publish(registry_address, teller.live, insecure=plain)
        else:
            with teller.stage("Building the images and loading them into the cluster"):
                references = {name: _load(name, context, teller) for name in images.PRODUCTS}
    except (RuntimeError, OSError) as error:
        raise GroundError(str(error)) from error
    place = Place(
        kubectl, helm, references["trainer"], references["operator"], f"{kubectl.binary} --context {context}"
    )
    with teller.stage("helm upgrade --install vistrain charts/vistrain"):
        place.install()
    return place


def _tool(name: str) -> str:
    """A program of the user's, or the one that was built for the dev cluster."""
    built = ClusterConfig.from_environment().cache / "bin" / name
    found = shutil.which(name) or (str(built) if built.exists() else None)
    if found is None:
        raise GroundError(
            f"{name} is not installed: put it on the PATH (`vistrain-devcluster install` builds it)"
        )
    return found


def _load(name: str, context: str, teller: Teller) -> str:
    """Build an image and hand it to kind or minikube, whose nodes take images without a registry."""
    identity = images.build(name, teller.live)
    reference = f"localhost/vistrain/{name}:{identity[:12]}"
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / f"{name}.tar"
        buildah.run("push", "--quiet", images.local_name(name), f"docker-archive:{archive}:{reference}")
        if context.startswith("kind-"):
            command = ["kind", "load", "image-archive", str(archive), "--name", context.removeprefix("kind-")]
        elif context.startswith("minikube"):
            command = ["minikube", "image", "load", str(archive), "--profile", context]
        else:
            raise GroundError(
                f"context {context!r} is neither kind's nor minikube's; images reach it by a registry only: "
                f"make demo CONTEXT={context} REGISTRY=host:port"
            )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise GroundError(f"{' '.join(command)}: {done.stderr.strip()}")
    return reference
