"""Brings a cluster up with this checkout's images on its nodes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from vistrain_devcluster import image_template, images, registry
from vistrain_devcluster.cluster import Cluster
from vistrain_devcluster.node import Node


def up_with_images(cluster: Cluster, report: Callable[[str], None] = print) -> dict[str, str]:
    """Brings ``cluster`` up and its nodes to the images of this checkout; their references by digest.

    A cluster that is down gets the images into the template, before its nodes start; the nodes of one that is
    up pull what they lack: after a change of code, one small layer.
    """
    config = cluster.config
    fresh = not config.state.exists()
    references: dict[str, str] = {}

    def prepare() -> None:
        registry.wait(config.registry)
        references.update(images.publish(config.registry, report))
        if fresh:
            # No run needs an older build any more, and each may be gigabytes.
            keep = {f"vistrain/{name}": {text.partition("@")[2]} for name, text in references.items()}
            registry.prune(config.registry, keep)
        pause = images.pause_archive(config)
        image_template.prepare(config, references.values(), [pause], config.registry, report)

    cluster.up(prepare=prepare)
    if not references:
        references.update(images.publish(config.registry, report))

    def pull(node: Node) -> None:
        for reference in sorted(set(references.values()) - node.images()):
            report(f"{node.spec.name} pulls {reference}")
            node.pull(reference)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(pull, cluster.running_nodes()))
    return references
