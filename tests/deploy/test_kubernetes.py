"""Manifests fit the schemas of Kubernetes, and pods are locked down and probed."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from schemas.onnx_files import read_metadata
from services.kafka.groups import classifier_group, extractor_group
from services.settings import Settings, load_settings
from tests.deploy.services import SERVICES

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
RESOURCES: list[dict[str, Any]] = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((FOLDER / name).read_text())
]
#: Kinds that operators bring; Kubernetes itself has no schema for them.
CUSTOM = {"ScaledObject", "TriggerAuthentication"}
OWN = [document for document in RESOURCES if document["kind"] not in CUSTOM]
PODS = [document for document in OWN if document["kind"] in {"Deployment", "Job"}]
VERSION = "1.33"
#: Of the others no lag tells the load.
SCALED_BY_LAG = {"extractor", "classifier"}


def _name(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


def test_every_file_is_used() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


@pytest.mark.parametrize("document", OWN, ids=_name)
def test_schema(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, VERSION, strict=True)


def test_the_schema_check_can_fail() -> None:
    broken = {**OWN[0], "specification": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSION, strict=True)


@pytest.mark.parametrize("document", PODS, ids=_name)
def test_a_pod_may_do_little(document: dict[str, Any]) -> None:
    pod = document["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]


def test_scaling_looks_at_the_groups_of_the_default_model() -> None:
    settings = load_settings(model=Settings.model_fields["model"].default)
    group = classifier_group(settings, read_metadata(settings.model_path).name)
    triggers = [
        trigger["metadata"]
        for document in RESOURCES
        if document["kind"] == "ScaledObject"
        for trigger in document["spec"]["triggers"]
    ]
    assert {t["consumerGroup"]: t["topic"] for t in triggers} == {
        extractor_group(settings): "audio.chunks",
        group: "audio.features",
    }


def test_workers_are_probed_budgeted_and_scaled() -> None:
    workers = {d["metadata"]["name"] for d in RESOURCES if d["kind"] == "Deployment"}
    assert workers == SERVICES
    for document in RESOURCES:
        if document["kind"] == "Deployment":
            (container,) = document["spec"]["template"]["spec"]["containers"]
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            scaled = document["metadata"]["name"] in SCALED_BY_LAG
            assert ("replicas" not in document["spec"]) == scaled
    for kind, target in (("PodDisruptionBudget", "selector"), ("ScaledObject", "scaleTargetRef")):
        found = [d["spec"][target] for d in RESOURCES if d["kind"] == kind]
        names = {x.get("name") or x["matchLabels"]["app.kubernetes.io/name"] for x in found}
        assert names == (workers if kind == "PodDisruptionBudget" else SCALED_BY_LAG)
