"""For every pattern of the CRD, texts that it must refuse and texts that it must let pass."""

from __future__ import annotations

from dataclasses import dataclass

from vistrain_api import preparation, quantities


@dataclass(frozen=True)
class Examples:
    """What a pattern refuses, and what it lets pass."""

    refused: tuple[str, ...]
    passed: tuple[str, ...]


PATTERNS: dict[str, Examples] = {
    quantities.DURATION_PATTERN: Examples(
        ("7d", "10 m", "-5m", "10min", "10", "1.5h", "10ms", "h", "10M"), ("120s", "10m", "1h30m", "90m")
    ),
    quantities.MEMORY_PATTERN: Examples(
        ("24GB", "24 Gi", "-1Gi", "Gi", "24gi", "1e9", "24Gib", ".5Gi"), ("24Gi", "512Mi", "1.5Gi", "16G")
    ),
    quantities.CPU_PATTERN: Examples(
        ("four", "0", "0m", "0.0", "-1", "1.5m", "4 cores", "01"), ("4", "0.5", "500m", "1.25", "0.050")
    ),
    quantities.MIG_PATTERN: Examples(
        ("1g20gb", "0g.5gb", "8x.20gb", "1g.20GB", "1g.20", "20gb", "1g.0gb", "1g.20gb+", "mig-1g.20gb"),
        ("1g.20gb", "7g.80gb", "1g.10gb+me", "1g.10gb+me.all"),
    ),
    preparation.VERSION_PATTERN: Examples(
        ("trainval", "v1.0", "v1.0-", "v1.0_mini", "v1.0-Mini", "v1.0-a/b", "v1.0--a", "v110-mini"),
        ("v1.0-trainval", "v1.0-mini", "v1.0-our-town2"),
    ),
    preparation.SPLITS_PATTERN: Examples(
        (
            "offical",
            "official ",
            "custom",
            "custom-560-141",
            "splits.txt",
            ".json",
            "/a.json",
            "../a.json",
            "a.jsonl",
        ),
        ("official", "custom-560-140", "splits.json", "lists/our town.yaml", "a.yml"),
    ),
    r"^[a-z0-9-]+$": Examples(("YOLO11", "a b", "yolo_11", "a/b"), ("yolo11s", "head-1")),
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": Examples(
        ("Weights", "a_b", "-a", "a-", "a..b", ".a", "a/b", "a b"), ("weights", "a-b", "a.b-c.d", "1")
    ),
    r"^[^/.][^/]*(/[^/.][^/]*)*$": Examples(
        ("/etc", "../up", "a/../b", "a/..", "..", ".", "a//b", "a/", "./a", "a/.hidden"),
        ("a", "a/b.json", "a b/c", "step-000000120", "v1..2/x"),
    ),
    r"^[0-9a-f]{64}$": Examples(("abc", "A" * 64, "g" * 64, "sha256:" + "0" * 57), ("0" * 64, "9f" * 32)),
    r"^[A-Za-z0-9][A-Za-z0-9_. -]*$": Examples(
        ("_car", " car", "car/truck", "car\n", "voiture à bras"),
        ("car", "construction_vehicle", "traffic light"),
    ),
    r"^[A-Za-z0-9_.]+$": Examples(("back bone", "backbone-1", "a/b"), ("backbone", "backbone.C3_p4")),
    r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$": Examples(
        ("a b", "-a", "a-", "a/b", "ä"), ("", "a", "a.b_c-d", "A1")
    ),
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$": Examples(
        ("a b", "/a", "a/", "a/b/c", "A.com/b", "-a"),
        ("pool", "nvidia.com/gpu", "node.kubernetes.io/not-ready"),
    ),
    r"^[^\s]+$": Examples(("a b", "a\n", "\ta"), ("registry.example:5000/a@sha256:0", "a")),
    r"^[A-Za-z_][A-Za-z0-9_]*$": Examples(
        ("1A", "A-B", "A B", "A=B", "A.B"), ("A", "_a1", "OMP_NUM_THREADS")
    ),
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": Examples(("a.b", "A", "-a", "a-", "a_b"), ("a", "a-1", "1")),
}
