"""Who reaches whom in the cluster: Services find their pods, policies let through what the settings name, and Prometheus."""

from __future__ import annotations

import re
from typing import Any

from tests.kubernetes.chart import (
    EVERYTHING,
    NAMESPACE,
    SMALLEST,
    Manifest,
    containers,
    environment,
    merged,
    named,
    pods,
    render,
)


def labels(pod: Manifest) -> dict[str, str]:
    found: dict[str, str] = pod["metadata"]["labels"]
    return found


def chosen(selector: dict[str, str], manifests: list[Manifest]) -> set[str]:
    """The components whose pods a selector matches."""
    return {name for name, pod in pods(manifests).items() if selector.items() <= labels(pod).items()}


def port_names(component: str, manifests: list[Manifest]) -> dict[str, int]:
    return {
        port["name"]: port["containerPort"]
        for container in containers(pods(manifests)[component])
        for port in container.get("ports", ())
    }


def test_services_select_the_ports_of_one_component(manifests: list[Manifest]) -> None:
    found = {}
    for name, service in named(manifests, "Service").items():
        [component] = chosen(service["spec"]["selector"], manifests)
        for port in service["spec"]["ports"]:
            assert port_names(component, manifests)[port["targetPort"]] == port["port"]
        found[name] = component
    assert found == {
        "homeostat-inference": "inference",
        "homeostat-inference-servers": "inference",
        **{f"homeostat-{name}": name for name in ("sink", "drift", "retraining", "console")},
    }


def test_workloads_select_their_own_pods(manifests: list[Manifest]) -> None:
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
        for one in named(manifests, kind).values():
            component = one["metadata"]["labels"]["app.kubernetes.io/component"]
            assert chosen(one["spec"]["selector"]["matchLabels"], manifests) == {component}


def test_budgets_never_forbid_the_drain_of_a_node(manifests: list[Manifest]) -> None:
    """A budget for a single pod would let no node be drained."""
    replicas = {
        one["metadata"]["name"]: one["spec"].get("replicas", 3)
        for kind in ("Deployment", "StatefulSet")
        for one in named(manifests, kind).values()
    }
    budgets = named(manifests, "PodDisruptionBudget")
    assert "homeostat-inference" in budgets
    for name, budget in budgets.items():
        assert (replicas[name] > 1, budget["spec"]["maxUnavailable"]) == (True, 1)


def addresses(manifests: list[Manifest]) -> set[tuple[str, str, int]]:
    """Component, other component and port of each address in the variables."""
    services = named(manifests, "Service")
    return {
        (client, next(iter(chosen(services[name]["spec"]["selector"], manifests))), int(port))
        for client, pod in pods(manifests).items()
        for container in containers(pod)
        for value in environment(container).values()
        for name, port in re.findall(
            r"https?://(?:homeostat-inference-\d+\.)?(homeostat-[a-z-]+)(?:\.ml\.svc)?:(\d+)", value
        )
    }


def allows(policy: Manifest, client: dict[str, str], port: int) -> bool:
    """Whether a policy lets pods with these labels, of its own namespace, through to a port."""
    for rule in policy["spec"].get("ingress") or ():
        sources = [source.get("podSelector", {}).get("matchLabels") for source in rule.get("from", [{}])]
        from_it = "from" not in rule or any(one and one.items() <= client.items() for one in sources)
        if from_it and port in [given["port"] for given in rule["ports"]]:
            return True
    return False


def test_policies_let_through_every_address_in_the_settings(everything: list[Manifest]) -> None:
    policies = named(everything, "NetworkPolicy")
    wanted = addresses(everything)
    assert len(wanted) >= 12
    for client, server, port in wanted:
        policy = policies[f"homeostat-{server}"]
        assert allows(policy, labels(pods(everything)[client]), port), f"{client} to {server}:{port}"


def test_policies_keep_others_out(everything: list[Manifest]) -> None:
    policies = named(everything, "NetworkPolicy")
    covered = {
        next(iter(chosen(one["spec"]["podSelector"]["matchLabels"], everything))) for one in policies.values()
    }
    # The Job with the keys talks to the API server before any policy exists, and listens on nothing.
    assert covered == set(pods(everything)) - {"keys-job"}
    sink = labels(pods(everything)["sink"])
    for name, policy in policies.items():
        for port in (8000, 8001, 8002, 8003, 8004, 8005):
            assert not allows(policy, sink, port), f"sink to {name}:{port}"
    shop = {"app": "shop"}
    assert allows(policies["homeostat-inference"], shop, 8000)
    assert not allows(policies["homeostat-inference"], shop, 8001)
    assert not allows(policies["homeostat-retraining"], shop, 8003)


def test_egress_is_restricted_by_the_values(everything: list[Manifest], smallest: list[Manifest]) -> None:
    for policy in named(everything, "NetworkPolicy").values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        dns, own, given = policy["spec"]["egress"]
        assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
        assert chosen(own["to"][0]["podSelector"]["matchLabels"], everything) == set(pods(everything))
        assert given == EVERYTHING["networkPolicy"]["egress"][0]
    for policy in named(smallest, "NetworkPolicy").values():
        assert policy["spec"]["policyTypes"] == ["Ingress"]


def test_everybody_reaches_inference_and_console_by_default(smallest: list[Manifest]) -> None:
    for name, port in (("inference", 8000), ("console", 8005)):
        assert allows(named(smallest, "NetworkPolicy")[f"homeostat-{name}"], {}, port)


def test_monitors_find_each_service_and_send_the_key(everything: list[Manifest]) -> None:
    services = named(everything, "Service")
    jobs: dict[str, Any] = {}
    for monitor in named(everything, "ServiceMonitor").values():
        selector = monitor["spec"]["selector"]["matchLabels"]
        [service] = [
            one for one in services.values() if selector.items() <= one["metadata"]["labels"].items()
        ]
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        for endpoint in monitor["spec"]["endpoints"]:
            assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
            assert endpoint["authorization"]["credentials"] == {
                "name": "homeostat-keys",
                "key": "prometheus_key",
            }
            assert (endpoint["path"], endpoint["scheme"]) == ("/metrics", "https")
            [relabeling] = endpoint["relabelings"]
            jobs[relabeling["replacement"]] = relabeling["targetLabel"]
    # The boards and alerts select by these.
    assert jobs == dict.fromkeys(("inference", "shipper", "sink", "drift", "retraining", "console"), "job")


def test_services_accept_the_names_they_are_reached_by(everything: list[Manifest]) -> None:
    for name in ("drift", "retraining", "console"):
        [container] = pods(everything)[name]["spec"]["containers"]
        accepted = environment(container)[f"HOMEOSTAT_{name.upper()}_NAMES"].split(",")
        assert accepted[:3] == [
            f"homeostat-{name}",
            f"homeostat-{name}.{NAMESPACE}",
            f"homeostat-{name}.{NAMESPACE}.svc",
        ]


def test_one_replica_owns_its_volume_alone() -> None:
    """Two pods must never have the volume at once: the next one starts when the last one has ended."""
    alone = {"replicas": 1, "jobImage": "", "volume": {"accessMode": "ReadWriteOnce"}}
    drift = {"replicas": 1, "volume": {"accessMode": "ReadWriteOnce"}}
    one = render(merged(EVERYTHING, {"retraining": alone, "drift": drift}))
    deployments = named(one, "Deployment")
    assert deployments["homeostat-retraining"]["spec"]["strategy"] == {"type": "Recreate"}
    assert deployments["homeostat-drift"]["spec"]["strategy"] == {"type": "Recreate"}
    assert deployments["homeostat-drift"]["spec"]["replicas"] == 1


def test_several_drift_services_share_the_models() -> None:
    """A pod that does not share would judge the models of the others."""
    drift = named(render(EVERYTHING), "Deployment")["homeostat-drift"]["spec"]
    assert (drift["replicas"], drift["strategy"]) == (2, {"type": "Recreate"})
    [container] = drift["template"]["spec"]["containers"]
    variables = {one["name"]: one.get("value") for one in container["env"]}
    assert variables["HOMEOSTAT_DRIFT_SHARED"] == "true"
    [alone] = named(render(SMALLEST), "Deployment")["homeostat-drift"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert "HOMEOSTAT_DRIFT_SHARED" not in {one["name"] for one in alone["env"]}
