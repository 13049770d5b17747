"""Checks deploy/: the manifests against the schemas of Kubernetes' API, what the files say of each other, and each kafkaesk.toml
in them by the program. Usage: deploy.py FOLDER PROGRAM"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

# Beside the newest, the oldest that sidecars work in without a feature gate.
VERSIONS = ["1.29", kubernetes_validate.latest_version()]
SECRETS = "/etc/kafkaesk/secret"

folder, program = pathlib.Path(sys.argv[1]), sys.argv[2]
faults = []


def check(holds, what):
    if not holds:
        faults.append(what)


def run(arguments):
    ended = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    check(ended.returncode == 0, f"{' '.join(arguments)}: {ended.stderr.strip()}")
    return ended.stdout


def seconds(span):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", str(span)).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def shutdown(config):
    """How long the end of a worker with this configuration may take, in seconds; 0 if it is refused, which is a fault already."""
    lines = run(["config", "show", "--output", "json", "--config", str(config)]).splitlines()
    shown = {it["key"]: it["value"] for it in map(json.loads, lines)}
    return sum(seconds(shown.get(name, "0s")) for name in ["shutdown-timeout", "operate-linger"])


def kubernetes(path, maps, secrets):
    objects = list(yaml.safe_load_all(path.read_text()))
    for it in objects:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(it, version, strict=True)
            except Exception as error:
                faults.append(f"{path}: {it['kind']} for {version}: {error}")
        if it["kind"] == "ConfigMap":
            maps[it["metadata"]["name"]] = it["data"]
        if it["kind"] == "Secret":
            secrets[it["metadata"]["name"]] = it["stringData"]
    pods = [it for it in objects if it["kind"] == "Deployment"]
    check(len(pods) == 1, f"{path}: {len(pods)} Deployments")
    for it in pods:
        deployment(path, it, maps, secrets)
        labels = it["spec"]["template"]["metadata"]["labels"]
        for other in objects:
            spec = other.get("spec", {})
            selector = spec.get("podSelector") or spec.get("selector") or {}
            selector = selector.get("matchLabels", selector)
            check(selector.items() <= labels.items(), f"{path}: {other['kind']} selects other pods")
        # A headless Service, so that `top` finds each worker.
        for other in (it for it in objects if it["kind"] == "Service"):
            check(other["spec"]["clusterIP"] == "None", f"{path}: the Service is not headless")


def deployment(path, it, maps, secrets):
    pod = it["spec"]["template"]["spec"]
    worker = next(c for c in pod["containers"] if c["args"] == ["worker"])
    ports = {port["name"]: port["containerPort"] for port in worker["ports"]}
    for probe, asked in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        get = worker[probe]["httpGet"]
        check(get["path"] == asked and get["port"] in ports, f"{path}: {probe} asks {get}")
    for container in pod["containers"] + pod.get("initContainers", []):
        context = container["securityContext"]
        check(context["readOnlyRootFilesystem"], f"{path}: {container['name']} may write its root")
        check(context["capabilities"]["drop"] == ["ALL"], f"{path}: {container['name']} has capabilities")
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        for volume in pod["volumes"]:
            if "configMap" in volume:
                for item in volume["configMap"]["items"]:
                    write(home / item["path"], maps[volume["configMap"]["name"]][item["key"]])
            if "secret" in volume:
                for name, text in secrets[volume["secret"]["secretName"]].items():
                    write(home / "secret" / name, text)
        config = home / "kafkaesk.toml"
        text = config.read_text()
        listens = re.search(r'operate-listen = "[^"]*:(\d+)"', text)
        check(listens and int(listens[1]) in ports.values(), f"{path}: no port for operate-listen")
        config.write_text(text.replace(SECRETS, str(home / "secret")))
        grace = pod["terminationGracePeriodSeconds"]
        check(grace > shutdown(config), f"{path}: terminationGracePeriodSeconds {grace} cuts the drain off")


def autoscaler(path, objects):
    """What starts and ends workers: it names the Deployment, and a metric that docs/metrics.md has."""
    it = yaml.safe_load(path.read_text())
    spec = it["spec"]
    deployments = {it["metadata"]["name"]: it for it in objects if it["kind"] == "Deployment"}
    check(spec["scaleTargetRef"]["name"] in deployments, f"{path}: scales what does not exist")
    config = next(it["data"]["kafkaesk.toml"] for it in objects if it["kind"] == "ConfigMap")
    groups = re.findall(r'^\s*group = "([^"]*)"', config, re.M)
    most = max(map(int, re.findall(r"^\s*partitions = (\d+)", config, re.M)))
    if it["kind"] == "ScaledObject":
        check(it["apiVersion"] == "keda.sh/v1alpha1", f"{path}: {it['apiVersion']}")
        (trigger,) = spec["triggers"]
        wanted = trigger["metadata"]["query"]
        check(trigger["type"] == "prometheus", f"{path}: {trigger['type']}")
        # Otherwise the value would not be the number of replicas, and a missing one a zero.
        exact = (trigger["metricType"], trigger["metadata"]["threshold"], trigger["metadata"]["ignoreNullValues"])
        check(exact == ("AverageValue", "1", "false"), f"{path}: {exact}")
        check(spec["maxReplicaCount"] == most, f"{path}: not as many replicas as partitions")
    else:
        for version in VERSIONS:
            kubernetes_validate.validate(it, version, strict=True)
        (external,) = (it["external"] for it in spec["metrics"])
        labels = external["metric"]["selector"]["matchLabels"].items()
        wanted = external["metric"]["name"] + str([f'{name}="{value}"' for name, value in labels])
        check(external["target"] == {"type": "AverageValue", "averageValue": "1"}, f"{path}: {external['target']}")
        check(spec["maxReplicas"] == most, f"{path}: not as many replicas as partitions")
    metric = re.search(r"kafkaesk_\w+", wanted)[0]
    declared = (folder.parent / "docs" / "metrics.md").read_text()
    check(f"`{metric}`" in declared, f"{path}: {metric} is not in docs/metrics.md")
    check('knob="processes"' in wanted, f"{path}: it follows {wanted}")
    check(any(f'group_id="{group}"' in wanted for group in groups), f"{path}: no group of worker.yaml in {wanted}")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def compose(path):
    services = yaml.safe_load(path.read_text())["services"]
    for name, it in services.items():
        for mount in it.get("volumes", []):
            source = path.parent / mount.split(":")[0]
            check(source.exists(), f"{path}: {name} mounts {source}, which does not exist")
        for other in it.get("depends_on", []):
            check(other in services, f"{path}: {name} depends on {other}, which does not exist")
    grace = seconds(services["worker"]["stop_grace_period"])
    check(grace > shutdown(path.parent / "kafkaesk.toml"), f"{path}: stop_grace_period cuts the drain off")
    for provisioned in (path.parent / "grafana").rglob("*.yml"):
        check(yaml.safe_load(provisioned.read_text())["apiVersion"] == 1, f"{provisioned}: apiVersion")


def unit(path):
    stop = re.search(r"^TimeoutStopSec=(\d+)$", path.read_text(), re.M)
    with tempfile.TemporaryDirectory() as home:
        write(pathlib.Path(home) / "kafkaesk.toml", "")
        limit = shutdown(pathlib.Path(home) / "kafkaesk.toml")
    check(stop and int(stop[1]) > limit, f"{path}: TimeoutStopSec cuts the drain off")


maps, secrets = {}, {}
# worker.yaml first: sidecar.yaml uses its ConfigMap and its Secret.
for name in ["worker.yaml", "sidecar.yaml"]:
    kubernetes(folder / "kubernetes" / name, maps, secrets)
worker = list(yaml.safe_load_all((folder / "kubernetes" / "worker.yaml").read_text()))
for name in ["keda.yaml", "hpa.yaml"]:
    autoscaler(folder / "kubernetes" / name, worker)
compose(folder / "compose" / "compose.yml")
unit(folder / "systemd" / "kafkaesk-worker.service")
sys.exit("\n".join(faults) or None)
