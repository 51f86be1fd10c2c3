"""What the schemas do not know: that the files fit each other.

Usage: check.py DEPLOY COMPOSE_SCHEMA
"""
import json
import sys
from pathlib import Path

import jsonschema
import yaml

deploy, schema_file = Path(sys.argv[1]), Path(sys.argv[2])
problems = []


def must(holds, problem):
    if not holds:
        problems.append(problem)


def compose():
    whole = yaml.safe_load((deploy / "compose.yaml").read_text())
    schema = json.loads(schema_file.read_text())
    # The schema is older than the name of a project.
    checked = {key: value for key, value in whole.items() if key != "name"}
    for error in jsonschema.Draft7Validator(schema).iter_errors(checked):
        problems.append(f"compose.yaml: {error.json_path}: {error.message[:200]}")
    services = whole["services"]
    for name, service in services.items():
        if service["image"] == "blockbard":
            must(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name}: its root is written to")
            mounted = [volume.split(":", 1)[1] for volume in service["volumes"]]
            must(mounted == ["/data", "/chain:ro"], f"{name}: one volume at /data, and the chain to be read")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            there = (deploy / source).exists() if source.startswith("./") else source in whole["volumes"]
            must(there, f"{name}: there is no {source}")
    prometheus = yaml.safe_load((deploy / "prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in prometheus["scrape_configs"]}
    nodes = [f"{name}:5000" for name in services if name.startswith("node-")]
    must(jobs["bard"] == nodes and len(nodes) == 3, f"prometheus.yml watches {jobs['bard']}, there are {nodes}")
    source = yaml.safe_load((deploy / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    must(source["url"] == "http://prometheus:9090" and "prometheus" in services, "Grafana asks nobody")
    provider = yaml.safe_load((deploy / "grafana/provisioning/dashboards/bard.yml").read_text())["providers"][0]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    must(f"{provider['options']['path']}/dashboard.json" in mounted, "Grafana finds no dashboard")


def kubernetes():
    parts = {part["kind"]: part for part in yaml.safe_load_all((deploy / "kubernetes/blockbard.yaml").read_text()) if part["kind"] != "Service"}
    services = [part for part in yaml.safe_load_all((deploy / "kubernetes/blockbard.yaml").read_text()) if part["kind"] == "Service"]
    stateful = parts["StatefulSet"]["spec"]
    pod = stateful["template"]
    labels = pod["metadata"]["labels"]
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    headless = [one for one in services if one["metadata"]["name"] == stateful["serviceName"]]
    must(len(headless) == 1 and headless[0]["spec"]["clusterIP"] == "None", "the set has no headless service")
    for service in services:
        must(service["spec"]["selector"].items() <= labels.items(), f"{service['metadata']['name']} finds no pod")
        must({port["targetPort"] for port in service["spec"]["ports"]} <= ports, f"{service['metadata']['name']}: no such port")
    for name, path in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]:
        asked = container[name]["httpGet"]
        must(asked["path"] == path and asked["port"] in ports, f"{name} asks for {asked}")
    policy = parts["NetworkPolicy"]["spec"]
    must(policy["podSelector"]["matchLabels"].items() <= labels.items(), "the policy is for nobody")
    named = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    must(named <= ports, f"the policy lets {named} in, there are {ports}")
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    claims = [claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]]
    must(mounted["data"] == "/data" and claims == ["data"], "the data has no place that stays")
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    must(set(mounted) == volumes | set(claims), f"{set(mounted)} is mounted, there are {volumes | set(claims)}")
    environment = {one["name"]: one for one in container["env"]}
    peers = environment["BARD_BOOTSTRAP"]["value"].split(",")
    must(len(peers) == stateful["replicas"], f"{len(peers)} addresses for {stateful['replicas']} nodes")
    for number, peer in enumerate(peers):
        must(peer == f"/dns4/blockbard-{number}.{stateful['serviceName']}/tcp/6000", f"{peer} is no node of the set")
    monitor = yaml.safe_load((deploy / "prometheus/podmonitor.yaml").read_text())["spec"]
    must(monitor["selector"]["matchLabels"].items() <= labels.items(), "the PodMonitor finds no pod")
    endpoint = monitor["podMetricsEndpoints"][0]
    must(endpoint["port"] in ports, f"the PodMonitor asks for the port {endpoint['port']}")
    must({"targetLabel": "job", "replacement": "bard"} in endpoint["relabelings"], "rules and dashboard ask for the job bard")
    job = yaml.safe_load((deploy / "prometheus/kubernetes.yml").read_text())["scrape_configs"][0]
    kept = job["relabel_configs"][0]["regex"]
    must(job["job_name"] == "bard" and kept == f"{labels['app.kubernetes.io/name']};http", f"kubernetes.yml finds {kept}")
    secret = environment["BARD_API_TOKEN"]["valueFrom"]["secretKeyRef"]
    told = f'kubectl create secret generic {secret["name"]} --from-literal={secret["key"]}='
    must(told in (deploy / "kubernetes/blockbard.yaml").read_text(), "nobody is told to make the token")


compose()
kubernetes()
if problems:
    sys.exit("\n".join(problems))
print("containers and Kubernetes: no fault found")
