#!/usr/bin/env bash
# Makes apache/kafka:4.3.1 exist in the local Docker engine: pulled where a registry answers, else built from Debian's
# packages and Kafka's jars on Maven Central. Needs a running engine; building needs root, apt-get and mvn. Idempotent.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image=apache/kafka:4.3.1
say() { echo "kafka-image: $*" >&2; }

docker image inspect "$image" >/dev/null 2>&1 && exit 0
say "pulling $image"
timeout 300 docker pull -q "$image" >/dev/null 2>&1 && exit 0

say "no registry gives it: building it from Debian packages and Maven Central (about a minute)"
missing=()
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v mvn >/dev/null || missing+=(maven default-jre-headless)
if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
context=$work/context
mkdir -p "$context"/etc/kafka/docker "$context"/opt/kafka/{libs,config} "$context"/mnt/shared/config
cp "$here/pom.xml" "$work/pom.xml"
(cd "$work" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$context/opt/kafka/libs")
install -m 755 "$here/run" "$context/etc/kafka/docker/run"
install -m 644 "$here/server.properties" "$here/log4j2.yaml" "$context/etc/kafka/docker/"

debootstrap --variant=minbase --include=openjdk-17-jre-headless bookworm "$work/root" >"$work/debootstrap.log" \
  || { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
tar -C "$work/root" --exclude='./proc/*' --exclude='./sys/*' --exclude='./dev/*' --exclude='./var/cache/apt/archives/*' -cf - . \
  | docker import - kafka-image-base >/dev/null
DOCKER_BUILDKIT=0 docker build -q -t "$image" -f "$here/Dockerfile" "$context" >/dev/null
say "built $image"
