"""Names of Services inside pods: CoreDNS, as a process beside the control plane.

Pods ask it at the bridge's address. It knows the cluster's own names only; every other name is refused at
once, because nothing beyond the machine is reached from a pod.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vistrain_devcluster.api import Api, ApiError
from vistrain_devcluster.config import ClusterConfig
from vistrain_devcluster.kubeconfig import write_kubeconfig
from vistrain_devcluster.pki import Authority
from vistrain_devcluster.supervision import Program

USER = "vistrain-dns"
DOMAIN = "cluster.local"
RBAC = "rbac.authorization.k8s.io"


def corefile(config: ClusterConfig, kubeconfig: Path) -> str:
    """CoreDNS's configuration."""
    return f"""\
{DOMAIN}:53 {{
    bind {config.gateway.ip}
    errors
    kubernetes {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
}}
"""


def program(config: ClusterConfig, binaries: Path) -> Program:
    """CoreDNS as a program of the cluster's supervisord; writes its files, its certificate among them."""
    Authority(config.pki).issue("dns", USER)
    kubeconfig = write_kubeconfig(config, "dns", config.state / "dns.kubeconfig")
    file = config.state / "Corefile"
    file.write_text(corefile(config, kubeconfig))
    return Program("coredns", [str(binaries / "coredns"), "-conf", str(file)], priority=40)


def rights() -> list[dict[str, Any]]:
    """What CoreDNS may read, as RBAC objects."""
    rules = [
        {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    meta = {"name": USER}
    version = f"{RBAC}/v1"
    return [
        {"apiVersion": version, "kind": "ClusterRole", "metadata": meta, "rules": rules},
        {
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": USER}],
        },
    ]


def grant(api: Api) -> None:
    """Gives CoreDNS its rights; what is there already is fine."""
    for thing in rights():
        try:
            api.call("POST", f"/apis/{RBAC}/v1/{thing['kind'].lower()}s", thing)
        except ApiError as error:
            if error.status != 409:
                raise
